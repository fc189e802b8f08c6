//! The JSON Schema of scenario files, for editors: made of the same tables as the reader.
//!
//! It says of each key what it is, and which values it takes, as far as a schema can: that `where`
//! names swept values, that lists in a `zip` are equally long, that paths in `[host]` exist and the
//! like is only said by `harness check`.

use serde_json::{Map, Value, json};

use super::criterion::Time;
use super::keys::{self, Number};
use super::nat::MAX_TIMEOUT_S;
use super::precision::MAX_TRIALS;
use super::{Election, Rule, sweep};
use crate::{
    event::CauseKind,
    named::Named,
    nat::{
        Allocation, Filtering, Hairpin, Mapping, Unsolicited, catalogue::CATALOGUE,
        possible::DELTAS,
    },
    peers::Family,
};

/// The schema as it is committed: `scenarios/schema.json`.
pub(crate) fn text() -> String {
    let mut text = serde_json::to_string_pretty(&schema()).expect("it has only strings for keys");
    text.push('\n');
    text
}

/// The schema, draft 7: what editors for TOML understand.
fn schema() -> Value {
    let mut root = section("A scenario of harness: one question to the bench.", keys::ROOT, root);
    root["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    root["title"] = json!("harness scenario");
    root
}

fn root(key: &str) -> Value {
    match key {
        "extends" => described(json!({ "type": "string", "minLength": 1 }), EXTENDS),
        "name" => {
            described(name(), "What reports call it; the stem of the file's name without it.")
        }
        "question" => described(json!({ "type": "string" }), "What it asks."),
        "trials" => described(
            whole(1, u64::from(MAX_TRIALS)),
            "How often each cell is tried; with `precision` at least.",
        ),
        "precision" => number(&keys::PRECISION, 0.0),
        "trials_max" => described(
            whole(1, u64::from(MAX_TRIALS)),
            "How often each cell is tried at most; only with `precision`.",
        ),
        "seed" => described(whole(0, u64::MAX), "With it, runs repeat the same trials."),
        "wan" => section("The network between the outermost NATs.", keys::WAN, wan),
        "punch" => section("Settings of our own puncher.", keys::PUNCH, punch),
        "peer" => section("The two peers.", keys::PEERS, |_| {
            section("One of the two peers.", keys::PEER, peer)
        }),
        "subject" => section("The puncher under test, instead of our own.", keys::COMMAND, |_| {
            command("Program and arguments, with placeholders.", 1)
        }),
        "host" => json!({
            "description": "Further public hosts on the WAN, by name.",
            "type": "object",
            "propertyNames": name(),
            "additionalProperties": section("A further public host.", keys::COMMAND, |_| {
                command("What runs there; empty where nothing does.", 0)
            }),
        }),
        "sweep" => sweep_section(),
        "expect" => json!({
            "description": "What is expected, each of all cells or of some.",
            "type": "array",
            "items": section("An expectation.", keys::EXPECT, expect),
        }),
        key => unreachable!("`{key}` is no key of a scenario"),
    }
}

const EXTENDS: &str = "Another scenario file, seen from the folder of this one: what stands here is \
    put over what stands there.";

fn wan(key: &str) -> Value {
    match key {
        "family" => named::<Family>("The version of IP.", Family::V4),
        "delay_ms" => draw(&keys::DELAY),
        "loss" => number(&keys::LOSS, keys::LOSS.default),
        key => unreachable!("`{key}` is no key of [wan]"),
    }
}

fn punch(key: &str) -> Value {
    match key {
        "rule" => named::<Rule>("Which buckets of time the ports come from.", Rule::Rolling),
        "election" => named::<Election>("How both sides agree on one connection.", Election::Nonce),
        "timeout_s" => number(&keys::TIMEOUT, keys::TIMEOUT.default),
        "max_clock_error_s" => number(&keys::MAX_CLOCK_ERROR, keys::MAX_CLOCK_ERROR.default),
        "listen" => json!({
            "description": "Whether each port also has a listener.",
            "type": "boolean",
            "default": true,
        }),
        key => unreachable!("`{key}` is no key of [punch]"),
    }
}

fn peer(key: &str) -> Value {
    match key {
        "nat" => nat(),
        "clock_offset_s" => draw(&keys::CLOCK_OFFSET),
        "start_s" => draw(&keys::START),
        "taken_ports" => described(
            whole(0, 64),
            "How many of its scheduled ports another program on its host holds.",
        ),
        key => unreachable!("`{key}` is no key of a peer"),
    }
}

/// A NAT by name, or as a table.
fn nat() -> Value {
    let table = section("A NAT, and what differs from the catalogue.", keys::NAT, nat_key);
    json!({
        "description": "What stands between the peer and the WAN.",
        "default": "home",
        "anyOf": [nat_name(), table],
    })
}

fn nat_name() -> Value {
    let entries = CATALOGUE
        .iter()
        .map(|entry| json!({ "const": entry.name, "description": entry.summary }));
    json!({ "type": "string", "oneOf": entries.collect::<Vec<_>>() })
}

fn nat_key(key: &str) -> Value {
    match key {
        "name" => described(nat_name(), "Its name in the catalogue; `home` without it."),
        "mapping" => {
            names::<Mapping>("For which destinations an inside endpoint keeps its outside port.")
        }
        "filtering" => names::<Filtering>("From whom a mapping lets packets in."),
        "allocation" => names::<Allocation>("Which outside port a new mapping gets."),
        "delta" => json!({
            "description": "What `fixed-delta` adds to the inside port.",
            "type": "integer",
            "minimum": DELTAS.start(),
            "maximum": DELTAS.end(),
        }),
        "block" => json!({
            "description": "The lowest and the highest port of `block`.",
            "type": "array",
            "items": whole(1024, 65_535),
            "minItems": 2,
            "maxItems": 2,
        }),
        "unsolicited" => names::<Unsolicited>("What it answers to a SYN that no mapping lets in."),
        "simultaneous_open" => flag("Whether a SYN from outside may meet one from inside."),
        "hairpin" => {
            names::<Hairpin>("Whether inside hosts reach each other by their outside addresses.")
        }
        "syn_timeout_s" => timeout("a SYN that nobody answers"),
        "established_timeout_s" => timeout("an idle connection"),
        "close_timeout_s" => timeout("a connection that was closed"),
        "icmp_limit" => flag("Whether it limits its ICMP errors as Linux does."),
        key => unreachable!("`{key}` is no key of a NAT"),
    }
}

fn flag(description: &str) -> Value {
    json!({ "description": description, "type": "boolean" })
}

fn timeout(what: &str) -> Value {
    let description = format!("How long the NAT remembers {what}, in seconds.");
    described(whole(1, MAX_TIMEOUT_S), &description)
}

/// `[sweep]`: its keys are paths, or tables of them.
fn sweep_section() -> Value {
    let one_of = |keys: &[&str]| format!("({})", keys.join("|"));
    let paths = [
        format!(r"wan(\.{}(\..+)?)?", one_of(keys::WAN)),
        format!(r"punch(\.{})?", one_of(keys::PUNCH)),
        format!(r"peer(\.{}(\.{}(\..+)?)?)?", one_of(keys::PEERS), one_of(keys::PEER)),
        format!(r"subject(\.{})?", one_of(keys::COMMAND)),
        format!(r"host(\.[a-z0-9-]+(\.{})?)?", one_of(keys::COMMAND)),
    ];
    let path = json!({ "pattern": format!("^({})$", paths.join("|")) });
    let list = json!({ "type": "array", "minItems": 1 });
    let range = section(
        "From one number to another by a step.",
        sweep::RANGE,
        |_| json!({ "type": "number" }),
    );
    let range = required(range, sweep::RANGE);
    // A table that is no range is a path without quotes, one key at a time.
    let deeper = json!({ "type": "object", "not": { "required": ["from"] } });
    let values = json!({ "anyOf": [list, range, deeper] });
    let group = json!({
        "description": "Paths whose lists go together: the first values of all make one cell.",
        "type": "object",
        "minProperties": 1,
        "propertyNames": path,
        "additionalProperties": values,
    });
    let zip = json!({
        "description": "Groups of paths whose lists go together.",
        "anyOf": [group, { "type": "array", "minItems": 1, "items": group }],
    });
    json!({
        "description": "Paths and their values; every combination is a cell.",
        "type": "object",
        "minProperties": 1,
        "propertyNames": { "anyOf": [{ "const": "zip" }, path] },
        "properties": { "zip": zip },
        "additionalProperties": values,
    })
}

fn expect(key: &str) -> Value {
    match key {
        "where" => json!({
            "description": "Swept paths, each with one of its values or a list of them; or with \
                { not = ... }, all of its values but these.",
            "type": "object",
        }),
        "success" => json!({
            "description": "A bound on the success rate; or \"theory\": each trial ends as the \
                oracle predicts.",
            "anyOf": [{ "const": "theory" }, rate()],
        }),
        "theory" => {
            described(rate(), "A bound on the share of decided trials that end as predicted.")
        }
        "cause" => json!({
            "description": "Bounds on the shares that causes have of all failures.",
            "type": "object",
            "minProperties": 1,
            "propertyNames": { "enum": CauseKind::names() },
            "additionalProperties": rate(),
        }),
        "causes" => json!({
            "description": "All causes that failures may have.",
            "type": "array",
            "minItems": 1,
            "items": { "enum": CauseKind::names() },
        }),
        key if Time::KEYS.iter().any(|(known, _)| *known == key) => json!({
            "description": "Bounds on quantiles of this time of the successes, from the later \
                peer's first SYN; `rtt` is in round trips.",
            "type": "object",
            "minProperties": 1,
            "propertyNames": { "pattern": r"^p[0-9]{1,2}(\.[0-9]+)?$" },
            "additionalProperties": bound(r"[0-9]*(\.[0-9]+)?([eE][+-]?[0-9]+)?"),
        }),
        key => unreachable!("`{key}` is no key of an expectation"),
    }
}

/// A bound on a rate, such as `>= 0.95`.
fn rate() -> Value {
    bound(r"(0*[01]?(\.[0-9]+)?|[0-9.]+[eE]-?[0-9]+)")
}

fn bound(number: &str) -> Value {
    json!({ "type": "string", "pattern": format!(r"^\s*(>=|>|<=|<)\s*{number}\s*$") })
}

/// A table that has none but these keys.
fn section(description: &str, known: &[&str], key: impl Fn(&str) -> Value) -> Value {
    let properties: Map<String, Value> = known
        .iter()
        .map(|name| ((*name).to_owned(), key(name)))
        .collect();
    json!({
        "description": description,
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    })
}

fn required(mut section: Value, keys: &[&str]) -> Value {
    section["required"] = json!(keys);
    section
}

fn described(mut schema: Value, description: &str) -> Value {
    schema["description"] = json!(description);
    schema
}

fn name() -> Value {
    json!({ "type": "string", "pattern": "^[a-z0-9-]{1,64}$" })
}

fn whole(min: u64, max: u64) -> Value {
    json!({ "type": "integer", "minimum": min, "maximum": max })
}

/// `half of the width …` → `Half of the width …, in milliseconds from 0 to 10000.`
fn words(spec: &Number) -> String {
    let mut meaning = spec.meaning.to_owned();
    if let Some(first) = meaning.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let unit = if spec.unit.is_empty() { "" } else { ", in " };
    format!("{meaning}{unit}{}.", spec.unit)
}

fn bare_number(spec: &Number) -> Value {
    json!({ "type": "number", "minimum": spec.min, "maximum": spec.max })
}

fn number(spec: &Number, default: f64) -> Value {
    let mut schema = described(bare_number(spec), &words(spec));
    if default != 0.0 || spec.min <= 0.0 {
        schema["default"] = json!(default);
    }
    schema
}

/// A number, or how it is drawn.
fn draw(spec: &Number) -> Value {
    let width = || json!({ "type": "number", "exclusiveMinimum": 0.0, "maximum": spec.max });
    let part = |key: &str, widths: &[&str]| {
        if widths.contains(&key) { width() } else { bare_number(spec) }
    };
    let distribution = |key: &str| match key {
        "uniform" => json!({
            "description": "Evenly from the first to the second.",
            "type": "array",
            "items": bare_number(spec),
            "minItems": 2,
            "maxItems": 2,
        }),
        "normal" => required(
            section("A normal distribution, cut off at its bounds.", keys::NORMAL, |key| {
                part(key, &["sd"])
            }),
            &["mean", "sd"],
        ),
        "exponential" => required(
            section("An exponential distribution from `min` on.", keys::EXPONENTIAL, |key| {
                part(key, &["mean"])
            }),
            &["mean"],
        ),
        "choice" => json!({
            "description": "One of these.",
            "type": "array",
            "items": bare_number(spec),
            "minItems": 1,
        }),
        key => unreachable!("`{key}` is no distribution"),
    };
    let mut table = section("Drawn anew for each trial.", keys::DRAW, distribution);
    table["minProperties"] = json!(1);
    table["maxProperties"] = json!(1);
    json!({
        "description": words(spec),
        "default": spec.default,
        "anyOf": [bare_number(spec), table],
    })
}

fn names<T: Named>(description: &str) -> Value {
    let names: Vec<&str> = T::NAMES.iter().map(|(name, _)| *name).collect();
    json!({ "description": description, "enum": names })
}

fn named<T: Named>(description: &str, default: T) -> Value {
    let mut schema = names::<T>(description);
    schema["default"] = json!(default.name());
    schema
}

fn command(description: &str, least: u64) -> Value {
    json!({
        "description": description,
        "type": "array",
        "items": { "type": "string" },
        "minItems": least,
    })
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

    /// `cargo run -p harness -- schema > scenarios/schema.json` mends it.
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
