//! Text on a terminal: tables, styles, wrapped lines, plurals, words of a shell.
//!
//! Reports, NATs, verification and commands use this module for their output. The module knows
//! neither trials nor NATs.

pub(crate) mod escape;
pub(crate) mod plural;
pub(crate) mod shell;
pub(crate) mod style;
pub(crate) mod table;
pub(crate) mod wrap;
