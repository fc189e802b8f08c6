//! The report as JUnit XML, for the test views of Jenkins, GitLab and the like.
//!
//! A suite is a scenario; a case is an expectation in one cell, or the cell itself where nothing is
//! expected of it. A case fails as the expectation does in that cell; one that the trials leave open
//! is skipped (the exit code tells that something is open), one that saw nothing but errors of the
//! bench is an error.

use std::{fmt::Write as _, time::Duration};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::{
    report::{
        finding::Finding,
        judge::Judgement,
        labels::{Labels, replay},
        stats::Quantiles,
        summary::{CauseSummary, CellSummary, RunState, ScenarioSummary, Summary},
        text::{milliseconds, rate},
    },
    words::count,
};

/// The whole report. The commands in it name the folder of the run `RUN`, so that the same events
/// give the same bytes wherever they are kept.
pub(crate) fn render(summary: &Summary) -> String {
    let mut report = Report::new("harness");
    if let Some(elapsed) = summary.elapsed_s.and_then(|it| Duration::try_from_secs_f64(it).ok()) {
        report.set_time(elapsed);
    }
    let scenarios = summary.scenarios.iter().enumerate();
    report.add_test_suites(scenarios.map(|(index, scenario)| suite(summary, index, scenario)));
    let xml = report.to_string().expect("writing to memory does not fail");
    // XML 1.0 (2.2) has no such characters, which the crate lets pass.
    without_skipped_of_all(&xml).replace(['\u{fffe}', '\u{ffff}'], "")
}

/// Removes the one attribute that the schema of Jenkins' xUnit plugin does not know: the number of
/// cases skipped in all suites together. Each suite has its own.
fn without_skipped_of_all(xml: &str) -> String {
    let Some((before, rest)) = xml.split_once("<testsuites ") else { return xml.to_owned() };
    let Some((tag, after)) = rest.split_once('>') else { return xml.to_owned() };
    let attributes = tag.split(" skipped=\"").enumerate().map(|(part, text)| match part {
        0 => text,
        _ => text.split_once('"').map_or(text, |(_, rest)| rest),
    });
    format!("{before}<testsuites {}>{after}", attributes.collect::<String>())
}

fn suite(summary: &Summary, index: usize, scenario: &ScenarioSummary) -> TestSuite {
    let labels = Labels::new(index, scenario);
    let mut suite = TestSuite::new(&*scenario.name);
    suite.add_property(("file", &*scenario.file));
    if let Some(question) = &scenario.question {
        suite.add_property(("question", &**question));
    }
    suite.add_property(("seed", &*scenario.seed.to_string()));
    suite.add_property(("trials", &*labels.how_many_trials()));
    suite.add_property(("harness", &*summary.harness));
    suite.add_property(("state", state(summary)));
    for expectation in &scenario.expectations {
        for verdict in &expectation.cells {
            let Some(cell) = scenario.cells.get(verdict.cell) else { continue };
            let finding = Finding::in_cell(expectation, *verdict, cell);
            let name = [labels.cell(verdict.cell), subject(&finding.expected)];
            suite.add_test_case(case(&labels, verdict.cell, &name, Some(&finding)));
        }
        if expectation.cells.is_empty() {
            let finding = Finding::of(expectation, &labels);
            let name = [finding.condition.clone(), subject(&finding.expected)];
            let mut status = TestCaseStatus::skipped();
            status.set_message(format!("{}: {}", finding.sentence(), finding.remark));
            let mut case = TestCase::new(joined(&name), status);
            case.set_classname(&*scenario.name);
            suite.add_test_case(case);
        }
    }
    for (cell, _) in scenario.cells.iter().enumerate().filter(|(_, cell)| cell.verdict.is_none()) {
        suite.add_test_case(case(&labels, cell, &[labels.cell(cell), "measured".to_owned()], None));
    }
    suite
}

fn state(summary: &Summary) -> &'static str {
    match summary.state {
        RunState::Finished => "finished",
        RunState::Interrupted => "interrupted",
        RunState::Unfinished => "unfinished",
    }
}

/// What an expectation is on, where its text leaves that out.
fn subject(expected: &str) -> String {
    if expected.starts_with(['<', '>']) {
        format!("success {expected}")
    } else {
        expected.to_owned()
    }
}

fn joined(name: &[String]) -> String {
    let parts: Vec<_> = name.iter().filter(|part| !part.is_empty()).map(String::as_str).collect();
    parts.join(": ")
}

fn case(labels: &Labels<'_>, index: usize, name: &[String], finding: Option<&Finding>) -> TestCase {
    let cell = &labels.scenario.cells[index];
    let mut case = TestCase::new(joined(name), status(labels, index, finding));
    case.set_classname(&*labels.scenario.name);
    case.set_system_out(figures(cell));
    case
}

fn status(labels: &Labels<'_>, index: usize, finding: Option<&Finding>) -> TestCaseStatus {
    let cell = &labels.scenario.cells[index];
    if cell.trials > 0 && cell.judged() == 0 {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_type("bench");
        status.set_message(format!("{} of the bench, no result", count(cell.errors, "error")));
        status.set_description(causes(labels, index, &cell.error_causes));
        return status;
    }
    let Some(finding) = finding else { return TestCaseStatus::success() };
    match finding.verdict {
        Judgement::Pass => TestCaseStatus::success(),
        Judgement::Fail => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_type("expectation");
            status.set_message(finding.sentence());
            status.set_description(why(labels, index));
            status
        }
        Judgement::Inconclusive => {
            let mut status = TestCaseStatus::skipped();
            let remark = &finding.remark;
            let remark = if remark.is_empty() { String::new() } else { format!(". {remark}") };
            status.set_message(format!("inconclusive: {}{remark}", finding.sentence()));
            status
        }
    }
}

