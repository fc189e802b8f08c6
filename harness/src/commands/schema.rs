//! `harness schema` and `harness completions`: what editors and shells want to know.

use std::io;

use clap::Args;

use super::{CommandError, print_line};
use crate::{exit::Exit, scenario};

/// Options of `completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// `harness schema`.
pub(crate) fn schema() -> Result<Exit, CommandError> {
    print_line(scenario::schema::text().trim_end());
    Ok(Exit::Success)
}

/// `harness completions`, of this command line.
pub(crate) fn completions(
    args: &CompletionsArgs,
    mut cli: clap::Command,
) -> Result<Exit, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli, "harness", &mut script);
    // A closed pipe is the reader's decision.
    let _ = io::Write::write_all(&mut io::stdout(), &script);
    Ok(Exit::Success)
}
