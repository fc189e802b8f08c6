//! `harness list`.

use clap::Args;
use serde::Serialize;

use super::{
    CommandError,
    check::size,
    print_line,
    scenarios::{ScenarioArgs, read},
};
use crate::{
    event::Assignment,
    exit::Exit,
    scenario::{Cell, Scenario},
    ui::escape::escaped,
};

/// Options of `list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) scenarios: ScenarioArgs,

    /// List every cell with its values.
    #[arg(long)]
    pub(crate) cells: bool,

    /// Print the list as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `harness list`.
pub(crate) fn list(args: &ListArgs) -> Result<Exit, CommandError> {
    let scenarios = read(&args.scenarios)?;
    if args.json {
        let listed: Vec<_> = scenarios
            .iter()
            .map(|scenario| Listed::new(scenario, args.cells))
            .collect();
        let json = serde_json::to_string_pretty(&listed)
            .map_err(|error| CommandError::incapable(format!("no JSON: {error}")))?;
        print_line(&json);
        return Ok(Exit::Success);
    }
    for scenario in &scenarios {
        let question = scenario.question.as_deref().unwrap_or("(asks nothing)");
        print_line(&escaped(&format!("{}: {question}", scenario.name)));
        print_line(&escaped(&format!("  {}: {}", scenario.file, size(scenario))));
        for cell in scenario.cells.iter().filter(|_| args.cells) {
            let label = escaped(&cell.label());
            print_line(&format!(
                "    {}",
                if label.is_empty() { "(nothing is swept)" } else { &label }
            ));
        }
    }
    Ok(Exit::Success)
}

/// A scenario as JSON.
#[derive(Debug, Serialize)]
struct Listed<'a> {
    name: &'a str,
    file: &'a str,
    question: Option<&'a str>,
    /// Number of cells.
    cells: usize,
    /// Trials in each cell; with a precision, the minimum.
    trials: u32,
    /// Maximum of trials in each cell.
    trials_max: u32,
    /// The cells, with `--cells`.
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<ListedCell<'a>>>,
}

#[derive(Debug, Serialize)]
struct ListedCell<'a> {
    label: String,
    values: &'a [Assignment],
}

impl<'a> Listed<'a> {
    fn new(scenario: &'a Scenario, cells: bool) -> Self {
        let listed = |cell: &'a Cell| ListedCell { label: cell.label(), values: &cell.values };
        let precision = scenario.precision;
        Self {
            name: &scenario.name,
            file: &scenario.file,
            question: scenario.question.as_deref(),
            cells: scenario.cells.len(),
            trials: scenario.trials,
            trials_max: precision.map_or(scenario.trials, |precision| precision.trials_max),
            labels: cells.then(|| scenario.cells.iter().map(listed).collect()),
        }
    }
}
