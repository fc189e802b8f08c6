//! What each subcommand does, from its arguments to its exit code: one file each.

mod check;
mod compare;
mod doctor;
mod nats;
mod output;
mod ready;
mod replay;
mod report;
mod run;
mod shell;

use std::{
    collections::BTreeSet,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use crate::{
    report::judge::{Decided, Judgement, judge, trials_to_decide},
    scenario::{Criterion, Scenario},
};

pub(crate) use self::{
    check::check,
    compare::compare,
    doctor::doctor,
    nats::nats,
    replay::{TrialId, replay},
    report::report,
    run::run,
    shell::shell,
};

const USAGE: u8 = 2;
const INCONCLUSIVE: u8 = 3;
const INCAPABLE: u8 = 5;

/// A message for the user, and the exit code.
struct Problem(u8, String);

impl Problem {
    fn exit(self) -> ExitCode {
        let Self(code, message) = self;
        eprintln!("harness: {message}");
        ExitCode::from(code)
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

fn unwritable(error: impl std::fmt::Display) -> Problem {
    Problem(INCAPABLE, error.to_string())
}

/// Where runs are kept unless the user says otherwise.
fn runs() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    target.map_or_else(|| "target".into(), PathBuf::from).join("harness")
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

/// Prints to standard output; a closed pipe is the reader's decision.
fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}
