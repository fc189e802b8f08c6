//! What each subcommand does, from its arguments to its exit code.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    thread,
    time::{Duration, UNIX_EPOCH},
};

use punch::io::clock::wall_now;
use tokio::sync::Semaphore;

use crate::{
    cli::{Capture, CheckArgs, ReportArgs, RunArgs},
    doctor,
    event::{CellPlan, Event, RunStarted, SCHEMA, ScenarioPlan},
    report::{
        folder::{RunFolder, timestamp},
        judge::{Decided, Judgement, judge, trials_to_decide},
        log::{self, EventLog, write_summary},
        progress::{Counts, Progress},
        style::Style,
        summary::{RunState, Summary},
        tally::Tally,
        terminal,
    },
    run::{Bench, Captures, Dispatch, Ended},
    scenario::{Criterion, Family, Named, Nat, NatSpec, Scenario, Unsolicited},
};

const USAGE: u8 = 2;
const INCONCLUSIVE: u8 = 3;
const INCAPABLE: u8 = 5;

/// Labs at once unless `--jobs` says otherwise: trials mostly wait, so their number follows from
/// how much waiting hides, not from the cores.
const JOBS: usize = 48;

/// A message for the user, and the exit code.
struct Problem(u8, String);

impl Problem {
    fn exit(self) -> ExitCode {
        let Self(code, message) = self;
        eprintln!("harness: {message}");
        ExitCode::from(code)
    }
}

/// `harness run`.
pub(crate) fn run(args: &RunArgs) -> ExitCode {
    match try_run(args) {
        Ok(code) => ExitCode::from(code),
        Err(problem) => problem.exit(),
    }
}

/// `harness check`.
pub(crate) fn check(args: &CheckArgs) -> ExitCode {
    let scenarios = match read(&args.files) {
        Ok(scenarios) => scenarios,
        Err(problem) => return problem.exit(),
    };
    for scenario in &scenarios {
        let (cells, trials) = (scenario.cells.len(), scenario.trials);
        let total = cells as u64 * u64::from(trials);
        say(&format!("{}: {cells} cells x {trials} trials = {total} trials", scenario.file));
        for warning in undecidable(scenario) {
            say(&format!("  warning: {warning}"));
        }
    }
    ExitCode::SUCCESS
}

/// `harness report`.
pub(crate) fn report(args: &ReportArgs) -> ExitCode {
    let run = args.run.clone().unwrap_or_else(|| runs().join("latest"));
    let events = match log::read(&run) {
        Ok(events) => events,
        Err(error) => return Problem(USAGE, error.to_string()).exit(),
    };
    match Summary::from_events(&events) {
        Ok(summary) => {
            show(args.json, &summary, &run);
            // What was not run might have gone otherwise.
            let open = summary.state != RunState::Finished && summary.exit_code() == 0;
            ExitCode::from(if open { INCONCLUSIVE } else { summary.exit_code() })
        }
        Err(error) => Problem(USAGE, format!("{}: {error}", run.display())).exit(),
    }
}

/// `harness doctor`.
pub(crate) fn doctor() -> ExitCode {
    let nats = |family| {
        let answers = Unsolicited::NAMES.iter().map(|(_, answer)| *answer);
        answers.map(|answer| (family, NatSpec::home(answer))).collect::<Vec<_>>()
    };
    let ready = doctor::prepare()
        .and_then(|()| doctor::probe(&nats(Family::V4)).map_err(|missing| vec![missing]));
    if let Err(missing) = ready {
        return Problem(INCAPABLE, doctor::message(&missing)).exit();
    }
    say("this machine can run scenarios: namespaces, TUN devices and NAT rules work");
    // Most scenarios do without.
    if let Err(missing) = doctor::probe(&nats(Family::V6)) {
        say(&format!("except those with IPv6: {missing}"));
    }
    ExitCode::SUCCESS
}

