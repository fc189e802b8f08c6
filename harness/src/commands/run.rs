//! `harness run`.

use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use clap::{Args, ValueEnum};
use punch::driver::clock::wall_now;

use super::{
    CommandError,
    allowances::undecidable,
    check::size,
    output::{self, Files, Format, ReportFiles},
    prepare::{self, Prepared},
    runs_folder,
    scenarios::{ScenarioArgs, read},
};
use crate::{
    doctor,
    event::{CellPlan, Event, PrecisionPlan, RunStarted, SCHEMA, ScenarioPlan},
    exit::Exit,
    report::{
        folder::{RunFolder, create_folder, timestamp},
        log::EventLog,
        progress::{Counts, Progress},
        sink::Sink,
        tally::Tally,
    },
    run::{Captures, Dispatch, Interruptible, RunContext, runtime},
    scenario::Scenario,
    ui::escape::shown,
};

/// Options of `run`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) scenarios: ScenarioArgs,

    /// Labs that may exist at once. A trial mostly waits, so that many more labs than cores are
    /// fine; for exact times use 2.
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

    /// Do not verify the NATs before the run.
    #[arg(long)]
    pub(crate) no_verify: bool,

    /// Print the summary as JSON on standard output instead of the table.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) reports: ReportFiles,

    /// Write the packets on the WAN as pcapng into the run folder, of all trials or of those
    /// without success; for trials without success, write a ladder in text as well.
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

/// Default of `--jobs`. Trials mostly wait: the number follows from the share of waiting, not from
/// the cores.
const JOBS: usize = 48;

/// `harness run`.
pub(crate) fn run(args: &RunArgs) -> Result<Exit, CommandError> {
    let scenarios = selected(args)?;
    let files = Files::new(&args.reports);
    files.check()?;
    let setups = scenarios
        .iter()
        .flat_map(|(scenario, _)| &scenario.cells)
        .map(|cell| &cell.setup);
    let Prepared { context, verified, messages } = prepare::for_run(&setups, !args.no_verify)?;

    let folder = folder(args, &scenarios)?;
    let jobs = args.jobs.map_or(JOBS, usize::from);
    let captures = captures(args.capture, folder.path())?;
    let context = Arc::new(RunContext { captures, ..context });
    let started = RunStarted { nats: verified, ..plan(&scenarios, jobs) };
    let mut tally = Tally::new(&started).map_err(CommandError::usage)?;
    let mut log = EventLog::create(&folder.events()).map_err(CommandError::incapable)?;
    log.append(&Event::RunStarted(started))
        .map_err(CommandError::incapable)?;

    let mut progress = Progress::on_stderr(counts(&scenarios), io::stderr().is_terminal());
    if let Some(warning) = folder.warning() {
        progress.message(&format!("warning: {warning}"));
    }
    announce(&mut progress, &messages, &scenarios);
    let dispatch = Dispatch { scenarios: &scenarios, jobs, context };
    let runtime = runtime().map_err(CommandError::incapable)?;
    let sinks: &mut [&mut dyn Sink] = &mut [&mut log, &mut tally, &mut progress];
    let ended = runtime.block_on(crate::run::run(&dispatch, sinks));
    progress.finish();
    // The results are reported even if the log could not be written to its end.
    let summary = tally.summary();
    let format = if args.json { Format::Json } else { Format::Terminal { full: false } };
    let reported = [
        output::print(format, &summary, folder.path()),
        output::write_run_files(folder.path(), &summary),
        files.write(&summary),
        output::annotate_github(&summary),
    ];
    let ended = ended.map_err(CommandError::incapable)?;
    output::first_problem(reported)?;
    Ok(match ended {
        Interruptible::Done(()) => summary.exit(),
        Interruptible::Interrupted(signal) => Exit::Interrupted(signal),
    })
}

