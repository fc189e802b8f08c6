//! Swept values: from `[sweep]` to cells.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value as Json;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Checked, Problem, did_you_mean};
use super::tree::{Section, Value, put, to_json};
use super::{Cell, keys, setup};
use crate::event::Assignment;

/// No scenario has more cells than this.
const MAX_CELLS: usize = 10_000;

/// The sections whose keys can be swept.
const SWEPT: &[&str] = &["wan", "punch", "peer", "subject", "host"];

const HELP: &str = "write a path in quotes and a list of values: \
    \"peer.b.clock_offset_s\" = [0, 5, 10]";

/// One swept path and its values.
#[derive(Debug)]
pub(super) struct Axis<'t, 's> {
    /// Dotted path into the scenario.
    pub path: String,
    /// Its values as reports hold them; never empty, no two the same.
    pub json: Vec<Json>,
    /// Where the path stands in the file.
    place: Range<usize>,
    values: Vec<&'t Spanned<DeValue<'s>>>,
}

/// The swept paths in the order of the file.
pub(super) fn axes<'t, 's>(root: &Section<'t, 's>) -> Checked<Vec<Axis<'t, 's>>> {
    let Some((key, value)) = root.entries().find(|(key, _)| key.get_ref() == "sweep") else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    collect(value.clone().table(HELP)?, "", root, &mut found)?;
    if found.is_empty() {
        let message = "`sweep` is empty";
        return Err(value.problem(message, "no path and no values", HELP));
    }
    check_size(&found, key.span())?;
    found.into_iter().map(Found::axis).collect()
}

/// Every combination of the swept values, the first path varying slowest.
pub(super) fn cells(tree: &DeTable<'_>, axes: &[Axis<'_, '_>]) -> Checked<Vec<Cell>> {
    let mut bare = tree.clone();
    for key in keys::ROOT.iter().filter(|key| !SWEPT.contains(key)) {
        bare.remove(*key);
    }
    // A value for `peer.a.nat` must not undo one for `peer.a.nat.unsolicited`.
    let mut shallow_first: Vec<usize> = (0..axes.len()).collect();
    shallow_first.sort_by_key(|axis| axes[*axis].path.split('.').count());

    let count: usize = axes.iter().map(|axis| axis.values.len()).product();
    let cell = |chosen: &[usize]| {
        let mut tree = bare.clone();
        for &axis in &shallow_first {
            let Axis { path, place, values, .. } = &axes[axis];
            let path: Vec<&str> = path.split('.').collect();
            put(&mut tree, &path, place, values[chosen[axis]].clone());
        }
        let values = axes.iter().zip(chosen).map(|(axis, &value)| Assignment {
            path: axis.path.clone(),
            value: axis.json[value].clone(),
        });
        let setup = setup::read(&Section::root(&tree).only(keys::ROOT)?)?;
        Ok(Cell { values: values.collect(), setup })
    };
    let mut cells = Vec::new();
    // How each setup reads in full, and the cell that has it: floats have no hash of their own.
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for index in 0..count {
        let chosen = digits(axes, index);
        let cell: Cell = cell(&chosen)?;
        let setup = format!("{:?}", cell.setup);
        if let Some(&earlier) = seen.get(&setup) {
            return Err(same_cells(axes, &digits(axes, earlier), &chosen, &cells[earlier], &cell));
        }
        seen.insert(setup, index);
        cells.push(cell);
    }
    Ok(cells)
}

