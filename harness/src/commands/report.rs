//! `harness report`.

use std::process::ExitCode;

use super::{INCONCLUSIVE, Problem, USAGE, runs, show};
use crate::{
    cli::ReportArgs,
    report::{
        log,
        summary::{RunState, Summary},
    },
};

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
