//! The command line of `harness`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::scenario::CellFilter;

/// Test TCP hole punching on small internets of Linux network namespaces with real NATs.
#[derive(Debug, Parser)]
#[command(
    name = "harness",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    subcommand_precedence_over_arg = true,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 all expectations met, 1 an expectation failed, 2 usage or invalid \
        scenario, 3 inconclusive, 4 nothing selected, 5 this machine cannot run it, 130/143 interrupted (128 and the \
        signal's number; after clean-up, with the partial result).\n\n\
        Examples:\n  \
        harness scenarios/hello.toml                    a few seconds: does it work here?\n  \
        harness scenarios/skew.toml --out /tmp/skew     keep the results in this folder\n  \
        harness run scenarios/*.toml --json             the summary as JSON on standard output"
)]
pub(crate) struct Cli {
    /// `harness FILE…` is `harness run FILE…`.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run scenarios and judge their expectations.
    Run(RunArgs),
    /// Check scenarios without running them, and say what would be run.
    Check(CheckArgs),
    /// List scenarios: what they ask, their cells and trials.
    List(ListArgs),
    /// Report a finished or interrupted run again, from its events alone.
    Report(ReportArgs),
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

/// Which scenarios, and which of their cells.
#[derive(Debug, Clone, Args)]
pub(crate) struct ScenarioArgs {
    /// Scenario files.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// Set a key of the scenarios, above what their files say: `wan.delay_ms=50`, `peer.a.nat=none`,
    /// `sweep.wan.loss=[0, 0.1]`. May be given several times.
    #[arg(long, value_name = "PATH=VALUE")]
    pub(crate) set: Vec<String>,

    /// Only the cells that meet all of these conditions: `rule=rolling,delay_ms=5|50`. A path may be
    /// shortened from the left, values may have `*` and `?`, `!=` is the opposite, and a word alone
    /// is a part of the cell's name. May be given several times, for cells that meet either.
    #[arg(long, value_name = "CONDITIONS")]
    pub(crate) filter: Vec<CellFilter>,

    /// A sweep of more than 10000 cells is meant.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Options of `run`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) scenarios: ScenarioArgs,

    /// Labs that may stand at once. A trial mostly waits, so that many more than cores are fine;
    /// for exact times use 2.
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) jobs: Option<u16>,

    /// Trials in each cell, instead of what the scenarios say.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) trials: Option<u32>,

    /// Run seed, instead of what the scenarios say: the same seed gives the same trials.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,

    /// Folder for the results; by default a new one in target/harness.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// Print the summary as JSON on standard output instead of the table.
    #[arg(long)]
    pub(crate) json: bool,

    /// Write what passed the WAN as pcapng into the run folder, of all trials or of those that did
    /// not succeed.
    #[arg(
        long,
        value_enum,
        value_name = "WHICH",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "all"
    )]
    pub(crate) capture: Option<Capture>,
}

/// Which trials are captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Capture {
    /// Every trial.
    All,
    /// Trials that did not succeed.
    Failed,
}

/// Options of `check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) scenarios: ScenarioArgs,

    /// Trials in each cell, instead of what the scenarios say.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) trials: Option<u32>,
}

/// Options of `list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) scenarios: ScenarioArgs,

    /// Every cell with its values, instead of how many there are.
    #[arg(long)]
    pub(crate) cells: bool,

    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// Options of `report`.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Folder of the run; by default the latest in target/harness.
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<PathBuf>,

    /// Print the summary as JSON instead of the table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of the peer, passed on.
#[derive(Debug, Args)]
pub(crate) struct PeerArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) words: Vec<std::ffi::OsString>,
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
