//! From a file to a scenario.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use toml::de::DeTable;

use super::error::{Checked, Error, Problem, Problems};
use super::key::{NAME_HELP, is_name};
use super::layers::{self, Flagged};
use super::language::{NAT, ROOT};
use super::precision::{self, Precision};
use super::sources::Sources;
use super::sweep::{Axis, Group};
use super::tree::{Table, Value};
use super::{Cell, Overrides, Scenario, expect, setup, source, sweep};
use crate::named::Named;
use crate::nat::keys;

/// Larger files are no scenarios, but something else whose path was given by mistake.
const MAX_BYTES: u64 = 1024 * 1024;

impl Scenario {
    /// Reads and checks a scenario file.
    ///
    /// # Errors
    /// When the file cannot be read, and for everything that is wrong with its content.
    pub(crate) fn read(path: &Path, overrides: &Overrides) -> Result<Self, Error> {
        let bytes = read_bytes(path).map_err(|error| Error::unreadable(path, &error))?;
        let file = path.display().to_string();
        if bytes.len() as u64 > MAX_BYTES {
            return Err(Error::whole_file(
                format!("{file} is larger than 1 MiB"),
                "a scenario is a short TOML file: is this the right path?",
            ));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Self::parse_with(&file, &text, overrides),
            Err(error) => Err(not_utf8(&file, &error)),
        }
    }

    /// Checks a scenario. `file` is its path: for messages, for its name if it gives none, and for
    /// the folder of what it extends.
    ///
    /// # Errors
    /// For everything that is wrong with `text`.
    pub(crate) fn parse_with(file: &str, text: &str, overrides: &Overrides) -> Result<Self, Error> {
        let layers = layers::load(file, text, overrides)?;
        let problems = Problems::default();
        let scenario = match layers.merged() {
            Ok((mut tree, flagged)) => {
                tree.remove("extends");
                let source = layers
                    .only_text()
                    .map_or_else(|| source::text(&tree), str::to_owned);
                let scenario =
                    scenario((file, layers.own_text()), &tree, &flagged, overrides, &problems);
                scenario.map(|scenario| Self { source, ..scenario })
            }
            Err(wrong) => {
                wrong.into_iter().for_each(|problem| problems.report(problem));
                None
            }
        };
        match (Error::of(&layers.sources, problems.into_vec()), scenario) {
            (Some(error), _) => Err(error),
            (None, scenario) => Ok(scenario.expect("what is missing is a problem")),
        }
    }

    /// Checks a scenario without overrides.
    ///
    /// # Errors
    /// As [`Scenario::parse_with`].
    pub(crate) fn parse(file: &str, text: &str) -> Result<Self, Error> {
        Self::parse_with(file, text, &Overrides::default())
    }
}

fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a file that a scenario extends.
pub(super) fn read_text(path: &Path) -> io::Result<String> {
    let bytes = read_bytes(path)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8 text"))
}

fn not_utf8(file: &str, error: &std::string::FromUtf8Error) -> Error {
    let at = error.utf8_error().valid_up_to();
    let byte = error.as_bytes()[at];
    // Up to the place of the error the lossy text is the same, so the place is right in it too.
    let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
    let problem = Problem::new(
        at..at + char::REPLACEMENT_CHARACTER.len_utf8(),
        "the file is not UTF-8 text",
        format!("byte 0x{byte:02x}"),
        "a scenario is a TOML file, and TOML files are UTF-8: save it with that encoding",
    );
    let mut sources = Sources::default();
    sources.add(file, text);
    Error::of(&sources, vec![problem]).expect("there is a problem")
}

/// The scenario of a tree, whose own file is given with its text; `None`, or one without meaning,
/// after problems.
fn scenario(
    (file, own_text): (&str, &str),
    tree: &DeTable<'_>,
    flagged: &[Flagged],
    overrides: &Overrides,
    problems: &Problems,
) -> Option<Scenario> {
    if tree.is_empty() {
        let help = ROOT.key("trials").help;
        problems.report(Problem::new(0..0, "the scenario is empty", "nothing here", help));
        return None;
    }
    let root = Table::root(tree, problems);
    // What stands in the file must be right, even where every cell has another value.
    setup::read(&root);
    let found = sweep::read(&root);
    let size = root.or_report(sweep::check_size(&found, &root, overrides.many_cells));
    let texts = size
        .map(|()| sweep::range_texts(&found))
        .unwrap_or_default();
    let groups = size
        .map(|()| sweep::axes(found, &texts, &root))
        .unwrap_or_default();
    flags_have_effect(flagged, &groups, problems);
    let cells = sweep::cells(tree, &groups, &root);
    icmp_limits_have_effect(&root, &groups, &cells);
    let expectations =
        if size.is_some() { expect::read(&root, &groups, &cells, own_text) } else { Vec::new() };
    let question = root.or_report(root.given("question", Value::text)).flatten();
    let seed = root.or_report(root.given("seed", Value::whole)).flatten();
    let name = root.or_report(name(file, &root));
    // Last, because it is no news that `trials` is missing if it stands in a section by mistake.
    let trials = trials(&root);
    if trials.is_err() && root.get("trials").is_none() && problems.mention_key("trials") {
        return None;
    }
    let (trials, precision) = root.or_report(trials)?;
    let file = file.to_owned();
    Some(Scenario {
        name: name?,
        file,
        question: question.map(str::to_owned),
        source: String::new(),
        trials,
        precision,
        seed,
        cells,
        expectations,
    })
}

