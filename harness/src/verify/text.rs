//! Results of verification, as text and as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{NatUnderTest, Verified, check::Check};
use crate::{
    named::Named,
    nat::show::behaviour_json,
    ui::{
        plural::count,
        style::Style,
        table::{self, Column},
    },
};

/// Every property of every NAT, and a line about them all.
pub(crate) fn render(subjects: &[NatUnderTest], results: &[Verified], style: Style) -> String {
    let mut text = String::new();
    let (mut properties, mut wrong) = (0, Vec::new());
    for (subject, result) in subjects.iter().zip(results) {
        let _ = writeln!(text, "{}", subject.nat);
        match result {
            Ok(report) => {
                properties += report.checks.len();
                text += &table(&report.checks, style);
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
    let counts = [count(subjects.len(), "NAT"), count(properties, ("property", "properties"))];
    let _ = writeln!(text, "{}: {verdict}", counts.join(", "));
    style.encode(text)
}

fn different(properties: usize) -> String {
    count(properties, ("differs from the description", "differ from the description"))
}

fn not_verified(nats: usize) -> String {
    format!("{} could not be verified", count(nats, "NAT"))
}

/// The properties of one NAT; a mark before those that differ.
fn table(checks: &[Check], style: Style) -> String {
    let column = |heading, of: fn(&Check) -> String| {
        Column::left([heading, ""], checks.iter().map(of).collect())
    };
    let columns = [
        column("", |check| if check.holds() { "" } else { "!" }.to_owned()),
        column("property", |check| check.property.clone()),
        column("expected", |check| check.expected.clone()),
        column("observed", |check| check.observed.clone()),
    ];
    table::plain(&columns, style)
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
    fn differences_are_marked_and_listed_at_the_end() {
        let checks = vec![
            Check::new("mapping", "endpoint-independent", "endpoint-independent"),
            Check::new("unsolicited", "drop", "reset"),
        ];
        let subject = NatUnderTest { family: Family::V4, nat: HOME, built: HOME };
        let right = Report { checks: checks[..1].to_vec() };
        let error = VerifyError::Probe(std::io::Error::other("no socket"));
        let results = [Ok(right), Ok(Report { checks }), Err(error)];
        let subjects = [subject; 3];
        let style = Style { width: 100, color: false, unicode: true };
        let all = format!(
            "{}\n{}\n{}",
            render(&subjects[..1], &results[..1], style),
            render(&subjects[..2], &results[..2], style),
            render(&subjects, &results, style)
        );
        insta::assert_snapshot!(all);
        let json = json(&subjects, &results);
        assert_eq!(json[0]["as_described"], true);
        assert_eq!(json[1]["as_described"], false);
        assert_eq!(json[1]["properties"][1]["holds"], false);
        assert_eq!(json[2]["error"], "it cannot be probed: no socket");
    }
}
