//! Reading and checking a scenario file.

use std::path::Path;

use toml::de::DeTable;

use super::error::{Checked, Error, Problem, Problems};
use super::key::{NAME_HELP, is_name};
use super::language::{NAT, ROOT};
use super::layers::{self, Flagged};
use super::precision::{self, Precision};
use super::sweep::{Axis, Group};
use super::tree::{Table, Value};
use super::{Cell, Overrides, Scenario, expect, load, setup, sweep, to_toml};
use crate::named::Named;
use crate::nat::keys;
use crate::peers::Side;

impl Scenario {
    /// Reads and checks a scenario file.
    ///
    /// # Errors
    /// The file cannot be read, or its content has mistakes: all of them.
    pub(crate) fn read(path: &Path, overrides: &Overrides) -> Result<Self, Error> {
        let text = load::text(path)?;
        Self::parse_with(&path.display().to_string(), &text, overrides)
    }

    /// Checks a scenario. The path `file` is for messages, for the default of the name, and for the
    /// folder of the files that the scenario extends.
    ///
    /// # Errors
    /// All mistakes in `text`.
    pub(crate) fn parse_with(file: &str, text: &str, overrides: &Overrides) -> Result<Self, Error> {
        let layers = layers::load(file, text, overrides)?;
        let problems = Problems::default();
        let scenario = match layers.merged() {
            Ok((mut tree, flagged)) => {
                tree.remove("extends");
                let source = layers
                    .only_text()
                    .map_or_else(|| to_toml::text(&tree), str::to_owned);
                let scenario =
                    scenario((file, layers.own_text()), &tree, &flagged, overrides, &problems);
                scenario.map(|scenario| Self { source, ..scenario })
            }
            Err(wrong) => {
                wrong
                    .into_iter()
                    .for_each(|problem| problems.report(problem));
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

/// The scenario of a tree; `file` and `own_text` are those of the scenario's own file. After
/// problems the result is `None` or has no meaning.
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
    // Checks the base values too, even if the sweep replaces them in every cell.
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
    let question = root
        .or_report(root.given("question", Value::text))
        .flatten();
    let seed = root.or_report(root.given("seed", Value::whole)).flatten();
    let name = root.or_report(name(file, &root));
    // Last: if `trials` is in a section by mistake, its absence at the top level is no news.
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
            root.problems()
                .report(most.wrong(message, "the number is fixed"));
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

/// Reports flags for swept values: the sweep replaces such a value, so the flag has no effect.
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

/// Reports `icmp_limit = false` if no cell has a NAT that answers a SYN with ICMP. A sweep may have
/// other cells in which the key has no effect.
fn icmp_limits_have_effect(root: &Table<'_, '_>, groups: &[Group<Axis<'_>>], cells: &[Cell]) {
    for side in Side::BOTH {
        let nats = cells
            .iter()
            .filter_map(|cell| cell.setup.peers[side].nat.spec());
        let mut unlimited = nats.filter(|nat| !nat.icmp_limit).peekable();
        let Some(first) = unlimited.peek().map(|nat| nat.unsolicited.name()) else { continue };
        if unlimited.any(|nat| nat.unsolicited.is_icmp()) {
            continue;
        }
        let nat_path = format!("peer.{side}.nat");
        let path = format!("{nat_path}.icmp_limit");
        let peer = root.section("peer").section(side.name());
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
