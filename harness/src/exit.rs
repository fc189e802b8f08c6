//! Exit codes of `harness`.

use std::process::ExitCode;

use nix::sys::signal::Signal;

/// End of a command, which determines the exit code.
///
/// The commands without trials use the same codes: [`Exit::Failed`] for a NAT that differs from
/// its description, a replay with another outcome, or a run that is worse than another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: all expectations met.
    Success,
    /// 1: an expectation failed.
    Failed,
    /// 2: wrong usage, or an invalid scenario.
    Usage,
    /// 3: the trials do not decide an expectation.
    Inconclusive,
    /// 4: no cell was selected.
    NothingSelected,
    /// 5: this machine lacks something.
    Incapable,
    /// 128 and the number of the signal that ended the command.
    Interrupted(Signal),
    /// The code of the command that `harness shell` ran.
    OfShell(u8),
}

impl Exit {
    /// Exit codes of a run and their meanings, as the help and the README have them.
    pub(crate) const TABLE: [(&str, &str); 7] = [
        ("0", "all expectations met"),
        ("1", "an expectation failed"),
        ("2", "usage or invalid scenario"),
        ("3", "inconclusive"),
        ("4", "nothing selected"),
        ("5", "this machine cannot run it"),
        ("130, 143", "interrupted, after clean-up"),
    ];

    /// Numeric value of the exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Inconclusive => 3,
            Self::NothingSelected => 4,
            Self::Incapable => 5,
            // Signals have numbers up to 31 here, so that the sum fits.
            Self::Interrupted(signal) => u8::try_from(128 + signal as i32).unwrap_or(u8::MAX),
            Self::OfShell(code) => code,
        }
    }

    /// Text on the exit codes for `harness --help`.
    pub(crate) fn help() -> String {
        let rows: Vec<String> = Self::TABLE
            .iter()
            .map(|(code, meaning)| format!("{code} {meaning}"))
            .collect();
        format!(
            "Exit codes: {}, with the partial result (128 and the signal's number).",
            rows.join("; ")
        )
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_code_of_each_end_of_a_run() {
        let ends = [
            Exit::Success,
            Exit::Failed,
            Exit::Usage,
            Exit::Inconclusive,
            Exit::NothingSelected,
            Exit::Incapable,
        ];
        let codes: Vec<String> = ends
            .iter()
            .map(|exit| exit.code().to_string())
            .chain(
                [Signal::SIGINT, Signal::SIGTERM]
                    .map(|signal| Exit::Interrupted(signal).code().to_string()),
            )
            .collect();
        let listed: Vec<&str> = Exit::TABLE
            .iter()
            .flat_map(|(codes, _)| codes.split(", "))
            .collect();
        assert_eq!(codes, listed);
    }

    #[test]
    fn the_readme_has_the_same_table() {
        let readme = include_str!("../../README.md");
        for (codes, meaning) in Exit::TABLE {
            let row = format!("| {codes} | {meaning} |");
            assert!(readme.lines().any(|line| line == row), "no row {row}");
        }
    }
}