/// Everything that speaks against a cell.
fn why(labels: &Labels<'_>, index: usize) -> String {
    let cell = &labels.scenario.cells[index];
    let mut out = String::new();
    let unexpected = [
        ("failed, should have succeeded", &cell.theory.unexpected_failures),
        ("succeeded, should have failed", &cell.theory.unexpected_successes),
    ];
    for (what, trials) in unexpected.iter().filter(|(_, trials)| trials.count > 0) {
        let _infallible =
            writeln!(out, "{} × {what}: {}", trials.count, labels.trials(index, trials));
    }
    out.push_str(&causes(labels, index, &cell.failure_causes));
    if let Some(trial) = labels.telling_trial_of(index) {
        let _infallible = writeln!(out, "{}", replay(None, &trial));
    }
    out
}

fn causes(labels: &Labels<'_>, index: usize, causes: &[CauseSummary]) -> String {
    let line = |CauseSummary { kind, count, trial, evidence }: &_| {
        format!("{count} × {kind}: {evidence} (trial {})\n", labels.trial(index, *trial))
    };
    causes.iter().map(line).collect()
}

/// What was measured in a cell, one figure a line.
fn figures(cell: &CellSummary) -> String {
    let mut out = format!("successes {}\n", rate(cell.successes, cell.judged()));
    for (what, number) in [("bench errors", cell.errors), ("disturbed", cell.disturbed)] {
        if number > 0 {
            let _infallible = writeln!(out, "{what} {number}");
        }
    }
    let times = [
        ("up", cell.times.up_ms),
        ("connected", cell.times.connected_ms),
        ("chosen", cell.times.chosen_ms),
        ("returned", cell.times.returned_ms),
    ];
    for (what, quantiles) in times {
        if let Some(Quantiles { p50, p90, p99, .. }) = quantiles {
            let [p50, p90, p99] = [p50, p90, p99].map(milliseconds);
            let _infallible = writeln!(out, "{what} ms p50 {p50} p90 {p90} p99 {p99}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use uppsala::{XsdValidator, parse};

    use super::*;
    use crate::{
        event::{Event, Verdict},
        report::fixture::{
            caused, cell, event, expect, finished, matrix, scenario, skew, started, trial, trials,
        },
    };

    fn junit(events: &[Event]) -> String {
        render(&Summary::from_events(events).unwrap())
    }

    /// What Jenkins' xUnit plugin refuses a report by.
    const SCHEMA: &str = include_str!("junit/junit-10.xsd");

    fn errors(xml: &str) -> Vec<String> {
        let schema = XsdValidator::from_schema(&parse(SCHEMA).unwrap()).unwrap();
        let document = parse(xml).unwrap_or_else(|error| panic!("{error}: {xml}"));
        schema.validate(&document).iter().map(ToString::to_string).collect()
    }

    /// One of each: failed, inconclusive, without a verdict, nothing but errors, no such cell.
    fn everything() -> Vec<Event> {
        let cells = [1, 2, 3, 4].map(|delay| cell(&[("wan.delay_ms", delay.into())]));
        let mut plan = scenario("all <kinds> & \"more\"", 20, cells.to_vec());
        plan.question = Some("Is it < 5 & > 3?".to_owned());
        plan.expectations = vec![
            expect(">= 0.95", Some(("wan.delay_ms", 1.into()))),
            expect("theory", Some(("wan.delay_ms", 2.into()))),
            expect(">= 0.5", Some(("wan.delay_ms", 3.into()))),
            expect(">= 0.5", Some(("wan.delay_ms", 7.into()))),
        ];
        let mut events = vec![started(vec![plan, scenario("empty", 1, Vec::new())])];
        events.extend(trials(0, 20, 20).chain(trials(1, 19, 20)).chain(trials(3, 5, 20)));
        let odd = trial(1, 20, Verdict::Failure);
        events.push(event(caused(odd, "crashed", "it said: ]]> \u{1b}[1m\u{0}\u{ffff}")));
        events.extend((0..20).map(|number| event(trial(2, number, Verdict::Error))));
        events.push(finished(false));
        events
    }

    #[test]
    fn a_case_for_every_expectation_in_every_cell() {
        insta::assert_snapshot!(junit(&everything()));
    }

    #[test]
    fn the_schema_of_jenkins_accepts_every_report() {
        let nothing = [started(Vec::new())];
        for events in [&everything()[..], &skew(), &matrix(), &skew()[..50], &nothing] {
            let xml = junit(events);
            assert_eq!(errors(&xml), [""; 0], "{xml}");
        }
    }

    #[test]
    fn the_schema_refuses_what_is_no_report() {
        let xml = junit(&everything());
        for (right, wrong) in [
            ("<testsuites ", "<testsuites skipped=\"1\" "),
            ("<testcase name=", "<testcase title="),
            ("<skipped ", "<omitted "),
            ("time=\"34.200\"", "time=\"half a minute\""),
        ] {
            assert!(xml.contains(right), "{right}");
            let mut xml = xml.replace(right, wrong);
            if wrong == "<omitted " {
                xml = xml.replace("</skipped>", "</omitted>");
            }
            assert_ne!(errors(&xml), [""; 0], "{wrong}");
        }
    }
}
