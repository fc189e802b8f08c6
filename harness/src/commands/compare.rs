//! `harness compare`.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{INCONCLUSIVE, Problem, USAGE, output};
use crate::{
    report::{
        compare::{self, Change, Comparison, MIN_MS},
        log,
    },
    ui::style::Style,
};

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

/// Something is worse.
const WORSE: u8 = 1;

/// `harness compare`.
pub(crate) fn compare(args: &CompareArgs) -> ExitCode {
    match try_compare(args) {
        Ok(code) => ExitCode::from(code),
        Err(problem) => problem.exit(),
    }
}

fn try_compare(args: &CompareArgs) -> Result<u8, Problem> {
    let usage = |error: String| Problem(USAGE, error);
    let read = |run| log::read(run).map_err(|error| usage(error.to_string()));
    let (first, second) = (read(&args.first)?, read(&args.second)?);
    let comparison = compare::compare(&first, &second, args.least_ms)
        .map_err(|error| usage(error.to_string()))?;
    output::emit(&rendered(args, &comparison))?;
    Ok(match comparison.verdict {
        Change::Worse => WORSE,
        Change::Better | Change::NoDifferenceShown => 0,
        Change::NotComparable => INCONCLUSIVE,
    })
}

fn rendered(args: &CompareArgs, comparison: &Comparison) -> String {
    if args.json {
        let json = serde_json::to_string_pretty(comparison);
        return json.expect("a comparison is strings, numbers and lists") + "\n";
    }
    let style = Style::of_stdout();
    compare::render(comparison, [&args.first, &args.second], args.full, style)
}
