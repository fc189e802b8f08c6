//! Layers of a scenario: the files that it extends, its own file and `--set` flags, in one tree.
//!
//! Layers from the bottom: the file at the end of the chain of `extends`, …, the scenario's own
//! file, then each `--set` in its order. Sections are merged key by key; every other value takes
//! the place of the one below it, lists included. `name` and `extends` are not inherited.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Checked, Error, Problem, Problems};
use super::language::ROOT;
use super::load;
use super::places::{is_merged, join};
use super::source_map::SourceMap;
use super::tree::{self, expand_nat};

/// Limit of the length of a chain of `extends`.
const MAX_DEPTH: usize = 8;

/// Options of the command line that change a scenario.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overrides {
    /// Assignments `PATH=VALUE`; later ones win.
    pub set: Vec<String>,
    /// Whether a sweep of very many cells is allowed.
    pub many_cells: bool,
}

/// The texts of a scenario: files, then flags.
#[derive(Debug)]
pub(super) struct Layers {
    pub sources: SourceMap,
    /// Number of files; the texts after them are `--set` flags.
    files: usize,
}

/// Reads the files that `file` with the text `text` extends, and adds the flags.
///
/// # Errors
/// An extended file cannot be read, or a flag is no assignment.
pub(super) fn load(file: &str, text: &str, overrides: &Overrides) -> Result<Layers, Error> {
    let mut sources = SourceMap::default();
    let problems = Problems::default();
    let files = extended(file, text, &mut sources, &problems);
    for flag in &overrides.set {
        let text = assignment(flag);
        let base = sources.add("--set", text.clone());
        problems.or_report(check_assignment(&text, base));
    }
    match Error::of(&sources, problems.into_vec()) {
        Some(error) => Err(error),
        None => Ok(Layers { sources, files }),
    }
}

/// Adds a file and the files that it extends. Returns their number.
fn extended(file: &str, text: &str, sources: &mut SourceMap, problems: &Problems) -> usize {
    let mut path = PathBuf::from(file);
    let mut text = text.to_owned();
    let mut chain: Vec<PathBuf> = Vec::new();
    let is_quotable = |path: &Path| load::is_quotable(path, Path::new(file));
    let mut named_at = None;
    loop {
        let name = path.display().to_string();
        let base = if is_quotable(&path) {
            sources.add(&name, text.clone())
        } else {
            sources.add_unquotable(&name, text.clone(), named_at)
        };
        chain.push(path.canonicalize().unwrap_or_else(|_| path.clone()));
        // Syntax errors are reported when the layers are merged.
        let Ok(tree) = DeTable::parse(&text) else { break };
        let Some(value) = tree.get_ref().get("extends") else { break };
        named_at = Some(value.span().start + base..value.span().end + base);
        match problems.or_report(next(&path, value, base, &chain)) {
            Some(next) => (path, text) = next,
            None => break,
        }
    }
    chain.len()
}

/// The file of an `extends`, and its text.
fn next(
    path: &Path,
    value: &Spanned<DeValue<'_>>,
    base: usize,
    chain: &[PathBuf],
) -> Checked<(PathBuf, String)> {
    let help = ROOT.key("extends").help;
    let span = value.span().start + base..value.span().end + base;
    let problem = |message: String, label: &str, help: &str| {
        Err(Problem::new(span.clone(), message, label, help))
    };
    let Some(named) = value.get_ref().as_str() else {
        let found = tree::type_name(value.get_ref());
        return problem(format!("`extends` must be a string, not {found}"), "no path", help);
    };
    let next = path.parent().unwrap_or(Path::new("")).join(named);
    let shown = next.display();
    if chain.len() >= MAX_DEPTH {
        let message = format!("{shown} would be extended by more than {MAX_DEPTH} files in a row");
        return problem(message, "too deep", "extend a file further down the chain");
    }
    let text = match load::extended_text(&next) {
        Ok(text) => text,
        Err(error) => {
            return problem(format!("cannot extend {shown}: {error}"), "this file", help);
        }
    };
    let same = next.canonicalize().unwrap_or_else(|_| next.clone());
    if chain.contains(&same) {
        let round: Vec<String> = chain.iter().map(|path| file_name(path)).collect();
        let round = format!("{} -> {}", round.join(" -> "), file_name(&same));
        let message = format!("{shown} extends itself: {round}");
        return problem(message, "closes the circle", "let one of them extend nothing");
    }
    Ok((next, text))
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

/// A flag as TOML. A word that is no TOML value is a string: it needs no second pair of quotes.
fn assignment(flag: &str) -> String {
    let Some((path, value)) = flag.split_once('=') else { return flag.to_owned() };
    let word = value.trim();
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !word.is_empty() && word.chars().all(is_word) && DeValue::parse(word).is_err() {
        return format!("{path}=\"{word}\"");
    }
    flag.to_owned()
}

fn check_assignment(text: &str, base: usize) -> Checked<()> {
    const HELP: &str = "write the path of a key and its value: --set wan.delay_ms=50, \
        --set peer.a.nat=symmetric, --set 'peer.b.start_s={ uniform = [0, 2] }'";
    let all = base..base + text.len();
    if !text.contains('=') || text.contains('\n') || text.trim_start().starts_with('[') {
        return Err(Problem::new(all, "`--set` needs PATH=VALUE", "no assignment", HELP));
    }
    if let Ok(tree) = DeTable::parse(text)
        && tree.get_ref().contains_key("extends")
    {
        let help = "write it into a file, and run that one";
        return Err(Problem::new(all, "`extends` cannot be set by a flag", "here", help));
    }
    Ok(())
}

/// A path that a flag sets, and its place. Paths below `[sweep]` are no values of a setup.
#[derive(Debug)]
pub(super) struct Flagged {
    pub path: String,
    pub place: std::ops::Range<usize>,
}

impl Layers {
    /// The only text, if there is only one.
    pub(super) fn only_text(&self) -> Option<&str> {
        let mut texts = self.sources.texts();
        let (_, first) = texts.next()?;
        texts.next().is_none().then_some(first)
    }

    /// The text of the scenario's own file. Its places begin at 0.
    pub(super) fn own_text(&self) -> &str {
        self.sources.texts().next().map_or("", |(_, text)| text)
    }

    /// All texts as one tree with places in the sources, and the values that flags set.
    ///
    /// # Errors
    /// Texts that are not TOML.
    pub(super) fn merged(&self) -> Result<(DeTable<'_>, Vec<Flagged>), Vec<Problem>> {
        let mut trees = Vec::new();
        let mut wrong = Vec::new();
        for (base, text) in self.sources.texts() {
            let (tree, errors) = load::tree(text, base);
            wrong.extend(errors);
            let mut tree = shifted(tree, base);
            flatten_sweep(&mut tree);
            trees.push(tree);
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let flags = trees.split_off(self.files);
        let flagged = flags.iter().flat_map(|tree| leaves(tree, "")).collect();
        // The scenario's own file is first, the files that it extends follow.
        let mut merged = DeTable::new();
        for (number, mut tree) in trees.into_iter().enumerate().rev() {
            if number > 0 {
                tree.remove("name");
                tree.remove("extends");
            }
            merged = merge(merged, tree, &[]);
        }
        for tree in flags {
            merged = merge(merged, tree, &[]);
        }
        Ok((merged, flagged))
    }
}

/// Moves every place in a tree.
fn shifted<'s>(table: DeTable<'s>, base: usize) -> DeTable<'s> {
    if base == 0 {
        return table;
    }
    let mut moved = DeTable::new();
    for (key, value) in table {
        let place = key.span().start + base..key.span().end + base;
        moved.insert(Spanned::new(place, key.into_inner()), shifted_value(value, base));
    }
    moved
}

