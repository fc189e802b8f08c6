//! The command line of `harness`.

use clap::{Args, Parser, Subcommand};

use crate::{
    commands::{
        CheckArgs, CompareArgs, CompletionsArgs, ListArgs, NatsArgs, ReplayArgs, ReportArgs,
        RunArgs, ShellArgs,
    },
    exit::Exit,
};

/// Test TCP hole punching on small internets of Linux network namespaces with real NATs.
#[derive(Debug, Parser)]
#[command(
    name = "harness",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    subcommand_precedence_over_arg = true,
    arg_required_else_help = true,
    after_help = Exit::help() + "\n\nExamples:\n  \
        harness scenarios/hello.toml                    a few seconds: does it work here?\n  \
        harness scenarios/skew.toml --out /tmp/skew     keep the results in this folder\n  \
        harness run scenarios/*.toml --json             the summary as JSON on standard output\n  \
        harness report /tmp/skew --markdown             that run again, for a pull request\n  \
        harness compare /tmp/old /tmp/skew              what became better or worse?",
)]
pub(crate) struct Cli {
    /// `harness FILE…` is `harness run FILE…`.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// Subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run scenarios and judge their expectations.
    Run(RunArgs),
    /// Check scenarios without running them: all mistakes at once, the number of trials, and the
    /// failures that each expectation allows.
    Check(CheckArgs),
    /// List scenarios: their questions, cells and trials.
    List(ListArgs),
    /// Report a finished or interrupted run again, from its events alone.
    Report(ReportArgs),
    /// Compare two runs cell by cell: better, worse, or no difference shown.
    Compare(CompareArgs),
    /// List the NATs that scenarios can name, show the rules of one, or prove their behaviour.
    Nats(NatsArgs),
    /// Run one trial of a run again, with the same seed: its packets as a ladder, and whether the
    /// outcome is the same.
    Replay(ReplayArgs),
    /// Build the lab of a scenario and open a shell in one of its peers; the lab is removed with
    /// the shell.
    Shell(ShellArgs),
    /// Check whether this machine can run scenarios, and say what is missing.
    Doctor,
    /// Print the JSON Schema of scenario files, for editors.
    Schema,
    /// Print completions for a shell.
    Completions(CompletionsArgs),
    /// Be a peer: the command `punch`.
    #[command(hide = true, disable_help_flag = true)]
    Peer(PeerArgs),
}

/// Arguments for the command `punch`.
#[derive(Debug, Args)]
pub(crate) struct PeerArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) args: Vec<std::ffi::OsString>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
