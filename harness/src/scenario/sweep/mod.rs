//! Swept values: from `[sweep]` to cells.
//!
//! Each path is an axis, and so is each group of paths in `[[sweep.zip]]`, whose values vary
//! together. Every combination of the axes is a cell. The number of cells is checked before any
//! cell is made.

mod path;
mod range;

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault};
use std::ops::Range as Span;

use serde_json::Value as Json;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use self::range::Range;
use super::error::{Checked, Problem};
use super::language::{ROOT, ZIP};
use super::places::join;
use super::tree::{Table, Value, put, to_json};
use super::{Cell, setup};
use crate::event::Assignment;

pub(super) use self::range::is_range;

/// Number of cells above which the user must confirm the sweep.
const MANY_CELLS: u128 = 10_000;

/// Limit of the cells of a scenario: each one takes some kilobytes during a run.
const MAX_CELLS: u128 = 1_000_000;

/// One swept path and its values.
#[derive(Debug)]
pub(super) struct Axis<'s> {
    /// Dotted path into the scenario.
    pub path: String,
    /// Values in the form of reports; never empty, and without duplicates except in a group.
    pub json: Vec<Json>,
    /// Place of the path in the file.
    pub place: Span<usize>,
    values: Vec<Spanned<DeValue<'s>>>,
}

/// Paths that vary together: one, or a group of `[[sweep.zip]]`.
#[derive(Debug)]
pub(super) struct Group<T> {
    /// At least one axis; all have the same number of values.
    pub axes: Vec<T>,
}

/// An axis before its values are made.
#[derive(Debug)]
pub(super) struct UnreadAxis<'t, 's> {
    path: String,
    place: Span<usize>,
    values: Values<'t, 's>,
}

#[derive(Debug)]
enum Values<'t, 's> {
    List(Vec<Value<'t, 's>>),
    Range(Range, Span<usize>),
}

impl Values<'_, '_> {
    fn count(&self) -> u128 {
        match self {
            Self::List(items) => items.len() as u128,
            Self::Range(range, _) => u128::from(range.count),
        }
    }
}

/// Reads `[sweep]` without making the values of ranges. A path with a problem is reported and left
/// out.
pub(super) fn read<'t, 's>(root: &Table<'t, 's>) -> Vec<Group<UnreadAxis<'t, 's>>> {
    let Some(value) = root.get("sweep") else { return Vec::new() };
    let Some(section) = root.or_report(value.clone().table()) else { return Vec::new() };
    if section.is_empty() {
        root.problems()
            .report(value.wrong("`sweep` is empty", "no path and no values"));
    }
    let mut groups = Vec::new();
    let mut paths = Vec::new();
    for (key, value) in section.entries() {
        if key.get_ref() == "zip" {
            zipped(&value.of(&ZIP), root, &mut paths, &mut groups);
        } else {
            let mut found = Vec::new();
            collect(key, value, key.get_ref(), root, &mut paths, &mut found);
            groups.extend(found.into_iter().map(|found| Group { axes: vec![found] }));
        }
    }
    groups
}

/// Checks the number of cells of the groups.
pub(super) fn check_size(
    groups: &[Group<UnreadAxis<'_, '_>>],
    root: &Table<'_, '_>,
    many_are_meant: bool,
) -> Checked<()> {
    let count = |group: &Group<UnreadAxis<'_, '_>>| group.axes[0].values.count();
    let cells = groups
        .iter()
        .fold(1_u128, |cells, group| cells.saturating_mul(count(group)));
    let most = if many_are_meant { MAX_CELLS } else { MANY_CELLS };
    if cells <= most {
        return Ok(());
    }
    let counts: Vec<String> = groups
        .iter()
        .map(|group| {
            let paths: Vec<_> = group
                .axes
                .iter()
                .map(|axis| format!("`{}`", axis.path))
                .collect();
            format!("{} of {}", count(group), paths.join(" with "))
        })
        .collect();
    let combines = format!("it combines {}", counts.join(", "));
    let help = if cells <= MAX_CELLS {
        format!("{combines}; if so many are meant, say --yes")
    } else {
        format!("{combines}; {MAX_CELLS} are the most there can be: sweep fewer values")
    };
    let place = root
        .entries()
        .find(|(key, _)| key.get_ref() == "sweep")
        .map(|(key, _)| key.span());
    let message = format!("the sweep has {cells} cells");
    Err(Problem::new(place.unwrap_or_default(), message, "every combination is a cell", help))
}

/// Values of all ranges as TOML, in the order of `groups`; [`axes`] borrows from these texts.
pub(super) fn range_texts(groups: &[Group<UnreadAxis<'_, '_>>]) -> Vec<String> {
    let ranges = groups
        .iter()
        .flat_map(|group| &group.axes)
        .map(|found| match &found.values {
            Values::List(_) => String::new(),
            Values::Range(range, _) => range.text(),
        });
    ranges.collect()
}

