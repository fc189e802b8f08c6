//! TOML text of a tree, for the log of a run: one document for a scenario of several texts.

use toml::de::{DeTable, DeValue};
use toml_writer::{ToTomlValue, TomlStringBuilder};

/// A TOML document equal to the tree, with a line for each key of the top level.
pub(super) fn text(tree: &DeTable<'_>) -> String {
    tree.iter()
        .map(|(key, value)| line(key.get_ref(), value.get_ref()) + "\n")
        .collect()
}

fn line(key: &str, value: &DeValue<'_>) -> String {
    format!("{} = {}", quoted(key), inline(value))
}

fn inline(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quoted(text),
        DeValue::Integer(integer) => integer.to_string(),
        DeValue::Float(float) => float.as_str().to_owned(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(items) => {
            let values: Vec<_> = items.iter().map(|item| inline(item.get_ref())).collect();
            format!("[{}]", values.join(", "))
        }
        DeValue::Table(table) => {
            let pairs = table
                .iter()
                .map(|(key, value)| line(key.get_ref(), value.get_ref()));
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
    }
}

/// A string on one line, in double quotes.
fn quoted(text: &str) -> String {
    TomlStringBuilder::new(text).as_basic().to_toml_value()
}
