//! `harness report`.

use std::path::PathBuf;

use clap::Args;

use super::{
    CommandError,
    output::{self, Files, Format},
    runs_folder,
};
use crate::{
    exit::Exit,
    report::{log, summary::JSON_SCHEMA},
    ui::escape::shown,
};

/// Options of `report`.
#[derive(Debug, Args)]
#[command(
    after_help = "Everything is made from the run's events.jsonl alone: the same events give the \
        same bytes, also of a run that was killed.\n\nExit codes: as of the run; 3 if it was cut \
        short with no expectation failed, 2 if there is no run to report."
)]
pub(crate) struct ReportArgs {
    /// Folder of the run, or its events.jsonl; by default the latest in target/harness.
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<PathBuf>,

    /// Print the summary as JSON instead of the table.
    #[arg(long, group = "format")]
    pub(crate) json: bool,

    /// Print CSV: a line for each cell.
    #[arg(long, group = "format")]
    pub(crate) csv: bool,

    /// Print Markdown, as for a comment on a pull request.
    #[arg(long, group = "format")]
    pub(crate) markdown: bool,

    /// Print annotations for GitHub Actions: failed and inconclusive expectations, on the
    /// scenario's file.
    #[arg(long, group = "format")]
    pub(crate) github: bool,

    /// Print the JSON Schema of --json and of summary.json.
    #[arg(long, group = "format", conflicts_with_all = ["run", "junit"])]
    pub(crate) schema: bool,

    /// List every cell in the table, even where a heat map shows them, and what its trials cost.
    #[arg(long, conflicts_with = "format")]
    pub(crate) full: bool,

    /// Write JUnit XML into this file as well: a case for each expectation in each cell.
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
}

/// `harness report`.
pub(crate) fn report(args: &ReportArgs) -> Result<Exit, CommandError> {
    if args.schema {
        output::write_stdout(JSON_SCHEMA)?;
        return Ok(Exit::Success);
    }
    let run = args.run.clone().map_or_else(latest, Ok)?;
    let summary = log::read_summary(&run).map_err(CommandError::usage)?;
    let files = Files::junit(args.junit.as_deref());
    files.check()?;
    output::print(format(args), &summary, &run)?;
    files.write(&summary)?;
    if args.github {
        output::append_to_step_summary(&summary)?;
    }
    Ok(summary.exit())
}

fn latest() -> Result<PathBuf, CommandError> {
    let runs = runs_folder();
    let latest = runs.join("latest");
    if latest.exists() {
        return Ok(latest);
    }
    let message = format!("there is no run in {}: run a scenario, or name a folder", shown(&runs));
    Err(CommandError::usage(message))
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