fn trials(root: &Table<'_, '_>) -> Checked<(u32, Option<Precision>)> {
    let whole = |value: &Value<'_, '_>| {
        let number = value.whole()?;
        Ok(u32::try_from(number).expect("checked to be at most a million"))
    };
    let Some(half_width) = root.given("precision", Value::number)? else {
        if let Some(most) = root.get("trials_max") {
            let message = "`trials_max` has no meaning without `precision`";
            root.problems().report(most.wrong(message, "the number is fixed"));
        }
        return Ok((whole(&root.require("trials")?)?, None));
    };
    let (fewest, most) = match (root.given("trials", whole)?, root.given("trials_max", whole)?) {
        (None, None) => (precision::fewest(half_width), precision::most(half_width)),
        (None, Some(most)) => (precision::fewest(half_width).min(most), most),
        (Some(fewest), None) => (fewest, precision::most(half_width).max(fewest)),
        (Some(fewest), Some(most)) if fewest <= most => (fewest, most),
        (Some(_), Some(most)) => {
            let place = root.require("trials")?;
            let message = format!("`trials` is more than `trials_max`, {most}");
            let help = ROOT.key("trials_max").help;
            return Err(place.problem(message, "the fewest trials", help));
        }
    };
    Ok((fewest, Some(Precision { half_width, trials_max: most })))
}

/// A flag for a swept value would be without effect: the sweep puts its own in its place.
fn flags_have_effect(flagged: &[Flagged], groups: &[Group<Axis<'_>>], problems: &Problems) {
    for Flagged { path, place } in flagged {
        let below = |axis: &&Axis<'_>| {
            path.starts_with(&axis.path)
                && matches!(path.as_bytes().get(axis.path.len()), None | Some(b'.'))
        };
        let Some(axis) = groups.iter().flat_map(|group| &group.axes).find(below) else { continue };
        let swept = &axis.path;
        let help = format!(
            "run only the cells that have it with --filter '{swept}=…', or sweep other values \
             with --set 'sweep.{swept}=[…]'"
        );
        let message = format!("`{swept}` is swept: each cell has its own");
        problems.report(Problem::new(place.clone(), message, "without effect", help));
    }
}

/// A NAT that never answers a SYN with ICMP has no limit to lift. One such cell is in order where
/// others of the sweep have NATs that do.
fn icmp_limits_have_effect(root: &Table<'_, '_>, groups: &[Group<Axis<'_>>], cells: &[Cell]) {
    for (index, side) in super::SIDES.iter().enumerate() {
        let nats = cells
            .iter()
            .filter_map(|cell| cell.setup.peers[index].nat.spec());
        let mut unlimited = nats.filter(|nat| !nat.icmp_limit).peekable();
        let Some(first) = unlimited.peek().map(|nat| nat.unsolicited.name()) else { continue };
        if unlimited.any(|nat| nat.unsolicited.is_icmp()) {
            continue;
        }
        let nat_path = format!("peer.{side}.nat");
        let path = format!("{nat_path}.icmp_limit");
        let peer = root.section("peer").section(side);
        let nat = peer.get("nat").filter(|nat| nat.raw().is_table());
        let limit = nat.and_then(|nat| nat.section(&NAT).ok()?.get(keys::ICMP_LIMIT));
        let swept = || {
            let mut axes = groups.iter().flat_map(|group| &group.axes);
            let axis = axes.find(|axis| axis.path == path || axis.path == nat_path);
            axis.map(|axis| axis.place.clone())
        };
        let place = limit
            .map(|limit| limit.node().span())
            .or_else(swept)
            .unwrap_or_default();
        root.problems().report(Problem::new(
            place,
            format!("`{path}` has no meaning with unsolicited \"{first}\""),
            "without effect",
            "only NATs that answer a SYN with \"icmp-port\", \"icmp-admin\" or \"icmp-host\" have \
             ICMP errors to limit: take one of them, at least in one cell, or leave `icmp_limit` out",
        ));
    }
}

fn name(file: &str, root: &Table<'_, '_>) -> Checked<String> {
    if let Some(value) = root.get("name") {
        let name = value.text()?;
        if !is_name(name) {
            let message = format!("\"{name}\" cannot be the name of a scenario");
            return Err(value.problem(message, "not a name", NAME_HELP));
        }
        return Ok(name.to_owned());
    }
    let stem = Path::new(file)
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy();
    if is_name(&stem) {
        return Ok(stem.into_owned());
    }
    Err(Problem::new(
        0..0,
        format!("the scenario needs a name: \"{stem}\", from its file name, cannot be one"),
        "needs `name`",
        format!("write `name = \"my-scenario\"` as the first line; {NAME_HELP}"),
    ))
}

/// What the TOML parser says, in the words of somebody who may not know TOML well.
pub(super) fn syntax(error: &toml::de::Error, text: &str, base: usize) -> Problem {
    const TOML: &str = "see https://toml.io for how TOML is written";
    let span = error.span().unwrap_or_default();
    let here = text.get(span.clone()).unwrap_or_default();
    let (wrong, expected) = match error.message().split_once(", expected ") {
        Some((wrong, expected)) => (wrong, format!("expected {expected}")),
        None => (error.message(), "here".to_owned()),
    };
    let (message, label, help) = match wrong {
        "string values must be quoted" if here.is_empty() => (
            "a value is missing".to_owned(),
            "expected a value",
            "after `=` comes a number, a string in quotes, true, false, [a list] or {a table}",
        ),
        "string values must be quoted" => (
            format!("`{here}` is not a value"),
            "not a value",
            "a string needs quotes, and a number has no unit behind it: the unit is in the key",
        ),
        "duplicate key" => (
            format!("`{here}` is there twice"),
            "the second time",
            "each key and each [section] may be there once: put both together",
        ),
        _ => (format!("this is not TOML: {wrong}"), expected.as_str(), TOML),
    };
    Problem::new(span.start + base..span.end + base, message, label, help)
}
