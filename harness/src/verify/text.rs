//! Results of verification, as text and as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{NatUnderTest, Verified, check::Check};
use crate::{named::Named, nat::show::behaviour_json};

/// Every property of every NAT, and a line about them all.
pub(crate) fn render(subjects: &[NatUnderTest], results: &[Verified]) -> String {
    let mut text = String::new();
    let (mut properties, mut wrong) = (0, Vec::new());
    for (subject, result) in subjects.iter().zip(results) {
        let _ = writeln!(text, "{}", subject.nat);
        match result {
            Ok(report) => {
                properties += report.checks.len();
                text += &table(&report.checks);
                wrong.extend(report.differences().map(|check| (subject, check)));
            }
            Err(error) => {
                let _ = writeln!(text, "  error: {error}");
            }
        }
        text.push('\n');
    }
    for (subject, check) in &wrong {
        let _ = writeln!(text, "{}: {check}", subject.nat);
    }
    let errors = results.iter().filter(|result| result.is_err()).count();
    let verdict = match (wrong.len(), errors) {
        (0, 0) => "all as described".to_owned(),
        (0, errors) => not_verified(errors),
        (wrong, 0) => different(wrong),
        (wrong, errors) => format!("{}, {}", different(wrong), not_verified(errors)),
    };
    let counts =
        [count(subjects.len(), "NAT", "NATs"), count(properties, "property", "properties")];
    let _ = writeln!(text, "{}: {verdict}", counts.join(", "));
    text
}

fn different(properties: usize) -> String {
    count(properties, "differs from the description", "differ from the description")
}

fn not_verified(nats: usize) -> String {
    format!("{} could not be verified", count(nats, "NAT", "NATs"))
}

fn count(number: usize, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}

fn table(checks: &[Check]) -> String {
    const HEADING: [&str; 3] = ["property", "expected", "observed"];
    let rows: Vec<[&str; 3]> = std::iter::once(HEADING)
        .chain(
            checks
                .iter()
                .map(|it| [&*it.property, &*it.expected, &*it.observed]),
        )
        .collect();
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].len())
            .max()
            .unwrap_or_default()
    };
    let (first, second) = (width(0), width(1));
    let mut text = String::new();
    let marks = std::iter::once(' ').chain(
        checks
            .iter()
            .map(|check| if check.holds() { ' ' } else { '!' }),
    );
    for ([property, expected, observed], mark) in rows.iter().zip(marks) {
        let _ = writeln!(text, "{mark} {property:first$}  {expected:second$}  {observed}");
    }
    text
}

/// The same for programs.
pub(crate) fn json(subjects: &[NatUnderTest], results: &[Verified]) -> Value {
    let one = |(subject, result): (&NatUnderTest, &Verified)| {
        let mut value = json!({
            "nat": subject.nat.to_string(),
            "family": subject.family.name(),
            "behaviour": behaviour_json(&subject.nat),
        });
        match result {
            Ok(report) => {
                value["as_described"] = report.differences().next().is_none().into();
                value["properties"] = report.checks.iter().map(property_json).collect();
            }
            Err(error) => value["error"] = error.to_string().into(),
        }
        value
    };
    subjects.iter().zip(results).map(one).collect()
}

fn property_json(check: &Check) -> Value {
    json!({
        "property": check.property,
        "expected": check.expected,
        "observed": check.observed,
        "holds": check.holds(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        nat::catalogue::HOME,
        peers::Family,
        verify::{Report, VerifyError},
    };

    #[test]
    fn what_differs_is_marked_and_said_again_at_the_end() {
        let checks = vec![
            Check::new("mapping", "endpoint-independent", "endpoint-independent"),
            Check::new("unsolicited", "drop", "reset"),
        ];
        let subject = NatUnderTest { family: Family::V4, nat: HOME, built: HOME };
        let right = Report { checks: checks[..1].to_vec() };
        let error = VerifyError::Probe(std::io::Error::other("no socket"));
        let results = [Ok(right), Ok(Report { checks }), Err(error)];
        let subjects = [subject; 3];
        let all = format!(
            "{}\n{}\n{}",
            render(&subjects[..1], &results[..1]),
            render(&subjects[..2], &results[..2]),
            render(&subjects, &results)
        );
        insta::assert_snapshot!(all);
        let json = json(&subjects, &results);
        assert_eq!(json[0]["as_described"], true);
        assert_eq!(json[1]["as_described"], false);
        assert_eq!(json[1]["properties"][1]["holds"], false);
        assert_eq!(json[2]["error"], "it cannot be probed: no socket");
    }
}
