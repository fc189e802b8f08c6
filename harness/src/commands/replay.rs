//! `harness replay`.

use std::{
    fs,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use clap::Args;

use super::{CommandError, prepare, print_line};
use crate::{
    event::{Event, Outcome, RunStarted, ScenarioPlan, TrialFinished},
    exit::Exit,
    report::{folder::create_folder, log},
    run::{Captures, Interruptible, RunContext, TrialSeed, TrialSpec, run_alone, runtime},
    scenario::{Overrides, Scenario},
    ui::escape::{escaped_lines, shown},
};

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

    /// Folder for the packets (pcapng) and the ladder; by default `replays` in the folder of the
    /// run.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// Identity of a trial in a run: `0.3.17` is trial 17 of cell 3 of the first scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TrialId {
    scenario: usize,
    cell: usize,
    trial: u32,
}

impl FromStr for TrialId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('.').collect();
        let numbers = match *parts.as_slice() {
            [scenario, cell, trial] => scenario
                .parse()
                .ok()
                .zip(cell.parse().ok())
                .zip(trial.parse().ok()),
            _ => None,
        };
        let ((scenario, cell), trial) = numbers.ok_or_else(|| {
            "a trial is named SCENARIO.CELL.TRIAL, three numbers from 0 such as 0.3.17, as the \
             report of the run and the first line of a ladder name it"
                .to_owned()
        })?;
        Ok(Self { scenario, cell, trial })
    }
}

/// `harness replay`.
pub(crate) fn replay(args: &ReplayArgs) -> Result<Exit, CommandError> {
    let events = log::read(&args.run).map_err(CommandError::usage)?;
    let RecordedTrial { spec, recorded } = find(&events, args.trial)
        .map_err(|message| CommandError::usage(format!("{}: {message}", shown(&args.run))))?;

    let prepared = prepare::for_setup(&spec.setup)?;
    let captures =
        Captures { folder: folder(args)?, failed_only: false, ladders_of_successes: true };
    let context = RunContext { captures: Some(captures.clone()), ..prepared };
    let ended = runtime()
        .map_err(CommandError::incapable)?
        .block_on(run_alone(&context, &spec));
    let again = match ended.map_err(CommandError::incapable)? {
        Interruptible::Done(again) => again,
        Interruptible::Interrupted(signal) => {
            return Err(CommandError::interrupted(signal, "nothing can be said of the trial"));
        }
    };
    if again.outcome != Outcome::Error {
        let ladder = captures.ladder(&spec.slug);
        let text = fs::read_to_string(&ladder)
            .map_err(|error| CommandError::incapable(format!("{}: {error}", shown(&ladder))))?;
        print_line(&escaped_lines(&text));
        print_line(&format!("packets: {}", shown(&captures.packets(&spec.slug))));
        print_line(&format!("ladder:  {}", shown(&ladder)));
    }
    let (is_same, text) = compared(recorded.as_ref(), &again);
    print_line(&escaped_lines(&text));
    Ok(if is_same { Exit::Success } else { Exit::Failed })
}

/// Trial of a finished run.
struct RecordedTrial {
    /// The trial, made again from the scenario in the log.
    spec: TrialSpec,
    /// Result in the log, if the run came to the trial.
    recorded: Option<TrialFinished>,
}

/// Makes a trial again from the log of its run.
fn find(events: &[Event], id: TrialId) -> Result<RecordedTrial, String> {
    let Some(Event::RunStarted(started)) = events.first() else {
        return Err("its log has no beginning".to_owned());
    };
    let plan = started.scenarios.get(id.scenario).ok_or_else(|| {
        let last = started.scenarios.len().saturating_sub(1);
        format!("there is no scenario {}: the run's are 0 to {last}", id.scenario)
    })?;
    let cells = plan.cells.len();
    if id.cell >= cells {
        let name = &plan.name;
        return Err(format!(
            "{name} has no cell {}: its are 0 to {}",
            id.cell,
            cells.saturating_sub(1)
        ));
    }
    let trials = plan
        .precision
        .map_or(plan.trials, |precision| precision.trials_max);
    if id.trial >= trials {
        let last = trials.saturating_sub(1);
        let name = &plan.name;
        return Err(format!(
            "each cell of {name} has trials 0 to {last}: there is no {}",
            id.trial
        ));
    }
    let scenario = scenario(started, plan)?;
    let cell = &scenario.cells[id.cell];
    let seed = TrialSeed::new(plan.seed, cell, id.trial);
    let recorded = events.iter().find_map(|event| match event {
        Event::TrialFinished(trial) => {
            let same_id =
                (trial.scenario, trial.cell, trial.trial) == (id.scenario, id.cell, id.trial);
            same_id.then(|| (**trial).clone())
        }
        Event::RunStarted(_)
        | Event::CellExtended(_)
        | Event::CellDecided(_)
        | Event::RunFinished(_) => None,
    });
    if let Some(recorded) = &recorded
        && recorded.seed != seed.to_string()
    {
        return Err(format!(
            "the trial had the seed {}, and this harness ({}) would give it {seed}: replay it with \
             the version that ran it, {}",
            recorded.seed,
            env!("CARGO_PKG_VERSION"),
            started.harness
        ));
    }
    let setup = Arc::new(cell.setup.clone());
    let spec = TrialSpec::new(&scenario, [id.scenario, id.cell], id.trial, seed, setup);
    Ok(RecordedTrial { spec, recorded })
}

