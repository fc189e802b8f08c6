//! `harness report`.

use std::{path::PathBuf, process::ExitCode};

use super::{
    Problem, USAGE,
    output::{self, Files, Format},
    runs,
};
use crate::{
    cli::ReportArgs,
    report::{log, summary::JSON_SCHEMA},
};

/// `harness report`.
pub(crate) fn report(args: &ReportArgs) -> ExitCode {
    match try_report(args) {
        Ok(code) => ExitCode::from(code),
        Err(problem) => problem.exit(),
    }
}

fn try_report(args: &ReportArgs) -> Result<u8, Problem> {
    if args.schema {
        output::emit(JSON_SCHEMA)?;
        return Ok(0);
    }
    let run = args.run.clone().map_or_else(latest, Ok)?;
    let summary = log::read_summary(&run).map_err(|error| Problem(USAGE, error.to_string()))?;
    let files = Files::junit(args.junit.as_deref());
    files.check()?;
    output::print(format(args), &summary, &run)?;
    files.write(&summary)?;
    if args.github {
        output::append_to_step_summary(&summary)?;
    }
    Ok(summary.exit_code())
}

fn latest() -> Result<PathBuf, Problem> {
    let latest = runs().join("latest");
    if latest.exists() {
        return Ok(latest);
    }
    let runs = runs();
    let message =
        format!("there is no run in {}: run a scenario, or name a folder", runs.display());
    Err(Problem(USAGE, message))
}

fn format(args: &ReportArgs) -> Format {
    let formats = [
        (args.json, Format::Json),
        (args.csv, Format::Csv),
        (args.markdown, Format::Markdown),
        (args.github, Format::Github),
    ];
    let chosen = formats.into_iter().find(|(chosen, _)| *chosen);
    chosen.map_or(Format::Terminal { full: args.full }, |(_, format)| format)
}
