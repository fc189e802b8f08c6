//! What each subcommand does, from its arguments to its exit code: one file each.

mod allowances;
mod check;
mod compare;
mod doctor;
mod list;
mod nats;
mod output;
mod ready;
mod replay;
mod report;
mod run;
mod scenarios;
mod schema;
mod shell;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

pub(crate) use self::{
    check::{CheckArgs, check},
    compare::{CompareArgs, compare},
    doctor::doctor,
    list::{ListArgs, list},
    nats::{NatsArgs, nats},
    replay::{ReplayArgs, replay},
    report::{ReportArgs, report},
    run::{RunArgs, run},
    schema::{CompletionsArgs, completions, schema},
    shell::{ShellArgs, shell},
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

/// The machine cannot do it.
fn unable(error: impl std::fmt::Display) -> Problem {
    Problem(INCAPABLE, error.to_string())
}

fn unwritable(error: impl std::fmt::Display) -> Problem {
    Problem(INCAPABLE, error.to_string())
}

/// Where runs are kept unless the user says otherwise.
fn runs() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    target
        .map_or_else(|| "target".into(), PathBuf::from)
        .join("harness")
}

/// Prints to standard output; a closed pipe is the reader's decision.
fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}
