//! The JSON Schema of scenario files, for editors: a function of the language's table.
//!
//! The schema describes each key and its values as far as a schema can. Only `harness check`
//! reports that a `where` names a value that is not swept, that the lists of a `zip` have different
//! lengths, or that the host of a swept path does not exist.

use serde_json::{Map, Value, json};

use super::key::{self, DefaultValue, Key, Kind, NumberRange, Section};
use super::language::{DISTRIBUTION, RANGE, RANGE_KEYS, ROOT, ZIP};
use crate::event::CauseKind;
use crate::nat::catalogue::CATALOGUE;

/// Text of the schema: `scenarios/schema.json`.
pub(crate) fn text() -> String {
    let mut text = serde_json::to_string_pretty(&schema()).expect("it has only strings for keys");
    text.push('\n');
    text
}

/// The schema in draft 7, which editors for TOML understand.
fn schema() -> Value {
    let mut root = section(&ROOT, None);
    root["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    root["title"] = json!("harness scenario");
    root
}

/// A table with the keys of a section only. The values of a distribution have the bounds of its
/// key.
fn section(section: &Section, bounds: Option<&NumberRange>) -> Value {
    let properties: Map<String, Value> = section
        .keys
        .iter()
        .map(|key| (key.name.to_owned(), property(key, bounds)))
        .collect();
    let mut schema = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    });
    describe(&mut schema, &key::sentence(section.about));
    schema
}

fn describe(schema: &mut Value, description: &str) {
    if !description.is_empty() {
        schema["description"] = json!(description);
    }
}

fn property(key: &Key, bounds: Option<&NumberRange>) -> Value {
    let mut schema = values(key.kind, bounds);
    describe(&mut schema, &key.description());
    match key.default {
        DefaultValue::Number(number) => schema["default"] = json!(number),
        DefaultValue::Whole(number) => schema["default"] = json!(number),
        DefaultValue::Flag(flag) => schema["default"] = json!(flag),
        DefaultValue::Name(name) => schema["default"] = json!(name),
        DefaultValue::Required | DefaultValue::None | DefaultValue::Words(_) => {}
    }
    schema
}

/// The values of a key.
fn values(kind: Kind, bounds: Option<&NumberRange>) -> Value {
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::File => json!({ "type": "string", "minLength": 1 }),
        Kind::Name => name(),
        Kind::Number(bounds) => number(Some(&bounds)),
        Kind::Distribution(bounds) => distribution(&bounds),
        Kind::Whole { min, max, .. } => whole(min, max),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Choice(names) => json!({ "enum": names() }),
        Kind::NatName => nat_name(),
        Kind::Nat(table) => json!({ "anyOf": [nat_name(), section(table, None)] }),
        Kind::Ports => list(&whole(1024, 65_535), 2, Some(2)),
        Kind::Command { min } => list(&json!({ "type": "string" }), min, None),
        Kind::Section(keys) => section(keys, None),
        Kind::Named(keys) => json!({
            "type": "object",
            "propertyNames": name(),
            "additionalProperties": section(keys, None),
        }),
        Kind::List(keys) => json!({ "type": "array", "items": section(keys, None) }),
        Kind::Sweep => sweep(),
        Kind::Zip => zip(),
        Kind::Table(keys) => required(section(keys, bounds), keys),
        Kind::Interval => list(&number(bounds), 2, Some(2)),
        Kind::Values => list(&number(bounds), 1, None),
        Kind::Value => number(bounds),
        Kind::Width => width(bounds),
        Kind::AnyNumber => number(None),
        Kind::Conditions => json!({ "type": "object" }),
        Kind::Success => json!({ "anyOf": [{ "const": "theory" }, rate()] }),
        Kind::Rate => rate(),
        Kind::Shares => json!({
            "type": "object",
            "minProperties": 1,
            "propertyNames": causes(),
            "additionalProperties": rate(),
        }),
        Kind::Causes => list(&causes(), 1, None),
        Kind::Quantiles(_) => json!({
            "type": "object",
            "minProperties": 1,
            "propertyNames": { "pattern": r"^p[0-9]{1,2}(\.[0-9]+)?$" },
            "additionalProperties": bound(r"[0-9]*(\.[0-9]+)?([eE][+-]?[0-9]+)?"),
        }),
    }
}

fn list(items: &Value, min: u64, max: Option<u64>) -> Value {
    let mut schema = json!({ "type": "array", "items": items, "minItems": min });
    if let Some(max) = max {
        schema["maxItems"] = json!(max);
    }
    schema
}

