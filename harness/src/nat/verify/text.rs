//! What verification found out, as text.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{Check, Report, Subject, VerifyError};
use crate::{nat::show::behaviour_json, scenario::Named};

type Verified = Result<Report, VerifyError>;

/// Every property of every NAT, and a line about them all.
pub(crate) fn render(subjects: &[Subject], results: &[Verified]) -> String {
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
    let nats = subjects.len();
    let errors = results.iter().filter(|result| result.is_err()).count();
    let verdict = match (wrong.len(), errors) {
        (0, 0) => "all as described".to_owned(),
        (0, errors) => format!("{errors} could not be verified"),
        (wrong, 0) => format!("{wrong} differ from the description"),
        (wrong, errors) => {
            format!("{wrong} differ from the description, {errors} NATs could not be verified")
        }
    };
    let _ = writeln!(text, "{nats} NATs, {properties} properties: {verdict}");
    text
}

fn table(checks: &[Check]) -> String {
    const HEADING: [&str; 3] = ["property", "expected", "observed"];
    let rows: Vec<[&str; 3]> = std::iter::once(HEADING)
        .chain(checks.iter().map(|it| [&*it.property, &*it.expected, &*it.observed]))
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let (first, second) = (width(0), width(1));
    let mut text = String::new();
    let marks = std::iter::once(' ')
        .chain(checks.iter().map(|check| if check.holds() { ' ' } else { '!' }));
    for ([property, expected, observed], mark) in rows.iter().zip(marks) {
        let _ = writeln!(text, "{mark} {property:first$}  {expected:second$}  {observed}");
    }
    text
}

/// The same for programs.
pub(crate) fn json(subjects: &[Subject], results: &[Verified]) -> Value {
    let one = |(subject, result): (&Subject, &Verified)| {
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