/// The scenario as at the time of the run.
fn scenario(started: &RunStarted, plan: &ScenarioPlan) -> Result<Scenario, String> {
    let (name, version) = (&plan.name, &started.harness);
    let source = plan.source.as_ref().ok_or_else(|| {
        format!(
            "the log does not hold the scenario {name}, so that nothing of it can be replayed \
             (harness {version} wrote it); run {} again with --seed {}",
            plan.file, plan.seed
        )
    })?;
    // The user of the run confirmed the number of cells.
    let overrides = Overrides { many_cells: true, ..Overrides::default() };
    let mut scenario = Scenario::parse_with(&plan.file, source, &overrides).map_err(|error| {
        eprintln!("{:?}", miette::Report::new(error));
        format!(
            "the scenario {name} as harness {version} ran it is none for this version ({}): \
             replay it with that one",
            env!("CARGO_PKG_VERSION")
        )
    })?;
    // The run may have had a filter.
    scenario.retain(|_, cell| {
        plan.cells
            .iter()
            .any(|planned| planned.values == cell.values)
    });
    let values = scenario.cells.iter().map(|cell| &cell.values);
    if values.eq(plan.cells.iter().map(|cell| &cell.values)) {
        return Ok(scenario);
    }
    Err(format!(
        "the scenario {name} has other cells for this harness ({}) than for the one that ran it \
         ({version}): replay it with that one",
        env!("CARGO_PKG_VERSION")
    ))
}

/// Creates the folder for the packets and the ladder.
fn folder(args: &ReplayArgs) -> Result<PathBuf, CommandError> {
    let run =
        if args.run.is_dir() { &args.run } else { args.run.parent().unwrap_or(Path::new(".")) };
    let folder = args.out.clone().unwrap_or_else(|| run.join("replays"));
    create_folder(&folder)
        .and_then(|()| tempfile::NamedTempFile::new_in(&folder))
        .map_err(|error| {
            let folder = shown(&folder);
            CommandError::incapable(format!(
                "cannot write to {folder}: {error}; choose another folder with --out"
            ))
        })?;
    Ok(folder)
}

/// Whether the outcome is the same as in the run, and a text about it.
fn compared(recorded: Option<&TrialFinished>, again: &TrialFinished) -> (bool, String) {
    let now = again.headline();
    let Some(recorded) = recorded else {
        return (true, format!("{now}\nthe run has no result of this trial to compare with"));
    };
    let before = recorded.headline();
    let kinds = [recorded, again].map(|trial| trial.cause.as_ref().map(|cause| &cause.kind));
    if recorded.outcome != again.outcome {
        let note = "the same seed gives the same clocks, ports and losses, but not the same timing";
        (false, format!("{now}\nDIFFERENT from the run: {before}\n({note})"))
    } else if kinds[0] == kinds[1] {
        (true, format!("{now}\nas in the run: {before}"))
    } else {
        (true, format!("{now}\nthe same verdict as in the run, for another cause: {before}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_named_by_three_numbers() {
        assert_eq!("0.3.17".parse(), Ok(TrialId { scenario: 0, cell: 3, trial: 17 }));
        for wrong in ["", "3", "0.3", "0.3.17.1", "a.b.c", "0.-1.2", "0.3.99999999999"] {
            assert!(wrong.parse::<TrialId>().is_err(), "{wrong}");
        }
    }
}
