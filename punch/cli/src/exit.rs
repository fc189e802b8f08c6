//! Exit codes, and the reasons for which the command ends without success.

use std::{io, process::ExitCode};

use punch::Error;

/// How the command ends: its exit code. `--help` lists [`Exit::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Success = 0,
    Failed = 1,
    Usage = 2,
    /// 128 plus the number of SIGINT, the convention of shells.
    Interrupted = 130,
}

impl Exit {
    const ALL: [Self; 4] = [Self::Success, Self::Failed, Self::Usage, Self::Interrupted];

    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    const fn meaning(self) -> &'static str {
        match self {
            Self::Success => "connected and everything relayed",
            Self::Failed => "not connected (or the connection broke)",
            Self::Usage => "usage",
            Self::Interrupted => "interrupted",
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
}

impl Problem {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: Some(message.into()) }
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, message: Some(message.into()) }
    }

    /// The end by SIGINT, SIGTERM or SIGHUP.
    pub(crate) const fn interrupted() -> Self {
        Self { exit: Exit::Interrupted, message: None }
    }

    /// A failed write to standard output. A closed pipe gets no message: its reader has seen
    /// enough.
    pub(crate) fn unwritten(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self { exit: Exit::Failed, message: None };
        }
        Self::failed(format!("standard output cannot be written: {error}"))
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        if matches!(error, Error::Cancelled) {
            Self::interrupted()
        } else if matches!(error, Error::OwnAddress(address) if address.is_loopback()) {
            // The article's own suggestion for a first try.
            Self::usage(format!("{error}, or see both sides on this one with punch --loopback"))
        } else if error.is_usage() {
            Self::usage(error.to_string())
        } else {
            Self::failed(error.to_string())
        }
    }
}
