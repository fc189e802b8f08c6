//! `harness check`.

use std::process::ExitCode;

use super::{read, say, undecidable};
use crate::cli::CheckArgs;

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
