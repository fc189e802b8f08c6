//! A tree as one text: what a run's log keeps of a scenario that several texts were merged into.

use toml::de::{DeTable, DeValue};

/// A TOML document that says what the tree says: each key of the top level on a line.
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
            let items: Vec<_> = items.iter().map(|item| inline(item.get_ref())).collect();
            format!("[{}]", items.join(", "))
        }
        DeValue::Table(table) => {
            let pairs = table
                .iter()
                .map(|(key, value)| line(key.get_ref(), value.get_ref()));
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
    }
}

/// A basic string: TOML escapes what JSON does, and DEL.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text)
        .to_string()
        .replace('\u{7f}', "\\u007F")
}
