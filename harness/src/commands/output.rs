//! Destinations of reports: standard output, the folder of the run, files that the user names, and
//! GitHub Actions.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::Args;

use super::CommandError;
use crate::{
    report::{
        cells_csv, github, junit,
        log::{SUMMARY_FILE, check_writable, write_atomically},
        markdown,
        summary::Summary,
        terminal::{self, View},
    },
    ui::{escape::shown, style::Style},
};

/// Reports in files that the user names, besides those in the run's folder.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReportFiles {
    /// Write JUnit XML into this file: a case for each expectation in each cell.
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,

    /// Write CSV into this file: a line for each cell.
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,

    /// Write Markdown into this file, as for a comment on a pull request.
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
}

/// Format of a printed report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// For people; `full` lists every cell.
    Terminal { full: bool },
    /// The summary, as in `summary.json`.
    Json,
    /// A line for each cell.
    Csv,
    /// For a pull request.
    Markdown,
    /// Annotations.
    Github,
}

/// The report in a format. Only people see `folder`, so that the other formats depend on the events
/// alone.
fn rendered(format: Format, summary: &Summary, folder: &Path) -> String {
    match format {
        Format::Terminal { full } => {
            let style = Style::of_stdout();
            terminal::render(summary, View { folder: Some(folder), style, full })
        }
        Format::Json => json(summary),
        Format::Csv => cells_csv::render(summary),
        Format::Markdown => markdown::render(summary),
        Format::Github => github::render(summary),
    }
}

/// The summary as in `summary.json`.
fn json(summary: &Summary) -> String {
    let json = serde_json::to_string_pretty(summary);
    json.expect("a summary is strings, numbers and lists") + "\n"
}

/// Prints a report. A closed pipe is the reader's decision.
///
/// # Errors
///
/// Standard output cannot be written for another reason, such as a full disk.
pub(super) fn print(format: Format, summary: &Summary, folder: &Path) -> Result<(), CommandError> {
    write_stdout(&rendered(format, summary, folder))
}

/// Writes text to standard output; see [`print()`].
pub(super) fn write_stdout(text: &str) -> Result<(), CommandError> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(CommandError::incapable(format!("cannot write to standard output: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Reports in files that the user names.
#[derive(Debug)]
pub(super) struct Files(Vec<(Render, PathBuf)>);

/// Function that makes the text of a file.
type Render = fn(&Summary) -> String;

impl Files {
    /// The files of the options of `run`.
    pub(super) fn new(wanted: &ReportFiles) -> Self {
        let ReportFiles { junit, csv, markdown } = wanted;
        let files: [(Render, _); 3] =
            [(junit::render, junit), (cells_csv::render, csv), (markdown::render, markdown)];
        let named = files
            .into_iter()
            .filter_map(|(render, path)| Some((render, path.clone()?)));
        Self(named.collect())
    }

    /// A file with JUnit XML, if the user names one.
    pub(super) fn junit(path: Option<&Path>) -> Self {
        Self(
            path.map(|path| (junit::render as Render, path.to_owned()))
                .into_iter()
                .collect(),
        )
    }

    /// Checks before the trials that the files can be written.
    ///
    /// # Errors
    ///
    /// One of the files cannot be written.
    pub(super) fn check(&self) -> Result<(), CommandError> {
        for (_, path) in &self.0 {
            check_writable(path).map_err(CommandError::usage)?;
        }
        Ok(())
    }

    /// Writes the files.
    ///
    /// # Errors
    ///
    /// One of the files cannot be written; the others are.
    pub(super) fn write(&self, summary: &Summary) -> Result<(), CommandError> {
        first_problem(
            self.0
                .iter()
                .map(|(render, path)| write_text(path, &render(summary))),
        )
    }
}

/// Writes the reports in the folder of a run: `summary.json`, `junit.xml`, `cells.csv` and
/// `summary.md`.
///
/// # Errors
///
/// One of the files cannot be written; the others are.
pub(super) fn write_run_files(folder: &Path, summary: &Summary) -> Result<(), CommandError> {
    let files = [
        (SUMMARY_FILE, json(summary)),
        ("junit.xml", junit::render(summary)),
        ("cells.csv", cells_csv::render(summary)),
        ("summary.md", markdown::render(summary)),
    ];
    first_problem(
        files
            .iter()
            .map(|(name, text)| write_text(&folder.join(name), text)),
    )
}

fn write_text(path: &Path, text: &str) -> Result<(), CommandError> {
    write_atomically(path, |out| out.write_all(text.as_bytes())).map_err(CommandError::incapable)
}

/// The first of several problems, after every one was tried.
pub(super) fn first_problem(
    results: impl IntoIterator<Item = Result<(), CommandError>>,
) -> Result<(), CommandError> {
    let problems: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    problems.into_iter().next().map_or(Ok(()), Err)
}

/// In a job of GitHub Actions, writes annotations and adds the Markdown report to the job's
/// summary. The annotations go to standard error, which the runner reads as well: standard output
/// has the report.
///
/// # Errors
///
/// The job's summary cannot be written.
pub(super) fn annotate_github(summary: &Summary) -> Result<(), CommandError> {
    if std::env::var("GITHUB_ACTIONS").is_ok_and(|value| value == "true") {
        eprint!("{}", github::render(summary));
        append_to_step_summary(summary)?;
    }
    Ok(())
}

/// Appends the Markdown report to the summary of the job's step, if there is one.
///
/// # Errors
///
/// The summary of the step cannot be written.
pub(super) fn append_to_step_summary(summary: &Summary) -> Result<(), CommandError> {
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let text = markdown::render(summary);
    let file = OpenOptions::new().create(true).append(true).open(&path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| {
            let path = shown(Path::new(&path));
            CommandError::incapable(format!("cannot write the step's summary, {path}: {error}"))
        })
}
