//! `harness schema` and `harness completions`: what editors and shells want to know.

use std::{io, process::ExitCode};

use clap::Args;

use super::say;
use crate::scenario;

/// Options of `completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// `harness schema`.
pub(crate) fn schema() -> ExitCode {
    say(scenario::schema::text().trim_end());
    ExitCode::SUCCESS
}

/// `harness completions`, of this command line.
pub(crate) fn completions(args: &CompletionsArgs, mut cli: clap::Command) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli, "harness", &mut script);
    // A closed pipe is the reader's decision.
    let _ = io::Write::write_all(&mut io::stdout(), &script);
    ExitCode::SUCCESS
}