/// The groups with all their values.
pub(super) fn axes<'x>(
    groups: Vec<Group<UnreadAxis<'_, 'x>>>,
    range_texts: &'x [String],
    root: &Table<'_, '_>,
) -> Vec<Group<Axis<'x>>> {
    let mut texts = range_texts.iter();
    let mut all = Vec::new();
    for group in groups {
        let alone = group.axes.len() == 1;
        let axis = |found: UnreadAxis<'_, 'x>| {
            let text = texts.next().expect("one for each path");
            let UnreadAxis { path, place, values: unread } = found;
            let values = match unread {
                Values::List(items) if alone => distinct(&path, items, root),
                Values::List(items) => items.iter().map(|item| item.node().clone()).collect(),
                Values::Range(_, place) => range_values(text, &place),
            };
            let json = values
                .iter()
                .map(|value| to_json(value.get_ref()))
                .collect();
            Axis { path, json, place, values }
        };
        all.push(Group { axes: group.axes.into_iter().map(axis).collect() });
    }
    all
}

fn range_values<'x>(text: &'x str, place: &Span<usize>) -> Vec<Spanned<DeValue<'x>>> {
    match DeValue::parse(text).map(Spanned::into_inner) {
        Ok(DeValue::Array(items)) => items
            .into_iter()
            .map(|item| Spanned::new(place.clone(), item.into_inner()))
            .collect(),
        _ => unreachable!("a range writes a list of numbers"),
    }
}

/// The items of a list without duplicates.
fn distinct<'s>(
    path: &str,
    items: Vec<Value<'_, 's>>,
    root: &Table<'_, '_>,
) -> Vec<Spanned<DeValue<'s>>> {
    let mut json: Vec<Json> = Vec::new();
    let mut values = Vec::new();
    for item in items {
        let this = to_json(item.raw());
        if json.iter().any(|earlier| same_value(earlier, &this)) {
            root.problems().report(item.problem(
                format!("`{path}` has the value {this} twice"),
                "the second time",
                "leave it out: the cells would be the same",
            ));
            continue;
        }
        json.push(this);
        values.push(item.node().clone());
    }
    values
}

/// Every combination of the swept values; the first path varies slowest. After a reported problem
/// the result has no meaning.
pub(super) fn cells<'x>(
    tree: &DeTable<'x>,
    groups: &[Group<Axis<'x>>],
    root: &Table<'_, '_>,
) -> Vec<Cell> {
    let mut bare = tree.clone();
    for key in ROOT.keys.iter().filter(|key| !key.is_swept()) {
        bare.remove(key.name);
    }
    // A value for `peer.a.nat` must not undo one for `peer.a.nat.unsolicited`.
    let mut shallow_first: Vec<(usize, usize)> = (0..groups.len())
        .flat_map(|group| (0..groups[group].axes.len()).map(move |axis| (group, axis)))
        .collect();
    shallow_first.sort_by_key(|&(group, axis)| groups[group].axes[axis].path.split('.').count());

    let count: usize = groups
        .iter()
        .map(|group| group.axes[0].values.len())
        .product();
    let mut cells: Vec<Cell> = Vec::with_capacity(count);
    // By a hash of the `Debug` text of the setup: floats have no hash.
    let mut seen: HashMap<u64, usize> = HashMap::new();
    let hasher = BuildHasherDefault::<fnv::FnvHasher>::default();
    for index in 0..count {
        let chosen = digits(groups, index);
        let mut tree = bare.clone();
        for &(group, axis) in &shallow_first {
            let Axis { path, place, values, .. } = &groups[group].axes[axis];
            let path: Vec<&str> = path.split('.').collect();
            put(&mut tree, &path, place, values[chosen[group]].clone());
        }
        let setup = setup::read(&Table::root(&tree, root.problems()));
        let cell = Cell { values: assignments(groups, &chosen), setup };
        if root.problems().is_full() {
            break;
        }
        let hash = hasher.hash_one(format!("{:?}", cell.setup));
        if let Some(&earlier) = seen.get(&hash)
            && cells[earlier].setup == cell.setup
            && root.problems().count() == 0
        {
            root.problems()
                .report(same_cells(groups, &chosen, (&cells[earlier], earlier), &cell));
        }
        seen.insert(hash, index);
        cells.push(cell);
    }
    cells
}

