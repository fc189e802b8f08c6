//! Reading any text ends in a scenario or in an error, never in a panic.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::*;

fn try_out(text: &str) {
    if let Err(error) = Scenario::parse("test.toml", text) {
        rendered(&error);
    }
}

#[test]
fn on_a_file_that_is_cut_short_anywhere() {
    for end in (0..EVERYTHING.len()).filter(|end| EVERYTHING.is_char_boundary(*end)) {
        try_out(&EVERYTHING[..end]);
    }
}

#[test]
fn on_keys_and_values_that_nest_deeply() {
    for (open, close) in [("a.", ""), ("{ a = ", " }"), ("[", "]")] {
        let deep = open.repeat(5_000) + "0" + &close.repeat(5_000);
        try_out(&format!("trials = 1\n[sweep]\n{deep} = [1]"));
        try_out(&format!("trials = 1\n[sweep]\n\"wan.loss\" = {deep}"));
        try_out(&format!("trials = 1\n[[expect]]\nwhere.{deep} = 1\nsuccess = \"> 0\""));
        try_out(&format!("[{deep}]\n"));
    }
}

/// Texts made of the words of a scenario, and of some that are none.
fn shuffled() -> impl Iterator<Item = String> {
    let pieces: Vec<&str> = EVERYTHING
        .split_inclusive([' ', '\n', '.', '"', ']', '}'])
        .collect();
    let foreign = ["é", "\"\"", "[]", "{}", "-0.0", "nan", "1e999", "\u{feff}", "\0", "\r\n"];
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut below = move |bound: usize| usize::try_from(rng.next_u64() % bound as u64).unwrap();
    (0..3_000).map(move |_| {
        let mut changed = pieces.clone();
        for _ in 0..=below(4) {
            let at = below(changed.len());
            changed[at] = match below(3) {
                0 => foreign[below(foreign.len())],
                1 => pieces[below(pieces.len())],
                _ => "",
            };
        }
        changed.concat()
    })
}

#[test]
fn on_a_file_whose_words_are_shuffled_or_replaced() {
    shuffled().for_each(|text| try_out(&text));
}

/// The schema accepts what the reader accepts; the reader checks more than a schema can.
#[test]
fn and_what_is_a_scenario_follows_the_schema() {
    let schema: serde_json::Value = serde_json::from_str(&schema::text()).unwrap();
    let schema = jsonschema::draft7::new(&schema).unwrap();
    let mut right = 0;
    for text in shuffled() {
        if Scenario::parse("test.toml", &text).is_ok() {
            let value: serde_json::Value = toml::from_str(&text).unwrap();
            let problems: Vec<String> = schema
                .iter_errors(&value)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(problems.is_empty(), "{problems:#?} in {text}");
            right += 1;
        }
    }
    assert!(right > 50, "{right}");
}
