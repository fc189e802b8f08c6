//! Expectations: `[[expect]]`.
//!
//! An expectation may have several criteria. Each one becomes an [`ExpectationPlan`] that is judged
//! and reported by itself.

use serde_json::Value as Json;
use toml::de::DeTable;

use super::criterion::{Bound, Criterion, CriterionError, Quantile, Time, TimeUnit};
use super::error::{Checked, Problem, did_you_mean, list};
use super::language::{EXPECT, NEGATION, SHARE};
use super::places::join;
use super::sweep::{Axis, Group, same_value};
use super::tree::{Table, Value, to_json};
use super::{Cell, sweep};
use crate::event::{Assignment, CauseKind, ExpectationPlan, Filter};

/// Expectations in the order of the file. `own_text` is the text of the scenario's own file,
/// without the files that it extends.
pub(super) fn read(
    root: &Table<'_, '_>,
    groups: &[Group<Axis<'_>>],
    cells: &[Cell],
    own_text: &str,
) -> Vec<ExpectationPlan> {
    let Some(value) = root.get("expect") else { return Vec::new() };
    let axes: Vec<&Axis<'_>> = groups.iter().flat_map(|group| &group.axes).collect();
    let items = root.or_report(value.items()).unwrap_or_default();
    let mut plans = Vec::new();
    for item in items {
        let Some(table) = root.or_report(item.clone().table()) else { continue };
        let section = table.only(&EXPECT);
        let filter = filter(&section, &axes, cells);
        let demands = demands(&section);
        if demands.is_empty() && !section.keys().any(|key| key.get_ref() != "where") {
            let message = "this expectation expects nothing";
            root.problems()
                .report(item.wrong(message, "needs `success`, or a time"));
        }
        for (criterion, place) in demands {
            in_round_trips(&criterion, &place, &section, &filter, cells);
            let filter = filter.clone();
            let line = line_of(place.node().span().start, own_text);
            plans.push(ExpectationPlan { filter, expected: criterion.to_string(), line });
        }
    }
    plans
}

/// Line of a place, from 1, if the place is in this text, the first of all texts.
fn line_of(place: usize, own_text: &str) -> Option<usize> {
    let before = own_text
        .as_bytes()
        .get(..place)
        .filter(|_| place < own_text.len())?;
    Some(before.iter().filter(|byte| **byte == b'\n').count() + 1)
}

/// Criteria of a section with their places.
fn demands<'t, 's>(section: &Table<'t, 's>) -> Vec<(Criterion, Value<'t, 's>)> {
    let mut demands = Vec::new();
    for (key, value) in section.entries() {
        let read = match key.get_ref().as_ref() {
            "success" => success(&value).map(|criterion| vec![(criterion, value)]),
            "theory" => rate(&value).map(|bound| vec![(Criterion::AsTheorySays(bound), value)]),
            "cause" => shares(value),
            "causes" => causes(&value).map(|criterion| vec![(criterion, value)]),
            key => match Time::KEYS.iter().find(|(known, _)| *known == key) {
                Some((_, time)) => quantiles(*time, value),
                None => continue,
            },
        };
        demands.extend(section.or_report(read).into_iter().flatten());
    }
    demands
}

fn success(value: &Value<'_, '_>) -> Checked<Criterion> {
    let text = value.text()?;
    if text.trim() == "theory" {
        return Ok(Criterion::Theory);
    }
    Bound::rate(text)
        .map(Criterion::Success)
        .map_err(|error| unclear(value, &error))
}

fn rate(value: &Value<'_, '_>) -> Checked<Bound> {
    Bound::rate(value.text()?).map_err(|error| unclear(value, &error))
}

fn unclear(value: &Value<'_, '_>, error: &CriterionError) -> Problem {
    let message = format!("`{}` cannot be understood: {error}", value.path());
    value.wrong(message, "not a criterion")
}

type Demands<'t, 's> = Vec<(Criterion, Value<'t, 's>)>;

fn quantiles<'t, 's>(time: Time, value: Value<'t, 's>) -> Checked<Demands<'t, 's>> {
    let section = value.clone().table()?;
    if section.is_empty() {
        return Err(value.wrong(format!("`{}` is empty", value.path()), "no quantile"));
    }
    let mut demands = Vec::new();
    for (key, value) in section.entries() {
        let read = || {
            let quantile: Quantile = key.get_ref().parse().map_err(|error: CriterionError| {
                Problem::new(key.span(), error.to_string(), "not a quantile", value.key().help())
            })?;
            let bound = Bound::time(value.text()?).map_err(|error| unclear(&value, &error))?;
            Ok((Criterion::Time(time, quantile, bound), value.clone()))
        };
        demands.extend(section.or_report(read()));
    }
    Ok(demands)
}

fn shares<'t, 's>(value: Value<'t, 's>) -> Checked<Demands<'t, 's>> {
    let section = value.clone().table()?;
    if section.is_empty() {
        return Err(value.wrong("`cause` is empty", "no cause"));
    }
    let mut demands = Vec::new();
    for (key, value) in section.entries() {
        let kind = key.get_ref().as_ref();
        if let Err(help) = known_cause(kind) {
            let message = format!("there is no cause \"{kind}\"");
            section
                .problems()
                .report(Problem::new(key.span(), message, "unknown cause", help));
            continue;
        }
        let bound = section.or_report(rate(&value.clone().of(&SHARE)));
        demands.extend(bound.map(|bound| (Criterion::Cause(kind.to_owned(), bound), value)));
    }
    Ok(demands)
}

fn causes(value: &Value<'_, '_>) -> Checked<Criterion> {
    let items = value.items()?;
    if items.is_empty() {
        let help =
            format!("{}; where nothing may fail, write success = \">= 1\"", value.key().help());
        return Err(value.problem("`causes` is empty", "no cause", help));
    }
    let kind = |item: &Value<'_, '_>| {
        let kind = item.text()?;
        known_cause(kind).map_err(|help| {
            item.problem(format!("there is no cause \"{kind}\""), "unknown cause", help)
        })?;
        Ok(kind.to_owned())
    };
    items
        .iter()
        .map(kind)
        .collect::<Checked<_>>()
        .map(Criterion::Causes)
}

fn known_cause(kind: &str) -> Result<(), String> {
    let known = CauseKind::names();
    if known.contains(&kind) {
        return Ok(());
    }
    Err(format!("{}the causes are {}", did_you_mean(kind, &known), list(&known)))
}

/// Reports a bound in round trips on a cell without delay.
fn in_round_trips(
    criterion: &Criterion,
    place: &Value<'_, '_>,
    section: &Table<'_, '_>,
    filter: &[Filter],
    cells: &[Cell],
) {
    let Criterion::Time(Time { unit: TimeUnit::RoundTrips, .. }, ..) = criterion else { return };
    let zero = cells.iter().filter(|cell| selects(filter, &cell.values));
    if let Some(cell) = zero.into_iter().find(|cell| cell.setup.wan.rtt().is_zero()) {
        let at = match cell.label() {
            label if label.is_empty() => String::new(),
            label => format!(" where {label}"),
        };
        section.problems().report(place.problem(
            format!("the round-trip time is 0{at}: no time can be told in it"),
            "in round trips",
            "expect milliseconds, or leave these cells out with `where`",
        ));
    }
}

/// Whether conditions select the cell with these values.
pub(crate) fn selects(filter: &[Filter], cell: &[Assignment]) -> bool {
    filter.iter().all(|filter| {
        cell.iter().any(|assignment| {
            assignment.path == filter.path
                && filter
                    .values
                    .iter()
                    .any(|value| same_value(value, &assignment.value))
        })
    })
}

/// Conditions of a section's `where`; at least one cell meets them.
fn filter(section: &Table<'_, '_>, axes: &[&Axis<'_>], cells: &[Cell]) -> Vec<Filter> {
    let Some(value) = section.get("where") else { return Vec::new() };
    let before = section.problems().count();
    let mut filter = Vec::new();
    if let Some(table) = section.or_report(value.clone().table()) {
        filters(&table, "", axes, &mut filter);
    }
    let is_right = section.problems().count() == before;
    if is_right && !cells.is_empty() && !cells.iter().any(|cell| selects(&filter, &cell.values)) {
        section.problems().report(value.problem(
            "no cell has all these values together",
            "selects no cell",
            "paths that are zipped in the [sweep] do not meet in every combination: `harness list \
             --cells` shows the cells there are",
        ));
    }
    filter
}

/// Reads the conditions of a `where`. A table that is no value of a swept path is a path without
/// quotes, one key at a time.
fn filters(section: &Table<'_, '_>, above: &str, axes: &[&Axis<'_>], found: &mut Vec<Filter>) {
    for (key, value) in section.entries() {
        let path = join(above, key.get_ref());
        let problem = |message: String, label: &str, help: String| {
            section
                .problems()
                .report(Problem::new(key.span(), message, label, help));
        };
        if found.iter().any(|earlier| earlier.path == path) {
            let message = format!("`where` has two conditions on `{path}`");
            problem(message, "the second one", value.key().help());
        } else if let Some(axis) = axes.iter().find(|axis| axis.path == path) {
            if let Some(values) = section.or_report(accepted(axis, &value)) {
                found.push(Filter { values, path });
            }
        } else if value.raw().is_table() {
            if let Some(table) = section.or_report(value.table()) {
                filters(&table, &path, axes, found);
            }
        } else {
            let swept: Vec<&str> = axes.iter().map(|axis| axis.path.as_str()).collect();
            let help = if swept.is_empty() {
                "this scenario sweeps nothing and has one cell: leave `where` out".to_owned()
            } else {
                format!("{}the [sweep] has {}", did_you_mean(&path, &swept), list(&swept))
            };
            problem(format!("`{path}` is not swept"), "no cell differs in this", help);
        }
    }
}

/// Number of values of a path that a message lists.
const MAX_LISTED: usize = 20;

/// Values of a swept path that a condition accepts, in the form that the cells have.
fn accepted(axis: &Axis<'_>, value: &Value<'_, '_>) -> Checked<Vec<Json>> {
    // No key that can be swept takes a table with a key `not`.
    let is_negation = |table: &DeTable<'_>| table.contains_key("not");
    if !value.raw().as_table().is_some_and(is_negation) {
        return named(axis, value);
    }
    let section = value.clone().section(&NEGATION)?;
    let left_out = named(axis, &section.require("not")?)?;
    let mut rest: Vec<Json> = axis.json.clone();
    rest.retain(|known| !left_out.contains(known));
    if rest.is_empty() {
        let message = format!("`where` leaves out every value of `{}`", axis.path);
        return Err(value.problem(message, "selects no cell", "leave out some of them only"));
    }
    Ok(rest)
}

/// Values in a condition: one, or a list.
fn named(axis: &Axis<'_>, value: &Value<'_, '_>) -> Checked<Vec<Json>> {
    let found = |value: &Value<'_, '_>| {
        let value = to_json(value.raw());
        axis.json
            .iter()
            .find(|known| same_value(known, &value))
            .cloned()
    };
    // The value of a swept path may itself be a list, such as a command.
    if let Some(value) = found(value) {
        return Ok(vec![value]);
    }
    let missing = |value: &Value<'_, '_>| {
        let wrong = to_json(value.raw());
        let known: Vec<String> = axis.json.iter().map(sweep::text).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        // A number and a string that look alike are different values.
        let meant = wrong
            .as_str()
            .map_or(String::new(), |wrong| did_you_mean(wrong, &known));
        let unlisted = known.len().saturating_sub(MAX_LISTED);
        let more = if unlisted > 0 { format!(" and {unlisted} more") } else { String::new() };
        value.problem(
            format!("no cell has the value {wrong} of `{}`", axis.path),
            "not among the swept values",
            format!("{meant}its values are {}{more}", list(&known[..known.len().min(MAX_LISTED)])),
        )
    };
    if !value.raw().is_array() {
        return Err(missing(value));
    }
    let items = value.items()?;
    if items.is_empty() {
        let message = format!("`where` lists no values of `{}`", axis.path);
        let help = "list some of its values, or leave it out if all are meant";
        return Err(value.problem(message, "selects no cell", help));
    }
    items
        .iter()
        .map(|item| found(item).ok_or_else(|| missing(item)))
        .collect()
}
