//! The command line of `harness`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

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
        scenario, 3 inconclusive, 5 this machine cannot run it, 130/143 interrupted (128 and the \
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
    /// Report a finished or interrupted run again, from its events alone.
    Report(ReportArgs),
    /// List the NATs that scenarios can name, show the rules of one, or prove what they do.
    Nats(NatsArgs),
    /// Check whether this machine can run scenarios, and say what is missing.
    Doctor,
    /// Be a peer: the command `punch`.
    #[command(hide = true, disable_help_flag = true)]
    Peer(PeerArgs),
}

/// Options of `run`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunArgs {
    /// Scenario files.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,

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
    /// Scenario files.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
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

/// Options of `nats`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct NatsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<NatsCommand>,

    /// Print the catalogue as JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to do with NATs.
#[derive(Debug, Subcommand)]
pub(crate) enum NatsCommand {
    /// Show a NAT's behaviour, and the shell script of rules and kernel variables that makes it.
    Show(ShowNatArgs),
    /// Build NATs and probe them from inside and outside: do they do what they say?
    Verify(VerifyNatsArgs),
}

/// Options of `nats show`.
#[derive(Debug, Args)]
pub(crate) struct ShowNatArgs {
    /// A NAT of the catalogue, or a table as in a scenario: '{ allocation = "random" }'.
    #[arg(value_name = "NAT")]
    pub(crate) nat: String,

    /// Show the stateful firewall that stands in its place with IPv6.
    #[arg(long)]
    pub(crate) ipv6: bool,

    /// Print what is fed to which program, and the kernel variables, as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `nats verify`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 all do what they say, 1 one does not, 2 usage, 5 this machine \
    cannot build one."
)]
pub(crate) struct VerifyNatsArgs {
    /// NATs of the catalogue, or tables as in a scenario: '{ allocation = "random" }'; by default
    /// the whole catalogue.
    #[arg(value_name = "NAT")]
    pub(crate) nats: Vec<String>,

    /// Verify the stateful firewalls that stand in their places with IPv6.
    #[arg(long)]
    pub(crate) ipv6: bool,

    /// Print expected and observed for each property as JSON.
    #[arg(long)]
    pub(crate) json: bool,

    /// Build this NAT in place of each: to see that verification notices.
    #[arg(long, value_name = "NAT", hide = true)]
    pub(crate) built: Option<String>,
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
