//! The language's table: nothing in it that is not read, nothing that no text uses.

use super::*;
use crate::scenario::criterion::Time;
use crate::scenario::key::{DefaultValue, Key, Kind, Section};
use crate::scenario::language::{DISTRIBUTION, EXPECT, NEGATION, RANGE_KEYS, ROOT, ZIP};

/// The sections whose keys a value of this kind may have.
#[expect(clippy::wildcard_enum_match_arm, reason = "a new kind of value has none of this")]
fn below(kind: Kind) -> Vec<&'static Section> {
    match kind {
        Kind::Section(section)
        | Kind::Named(section)
        | Kind::List(section)
        | Kind::Table(section) => vec![section],
        Kind::Nat(section) => vec![section],
        Kind::Distribution(_) => vec![&DISTRIBUTION],
        Kind::Conditions => vec![&NEGATION],
        Kind::Sweep => vec![&RANGE_KEYS],
        _ => vec![],
    }
}

/// Every key of the language, once.
fn all_keys(section: &'static Section, found: &mut Vec<&'static Key>) {
    for key in section.keys {
        if !found.iter().any(|known| std::ptr::eq(*known, key)) {
            found.push(key);
            for section in below(key.kind) {
                all_keys(section, found);
            }
        }
    }
}

/// Takes the keys that a value of `kind` uses out of `unused`.
fn take(value: &toml::Value, kind: Kind, unused: &mut Vec<&'static Key>) {
    for item in value.as_array().into_iter().flatten() {
        take(item, kind, unused);
    }
    let Some(table) = value.as_table() else { return };
    let sections = below(kind);
    for (name, value) in table {
        match sections.iter().find_map(|section| section.find(name)) {
            Some(key) => {
                unused.retain(|unused| !std::ptr::eq(*unused, key));
                take(value, key.kind, unused);
            }
            // A name of a host, or a part of a swept path.
            None => take(value, kind, unused),
        }
    }
}

#[test]
fn the_texts_of_the_tests_use_every_key() {
    let mut unused = Vec::new();
    all_keys(&ROOT, &mut unused);
    assert!(unused.len() > 60);
    for text in [EVERYTHING, NATS, "extends = \"base.toml\""] {
        // The greatest seed is no integer of TOML's own type.
        let text = text.replace(&u64::MAX.to_string(), "1");
        take(&toml::Value::Table(text.parse().unwrap()), Kind::Section(&ROOT), &mut unused);
    }
    let names: Vec<&str> = unused.iter().map(|key| key.name).collect();
    assert!(names.is_empty(), "EVERYTHING does not use {names:?}");
    assert!(EVERYTHING.contains(&format!("sweep.{}", ZIP.name)));
}

/// The text of a scenario with a value for one key.
type Text = Box<dyn Fn(&str) -> String>;

/// Every key below `path` that has a value of its own, and the text of a scenario that has one.
#[expect(clippy::wildcard_enum_match_arm, reason = "a new kind of value has none of this")]
fn values(path: &str, section: &'static Section) -> Vec<(&'static Key, Text)> {
    let mut all: Vec<(&'static Key, Text)> = Vec::new();
    for key in section.keys {
        let path =
            if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        match key.kind {
            Kind::Section(section) => all.extend(values(&path, section)),
            Kind::Named(section) => all.extend(values(&format!("{path}.x"), section)),
            Kind::List(_) | Kind::Sweep => {}
            kind => {
                let trials = if path == "trials" { "" } else { "trials = 1\n" };
                if let Some(section) = below(kind).first() {
                    all.extend(values(&path, section));
                }
                all.push((key, Box::new(move |value| format!("{trials}{path} = {value}\n"))));
            }
        }
    }
    all
}

/// Every key of a table, and the text of a scenario that has all keys that the table needs.
fn values_within(
    around: [&'static str; 2],
    section: &'static Section,
) -> Vec<(&'static Key, Text)> {
    let text = |key: &'static Key| -> Text {
        let is_needed = |other: &&Key| {
            other.name != key.name && matches!(other.default, DefaultValue::Required)
        };
        let others: String = section
            .keys
            .iter()
            .filter(is_needed)
            .map(|other| format!(", {} = 1", other.name))
            .collect();
        Box::new(move |value| format!("{}{} = {value}{others}{}", around[0], key.name, around[1]))
    };
    section.keys.iter().map(|key| (key, text(key))).collect()
}

fn normal(name: &str) -> &'static Section {
    DISTRIBUTION.key(name).section()
}

#[test]
fn every_key_of_the_table_is_read() {
    const DATE: &str = "1979-05-27";
    let mut all = values("", &ROOT);
    all.retain(|(key, _)| !matches!(key.kind, Kind::Value | Kind::Width));
    let normals = ["trials = 1\n[peer.a]\nstart_s = { normal = { ", " } }"];
    let exponentials = ["trials = 1\n[peer.a]\nstart_s = { exponential = { ", " } }"];
    let ranges = ["trials = 1\n[sweep]\n\"wan.loss\" = { ", " }"];
    let negations =
        ["trials = 1\nsweep.wan.loss = [0, 1]\n[[expect]]\nwhere = { \"wan.loss\" = { ", " } }"];
    all.extend(values_within(normals, normal("normal")));
    all.extend(values_within(exponentials, normal("exponential")));
    all.extend(values_within(ranges, &RANGE_KEYS));
    all.extend(values_within(negations, &NEGATION));
    all.extend(values_within(["trials = 1\n[[expect]]\n", ""], &EXPECT));
    assert!(all.len() > 60);
    for (key, text) in all {
        let text = text(DATE);
        let error = Scenario::parse("test.toml", &text).expect_err(&text);
        assert!(rendered(&error).contains(DATE), "a date for {} in {text}", key.name);
    }
}

/// Values that a key takes, if only in some scenarios; one of them differs from the default.
#[expect(clippy::wildcard_enum_match_arm, reason = "a new kind of value has none of this")]
fn candidates(key: &Key) -> Vec<String> {
    match key.kind {
        Kind::Number(bounds) | Kind::Distribution(bounds) => {
            vec![bounds.min.to_string(), bounds.max.to_string()]
        }
        Kind::Whole { min, max, .. } => vec![min.to_string(), max.to_string()],
        Kind::Flag => vec!["true".to_owned(), "false".to_owned()],
        Kind::Choice(names) => names().iter().map(|name| format!("\"{name}\"")).collect(),
        Kind::Nat(_) | Kind::NatName | Kind::Name => vec!["\"none\"".to_owned()],
        _ => vec![key.example.to_owned()],
    }
}

#[test]
fn every_key_of_the_table_changes_a_scenario() {
    let read = |text: &str| {
        let scenario = Scenario::parse("test.toml", text).ok()?;
        Some(Scenario { source: String::new(), ..scenario })
    };
    let plain = read("trials = 1");
    for (key, text) in values("", &ROOT) {
        let scenarios = candidates(key).into_iter().map(|value| read(&text(&value)));
        let mut changed = scenarios.filter(|scenario| *scenario != plain);
        assert!(changed.next().is_some(), "{} changes nothing", key.name);
    }
}

#[test]
#[expect(clippy::wildcard_enum_match_arm, reason = "a new kind of value has none of this")]
fn expectations_have_a_key_for_every_time() {
    let in_table = EXPECT.keys.iter().filter_map(|key| match key.kind {
        Kind::Quantiles(time) => Some((key.name, time)),
        _ => None,
    });
    assert_eq!(in_table.collect::<Vec<_>>(), Time::KEYS);
}
