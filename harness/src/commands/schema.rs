//! `harness schema` and `harness completions`: what editors and shells want to know.

use std::{io, process::ExitCode};

use clap::CommandFactory;

use super::say;
use crate::{
    cli::{Cli, CompletionsArgs},
    scenario,
};

/// `harness schema`.
pub(crate) fn schema() -> ExitCode {
    say(scenario::schema::text().trim_end());
    ExitCode::SUCCESS
}

/// `harness completions`.
pub(crate) fn completions(args: &CompletionsArgs) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "harness", &mut script);
    // A closed pipe is the reader's decision.
    let _ = io::Write::write_all(&mut io::stdout(), &script);
    ExitCode::SUCCESS
}