fn try_run(args: &RunArgs) -> Result<u8, Problem> {
    let mut scenarios = Vec::new();
    for mut scenario in read(&args.files)? {
        scenario.trials = args.trials.unwrap_or(scenario.trials);
        let seed = args.seed.or(scenario.seed).map_or_else(random_seed, Ok)?;
        scenarios.push((scenario, seed));
    }
    let incapable = |missing: &[doctor::Missing]| Problem(INCAPABLE, doctor::message(missing));
    let setups = scenarios.iter().flat_map(|(scenario, _)| &scenario.cells).map(|cell| &cell.setup);
    doctor::programs(setups).map_err(|message| Problem(INCAPABLE, message))?;
    doctor::prepare().map_err(|missing| incapable(&missing))?;
    doctor::probe(&nats(&scenarios)).map_err(|missing| incapable(&[missing]))?;

    let folder = folder(args, &scenarios)?;
    let jobs = args.jobs.map_or(JOBS, usize::from);
    let bench = Arc::new(bench(args, folder.path())?);
    let started = Event::RunStarted(plan(&scenarios, jobs));
    let mut log = EventLog::create(&folder.events()).map_err(unwritable)?;
    log.append(&started).map_err(unwritable)?;
    let Event::RunStarted(plan) = &started else { unreachable!("made above") };
    let mut tally = Tally::new(plan).map_err(|error| Problem(USAGE, error.to_string()))?;

    let dispatch = Dispatch { scenarios: &scenarios, jobs, bench };
    let mut progress = Progress::on_stderr(counts(&scenarios), io::stderr().is_terminal());
    if let Some(warning) = folder.warning() {
        progress.message(&format!("warning: {warning}"));
    }
    for (scenario, seed) in &scenarios {
        for warning in undecidable(scenario) {
            progress.message(&format!("warning: {}: {warning}", scenario.name));
        }
        let (cells, trials) = (scenario.cells.len(), scenario.trials);
        let name = &scenario.name;
        progress.message(&format!("{name}: {cells} cells x {trials} trials, seed {seed}"));
    }
    let runtime = runtime()?;
    let ended = runtime.block_on(crate::run::run(&dispatch, &mut log, &mut progress, |event| {
        tally.add(event).expect("the dispatcher's events are those of this plan");
    }));
    progress.finish();
    // What was measured is reported even if it could not all be written.
    let summary = tally.summary();
    show(args.json, &summary, folder.path());
    let ended = ended.map_err(|error| Problem(INCAPABLE, error.to_string()))?;
    write_summary(folder.path(), &summary).map_err(unwritable)?;
    match ended {
        Ended::Complete => Ok(summary.exit_code()),
        Ended::Interrupted(code) => Ok(code),
    }
}

/// Reads all files, and tells of every one that is wrong.
fn read(files: &[PathBuf]) -> Result<Vec<Scenario>, Problem> {
    let mut scenarios: Vec<Scenario> = Vec::new();
    let mut wrong = 0;
    for file in files {
        match Scenario::read(file) {
            Ok(scenario) => scenarios.push(scenario),
            Err(error) => {
                wrong += 1;
                eprintln!("{:?}", miette::Report::new(error));
            }
        }
    }
    if wrong > 0 {
        return Err(Problem(USAGE, format!("{wrong} of {} scenarios are invalid", files.len())));
    }
    let mut names = BTreeSet::new();
    for scenario in &scenarios {
        if !names.insert(&scenario.name) {
            return Err(Problem(
                USAGE,
                format!("two scenarios are named {:?}: give one another `name`", scenario.name),
            ));
        }
    }
    Ok(scenarios)
}

fn random_seed() -> Result<u64, Problem> {
    // Short enough to be typed again.
    let random =
        getrandom::u32().map_err(|error| Problem(INCAPABLE, format!("no random seed: {error}")))?;
    Ok(u64::from(random))
}

fn unwritable(error: impl std::fmt::Display) -> Problem {
    Problem(INCAPABLE, error.to_string())
}

/// The kinds of NATs in the scenarios.
fn nats(scenarios: &[(Scenario, u64)]) -> Vec<(Family, NatSpec)> {
    let mut kinds = Vec::new();
    for cell in scenarios.iter().flat_map(|(scenario, _)| &scenario.cells) {
        for peer in &cell.setup.peers {
            let Nat::Behind(nat) = &peer.nat else { continue };
            let kind = (cell.setup.wan.family, nat.clone());
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
    }
    kinds
}

/// Where runs are kept unless the user says otherwise.
fn runs() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    target.map_or_else(|| "target".into(), PathBuf::from).join("harness")
}

