//! The tables of `scenarios/README.md`, written from the language's table.

use super::*;
use crate::nat::possible::MIN_BLOCK;
use crate::scenario::key::{DefaultValue, Key, Kind, NumberRange, Section, quoted};
use crate::scenario::language::{DISTRIBUTION, EXPECT, HOST, NAT, ROOT};

/// With `UPDATE_README=1` in its environment the test writes the file.
#[test]
fn the_tables_of_the_readme_follow_from_the_language() {
    let path = project().join("scenarios/README.md");
    let committed = std::fs::read_to_string(&path).unwrap();
    let written = with_tables(&committed);
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(&path, &written).unwrap();
    }
    let advice = "run this test with UPDATE_README=1 and look at the difference";
    assert!(
        written == std::fs::read_to_string(&path).unwrap(),
        "scenarios/README.md is not up to date: {advice}"
    );
}

/// The text with a new table behind each comment that names one, such as `<!-- keys of [wan] -->`.
fn with_tables(text: &str) -> String {
    let mut tables = tables();
    let mut lines = text.lines().peekable();
    let mut written = String::new();
    while let Some(line) = lines.next() {
        written += &format!("{line}\n");
        let Some(at) = tables
            .iter()
            .position(|(name, _)| line == format!("<!-- {name} -->"))
        else {
            continue;
        };
        let (_, rows) = tables.remove(at);
        while lines
            .next_if(|line| line.is_empty() || line.starts_with('|'))
            .is_some()
        {}
        written += &format!("\n{rows}\n");
    }
    let missing: Vec<String> = tables.into_iter().map(|(name, _)| name).collect();
    assert!(missing.is_empty(), "the README has no table for {missing:?}");
    written
}

fn tables() -> Vec<(String, String)> {
    let section = |name: &str| ROOT.key(name).section();
    let keys = [
        ("the top level", &ROOT),
        ("[wan]", section("wan")),
        ("[punch]", section("punch")),
        ("[peer.a]", section("peer").key("a").section()),
        ("[subject]", section("subject")),
        ("[host.NAME]", &HOST),
        ("[peer.a.nat]", &NAT),
    ];
    let mut tables: Vec<(String, String)> = keys
        .into_iter()
        .map(|(name, section)| (format!("keys of {name}"), keys_of(section)))
        .collect();
    tables.push(("keys of [[expect]]".to_owned(), expectations()));
    tables.push(("distributions".to_owned(), distributions()));
    tables.push(("NATs".to_owned(), nats()));
    tables
}

/// Rows in Markdown, without the columns that have nothing but a heading.
fn rows<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let is_used = |column: &usize| rows.iter().any(|row| !row[*column].is_empty());
    let used: Vec<usize> = (0..N).filter(is_used).collect();
    let line = |cells: &[String; N]| {
        let cells = used.iter().map(|column| match cells[*column].as_str() {
            "" => " ".to_owned(),
            cell => format!(" {cell} "),
        });
        format!("|{}|\n", cells.collect::<Vec<_>>().join("|"))
    };
    let rule = format!("|{}\n", "---|".repeat(used.len()));
    let body: String = rows.iter().map(line).collect();
    line(&heading.map(str::to_owned)) + &rule + &body
}

fn keys_of(section: &Section) -> String {
    let has_defaults = section
        .keys
        .iter()
        .any(|key| !matches!(key.default, DefaultValue::None));
    let row = |key: &Key| {
        let default = if has_defaults { default(key) } else { String::new() };
        [code(key.name), values(key), range(key), default, meaning(key)]
    };
    let keys = section.keys.iter().filter(|key| !key.is_section());
    let heading = ["key", "type and unit", "range", "default", "what it is"];
    rows(heading, &keys.map(row).collect::<Vec<_>>())
}

fn expectations() -> String {
    let row = |key: &Key| [code(key.name), code(key.example), meaning(key)];
    rows(["key", "value", "what it is"], &EXPECT.keys.iter().map(row).collect::<Vec<_>>())
}

fn distributions() -> String {
    let row = |key: &Key| [code(&format!("{{ {} = {} }}", key.name, key.example)), meaning(key)];
    rows(["distribution", "values"], &DISTRIBUTION.keys.iter().map(row).collect::<Vec<_>>())
}

fn nats() -> String {
    let rows_of = CATALOGUE
        .iter()
        .map(|entry| [code(entry.name), entry.summary.to_owned()]);
    rows(["NAT", "what it stands for"], &rows_of.collect::<Vec<_>>())
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn meaning(key: &Key) -> String {
    match key.see {
        "" => key.phrase(),
        see => format!("{}, see [below]({see})", key.phrase()),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a new kind of value has none of this")]
fn values(key: &Key) -> String {
    let with_unit = |numbers: &str, unit: &str| match unit {
        "" => numbers.to_owned(),
        unit => format!("{numbers}, {unit}"),
    };
    let number = |NumberRange { unit, .. }: NumberRange| {
        with_unit("number", if unit.is_empty() { "fraction" } else { unit })
    };
    match key.kind {
        Kind::Number(bounds) => number(bounds),
        Kind::Distribution(bounds) => number(bounds) + ", or [drawn](#values-that-are-drawn)",
        Kind::Whole { unit, .. } => with_unit("whole number", unit),
        Kind::Flag => "`true` or `false`".to_owned(),
        Kind::Nat(_) => "string or table".to_owned(),
        Kind::Ports => "list of two ports".to_owned(),
        Kind::Command { .. } => "list of strings".to_owned(),
        _ => "string".to_owned(),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a new kind of value has none of this")]
fn range(key: &Key) -> String {
    match key.kind {
        Kind::Number(NumberRange { min, max, .. })
        | Kind::Distribution(NumberRange { min, max, .. }) => {
            format!("{min} to {max}")
        }
        Kind::Whole { min, max, .. } => format!("{min} to {max}"),
        Kind::Choice(names) => names()
            .iter()
            .map(|name| code(&quoted(&[name])))
            .collect::<Vec<_>>()
            .join(", "),
        Kind::Name => "1 to 64 of `a`–`z`, `0`–`9`, `-`".to_owned(),
        Kind::Ports => format!("1024 to 65535, at least {MIN_BLOCK} ports"),
        _ => String::new(),
    }
}

fn default(key: &Key) -> String {
    match key.default {
        DefaultValue::Required => "required".to_owned(),
        DefaultValue::None => "none".to_owned(),
        DefaultValue::Number(number) => number.to_string(),
        DefaultValue::Whole(number) => number.to_string(),
        DefaultValue::Flag(flag) => code(&flag.to_string()),
        DefaultValue::Name(name) => code(&quoted(&[name])),
        DefaultValue::Words(words) => words.to_owned(),
    }
}
