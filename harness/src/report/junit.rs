//! The report as JUnit XML, for the test views of Jenkins, GitLab and the like.
//!
//! A suite is a scenario. A case is an expectation in one cell, or a cell without expectations. A
//! case passes if the expectation holds in the cell. Otherwise it is a failure, of the type
//! `expectation` if the expectation does not hold, or `inconclusive` if the trials do not decide
//! it. A cell with nothing but errors of the bench is an error. An expectation on theory, which
//! decides no trial of the cell, is skipped. Invariant: there is a failure or an error if, and only
//! if, the exit code is not 0.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    time::Duration,
};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::{
    named::Named,
    report::{
        expectation::ExpectationText,
        labels::{Labels, replay},
        summary::{CauseSummary, CellSummary, RunState, ScenarioSummary, Summary, Verdict},
        text::{CUT_SHORT, milliseconds, rate},
    },
    stats::Quantiles,
    ui::plural::count,
};

/// Characters that XML 1.0 (2.2) does not have, and that the crate lets pass.
const NONCHARACTERS: [char; 2] = ['\u{fffe}', '\u{ffff}'];

/// The whole report. Its commands name the folder of the run `RUN`, so that the same events give
/// the same bytes in every folder.
pub(crate) fn render(summary: &Summary) -> String {
    let mut report = Report::new("harness");
    if let Some(elapsed) = summary
        .elapsed_s
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    {
        report.set_time(elapsed);
    }
    let scenarios = summary.scenarios.iter().enumerate();
    report.add_test_suites(scenarios.map(|(index, scenario)| suite(summary, index, scenario)));
    if summary.state != RunState::Finished {
        report.add_test_suite(unfinished(summary));
    }
    let xml = report.to_string().expect("writing to memory does not fail");
    without_skipped_of_all(&xml).replace(NONCHARACTERS, "")
}

/// Removes the attribute `skipped` of `<testsuites>`, which the schema of Jenkins' xUnit plugin
/// does not allow. Each suite keeps its own.
fn without_skipped_of_all(xml: &str) -> String {
    let Some((before, rest)) = xml.split_once("<testsuites ") else { return xml.to_owned() };
    let Some((tag, after)) = rest.split_once('>') else { return xml.to_owned() };
    let attributes = tag
        .split(" skipped=\"")
        .enumerate()
        .map(|(part, text)| match part {
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
    if let Some(machine) = &summary.machine {
        suite.add_property(("machine", &*machine.versions().join(" · ")));
    }
    suite.add_property(("state", state(summary)));
    for expectation in &scenario.expectations {
        for judged in &expectation.cells {
            let Some(cell) = scenario.cells.get(judged.cell) else { continue };
            let status = match ExpectationText::in_cell(expectation, *judged, cell) {
                Some(text) => status(&labels, judged.cell, &text),
                None => {
                    let mut status = TestCaseStatus::skipped();
                    let trials = count(cell.rated(), "trial");
                    status.set_message(format!("theory decides none of the {trials}"));
                    status
                }
            };
            let name = [labels.cell(judged.cell), subject(&expectation.expected)];
            suite.add_test_case(case(&labels, judged.cell, &name, status));
        }
        if expectation.cells.is_empty() {
            let text = ExpectationText::of(expectation, &labels);
            let name = [text.condition.clone(), subject(&text.expected)];
            let mut case = TestCase::new(joined(&name), inconclusive(&text));
            case.set_classname(&*scenario.name);
            suite.add_test_case(case);
        }
    }
    let expected: BTreeSet<usize> = scenario
        .expectations
        .iter()
        .flat_map(|expectation| &expectation.cells)
        .map(|judged| judged.cell)
        .collect();
    for (index, cell) in scenario.cells.iter().enumerate() {
        if !expected.contains(&index) {
            let status = only_errors(&labels, index).unwrap_or_else(|| match cell.trials {
                0 => TestCaseStatus::skipped(),
                _ => TestCaseStatus::success(),
            });
            let name = [labels.cell(index), "measured".to_owned()];
            suite.add_test_case(case(&labels, index, &name, status));
        }
    }
    number_duplicates(&mut suite);
    suite
}

/// Makes the names of the cases unique: the second case of a name gets ` (2)`. Test views know a
/// case by its name, and would show one of several.
fn number_duplicates(suite: &mut TestSuite) {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut last: BTreeMap<String, usize> = BTreeMap::new();
    for case in &mut suite.test_cases {
        // As in `render`: these characters do not tell names apart.
        let plain = case.name.as_str().replace(NONCHARACTERS, "");
        let mut name = plain.clone();
        let number = last.entry(plain.clone()).or_insert(1);
        while !taken.insert(name.clone()) {
            *number += 1;
            name = format!("{plain} ({number})");
        }
        case.name = name.into();
    }
}

/// Suite of a run that was cut short: an error, since the missing trials might fail.
fn unfinished(summary: &Summary) -> TestSuite {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_type(state(summary));
    status.set_message(CUT_SHORT);
    let mut suite = TestSuite::new("harness");
    let mut case = TestCase::new("the run came to its end", status);
    case.set_classname("harness");
    suite.add_test_case(case);
    suite
}

fn state(summary: &Summary) -> &'static str {
    match summary.state {
        RunState::Finished => "finished",
        RunState::Interrupted => "interrupted",
        RunState::Unfinished => "unfinished",
    }
}

/// Text of a criterion, with its subject where the text leaves that out.
fn subject(expected: &str) -> String {
    if expected.starts_with(['<', '>']) {
        format!("success {expected}")
    } else {
        expected.to_owned()
    }
}

fn joined(name: &[String]) -> String {
    let parts: Vec<_> = name
        .iter()
        .filter(|part| !part.is_empty())
        .map(String::as_str)
        .collect();
    parts.join(": ")
}

fn case(labels: &Labels<'_>, index: usize, name: &[String], status: TestCaseStatus) -> TestCase {
    let cell = &labels.scenario.cells[index];
    let mut case = TestCase::new(joined(name), status);
    case.set_classname(&*labels.scenario.name);
    case.set_system_out(figures(cell));
    case
}

/// Status of a cell with nothing but errors of the bench; `None` for other cells.
fn only_errors(labels: &Labels<'_>, index: usize) -> Option<TestCaseStatus> {
    let cell = &labels.scenario.cells[index];
    if !cell.has_only_errors() {
        return None;
    }
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_type("bench");
    status.set_message(format!("{} of the bench, no result", count(cell.errors, "error")));
    status.set_description(causes(labels, index, &cell.error_causes));
    Some(status)
}

fn status(labels: &Labels<'_>, index: usize, text: &ExpectationText) -> TestCaseStatus {
    only_errors(labels, index).unwrap_or_else(|| match text.verdict {
        Verdict::Pass => TestCaseStatus::success(),
        Verdict::Inconclusive => inconclusive(text),
        Verdict::Fail => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_type("expectation");
            status.set_message(text.sentence());
            status.set_description(why(labels, index));
            status
        }
    })
}