fn name() -> Value {
    json!({ "type": "string", "pattern": "^[a-z0-9-]{1,64}$" })
}

fn nat_name() -> Value {
    let entries = CATALOGUE
        .iter()
        .map(|entry| json!({ "const": entry.name, "description": entry.summary }));
    json!({ "type": "string", "oneOf": entries.collect::<Vec<_>>() })
}

fn whole(min: u64, max: u64) -> Value {
    json!({ "type": "integer", "minimum": min, "maximum": max })
}

fn number(bounds: Option<&NumberRange>) -> Value {
    match bounds {
        Some(NumberRange { min, max, .. }) => {
            json!({ "type": "number", "minimum": min, "maximum": max })
        }
        None => json!({ "type": "number" }),
    }
}

/// A distance between values.
fn width(bounds: Option<&NumberRange>) -> Value {
    let mut schema = json!({ "type": "number", "exclusiveMinimum": 0.0 });
    if let Some(NumberRange { max, .. }) = bounds {
        schema["maximum"] = json!(max);
    }
    schema
}

/// A number, or its distribution.
fn distribution(bounds: &NumberRange) -> Value {
    let mut table = section(&DISTRIBUTION, Some(bounds));
    table["minProperties"] = json!(1);
    table["maxProperties"] = json!(1);
    json!({ "anyOf": [number(Some(bounds)), table] })
}

/// The schema of a table with its required keys.
fn required(mut schema: Value, section: &Section) -> Value {
    let is_required = |key: &&Key| matches!(key.default, DefaultValue::Required);
    let keys = section.keys.iter().filter(is_required);
    schema["required"] = keys.map(|key| key.name).collect();
    schema
}

fn causes() -> Value {
    json!({ "enum": CauseKind::names() })
}

/// A bound on a rate, such as `>= 0.95`.
fn rate() -> Value {
    bound(r"(0*[01]?(\.[0-9]+)?|[0-9.]+[eE]-?[0-9]+)")
}

fn bound(number: &str) -> Value {
    json!({ "type": "string", "pattern": format!(r"^\s*(>=|>|<=|<)\s*{number}\s*$") })
}

/// `[sweep]`: its keys are paths, or tables of them.
fn sweep() -> Value {
    json!({
        "type": "object",
        "minProperties": 1,
        "propertyNames": { "anyOf": [{ "const": ZIP.name }, swept_path()] },
        "properties": { (ZIP.name): property(&ZIP, None) },
        "additionalProperties": swept_values(),
    })
}

fn zip() -> Value {
    let group = json!({
        "description": "Paths whose lists go together: the first values of all make one cell.",
        "type": "object",
        "minProperties": 1,
        "propertyNames": swept_path(),
        "additionalProperties": swept_values(),
    });
    json!({ "anyOf": [group, { "type": "array", "minItems": 1, "items": group }] })
}

fn swept_values() -> Value {
    let list = json!({ "type": "array", "minItems": 1 });
    // A table without `from` is a path without quotes, one key at a time.
    let deeper = json!({ "type": "object", "not": { "required": [RANGE_KEYS.keys[0].name] } });
    json!({ "anyOf": [list, property(&RANGE, None), deeper] })
}

/// A path that may be swept, or its beginning.
fn swept_path() -> Value {
    let swept = ROOT.keys.iter().filter(|key| key.is_swept());
    let paths: Vec<String> = swept
        .map(|key| key.name.to_owned() + &below(key.kind))
        .collect();
    json!({ "pattern": format!("^({})$", paths.join("|")) })
}