/// The scenarios with the options of the command line, and their run seeds.
fn selected(args: &RunArgs) -> Result<Vec<(Scenario, u64)>, CommandError> {
    let mut scenarios = Vec::new();
    for mut scenario in read(&args.scenarios)? {
        if let Some(trials) = args.trials {
            scenario.fix_trials(trials);
        }
        let seed = args.seed.or(scenario.seed).map_or_else(random_seed, Ok)?;
        scenarios.push((scenario, seed));
    }
    Ok(scenarios)
}

/// Shows what will be run, and what to expect of it.
fn announce(progress: &mut impl Sink, messages: &[String], scenarios: &[(Scenario, u64)]) {
    for message in messages {
        progress.message(message);
    }
    for (scenario, seed) in scenarios {
        for warning in undecidable(scenario) {
            progress.message(&format!("warning: {}: {warning}", scenario.name));
        }
        let (name, size) = (&scenario.name, size(scenario));
        progress.message(&format!("{name}: {size}, seed {seed}"));
    }
}

fn random_seed() -> Result<u64, CommandError> {
    // Short enough to be typed again.
    let random = getrandom::u32()
        .map_err(|error| CommandError::incapable(format!("no random seed: {error}")))?;
    Ok(u64::from(random))
}

/// Creates the folder of the run.
fn folder(args: &RunArgs, scenarios: &[(Scenario, u64)]) -> Result<RunFolder, CommandError> {
    let name = match scenarios {
        [(only, _)] => only.name.clone(),
        several => format!("{}-scenarios", several.len()),
    };
    let now = timestamp(UNIX_EPOCH + since_epoch());
    RunFolder::create(args.out.as_deref(), &runs_folder(), &name, &now).map_err(CommandError::usage)
}

/// Creates the folder for captures, if they are asked for.
fn captures(which: Option<Capture>, run_folder: &Path) -> Result<Option<Captures>, CommandError> {
    let Some(which) = which else { return Ok(None) };
    let folder = run_folder.join("captures");
    create_folder(&folder)
        .map_err(|error| CommandError::incapable(format!("{}: {error}", shown(&folder))))?;
    let failed_only = which == Capture::Failed;
    Ok(Some(Captures { folder, failed_only, ladders_of_successes: false }))
}

/// System time.
fn since_epoch() -> Duration {
    Duration::from_nanos(u64::try_from(wall_now().as_nanos()).unwrap_or_default())
}

fn plan(scenarios: &[(Scenario, u64)], jobs: usize) -> RunStarted {
    let scenarios = scenarios.iter().map(|(scenario, seed)| ScenarioPlan {
        name: scenario.name.clone(),
        file: scenario.file.clone(),
        question: scenario.question.clone(),
        source: Some(scenario.source.clone()),
        seed: *seed,
        trials: scenario.trials,
        precision: scenario.precision.map(|precision| PrecisionPlan {
            half_width: precision.half_width,
            trials_max: precision.trials_max,
        }),
        cells: scenario
            .cells
            .iter()
            .map(|cell| CellPlan {
                values: cell.values.clone(),
                rtt_ms: cell.setup.wan.rtt().as_secs_f64() * 1000.0,
            })
            .collect(),
        expectations: scenario.expectations.clone(),
    });
    RunStarted {
        schema: SCHEMA,
        harness: env!("CARGO_PKG_VERSION").to_owned(),
        started_unix_s: since_epoch().as_secs_f64(),
        jobs,
        scenarios: scenarios.collect(),
        nats: Vec::new(),
        machine: Some(doctor::machine()),
    }
}

fn counts(scenarios: &[(Scenario, u64)]) -> Counts {
    let cells = |scenario: &Scenario| scenario.cells.len() as u64;
    let trials = scenarios
        .iter()
        .map(|(scenario, _)| cells(scenario) * u64::from(scenario.trials));
    Counts::new(trials.sum(), scenarios.iter().map(|(scenario, _)| cells(scenario)).sum())
}
