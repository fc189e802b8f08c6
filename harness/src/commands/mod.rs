//! What each subcommand does, from its arguments to its exit code: one file each.

mod allowances;
mod check;
mod doctor;
mod list;
mod report;
mod run;
mod scenarios;
mod schema;

use std::{
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::report::{style::Style, summary::Summary, terminal};

pub(crate) use self::{
    check::check,
    doctor::doctor,
    list::list,
    report::report,
    run::run,
    schema::{completions, schema},
};

const USAGE: u8 = 2;
const INCONCLUSIVE: u8 = 3;
const NOTHING_SELECTED: u8 = 4;
const INCAPABLE: u8 = 5;

/// A message for the user, and the exit code.
struct Problem(u8, String);

impl Problem {
    fn exit(self) -> ExitCode {
        let Self(code, message) = self;
        eprintln!("harness: {message}");
        ExitCode::from(code)
    }
}

fn unwritable(error: impl std::fmt::Display) -> Problem {
    Problem(INCAPABLE, error.to_string())
}

/// Where runs are kept unless the user says otherwise.
fn runs() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    target.map_or_else(|| "target".into(), PathBuf::from).join("harness")
}

fn show(json: bool, summary: &Summary, folder: &Path) {
    if json {
        match serde_json::to_string_pretty(summary) {
            Ok(json) => say(&json),
            Err(error) => eprintln!("harness: the summary cannot be written as JSON: {error}"),
        }
        return;
    }
    let terminal = io::stdout().is_terminal();
    let width = terminal_size::terminal_size().map(|(width, _)| width.0);
    let style = Style::detect(terminal, |name| std::env::var(name).ok(), width);
    say(terminal::render(summary, Some(folder), style).trim_end());
}

/// Prints to standard output; a closed pipe is the reader's decision.
fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}
