//! `harness check`.

use clap::Args;

use super::{
    CommandError, allowances, print_line,
    scenarios::{ScenarioArgs, read},
};
use crate::{
    exit::Exit,
    scenario::Scenario,
    ui::{escape::escaped, plural::count},
};

/// Options of `check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) scenarios: ScenarioArgs,

    /// Trials in each cell, instead of what the scenarios say.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) trials: Option<u32>,
}

/// `harness check`.
pub(crate) fn check(args: &CheckArgs) -> Result<Exit, CommandError> {
    for mut scenario in read(&args.scenarios)? {
        if let Some(trials) = args.trials {
            scenario.fix_trials(trials);
        }
        print_line(&escaped(&format!("{}: {}", scenario.file, size(&scenario))));
        for line in allowances::lines(&scenario) {
            print_line(&escaped(&format!("  {line}")));
        }
        for warning in allowances::undecidable(&scenario) {
            print_line(&escaped(&format!("  warning: {warning}")));
        }
    }
    Ok(Exit::Success)
}

/// `18 cells x 200 trials = 3600 trials`
pub(super) fn size(scenario: &Scenario) -> String {
    let cells = scenario.cells.len() as u64;
    let all = |trials: u32| cells * u64::from(trials);
    let trials = scenario.trials;
    match scenario.precision {
        None => {
            let each = count(trials, "trial");
            format!("{} x {each} = {}", count(cells, "cell"), count(all(trials), "trial"))
        }
        Some(precision) => {
            let (half_width, most) = (precision.half_width, precision.trials_max);
            let cells = count(cells, "cell");
            let (least_of_all, most_of_all) = (all(trials), all(most));
            format!(
                "{cells} x {trials} to {most} trials for a precision of {half_width} = \
                 {least_of_all} to {most_of_all} trials"
            )
        }
    }
}
