//! Numbers and names as all reports write them.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{event::Assignment, stats::wilson, ui::escape::escaped};

/// Maximum length of the value of a swept path; longer ones are cut, with an ellipsis.
const MAX_VALUE: usize = 24;

/// Reason why the rates of an incomplete run are biased.
pub(super) const CUT_SHORT: &str = "trials that were still running are left out. A failure lasts \
    longer than a success, so that the rates are too high, and most so where few trials are over.";

/// A rate in percent, without the sign. `0` and `100` are exact. Other rates have one digit after
/// the point, or more if rounding would give 0 or 100: 9999 of 10000 are 99.99.
pub(super) fn percent(rate: f64) -> String {
    const MAX_DIGITS: usize = 4;
    if rate == 0.0 || rate == 1.0 {
        return format!("{:.0}", rate * 100.0);
    }
    let text = |digits: usize| format!("{:.digits$}", rate * 100.0);
    let rounded_away = |text: &String| {
        text.starts_with("100.") || text.chars().all(|character| "0.".contains(character))
    };
    let shown = (1..MAX_DIGITS).map(text).find(|text| !rounded_away(text));
    shown.unwrap_or_else(|| text(MAX_DIGITS))
}

/// The three parts of a rate: `197/200`, `98.5 %`, `[95.7–99.5]`.
pub(super) fn rate_parts(successes: u64, trials: u64) -> [String; 3] {
    let interval = wilson(successes, trials);
    [
        format!("{successes}/{trials}"),
        format!("{} %", percent(successes as f64 / trials as f64)),
        format!("[{}–{}]", percent(interval.low), percent(interval.high)),
    ]
}

/// A rate with its count and interval: `197/200 98.5 % [95.7–99.5]`.
pub(super) fn rate(successes: u64, trials: u64) -> String {
    if trials == 0 { "no result".to_owned() } else { rate_parts(successes, trials).join(" ") }
}

/// Milliseconds without the unit, with about three digits.
pub(super) fn milliseconds(ms: f64) -> String {
    if ms < 9.95 { format!("{ms:.1}") } else { format!("{ms:.0}") }
}

/// A configured round-trip time in milliseconds, without the unit. A whole number stays whole.
pub(super) fn rtt(ms: f64) -> String {
    if ms.fract() == 0.0 { format!("{ms:.0}") } else { milliseconds(ms) }
}

/// A duration in the largest sensible unit.
pub(super) fn duration(seconds: f64) -> String {
    if seconds < 99.5 {
        return format!("{seconds:.1} s");
    }
    let minutes = (seconds / 60.0).round();
    if minutes < 100.0 {
        format!("{minutes:.0} min")
    } else {
        format!("{:.0} h {:.0} min", (minutes / 60.0).floor(), minutes % 60.0)
    }
}

/// A value of a scenario file on one short line, strings without quotes, tables as
/// `name unsolicited=reset`.
pub(super) fn value(value: &Value) -> String {
    cut(&whole(value), MAX_VALUE)
}

/// Values of a swept path like [`value`], but cut only so far that all of them differ.
pub(super) fn short_values(values: &[&Value]) -> Vec<String> {
    let texts: Vec<String> = values.iter().map(|value| whole(value)).collect();
    let distinct = |texts: &[String]| texts.iter().collect::<BTreeSet<_>>().len();
    let all = distinct(&texts);
    let longest = texts
        .iter()
        .map(|text| text.chars().count())
        .max()
        .unwrap_or(0);
    let cut_to = |length| {
        texts
            .iter()
            .map(|text| cut(text, length))
            .collect::<Vec<_>>()
    };
    let lengths = (MAX_VALUE..longest).step_by(MAX_VALUE / 2).map(cut_to);
    lengths
        .into_iter()
        .find(|cut| distinct(cut) == all)
        .unwrap_or(texts)
}

/// A value on one line, without a limit.
fn whole(value: &Value) -> String {
    match value {
        Value::String(text) => escaped(text),
        Value::Object(table) => {
            let name = table.get("name").map(whole);
            let rest = table
                .iter()
                .filter(|(key, _)| *key != "name")
                .map(|(key, value)| format!("{}={}", escaped(key), whole(value)));
            name.into_iter().chain(rest).collect::<Vec<_>>().join(" ")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            escaped(&value.to_string())
        }
    }
}

/// The text in at most `width` columns, with an ellipsis if it is cut.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars()
        .take(width.saturating_sub(1))
        .chain(['…'])
        .collect()
}

/// Short names for swept paths: the fewest last segments of each path that no other path ends with.
pub(super) fn short_names(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|path| short_name(path, paths)).collect()
}