/// The problem that a swept value makes no difference, as where another one takes its place.
fn same_cells(
    axes: &[Axis<'_, '_>],
    earlier: &[usize],
    later: &[usize],
    earlier_cell: &Cell,
    later_cell: &Cell,
) -> Problem {
    let differing =
        axes.iter().zip(earlier.iter().zip(later)).find(|(_, (one, other))| one != other);
    let (axis, (_, &value)) = differing.expect("two cells differ in one of their values");
    Problem::new(
        axis.values[value].span(),
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

/// A value as it is shown: strings without quotes.
pub(super) fn text(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether two values are the same one for a reader: 5 and 5.0 are.
pub(super) fn same(one: &Json, other: &Json) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

/// An entry of `[sweep]`.
#[derive(Debug)]
struct Found<'t, 's> {
    path: String,
    place: Range<usize>,
    values: Vec<Value<'t, 's>>,
}

impl<'t, 's> Found<'t, 's> {
    fn axis(self) -> Checked<Axis<'t, 's>> {
        let mut json: Vec<Json> = Vec::new();
        for value in &self.values {
            let this = to_json(value.raw());
            if json.iter().any(|earlier| same(earlier, &this)) {
                let message = format!("`{}` has the value {this} twice", self.path);
                return Err(value.problem(
                    message,
                    "the second time",
                    "leave it out: the cells would be the same",
                ));
            }
            json.push(this);
        }
        let values = self.values.iter().map(Value::node).collect();
        Ok(Axis { path: self.path, json, place: self.place, values })
    }
}

/// Reads the entries of `[sweep]`. A table there is a path without quotes, one key at a time.
fn collect<'t, 's>(
    section: Section<'t, 's>,
    above: &str,
    root: &Section<'t, 's>,
    found: &mut Vec<Found<'t, 's>>,
) -> Checked<()> {
    for (key, value) in section.entries() {
        let path = keys::join(above, key.get_ref());
        if value.raw().is_table() {
            collect(value.clone().table(HELP)?, &path, root, found)?;
            continue;
        }
        let problem = |message: String, label: &str, help: &str| {
            Err(Problem::new(key.span(), message, label, help))
        };
        if let Err((message, help)) = check_path(&path, root) {
            return problem(message, "this path", &help);
        }
        if found.iter().any(|earlier| earlier.path == path) {
            return problem(format!("`{path}` is swept twice"), "the second time", HELP);
        }
        let DeValue::Array(items) = value.raw() else {
            return Err(value.not("a list of values", HELP));
        };
        if items.is_empty() {
            let message = format!("the sweep of `{path}` has no values");
            return Err(value.problem(message, "empty", HELP));
        }
        let values = items.iter().map(|item| Value::new(path.clone(), item)).collect();
        found.push(Found { path, place: key.span(), values });
    }
    Ok(())
}

/// Checks what can be known of a path without reading its values: message and help otherwise.
fn check_path(path: &str, root: &Section<'_, '_>) -> Result<(), (String, String)> {
    let keys: Vec<&str> = path.split('.').collect();
    if let Some(example) = whole_section(&keys) {
        let help = format!("sweep one of its keys, such as \"{example}\"");
        return Err((format!("`{path}` is a whole section"), help));
    }
    let deepest = match *keys.as_slice() {
        ["wan" | "punch" | "subject", ..] => 2,
        ["peer", _, "nat" | "start_s", ..] => 4,
        ["peer", ..] => 3,
        ["host", name, ..] => {
            check_host(name, root)?;
            3
        }
        [first, ..] if keys::ROOT.contains(&first) => {
            let help = "what can be swept are the keys of [wan], [punch], [peer.a], [peer.b], \
                [subject] and [host.NAME]; what is meant for the whole scenario stands above the \
                first [section]";
            return Err((format!("`{first}` cannot be swept"), help.to_owned()));
        }
        // Reading the first cell says what is wrong with it.
        _ => return Ok(()),
    };
    if keys.len() > deepest {
        let value = keys[..deepest].join(".");
        let message = format!("there are no keys below `{value}`");
        return Err((message, format!("sweep \"{value}\" itself")));
    }
    Ok(())
}

/// A key of the section that a path leads to, if it leads to a section.
fn whole_section(keys: &[&str]) -> Option<&'static str> {
    match *keys {
        ["wan"] => Some("wan.delay_ms"),
        ["punch"] => Some("punch.rule"),
        ["subject"] => Some("subject.command"),
        ["peer"] | ["peer", "a" | "b"] => Some("peer.a.nat"),
        ["host"] | ["host", _] => Some("host.NAME.command"),
        _ => None,
    }
}

/// A sweep brings no host into being: its name may just be misspelt.
fn check_host(name: &str, root: &Section<'_, '_>) -> Result<(), (String, String)> {
    let hosts = match root.get("host").map(|hosts| hosts.table("")) {
        Some(Ok(hosts)) => hosts.keys().map(|key| key.get_ref().as_ref()).collect(),
        _ => Vec::new(),
    };
    if hosts.contains(&name) {
        return Ok(());
    }
    let help = did_you_mean(name, &hosts) + &format!("add the section [host.{name}]");
    Err((format!("there is no host `{name}`"), help))
}

fn check_size(found: &[Found<'_, '_>], place: Range<usize>) -> Checked<()> {
    let cells = found.iter().try_fold(1_usize, |cells, axis| cells.checked_mul(axis.values.len()));
    if cells.is_some_and(|cells| cells <= MAX_CELLS) {
        return Ok(());
    }
    let counts: Vec<String> =
        found.iter().map(|axis| format!("{} of `{}`", axis.values.len(), axis.path)).collect();
    let cells = cells.map_or(String::new(), |cells| format!("{cells} cells, "));
    Err(Problem::new(
        place,
        format!("the sweep has {cells}more than {MAX_CELLS}"),
        "every combination is a cell",
        format!("sweep fewer values or write several scenarios; it combines {}", counts.join(", ")),
    ))
}

/// Which value of each axis the cell of that index has.
fn digits(axes: &[Axis<'_, '_>], mut index: usize) -> Vec<usize> {
    let mut digits = vec![0; axes.len()];
    for (digit, axis) in digits.iter_mut().zip(axes).rev() {
        *digit = index % axis.values.len();
        index /= axis.values.len();
    }
    digits
}
