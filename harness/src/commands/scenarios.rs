//! From the scenario arguments of a command to checked scenarios with the cells that are meant.

use std::collections::BTreeSet;

use super::{NOTHING_SELECTED, Problem, USAGE};
use crate::{
    cli::ScenarioArgs,
    scenario::{CellFilter, Overrides, Scenario},
};

/// Reads all files, and tells of everything that is wrong with any of them.
pub(super) fn read(args: &ScenarioArgs) -> Result<Vec<Scenario>, Problem> {
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
        return Err(Problem(USAGE, format!("{wrong} of {all} scenarios are invalid{problems}")));
    }
    let mut names = BTreeSet::new();
    for scenario in &scenarios {
        if !names.insert(&scenario.name) {
            return Err(Problem(
                USAGE,
                format!("two scenarios are named {:?}: give one another `name`", scenario.name),
            ));
        }
    }
    filtered(scenarios, &args.filter)
}

/// Leaves the cells that one of the filters selects, and the scenarios that have any.
fn filtered(
    mut scenarios: Vec<Scenario>,
    filters: &[CellFilter],
) -> Result<Vec<Scenario>, Problem> {
    if filters.is_empty() {
        return Ok(scenarios);
    }
    for filter in filters {
        filter
            .check(&scenarios)
            .map_err(|message| Problem(USAGE, message))?;
    }
    for scenario in &mut scenarios {
        scenario.retain(|name, cell| filters.iter().any(|filter| filter.selects(name, cell)));
    }
    scenarios.retain(|scenario| !scenario.cells.is_empty());
    if scenarios.is_empty() {
        let message = "--filter selects no cell: `harness list --cells FILE…` shows what there is";
        return Err(Problem(NOTHING_SELECTED, message.to_owned()));
    }
    Ok(scenarios)
}