fn shifted_value<'s>(value: Spanned<DeValue<'s>>, base: usize) -> Spanned<DeValue<'s>> {
    let place = value.span().start + base..value.span().end + base;
    let value = match value.into_inner() {
        DeValue::Table(table) => DeValue::Table(shifted(table, base)),
        DeValue::Array(items) => DeValue::Array(
            items
                .into_iter()
                .map(|item| shifted_value(item, base))
                .collect(),
        ),
        value @ (DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)) => value,
    };
    Spanned::new(place, value)
}

/// Writes each swept path as one key, so that layers agree on paths with and without quotes. A file
/// with a path in both forms is left as it is: reading it reports the mistake.
fn flatten_sweep(tree: &mut DeTable<'_>) {
    let Some(sweep) = tree.get_mut("sweep") else { return };
    let DeValue::Table(table) = sweep.get_mut() else { return };
    let mut flat = DeTable::new();
    let mut twice = false;
    flatten(table.clone(), "", &mut flat, &mut twice);
    if !twice {
        *table = flat;
    }
}

fn flatten<'s>(table: DeTable<'s>, above: &str, flat: &mut DeTable<'s>, twice: &mut bool) {
    for (key, value) in table {
        let path = join(above, key.get_ref());
        let is_path = |table: &DeTable<'_>| {
            path != "zip" && !table.is_empty() && !super::sweep::is_range(table)
        };
        if let DeValue::Table(table) = value.get_ref()
            && is_path(table)
        {
            flatten(table.clone(), &path, flat, twice);
        } else {
            let key = Spanned::new(key.span(), path.into());
            *twice |= flat.insert(key, value).is_some();
        }
    }
}

/// Paths of all values in a tree, except below `[sweep]`.
fn leaves(table: &DeTable<'_>, above: &str) -> Vec<Flagged> {
    let mut found = Vec::new();
    for (key, value) in table {
        let path = join(above, key.get_ref());
        let keys: Vec<&str> = path.split('.').collect();
        if path == "sweep" {
            continue;
        } else if let (DeValue::Table(below), true) = (value.get_ref(), is_merged(&keys)) {
            found.extend(leaves(below, &path));
        } else {
            found.push(Flagged { path, place: key.span() });
        }
    }
    found
}

/// Merges a tree over another one. A key of both keeps its position in the lower tree, and gets the
/// place of the upper one.
fn merge<'s>(below: DeTable<'s>, mut above: DeTable<'s>, path: &[&str]) -> DeTable<'s> {
    let mut merged = DeTable::new();
    for (key, value) in below {
        match above.remove_entry(key.get_ref().as_ref()) {
            None => merged.insert(key, value),
            Some((key, over)) => {
                let here = [path, &[key.get_ref().as_ref()]].concat();
                let value = merge_value(value, over, &here);
                merged.insert(key, value)
            }
        };
    }
    for (key, value) in above {
        merged.insert(key, value);
    }
    merged
}

fn merge_value<'s>(
    mut below: Spanned<DeValue<'s>>,
    over: Spanned<DeValue<'s>>,
    path: &[&str],
) -> Spanned<DeValue<'s>> {
    if !is_merged(path) || !over.get_ref().is_table() {
        return over;
    }
    if path.last() == Some(&"nat") && below.get_ref().is_str() {
        expand_nat(&mut below);
    }
    let span = over.span();
    match (below.into_inner(), over.into_inner()) {
        (DeValue::Table(below), DeValue::Table(over)) => {
            Spanned::new(span, DeValue::Table(merge(below, over, path)))
        }
        (_, over) => Spanned::new(span, over),
    }
}
