//! Exit codes, and the reasons for which the command ends without success.

use std::{io, iter, process::ExitCode};

use punch::Error;

use crate::interrupt::Signal;

/// How the command ends: its exit code. `--help` lists [`Exit::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Success = 0,
    Failed = 1,
    Usage = 2,
    /// 128 plus the number of the signal, the convention of shells. This one is SIGHUP.
    HungUp = 129,
    Interrupted = 130,
    Terminated = 143,
}

impl Exit {
    const ALL: [Self; 6] = [
        Self::Success,
        Self::Failed,
        Self::Usage,
        Self::HungUp,
        Self::Interrupted,
        Self::Terminated,
    ];

    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    const fn meaning(self) -> &'static str {
        match self {
            Self::Success => {
                "connected, both directions ended, and the peer's system has acknowledged \
                 everything"
            }
            Self::Failed => "not connected, or not everything was relayed",
            Self::Usage => "usage",
            Self::HungUp => "ended by SIGHUP",
            Self::Interrupted => "by SIGINT",
            Self::Terminated => "by SIGTERM",
        }
    }

    /// All codes in one sentence, for `--help`.
    pub(crate) fn overview() -> String {
        let codes = Self::ALL.map(|exit| format!("{} {}", exit.code(), exit.meaning()));
        format!("Exit codes: {}.", codes.join(", "))
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// A reason for which the command ends without success.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) exit: Exit,
    /// Message for the user; absent where the user knows already.
    pub(crate) message: Option<String>,
    /// Whether a further attempt, of `--keep`, would end the same way.
    pub(crate) is_lasting: bool,
}

impl Problem {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: Some(message.into()), is_lasting: true }
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, message: Some(message.into()), is_lasting: false }
    }

    /// The end by a signal.
    pub(crate) const fn signalled(signal: Signal) -> Self {
        Self { exit: signal.exit(), message: None, is_lasting: true }
    }

    /// A failed write to standard output. A closed pipe gets no message: its reader has seen
    /// enough.
    pub(crate) fn unwritten(error: &io::Error) -> Self {
        let is_closed = error.kind() == io::ErrorKind::BrokenPipe;
        let message = format!("standard output cannot be written: {error}");
        Self { exit: Exit::Failed, message: (!is_closed).then_some(message), is_lasting: true }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        if matches!(error, Error::Cancelled) {
            // Only a signal cancels; which one it was is known elsewhere.
            Self::signalled(Signal::Interrupt)
        } else if matches!(error, Error::OwnAddress(address) if address.is_loopback()) {
            // The article's own suggestion for a first try.
            Self::usage(format!("{error}, or see both sides on this one with punch --loopback"))
        } else if error.is_usage() {
            Self::usage(error.to_string())
        } else if let Error::Failed(failure) = error {
            Self::failed(failure.to_string())
        } else {
            Self::failed(with_sources(&error))
        }
    }
}

/// The text of an error and those of its sources, from the outermost to the innermost.
fn with_sources(error: &dyn std::error::Error) -> String {
    let texts = iter::successors(Some(error), |error| error.source()).map(ToString::to_string);
    texts.collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use punch::Failure;

    use super::*;

    #[test]
    fn the_readme_lists_every_exit_code() {
        for exit in Exit::ALL {
            let row = format!("| {} | {} |", exit.code(), exit.meaning());
            assert!(include_str!("../README.md").contains(&row), "{row}");
        }
    }

    #[test]
    fn a_message_includes_the_reason_of_the_system_or_of_the_attempt() {
        let gone = || io::Error::other("it is gone");
        for (error, message) in [
            (Error::NoRoute(gone()), "this machine has no route to the peer: it is gone"),
            (Error::Io(gone()), "system error: it is gone"),
            (Error::Failed(Failure::NoPeer), "something accepts connections, but no peer spoke"),
        ] {
            let problem = Problem::from(error);
            assert!(
                problem
                    .message
                    .is_some_and(|text| text.starts_with(message)),
                "{message}"
            );
        }
    }
}