fn assignments(groups: &[Group<Axis<'_>>], chosen: &[usize]) -> Vec<Assignment> {
    let all = groups.iter().zip(chosen).flat_map(|(group, &value)| {
        group.axes.iter().map(move |axis| Assignment {
            path: axis.path.clone(),
            value: axis.json[value].clone(),
        })
    });
    all.collect()
}

/// The problem that a swept value has no effect, for example since another value replaces it.
fn same_cells(
    groups: &[Group<Axis<'_>>],
    later: &[usize],
    (earlier_cell, earlier): (&Cell, usize),
    later_cell: &Cell,
) -> Problem {
    let earlier = digits(groups, earlier);
    let differing = (0..groups.len()).find(|&group| earlier[group] != later[group]);
    let group = differing.expect("two cells differ in one of their values");
    let axis = &groups[group].axes[0];
    Problem::new(
        axis.values[later[group]].span(),
        format!("this value of `{}` makes no difference", axis.path),
        "two cells are the same",
        format!("`{}` sets up the same as `{}`", later_cell.label(), earlier_cell.label()),
    )
}

/// Swept values in one line: `punch.rule=rolling, peer.b.clock_offset_s=5`. Empty without any.
pub(crate) fn label(values: &[Assignment]) -> String {
    let part = |Assignment { path, value }: &Assignment| format!("{path}={}", text(value));
    values.iter().map(part).collect::<Vec<_>>().join(", ")
}

/// Text of a value: strings without quotes.
pub(super) fn text(value: &Json) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether two values are the same for a reader: 5 and 5.0 are.
pub(crate) fn same_value(one: &Json, other: &Json) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

/// Reads one entry of `[sweep]`. A table there is a range, or a path without quotes, one key at a
/// time.
fn collect<'t, 's>(
    key: &'t Spanned<toml::de::DeString<'s>>,
    value: Value<'t, 's>,
    path: &str,
    root: &Table<'t, 's>,
    paths: &mut Vec<String>,
    found: &mut Vec<UnreadAxis<'t, 's>>,
) {
    if let DeValue::Table(table) = value.raw()
        && !is_range(table)
    {
        let Some(section) = root.or_report(value.table()) else { return };
        for (key, value) in section.entries() {
            collect(key, value, &join(path, key.get_ref()), root, paths, found);
        }
        return;
    }
    let problem = |message: String, label: &str, help: String| {
        root.problems()
            .report(Problem::new(key.span(), message, label, help));
    };
    if let Err((message, help)) = path::check(path, root) {
        return problem(message, "this path", help);
    }
    if paths.iter().any(|earlier| earlier == path) {
        return problem(format!("`{path}` is swept twice"), "the second time", value.key().help());
    }
    let value = value.at(path.to_owned());
    if let Some(values) = root.or_report(values(value)) {
        paths.push(path.to_owned());
        found.push(UnreadAxis { path: path.to_owned(), place: key.span(), values });
    }
}

fn values<'t, 's>(value: Value<'t, 's>) -> Checked<Values<'t, 's>> {
    if value.raw().is_table() {
        let place = value.node().span();
        return Ok(Values::Range(Range::read(value)?, place));
    }
    if !value.raw().is_array() {
        let path = format!("sweep.{}", value.path());
        return Err(value
            .clone()
            .at(path)
            .not("a list of values", value.key().help()));
    }
    let items = value.items()?;
    if items.is_empty() {
        let message = format!("the sweep of `{}` has no values", value.path());
        return Err(value.wrong(message, "empty"));
    }
    Ok(Values::List(items))
}

/// Reads `[sweep.zip]` or each `[[sweep.zip]]`.
fn zipped<'t, 's>(
    value: &Value<'t, 's>,
    root: &Table<'t, 's>,
    paths: &mut Vec<String>,
    groups: &mut Vec<Group<UnreadAxis<'t, 's>>>,
) {
    let tables = if value.raw().is_table() {
        vec![value.clone()]
    } else {
        root.or_report(value.items()).unwrap_or_default()
    };
    for table in tables {
        let Some(section) = root.or_report(table.clone().table()) else { continue };
        let mut axes = Vec::new();
        let before = root.problems().count();
        for (key, value) in section.entries() {
            collect(key, value, key.get_ref(), root, paths, &mut axes);
        }
        if root.problems().count() == before {
            match check_zip(&axes, &table) {
                Ok(()) => groups.push(Group { axes }),
                Err(problem) => root.problems().report(problem),
            }
        }
    }
}

fn check_zip(axes: &[UnreadAxis<'_, '_>], table: &Value<'_, '_>) -> Checked<()> {
    let [first, others @ ..] = axes else {
        return Err(table.wrong("`sweep.zip` is empty", "no paths"));
    };
    if others.is_empty() {
        let message = format!("`sweep.zip` has only one path, `{}`", first.path);
        let help = format!("{}; a path alone stands below [sweep]", ZIP.help);
        return Err(Problem::new(first.place.clone(), message, "goes with nothing", help));
    }
    let wanted = first.values.count();
    match others.iter().find(|axis| axis.values.count() != wanted) {
        None => Ok(()),
        Some(axis) => Err(Problem::new(
            axis.place.clone(),
            format!(
                "`{}` has {} values, `{}` has {wanted}: they cannot go together",
                axis.path,
                axis.values.count(),
                first.path
            ),
            "another length",
            ZIP.help,
        )),
    }
}

/// Index of the value of each group, for the cell with an index.
fn digits(groups: &[Group<Axis<'_>>], mut index: usize) -> Vec<usize> {
    let mut digits = vec![0; groups.len()];
    for (digit, group) in digits.iter_mut().zip(groups).rev() {
        let count = group.axes[0].values.len();
        *digit = index % count;
        index /= count;
    }
    digits
}
