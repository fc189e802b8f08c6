//! `harness compare`.

use std::process::ExitCode;

use super::{INCONCLUSIVE, Problem, USAGE, output};
use crate::{
    cli::CompareArgs,
    report::{
        compare::{self, Change, Comparison},
        log,
    },
    ui::style::Style,
};

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
