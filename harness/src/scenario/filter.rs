//! Selection of cells: `--filter rule=rolling,delay_ms=5|50`.
//!
//! Conditions are separated by commas, and all of them must hold. `PATH=VALUE` is a condition on a
//! swept path, or on its last keys as reports show them (`rule`, `b.clock_offset_s`). If several
//! paths end so, one of them is enough. `PATH!=VALUE` is the opposite. Several values are separated
//! by `|`. In a value `*` matches any characters and `?` one character; numbers match by value: 5
//! equals 5.0. A condition without `=` is a part of the text `NAME: LABEL` of a scenario and a
//! cell, such as `skew: punch.rule=rolling`.

use std::str::FromStr;

use wildmatch::WildMatch;

use super::error::{did_you_mean, list};
use super::{Cell, Scenario, sweep};

/// Conditions that must all hold.
#[derive(Debug, Clone)]
pub(crate) struct CellFilter(Vec<Condition>);

#[derive(Debug, Clone)]
enum Condition {
    /// A part of the name and the label.
    Part(String),
    /// One of the values of a swept path, or none of them.
    Value { path: String, values: Vec<String>, has: bool },
}

impl FromStr for CellFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',')
            .map(str::trim)
            .map(condition)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn condition(text: &str) -> Result<Condition, String> {
    let Some((negated_path, values)) = text.split_once('=') else {
        if text.is_empty() {
            return Err("a condition is empty: write PATH=VALUE, or a part of a cell's name".into());
        }
        return Ok(Condition::Part(text.to_owned()));
    };
    let (spaced_path, has) = negated_path
        .strip_suffix('!')
        .map_or((negated_path, true), |path| (path, false));
    let path = spaced_path.trim().to_owned();
    if path.is_empty() {
        return Err(format!("`{text}` has no path: write PATH=VALUE"));
    }
    let values = values
        .split('|')
        .map(|value| value.trim().to_owned())
        .collect();
    Ok(Condition::Value { path, values, has })
}

impl CellFilter {
    /// Whether a cell is selected.
    pub(crate) fn selects(&self, scenario: &str, cell: &Cell) -> bool {
        self.0.iter().all(|condition| match condition {
            Condition::Part(text) => format!("{scenario}: {}", cell.label()).contains(text),
            Condition::Value { path, values, has } => {
                let mut meant = cell
                    .values
                    .iter()
                    .filter(|assignment| is_meant(path, &assignment.path))
                    .peekable();
                let found = |value: &serde_json::Value| {
                    values.iter().any(|pattern| matches(pattern, value))
                };
                meant.peek().is_some() && meant.any(|assignment| found(&assignment.value)) == *has
            }
        })
    }

    /// Checks that each path is swept by one of the scenarios.
    ///
    /// # Errors
    /// A path that no scenario sweeps, with the paths that would be right.
    pub(crate) fn check(&self, scenarios: &[Scenario]) -> Result<(), String> {
        let first_cells = scenarios
            .iter()
            .filter_map(|scenario| scenario.cells.first());
        let swept: Vec<&str> = first_cells
            .flat_map(|cell| &cell.values)
            .map(|assignment| assignment.path.as_str())
            .collect();
        for condition in &self.0 {
            let Condition::Value { path, .. } = condition else { continue };
            if swept.iter().any(|known| is_meant(path, known)) {
                continue;
            }
            if swept.is_empty() {
                return Err(format!("--filter: `{path}` is not swept: nothing is"));
            }
            let mut known = swept;
            known.sort_unstable();
            known.dedup();
            let ends = known.iter().filter_map(|path| path.rsplit('.').next());
            let near: Vec<&str> = known.iter().copied().chain(ends).collect();
            return Err(format!(
                "--filter: `{path}` is not swept: {}what is swept is {}",
                did_you_mean(path, &near),
                list(&known)
            ));
        }
        Ok(())
    }
}

/// Whether the path of a condition is a swept path, or its last keys.
fn is_meant(path: &str, swept: &str) -> bool {
    swept
        .strip_suffix(path)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn matches(pattern: &str, value: &serde_json::Value) -> bool {
    match (pattern.parse::<f64>(), value.as_f64()) {
        (Ok(wanted), Some(number)) => wanted == number,
        _ => WildMatch::new(pattern).matches(&sweep::text(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario() -> Scenario {
        let text = "name = \"skew\"\ntrials = 1\n[sweep]\n\"punch.rule\" = [\"article\", \"rolling\"]\n\
            \"peer.b.clock_offset_s\" = [-5, 0, 5]\n\"peer.a.nat\" = [\"home\", \"home-reject\"]";
        Scenario::parse("test.toml", text).unwrap()
    }

    fn selected(filter: &str) -> usize {
        let scenario = scenario();
        let filter: CellFilter = filter.parse().unwrap();
        filter.check(std::slice::from_ref(&scenario)).unwrap();
        scenario
            .cells
            .iter()
            .filter(|cell| filter.selects("skew", cell))
            .count()
    }

    #[test]
    fn a_condition_selects_the_cells_that_have_the_value() {
        for (filter, count) in [
            ("punch.rule=rolling", 6),
            ("rule=rolling", 6),
            ("rule != rolling", 6),
            ("rule=rolling,clock_offset_s=5", 2),
            ("rule=rolling, b.clock_offset_s=5.0", 2),
            ("clock_offset_s=5|-5", 8),
            ("clock_offset_s!=5|-5", 4),
            ("nat=home", 6),
            ("nat=home*", 12),
            ("nat=home?reject", 6),
            ("rule=*,nat=home-*", 6),
            ("skew", 12),
            ("rule=rolling, peer.b.clock_offset_s=-5,home-reject", 1),
            ("article", 6),
            ("nothing like it", 0),
            ("rule=roll", 0),
        ] {
            assert_eq!(selected(filter), count, "{filter}");
        }
    }

    #[test]
    fn an_invalid_filter_is_refused() {
        for (filter, message) in [
            ("", "a condition is empty: write PATH=VALUE, or a part of a cell's name"),
            ("rule=a,,b", "a condition is empty: write PATH=VALUE, or a part of a cell's name"),
            ("=5", "`=5` has no path: write PATH=VALUE"),
        ] {
            assert_eq!(filter.parse::<CellFilter>().unwrap_err(), message);
        }
        let filter: CellFilter = "rul=rolling".parse().unwrap();
        assert_eq!(
            filter.check(&[scenario()]).unwrap_err(),
            "--filter: `rul` is not swept: did you mean `rule`? what is swept is \
             `peer.a.nat`, `peer.b.clock_offset_s`, `punch.rule`"
        );
        let plain = Scenario::parse("test.toml", "trials = 1").unwrap();
        assert_eq!(filter.check(&[plain]).unwrap_err(), "--filter: `rul` is not swept: nothing is");
    }
}
