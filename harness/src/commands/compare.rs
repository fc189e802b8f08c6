//! `harness compare`.

use std::path::PathBuf;

use clap::Args;

use super::{CommandError, output};
use crate::{
    exit::Exit,
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
        95 % confidence for any number of cells. Trials that both runs have, with the same seed, \
        count as pairs: run the same scenarios with the same seed to see small differences.\n\n\
        Exit codes: 0 nothing is worse, 1 something is, 2 usage or no cell in common, 3 nothing \
        can be compared: no trials with a result."
)]
pub(crate) struct CompareArgs {
    /// Folder of the run to compare with, or its events.jsonl.
    #[arg(value_name = "FIRST")]
    pub(crate) first: PathBuf,

    /// Folder of the run that may be better or worse.
    #[arg(value_name = "SECOND")]
    pub(crate) second: PathBuf,

    /// Smallest difference of medians that counts, in milliseconds: the bench itself is no more
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

/// `harness compare`.
pub(crate) fn compare(args: &CompareArgs) -> Result<Exit, CommandError> {
    let read = |run| log::read(run).map_err(CommandError::usage);
    let (first, second) = (read(&args.first)?, read(&args.second)?);
    let comparison =
        compare::compare(&first, &second, args.least_ms).map_err(CommandError::usage)?;
    output::write_stdout(&rendered(args, &comparison))?;
    Ok(match comparison.verdict {
        Change::Worse => Exit::Failed,
        Change::Better | Change::NoDifferenceShown => Exit::Success,
        Change::NotComparable => Exit::Inconclusive,
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
