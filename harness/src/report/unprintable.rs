//! Reports of a log in which every text has characters that act on terminals, spreadsheets or XML.

use std::path::Path;

use serde_json::Value;

use crate::{
    event::Event,
    report::{
        cells_csv, compare,
        fixture::{matrix, skew},
        github, junit, markdown,
        tally::summarize,
        terminal::{self, View},
    },
    ui::{escape::is_unprintable, style::Style},
};

/// Puts `text` at the beginning of every string that is no word of the format.
fn spoil(value: &mut Value, text: &str) {
    match value {
        Value::String(string) => *string = format!("{text}{string}"),
        Value::Array(items) => items.iter_mut().for_each(|item| spoil(item, text)),
        Value::Object(table) => {
            const FORMAT: [&str; 6] =
                ["event", "verdict", "prediction", "expected", "seed", "harness"];
            let free = table
                .iter_mut()
                .filter(|(key, _)| !FORMAT.contains(&key.as_str()));
            free.for_each(|(_, value)| spoil(value, text));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn spoilt(events: &[Event], text: &str) -> Vec<Event> {
    let spoil_event = |event: &Event| {
        let mut value = serde_json::to_value(event).unwrap();
        spoil(&mut value, text);
        serde_json::from_value(value).unwrap()
    };
    events.iter().map(spoil_event).collect()
}

#[test]
fn no_report_has_a_character_that_acts_on_a_terminal() {
    for events in [skew(), matrix()] {
        let events = spoilt(&events, "\u{1b}[31m\u{9b}\u{7}\u{202e}\r");
        let summary = summarize(&events).unwrap();
        let comparison = compare::compare(&events, &events, 1.0).unwrap();
        let folders = [Path::new("\u{1b}one"), Path::new("two\n")];
        let style = Style { width: 100, color: false, unicode: true };
        let view = View { folder: Some(folders[0]), style, full: true };
        let reports = [
            ("terminal", terminal::render(&summary, view)),
            ("markdown", markdown::render(&summary)),
            ("github", github::render(&summary)),
            ("compare", compare::render(&comparison, folders, true, style)),
        ];
        for (name, text) in reports {
            let wrong = text.lines().find(|line| line.contains(is_unprintable));
            assert_eq!(wrong, None, "{name}");
        }
        uppsala::parse(&junit::render(&summary)).unwrap();
    }
}

#[test]
fn no_cell_of_the_csv_is_a_formula() {
    for begin in ["=1+", "+", "-", "@", "\t=", "\r="] {
        let csv = cells_csv::render(&summarize(&spoilt(&skew(), begin)).unwrap());
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        let mut cells: Vec<String> = reader
            .headers()
            .unwrap()
            .iter()
            .map(str::to_owned)
            .collect();
        for record in reader.records() {
            cells.extend(record.unwrap().iter().map(str::to_owned));
        }
        for cell in cells {
            let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
            assert!(!is_formula || cell.parse::<f64>().is_ok(), "{cell:?}");
        }
    }
}
