//! Scenario arguments of a command: files to checked scenarios with the selected cells.

use std::{collections::BTreeSet, path::PathBuf};

use clap::Args;

use super::CommandError;
use crate::{
    exit::Exit,
    scenario::{CellFilter, Overrides, Scenario},
};

/// Scenarios, and a selection of their cells.
#[derive(Debug, Clone, Args)]
pub(crate) struct ScenarioArgs {
    /// Scenario files.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// Set a key of the scenarios, instead of the value in the files: `wan.delay_ms=50`,
    /// `peer.a.nat=none`, `sweep.wan.loss=[0, 0.1]`. May be given several times.
    #[arg(long, value_name = "PATH=VALUE")]
    pub(crate) set: Vec<String>,

    /// Only the cells that meet all of these conditions: `rule=rolling,delay_ms=5|50`. A path may
    /// be shortened from the left, values may have `*` and `?`, `!=` is the opposite, and a word
    /// alone is a part of the cell's name. May be given several times, for cells that meet any of
    /// them.
    #[arg(long, value_name = "CONDITIONS")]
    pub(crate) filter: Vec<CellFilter>,

    /// Allow a sweep of more than 10000 cells.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Reads all files, and prints the mistakes in all of them.
pub(super) fn read(args: &ScenarioArgs) -> Result<Vec<Scenario>, CommandError> {
    let overrides = Overrides { set: args.set.clone(), many_cells: args.yes };
    let mut scenarios: Vec<Scenario> = Vec::new();
    let (mut wrong, mut problems) = (0, 0);
    for file in &args.files {
        match Scenario::read(file, &overrides) {
            Ok(scenario) => scenarios.push(scenario),
            Err(error) => {
                wrong += 1;
                for problem in error.each() {
                    problems += 1;
                    eprintln!("{:?}", miette::Report::new(problem));
                }
            }
        }
    }
    if wrong > 0 {
        let all = args.files.len();
        let problems =
            if problems > wrong { format!(", {problems} problems") } else { String::new() };
        return Err(CommandError::usage(format!(
            "{wrong} of {all} scenarios are invalid{problems}"
        )));
    }
    let mut names = BTreeSet::new();
    for scenario in &scenarios {
        if !names.insert(&scenario.name) {
            return Err(CommandError::usage(format!(
                "two scenarios are named {:?}: give one another `name`",
                scenario.name
            )));
        }
    }
    filtered(scenarios, &args.filter)
}

/// Keeps the cells that one of the filters selects, and the scenarios with any such cell.
fn filtered(
    mut scenarios: Vec<Scenario>,
    filters: &[CellFilter],
) -> Result<Vec<Scenario>, CommandError> {
    if filters.is_empty() {
        return Ok(scenarios);
    }
    for filter in filters {
        filter.check(&scenarios).map_err(CommandError::usage)?;
    }
    for scenario in &mut scenarios {
        scenario.retain(|name, cell| filters.iter().any(|filter| filter.selects(name, cell)));
    }
    scenarios.retain(|scenario| !scenario.cells.is_empty());
    if scenarios.is_empty() {
        let message = "--filter selects no cell: `harness list --cells FILE…` shows what there is";
        return Err(CommandError { exit: Exit::NothingSelected, message: message.to_owned() });
    }
    Ok(scenarios)
}
