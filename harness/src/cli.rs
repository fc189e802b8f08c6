//! The command line of `harness`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{commands::TrialId, report::compare::MIN_MS, scenario::CellFilter};

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
        harness run scenarios/*.toml --json             the summary as JSON on standard output\n  \
        harness report /tmp/skew --markdown             that run again, for a pull request\n  \
        harness compare /tmp/old /tmp/skew              what became better or worse?"
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
    /// Check scenarios without running them: everything wrong at once, what would be run, and how many
    /// failures each expectation allows.
    Check(CheckArgs),
    /// List scenarios: what they ask, their cells and trials.
    List(ListArgs),
    /// Report a finished or interrupted run again, from its events alone.
    Report(ReportArgs),
    /// Compare two runs cell by cell: better, worse, or no difference shown.
    Compare(CompareArgs),
    /// List the NATs that scenarios can name, show the rules of one, or prove what they do.
    Nats(NatsArgs),
    /// Run one trial of a run again, with the same seed: its packets as a ladder, and whether it
    /// came out the same.
    Replay(ReplayArgs),
    /// Build the lab of a scenario and open a shell in one of its peers; the lab goes with the shell.
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

    /// Do not verify beforehand that the NATs do what they say.
    #[arg(long)]
    pub(crate) no_verify: bool,

    /// Print the summary as JSON on standard output instead of the table.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) reports: ReportFiles,

    /// Write what passed the WAN as pcapng into the run folder, of all trials or of those that did
    /// not succeed; of these, the packets as a ladder in text as well.
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

/// Reports in files that the user names, besides those in the run's folder.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReportFiles {
    /// Write JUnit XML into this file: a case for each expectation in each cell.
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,

    /// Write CSV into this file: a line for each cell.
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,

    /// Write Markdown into this file, as for a comment on a pull request.
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
}

/// Options of `report`.
#[derive(Debug, Args)]
#[command(
    after_help = "Everything is made from the run's events.jsonl alone: the same events give the \
        same bytes, also of a run that was killed.\n\nExit codes: as of the run; 3 if it was cut \
        short with no expectation failed, 2 if there is no run to report."
)]
pub(crate) struct ReportArgs {
    /// Folder of the run, or its events.jsonl; by default the latest in target/harness.
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<PathBuf>,

    /// Print the summary as JSON instead of the table.
    #[arg(long, group = "format")]
    pub(crate) json: bool,

    /// Print CSV: a line for each cell.
    #[arg(long, group = "format")]
    pub(crate) csv: bool,

    /// Print Markdown, as for a comment on a pull request.
    #[arg(long, group = "format")]
    pub(crate) markdown: bool,

    /// Print annotations for GitHub Actions: what failed or is open, on the scenario's file.
    #[arg(long, group = "format")]
    pub(crate) github: bool,

    /// Print the JSON Schema of --json and of summary.json.
    #[arg(long, group = "format", conflicts_with_all = ["run", "junit"])]
    pub(crate) schema: bool,

    /// List every cell in the table, even where a heat map shows them, and what its trials cost.
    #[arg(long, conflicts_with = "format")]
    pub(crate) full: bool,

    /// Write JUnit XML into this file as well: a case for each expectation in each cell.
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
}

/// Options of `compare`.
#[derive(Debug, Args)]
#[command(
    after_help = "Cells are matched by the scenario's name and their swept values. Rates differ by \
        the interval of Newcombe, medians of times by order statistics, all of them together with \
        95 % confidence however many there are. Trials that both runs have, with the same seed, count as \
        pairs: run the same scenarios with the same seed to see small differences.\n\nExit codes: 0 nothing is worse, 1 something \
        is, 2 usage or no cell in common, 3 nothing can be compared: no trials with a result."
)]
pub(crate) struct CompareArgs {
    /// Folder of the run to compare with, or its events.jsonl.
    #[arg(value_name = "FIRST")]
    pub(crate) first: PathBuf,

    /// Folder of the run that may be better or worse.
    #[arg(value_name = "SECOND")]
    pub(crate) second: PathBuf,

    /// Medians that differ by less are not told apart, in milliseconds: the bench itself is no more
    /// exact, and less so between machines.
    #[arg(
        long,
        value_name = "MS",
        default_value_t = MIN_MS,
        value_parser = milliseconds,
        allow_negative_numbers = true
    )]
    pub(crate) least_ms: f64,

    /// Print the comparison as JSON.
    #[arg(long)]
    pub(crate) json: bool,

    /// List every cell, even where many do not differ.
    #[arg(long, conflicts_with = "json")]
    pub(crate) full: bool,
}

fn milliseconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(ms) if (0.0..=1e6).contains(&ms) => Ok(ms),
        Ok(_) | Err(_) => Err("not a number of milliseconds from 0 to 1000000".to_owned()),
    }
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
    cannot build one, 130/143 interrupted."
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

/// Options of `replay`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 the verdict is that of the run, or the run has none; 1 it is \
    another one; 2 usage, or the run cannot be replayed; 5 this machine cannot run it.\n\n\
    The run's log holds the scenarios as they were: their files may have changed meanwhile, but \
    the programs that they start must still be there. The same seed gives the same clocks, \
    ports and losses, but not the same timing to the microsecond."
)]
pub(crate) struct ReplayArgs {
    /// Folder of the run, or its events.jsonl.
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,

    /// Which trial: numbers of scenario, cell and trial from 0, such as 0.3.17.
    #[arg(value_name = "TRIAL")]
    pub(crate) trial: TrialId,

    /// Folder for the packets (pcapng) and the ladder; by default `replays` in the run's.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// Options of `shell`.
#[derive(Debug, Args)]
#[command(after_help = "The exit code is that of the shell or command; 2 usage, 5 this machine \
    cannot run it, 130/143 interrupted.\n\n\
    What the scenario starts on public hosts runs; the peers are yours to start, on this \
    machine's time and without `taken_ports`. $NET_A, $NET_B and $NET_HOST_… are the hosts' \
    namespaces, for `nsenter --net=$NET_B …`; $PUNCH_A and $PUNCH_B are the commands by which \
    the peers punch, for `eval \"$PUNCH_A\"`.\n\n\
    Examples:\n  \
    harness shell scenarios/hello.toml a\n  \
    harness shell scenarios/hello.toml a --command 'ping -c 1 203.0.113.1'")]
pub(crate) struct ShellArgs {
    /// Scenario file.
    #[arg(value_name = "SCENARIO")]
    pub(crate) scenario: PathBuf,

    /// In whose host.
    #[arg(value_name = "PEER", value_enum)]
    pub(crate) peer: PeerName,

    /// Which of the scenario's cells, from 0 in the order of the sweep.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) cell: usize,

    /// Run this with /bin/sh instead of $SHELL.
    #[arg(long, value_name = "COMMAND")]
    pub(crate) command: Option<String>,

    /// Set a key of the scenario, above what its file says. May be given several times.
    #[arg(long, value_name = "PATH=VALUE")]
    pub(crate) set: Vec<String>,
}

impl ShellArgs {
    /// The scenario, with all of its cells.
    pub(crate) fn scenarios(&self) -> ScenarioArgs {
        let (files, set) = (vec![self.scenario.clone()], self.set.clone());
        ScenarioArgs { files, set, filter: Vec::new(), yes: true }
    }
}

/// One of the two peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PeerName {
    /// Peer a.
    A,
    /// Peer b.
    B,
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
