//! Failure of a command: a message for the user, and the exit code.

use std::fmt::Display;

use nix::sys::signal::Signal;

use crate::{doctor::Missing, exit::Exit};

/// Failure of a command.
#[derive(Debug)]
pub(crate) struct CommandError {
    /// Exit code.
    pub(crate) exit: Exit,
    /// Message for the user.
    pub(crate) message: String,
}

impl CommandError {
    /// The arguments or the files that they name are wrong.
    pub(super) fn usage(message: impl Display) -> Self {
        Self { exit: Exit::Usage, message: message.to_string() }
    }

    /// This machine cannot do it.
    pub(super) fn incapable(message: impl Display) -> Self {
        Self { exit: Exit::Incapable, message: message.to_string() }
    }

    /// This machine lacks something.
    pub(super) fn missing(missing: &[Missing]) -> Self {
        Self::incapable(crate::doctor::message(missing))
    }

    /// A signal came first, with this consequence.
    pub(super) fn interrupted(signal: Signal, consequence: &str) -> Self {
        Self { exit: Exit::Interrupted(signal), message: format!("interrupted: {consequence}") }
    }
}