/// Status of an inconclusive case: a failure, because the exit code is not 0. A skipped case would
/// look like success.
fn inconclusive(text: &ExpectationText) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_type("inconclusive");
    let mut message = format!("inconclusive: {}", text.sentence());
    if !text.remark.is_empty() {
        let _infallible = write!(message, ". {}", text.remark);
    }
    status.set_message(message);
    status
}

/// Description of a cell that failed: trials against theory, causes, and the trial to look at.
fn why(labels: &Labels<'_>, index: usize) -> String {
    let cell = &labels.scenario.cells[index];
    let mut out = String::new();
    for (count, what, trials) in labels.against_theory(index) {
        let _infallible = writeln!(out, "{count} × {what}: {trials}");
    }
    out.push_str(&causes(labels, index, &cell.failure_causes));
    if let Some(trial) = labels.example_trial_of(index) {
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

/// Figures of a cell, one a line.
fn figures(cell: &CellSummary) -> String {
    let mut out = format!("successes {}\n", rate(cell.successes, cell.rated()));
    for (what, number) in [("bench errors", cell.errors), ("disturbed", cell.disturbed)] {
        if number > 0 {
            let _infallible = writeln!(out, "{what} {number}");
        }
    }
    for (moment, quantiles) in cell.times.per_moment() {
        if let Some(Quantiles { p50, p90, p99, .. }) = quantiles {
            let [p50, p90, p99] = [p50, p90, p99].map(milliseconds);
            let what = moment.name();
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
        event::{Event, Outcome, Prediction},
        report::{
            fixture::{
                caused, cell, event, expect, finished, matrix, predicted, scenario, skew, started,
                trial, trials,
            },
            tally::summarize,
        },
    };

    fn junit(events: &[Event]) -> String {
        render(&summarize(events).unwrap())
    }

    /// Schema by which Jenkins' xUnit plugin accepts reports.
    const SCHEMA: &str = include_str!("junit/junit-10.xsd");

    fn errors(xml: &str) -> Vec<String> {
        let schema = XsdValidator::from_schema(&parse(SCHEMA).unwrap()).unwrap();
        let document = parse(xml).unwrap_or_else(|error| panic!("{error}: {xml}"));
        schema
            .validate(&document)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// A run with one case of each kind: failed, inconclusive, without a verdict, nothing but
    /// errors, no such cell, not decided by theory.
    fn everything() -> Vec<Event> {
        let cells = [1, 2, 3, 4, 5].map(|delay| cell(&[("wan.delay_ms", delay.into())]));
        let mut plan = scenario("all <kinds> & \"more\"", 20, cells.to_vec());
        plan.question = Some("Is it < 5 & > 3?".to_owned());
        let mut theory_of_two = expect("theory", Some(("wan.delay_ms", 5.into())));
        theory_of_two.filter[0].values.push(1.into());
        plan.expectations = vec![
            expect(">= 0.95", Some(("wan.delay_ms", 1.into()))),
            expect("theory", Some(("wan.delay_ms", 2.into()))),
            theory_of_two,
            expect(">= 0.5", Some(("wan.delay_ms", 3.into()))),
            expect(">= 0.5", Some(("wan.delay_ms", 7.into()))),
        ];
        let mut events = vec![started(vec![plan, scenario("empty", 1, Vec::new())])];
        events.extend(
            trials(0, 20, 20)
                .chain(trials(1, 19, 20))
                .chain(trials(3, 5, 20)),
        );
        let odd = trial(1, 20, Outcome::Failure);
        events.extend(open(4));
        events.push(event(caused(odd, "crashed", "it said: ]]> \u{1b}[1m\u{0}\u{ffff}")));
        events.extend((0..20).map(|number| event(trial(2, number, Outcome::Error))));
        events.push(finished(false));
        events
    }

    #[test]
    fn a_case_for_every_expectation_in_every_cell() {
        insta::assert_snapshot!(junit(&everything()));
    }

    #[test]
    fn every_case_has_a_name_of_its_own() {
        let values = ["a", "a", "b", "a\u{ffff}", "b\u{1b}"];
        let cells = values.map(|value| cell(&[("peer.a.nat", value.into())]));
        let mut plan = scenario("twice", 20, cells.to_vec());
        // Two of the same on all cells, two on one of them, and two on none.
        plan.expectations = [None, None, Some("b"), Some("b"), Some("none"), Some("none")]
            .map(|value| expect(">= 0.5", value.map(|value| ("peer.a.nat", value.into()))))
            .to_vec();
        let events = [started(vec![plan, scenario("plain", 1, vec![cell(&[]), cell(&[])])])];
        let xml = junit(&events);
        assert_eq!(errors(&xml), [""; 0], "{xml}");
        let cases = xml.lines().filter_map(|line| {
            let name = line.trim().strip_prefix("<testcase name=\"")?;
            name.split_once('"')
                .map(|(name, rest)| (rest.split('"').nth(1), name))
        });
        let names: Vec<_> = cases.collect();
        let distinct: BTreeSet<_> = names.iter().collect();
        assert_eq!(names.len(), 2 * 5 + 2 + 2 + 2 + 1, "{names:#?}");
        assert_eq!(distinct.len(), names.len(), "{names:#?}");
        assert!(xml.contains("name=\"nat = a: success &gt;= 0.5 (2)\""), "{xml}");
    }

    #[test]
    fn a_case_is_not_met_if_and_only_if_the_exit_code_is_not_0() {
        let run = |expected: &str, events: Vec<Event>| {
            let mut plan = scenario("home", 20, vec![cell(&[]), cell(&[])]);
            plan.expectations = [expected]
                .iter()
                .filter(|text| !text.is_empty())
                .map(|text| expect(text, None))
                .collect();
            [started(vec![plan])]
                .into_iter()
                .chain(events)
                .collect::<Vec<_>>()
        };
        let both = || {
            trials(0, 20, 20)
                .chain(trials(1, 20, 20))
                .collect::<Vec<_>>()
        };
        let spoiled = || (0..20).map(|number| event(trial(1, number, Outcome::Error)));
        let end = |mut events: Vec<Event>, interrupted| {
            events.push(finished(interrupted));
            events
        };
        for (events, met) in [
            (end(run(">= 0.8", both()), false), true),
            (end(run(">= 0.95", both()), false), false),
            (end(run("< 0.5", both()), false), false),
            (end(run("", both()), false), true),
            (end(run("", both()), true), false),
            (run("", both()), false),
            (end(run("", trials(0, 20, 20).chain(spoiled()).collect()), false), false),
            (end(run(">= 0.8", trials(0, 20, 20).collect()), false), false),
            (end(run("theory", trials(0, 20, 20).chain(open(1)).collect()), false), true),
            (end(run("theory", open(0).chain(open(1)).collect()), false), false),
        ] {
            let xml = junit(&events);
            assert_eq!(!xml.contains("<failure") && !xml.contains("<error"), met, "{xml}");
            let exit_code = summarize(&events).unwrap().exit().code();
            assert_eq!(exit_code == 0, met, "{exit_code}: {xml}");
        }
    }

    /// Trials that theory does not decide.
    fn open(cell: usize) -> impl Iterator<Item = Event> {
        let open =
            move |number| predicted(trial(cell, number, Outcome::Success), Prediction::Depends);
        (0..20).map(move |number| event(open(number)))
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
            let mut changed = xml.replace(right, wrong);
            if wrong == "<omitted " {
                changed = changed.replace("</skipped>", "</omitted>");
            }
            assert_ne!(errors(&changed), [""; 0], "{wrong}");
        }
    }
}
