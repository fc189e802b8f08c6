//! Expectations: `[[expect]]`.

use serde_json::Value as Json;

use super::criterion::{Criterion, CriterionError};
use super::error::{Checked, Problem, did_you_mean, list};
use super::sweep::{Axis, same};
use super::tree::{Section, Value, to_json};
use super::{keys, sweep};
use crate::event::{ExpectationPlan, Filter};

const HELP: &str = "an expectation is written in double brackets, [[expect]], and below it \
    `success = \">= 0.95\"` and, for some cells only, `where = { \"punch.rule\" = \"rolling\" }`";

/// The expectations in the order of the file.
pub(super) fn read(root: &Section<'_, '_>, axes: &[Axis<'_, '_>]) -> Checked<Vec<ExpectationPlan>> {
    let Some(value) = root.get("expect") else { return Ok(Vec::new()) };
    let expectation = |item: Value<'_, '_>| {
        let section = item.table(HELP)?.only(keys::EXPECT)?;
        let mut filter = Vec::new();
        if let Some(cells) = section.get("where") {
            filters(&cells.table(WHERE_HELP)?, "", axes, &mut filter)?;
        }
        Ok(ExpectationPlan { filter, success: success(&section)? })
    };
    value.items(HELP)?.into_iter().map(expectation).collect()
}

const WHERE_HELP: &str = "`where` is a table of swept paths and their values: \
    where = { \"punch.rule\" = \"rolling\", \"peer.b.clock_offset_s\" = [0, 5] }";

/// The criterion of an expectation, as written.
fn success(section: &Section<'_, '_>) -> Checked<String> {
    let value = section.require("success", CriterionError::HELP)?;
    let text = value.text(CriterionError::HELP)?;
    match text.parse::<Criterion>() {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => {
            let message = format!("`success` cannot be understood: {error}");
            Err(value.problem(message, "not a criterion", CriterionError::HELP))
        }
    }
}

/// Reads the conditions of a `where`. A table that is no value of a swept path is a path without
/// quotes, one key at a time.
fn filters(
    section: &Section<'_, '_>,
    above: &str,
    axes: &[Axis<'_, '_>],
    found: &mut Vec<Filter>,
) -> Checked<()> {
    for (key, value) in section.entries() {
        let path = keys::join(above, key.get_ref());
        let problem = |message: String, label: &str, help: String| {
            Err(Problem::new(key.span(), message, label, help))
        };
        if found.iter().any(|earlier| earlier.path == path) {
            let message = format!("`where` has two conditions on `{path}`");
            return problem(message, "the second one", WHERE_HELP.to_owned());
        }
        if let Some(axis) = axes.iter().find(|axis| axis.path == path) {
            found.push(Filter { values: accepted(axis, &value)?, path });
        } else if value.raw().is_table() {
            filters(&value.table(WHERE_HELP)?, &path, axes, found)?;
        } else {
            let swept: Vec<&str> = axes.iter().map(|axis| axis.path.as_str()).collect();
            let help = if swept.is_empty() {
                "this scenario sweeps nothing and has one cell: leave `where` out".to_owned()
            } else {
                format!("{}the [sweep] has {}", did_you_mean(&path, &swept), list(&swept))
            };
            return problem(format!("`{path}` is not swept"), "no cell differs in this", help);
        }
    }
    Ok(())
}

/// The values of a swept path that a condition accepts, as the cells have them.
fn accepted(axis: &Axis<'_, '_>, value: &Value<'_, '_>) -> Checked<Vec<Json>> {
    let found = |value: &Value<'_, '_>| {
        let value = to_json(value.raw());
        axis.json.iter().find(|known| same(known, &value)).cloned()
    };
    // The value of a swept path may itself be a list, such as a command.
    if let Some(value) = found(value) {
        return Ok(vec![value]);
    }
    let missing = |value: &Value<'_, '_>| {
        let wrong = to_json(value.raw());
        let known: Vec<String> = axis.json.iter().map(sweep::text).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        value.problem(
            format!("no cell has the value {wrong} of `{}`", axis.path),
            "not among the swept values",
            format!(
                "{}its values are {}",
                did_you_mean(&sweep::text(&wrong), &known),
                list(&known)
            ),
        )
    };
    if !value.raw().is_array() {
        return Err(missing(value));
    }
    let items = value.items(WHERE_HELP)?;
    if items.is_empty() {
        let message = format!("`where` lists no values of `{}`", axis.path);
        let help = "list some of its values, or leave it out if all are meant";
        return Err(value.problem(message, "selects no cell", help));
    }
    items.iter().map(|item| found(item).ok_or_else(|| missing(item))).collect()
}
