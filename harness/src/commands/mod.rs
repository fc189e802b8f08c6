//! The subcommands, from their arguments to their [`Exit`](crate::exit::Exit): one file each.

mod allowances;
mod check;
mod compare;
mod doctor;
mod error;
mod list;
mod nats;
mod output;
mod prepare;
mod replay;
mod report;
mod run;
mod scenarios;
mod schema;
mod shell;

use std::{
    io::{self, Write},
    path::PathBuf,
};

pub(crate) use self::{
    check::{CheckArgs, check},
    compare::{CompareArgs, compare},
    doctor::doctor,
    error::CommandError,
    list::{ListArgs, list},
    nats::{NatsArgs, nats},
    replay::{ReplayArgs, replay},
    report::{ReportArgs, report},
    run::{RunArgs, run},
    schema::{CompletionsArgs, completions, schema},
    shell::{ShellArgs, shell},
};

/// Folder of the runs, unless the user names another.
fn runs_folder() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    target
        .map_or_else(|| "target".into(), PathBuf::from)
        .join("harness")
}

/// Prints a line to standard output; a closed pipe is the reader's decision.
fn print_line(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}