fn short_name(path: &str, all: &[&str]) -> String {
    let starts = path.rmatch_indices('.').map(|(dot, _)| dot + 1).chain([0]);
    let mut suffixes = starts.map(|start| &path[start..]);
    let ends_with = |other: &str, suffix: &str| {
        other
            .strip_suffix(suffix)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    suffixes
        .find(|suffix| all.iter().filter(|other| ends_with(other, suffix)).count() == 1)
        .unwrap_or(path)
        .to_owned()
}

/// A long name in two lines of about the same length, broken after `.` or `_`.
pub(super) fn two_lines(name: &str) -> [String; 2] {
    const LONG: usize = 10;
    if name.len() <= LONG {
        return [name.to_owned(), String::new()];
    }
    let breaks = name
        .match_indices(['.', '_'])
        .map(|(position, _)| position + 1);
    match breaks.min_by_key(|&position| position.max(name.len() - position)) {
        Some(position) => [name[..position].to_owned(), name[position..].to_owned()],
        None => [name.to_owned(), String::new()],
    }
}

/// The values of a cell: `rule = rolling, clock_offset_s = 40`; empty without a sweep.
pub(super) fn cell_label(values: &[Assignment], names: &[String]) -> String {
    let pairs = values.iter().zip(names);
    pairs
        .map(|(assignment, name)| format!("{name} = {}", value(&assignment.value)))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_other_than_0_or_1_is_not_rounded_to_0_or_100() {
        assert_eq!(percent(0.985), "98.5");
        assert_eq!(percent(1.0), "100");
        assert_eq!(percent(0.9999), "99.99");
        assert_eq!(percent(0.0001), "0.01");
        assert_eq!(percent(0.0), "0");
        assert_eq!(percent(0.999_999_99), "100.0000");
    }

    #[test]
    fn a_rate_comes_with_count_and_interval() {
        assert_eq!(rate(197, 200), "197/200 98.5 % [95.7–99.5]");
        assert_eq!(rate(20, 20), "20/20 100 % [83.9–100]");
        assert_eq!(rate(0, 0), "no result");
    }

    #[test]
    fn names_are_as_short_as_possible() {
        let paths = ["punch.rule", "peer.a.clock_offset_s", "peer.b.clock_offset_s"];
        assert_eq!(short_names(&paths), ["rule", "a.clock_offset_s", "b.clock_offset_s"]);
        assert_eq!(short_names(&["a.nat", "nat"]), ["a.nat", "nat"]);
        assert_eq!(short_names(&["cgnat", "x.nat"]), ["cgnat", "nat"]);
    }

    #[test]
    fn long_names_break_in_the_middle() {
        assert_eq!(two_lines("rule"), ["rule", ""]);
        assert_eq!(two_lines("clock_offset_s"), ["clock_", "offset_s"]);
        assert_eq!(two_lines("a.clock_offset_s"), ["a.clock_", "offset_s"]);
        assert_eq!(two_lines("unsolicitedness"), ["unsolicitedness", ""]);
    }

    #[test]
    fn values_are_bare_and_short() {
        assert_eq!(value(&Value::from("home")), "home");
        assert_eq!(value(&Value::from(2.5)), "2.5");
        let table = serde_json::json!({"mapping": "endpoint-dependent", "ports": "random"});
        assert_eq!(value(&table), "mapping=endpoint-depend…");
        let table = serde_json::json!({"unsolicited": "reset", "name": "home"});
        assert_eq!(value(&table), "home unsolicited=reset");
    }

    #[test]
    fn values_are_cut_only_while_they_differ() {
        let tables = ["endpoint-dependent and random", "endpoint-dependent and sequential"];
        let [one, other] = &tables.map(|mapping| serde_json::json!({"mapping": mapping}));
        assert_eq!(
            short_values(&[one, other]),
            ["mapping=endpoint-dependent and rand…", "mapping=endpoint-dependent and sequ…"]
        );
        assert_eq!(short_values(&[one, &"home".into()]), ["mapping=endpoint-depend…", "home"]);
        assert_eq!(short_values(&[one, one]), ["mapping=endpoint-depend…"; 2]);
    }

    #[test]
    fn durations_use_the_largest_sensible_unit() {
        assert_eq!(duration(9.96), "10.0 s");
        assert_eq!(duration(300.0), "5 min");
        assert_eq!(duration(7.0 * 3600.0 + 60.0), "7 h 1 min");
    }

    #[test]
    fn milliseconds_have_about_three_digits() {
        assert_eq!(milliseconds(9.94), "9.9");
        assert_eq!(milliseconds(9.96), "10");
        assert_eq!(milliseconds(1234.4), "1234");
    }
}
