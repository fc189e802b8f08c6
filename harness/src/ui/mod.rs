//! Text on a terminal: tables, styles, wrapped lines, plurals, words of a shell.
//!
//! Reports, NATs, verification and commands lie above this module and lay out what they print with
//! it. It knows nothing of trials or NATs.

pub(crate) mod escape;
pub(crate) mod plural;
pub(crate) mod shell;
pub(crate) mod style;
pub(crate) mod table;
pub(crate) mod wrap;