fn folder(args: &RunArgs, scenarios: &[(Scenario, u64)]) -> Result<RunFolder, Problem> {
    let name = match scenarios {
        [(only, _)] => only.name.clone(),
        several => format!("{}-scenarios", several.len()),
    };
    let since_epoch = u64::try_from(wall_now().as_nanos()).unwrap_or_default();
    let now = timestamp(UNIX_EPOCH + Duration::from_nanos(since_epoch));
    RunFolder::create(args.out.as_deref(), &runs(), &name, &now)
        .map_err(|error| Problem(USAGE, error.to_string()))
}

fn bench(args: &RunArgs, folder: &Path) -> Result<Bench, Problem> {
    let captures = match args.capture {
        None => None,
        Some(which) => {
            let folder = folder.join("captures");
            fs::create_dir_all(&folder)
                .map_err(|error| unwritable(format!("{}: {error}", folder.display())))?;
            Some(Captures { folder, failed_only: which == Capture::Failed })
        }
    };
    let myself = fs::read_link("/proc/self")
        .map_err(|error| Problem(INCAPABLE, format!("/proc is not mounted: {error}")))?;
    // More wait for the kernel's network lock, spinning: with 8 on 2 cores a lab costs twice the
    // processor time, and packets are late.
    let builders = Semaphore::new(cores());
    Ok(Bench { builders, process: Path::new("/proc").join(myself), captures })
}

fn plan(scenarios: &[(Scenario, u64)], jobs: usize) -> RunStarted {
    let scenarios = scenarios.iter().map(|(scenario, seed)| ScenarioPlan {
        name: scenario.name.clone(),
        file: scenario.file.clone(),
        question: scenario.question.clone(),
        seed: *seed,
        trials: scenario.trials,
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
        started_unix_s: Duration::from_nanos(
            u64::try_from(wall_now().as_nanos()).unwrap_or_default(),
        )
        .as_secs_f64(),
        jobs,
        scenarios: scenarios.collect(),
    }
}

fn counts(scenarios: &[(Scenario, u64)]) -> Counts {
    let cells = |scenario: &Scenario| scenario.cells.len() as u64;
    let trials = scenarios.iter().map(|(scenario, _)| cells(scenario) * u64::from(scenario.trials));
    Counts::new(trials.sum(), scenarios.iter().map(|(scenario, _)| cells(scenario)).sum())
}

/// Expectations that even the best result could not meet for certain.
fn undecidable(scenario: &Scenario) -> Vec<String> {
    let trials = u64::from(scenario.trials);
    let mut warnings = Vec::new();
    for expectation in &scenario.expectations {
        let Ok(criterion) = expectation.success.parse::<Criterion>() else { continue };
        let best = match criterion {
            Criterion::AtLeast(_) | Criterion::MoreThan(_) => trials,
            Criterion::AtMost(_) | Criterion::LessThan(_) => 0,
            Criterion::Theory => continue,
        };
        if judge(&criterion, best, trials, Decided::default()) == Judgement::Inconclusive {
            let enough = trials_to_decide(&criterion, best, trials)
                .map_or_else(String::new, |enough| format!("; {enough} could"));
            warnings.push(format!(
                "{trials} trials in a cell cannot prove success {}, whatever they show{enough}",
                expectation.success
            ));
        }
    }
    warnings
}

fn cores() -> usize {
    thread::available_parallelism().map_or(2, usize::from).max(2)
}

fn runtime() -> Result<tokio::runtime::Runtime, Problem> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores())
        .enable_all()
        .build()
        .map_err(|error| Problem(INCAPABLE, format!("cannot start threads: {error}")))
}

fn show(json: bool, summary: &Summary, folder: &Path) {
    if json {
        match serde_json::to_string_pretty(summary) {
            Ok(json) => say(&json),
            Err(error) => eprintln!("harness: the summary cannot be written as JSON: {error}"),
        }
        return;
    }
    let terminal = io::stdout().is_terminal();
    let width = terminal_size::terminal_size().map(|(width, _)| width.0);
    let style = Style::detect(terminal, |name| std::env::var(name).ok(), width);
    say(terminal::render(summary, Some(folder), style).trim_end());
}

/// Prints to standard output; a closed pipe is the reader's decision.
fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}