/// Regular expression for the part of a path after a key.
#[expect(clippy::wildcard_enum_match_arm, reason = "a new kind of value has none of this")]
fn below(kind: Kind) -> String {
    match kind {
        Kind::Section(section) => {
            let deeper: Vec<String> = section.keys.iter().map(|key| below(key.kind)).collect();
            let longest = deeper.iter().max_by_key(|pattern| pattern.len());
            let deepest = longest.map_or("", String::as_str);
            format!(r"(\.({}){deepest})?", section.names().join("|"))
        }
        Kind::Named(section) => format!(r"(\.[a-z0-9-]+{})?", below(Kind::Section(section))),
        Kind::Nat(_) | Kind::Distribution(_) => r"(\..+)?".to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
    }

    fn is_valid(toml: &str) -> bool {
        let scenario: Value = toml::from_str(toml).unwrap();
        jsonschema::draft7::new(&schema())
            .unwrap()
            .is_valid(&scenario)
    }

    /// `cargo run -p harness -- schema > scenarios/schema.json` writes it anew.
    #[test]
    fn the_committed_schema_is_the_one_that_is_printed() {
        let committed = std::fs::read_to_string(folder().join("schema.json")).unwrap();
        assert!(committed == text(), "scenarios/schema.json is not what `harness schema` prints");
    }

    #[test]
    fn it_is_a_schema_of_draft_7() {
        jsonschema::draft7::meta::validate(&schema()).unwrap();
    }

    #[test]
    fn every_scenario_of_the_project_follows_it_and_names_it() {
        let mut count = 0;
        for entry in std::fs::read_dir(folder()).unwrap() {
            let path = entry.unwrap().path();
            if path
                .extension()
                .is_some_and(|extension| extension == "toml")
            {
                let text = std::fs::read_to_string(&path).unwrap();
                assert!(text.starts_with("#:schema ./schema.json\n"), "{}", path.display());
                assert!(is_valid(&text), "{}", path.display());
                count += 1;
            }
        }
        assert!(count >= 10);
    }

    #[test]
    fn every_example_in_the_description_of_the_language_follows_it() {
        let readme = std::fs::read_to_string(folder().join("README.md")).unwrap();
        for block in readme.split("```toml\n").skip(1) {
            let example = block.split("```").next().unwrap();
            assert!(is_valid(example), "{example}");
        }
    }

    #[test]
    fn what_the_reader_takes_follows_it() {
        for text in [
            "trials = 1",
            "extends = \"base.toml\"",
            "trials = 1\n[peer.a.nat]\nunsolicited = \"icmp-admin\"",
            "trials = 1\n[sweep]\npeer.a.start_s = [0, 1]\nwan.loss = { from = 0, to = 1, step = 0.5 }",
            "trials = 1\n[sweep.zip]\n\"wan.loss\" = [0, 1]\n\"wan.delay_ms\" = [0, 1]",
            "trials = 1\n[[expect]]\nconnected_ms = { \"p99.9\" = \"< 5\" }\nsuccess = \"theory\"",
            "trials = 1\n[[expect]]\nsuccess = \">=.5\"",
        ] {
            assert!(is_valid(text), "{text}");
        }
    }

    #[test]
    fn mistakes_do_not_follow_it() {
        for text in [
            "trails = 1",
            "trials = 0",
            "trials = 1.5",
            "trials = \"1\"",
            "name = \"No Name\"",
            "precision = 2",
            "wan = 5",
            "[wan]\ndelay = 5",
            "[wan]\ndelay_ms = -1",
            "[wan]\ndelay_ms = { unifrom = [0, 1] }",
            "[wan]\ndelay_ms = { uniform = [0] }",
            "[wan]\ndelay_ms = { uniform = [0, 1], choice = [1] }",
            "[wan]\nloss = { uniform = [0, 1] }",
            "[wan]\nfamily = \"ipv5\"",
            "[peer.c]\nnat = \"home\"",
            "[peer.a]\nnat = \"hoem\"",
            "[peer.a]\nnat = { unsolicited = \"rst\" }",
            "[peer.a]\nstart_s = { normal = { mean = 5 } }",
            "[peer.a]\nstart_s = { normal = { mean = 5, sd = 0 } }",
            "[peer.a]\ntaken_ports = 65",
            "[punch]\nlisten = \"no\"",
            "[subject]\ncommand = []",
            "[subject]\ncommand = \"their.py\"",
            "[host.\"My Host\"]\ncommand = []",
            "[sweep]\n",
            "[sweep]\n\"wan.delay\" = [1]",
            "[sweep]\n\"wan.loss\" = []",
            "[sweep]\n\"wan.loss\" = { from = 0, to = 1 }",
            "[sweep.zip]\n\"wan.lost\" = [0, 1]",
            "[expect]\nsuccess = \"theory\"",
            "[[expect]]\nsuccess = \"95 %\"",
            "[[expect]]\nsuccess = 0.95",
            "[[expect]]\nsucces = \">= 0.95\"",
            "[[expect]]\nconnected_ms = \"<= 5\"",
            "[[expect]]\nconnected_ms = { q50 = \"<= 5\" }",
            "[[expect]]\ncauses = [\"bad luck\"]",
            "[[expect]]\ncause = { refused = \">= 95\" }",
        ] {
            assert!(!is_valid(text), "{text}");
        }
    }
}
