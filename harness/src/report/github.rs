//! Annotations for GitHub Actions: workflow commands, lines from which the runner makes marks on
//! the files of a pull request.

use std::fmt::Write as _;

use crate::{
    report::{
        expectation::ExpectationText,
        labels::{Labels, replay},
        summary::{CauseSummary, RunState, ScenarioSummary, Summary, Verdict},
        text::CUT_SHORT,
    },
    ui::{escape::escaped_lines, plural::count},
};

/// Maximum of errors, and of warnings, that GitHub shows for a step.
const MAX_ANNOTATIONS: usize = 10;

/// An annotation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Annotation {
    level: Level,
    file: String,
    /// Line in the file, from 1.
    line: Option<usize>,
    title: String,
    text: String,
}

/// Severity of an annotation, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Error,
    Warning,
}

impl Level {
    fn command(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// The annotations of a run, one a line.
///
/// An expectation that failed is an error. Warnings are an inconclusive expectation, cells with
/// nothing but errors of the bench, trials against theory without an expectation on theory, and a
/// run that was cut short. The text is empty if there is none of these.
pub(crate) fn render(summary: &Summary) -> String {
    let mut all = Vec::new();
    for (index, scenario) in summary.scenarios.iter().enumerate() {
        annotate(&Labels::new(index, scenario), &mut all);
    }
    if summary.state != RunState::Finished {
        all.push(Annotation {
            level: Level::Warning,
            file: String::new(),
            line: None,
            title: "the run was cut short".to_owned(),
            text: CUT_SHORT.to_owned(),
        });
    }
    [Level::Error, Level::Warning]
        .map(|level| lines(level, &all))
        .concat()
}

fn annotate(labels: &Labels<'_>, all: &mut Vec<Annotation>) {
    let scenario = labels.scenario;
    let mut add = |level: Level, line: Option<usize>, title: String, text: String| {
        all.push(Annotation {
            level,
            file: scenario.file.clone(),
            line,
            title: format!("{}: {title}", scenario.name),
            text,
        });
    };
    for expectation in &scenario.expectations {
        let text = ExpectationText::of(expectation, labels);
        let (level, title) = match text.verdict {
            Verdict::Pass => continue,
            Verdict::Fail => (Level::Error, "expectation failed"),
            Verdict::Inconclusive => (Level::Warning, "expectation inconclusive"),
        };
        let mut message = text.sentence();
        if !text.remark.is_empty() {
            let _infallible = write!(message, ". {}", text.remark);
        }
        if let (Verdict::Fail, Some(cell)) = (text.verdict, text.cell) {
            let causes = scenario
                .cells
                .get(cell)
                .map_or(&[][..], |cell| &cell.failure_causes);
            if let Some(CauseSummary { kind, count, evidence, .. }) = causes.first() {
                let _infallible = write!(message, "\n{count} × {kind}: {evidence}");
            }
            if let Some(trial) = labels.example_trial_of(cell) {
                let _infallible = write!(message, "\n{}", replay(None, &trial));
            }
        }
        add(level, expectation.line, title.to_owned(), message);
    }
    if let Some((title, text)) = only_errors(scenario, labels) {
        add(Level::Warning, None, title, text);
    }
    let is_expected = scenario
        .expectations
        .iter()
        .any(|expectation| expectation.expected.starts_with("theory"));
    let unexpected: u64 = scenario
        .cells
        .iter()
        .map(|cell| cell.theory.unexpected())
        .sum();
    if let (false, 1.., Some(trial)) = (is_expected, unexpected, labels.example_trial()) {
        let title = format!("{} against theory", count(unexpected, "trial"));
        add(Level::Warning, None, title, replay(None, &trial));
    }
}

/// Title and text for cells with nothing but errors of the bench, if there are any.
fn only_errors(scenario: &ScenarioSummary, labels: &Labels<'_>) -> Option<(String, String)> {
    let cells = scenario
        .cells
        .iter()
        .filter(|cell| cell.has_only_errors())
        .count();
    if cells == 0 {
        return None;
    }
    let causes = labels.causes(|cell| &cell.error_causes);
    let CauseSummary { kind, evidence, .. } = causes.first()?.first;
    let title = format!("{} with errors of the bench only", count(cells, "cell"));
    Some((title, format!("{kind}: {evidence}")))
}

fn lines(level: Level, all: &[Annotation]) -> String {
    let chosen: Vec<_> = all
        .iter()
        .filter(|annotation| annotation.level == level)
        .collect();
    let mut out = String::new();
    // The last line that GitHub shows tells the number of the others.
    let shown = if chosen.len() > MAX_ANNOTATIONS { MAX_ANNOTATIONS - 1 } else { chosen.len() };
    for Annotation { file, line, title, text, .. } in &chosen[..shown] {
        let mut properties = String::new();
        if !file.is_empty() {
            let _infallible = write!(properties, "file={},", property(file));
        }
        if let Some(line) = line {
            let _infallible = write!(properties, "line={line},");
        }
        let _infallible = write!(properties, "title={}", property(title));
        let _infallible = writeln!(out, "::{} {properties}::{}", level.command(), data(text));
    }
    if shown < chosen.len() {
        let (command, more) = (level.command(), chosen.len() - shown);
        let _infallible = writeln!(out, "::{command} title=harness::and {more} more");
    }
    out
}

/// Text of a workflow command, escaped for the runner.
fn data(text: &str) -> String {
    let parts = text
        .split('\r')
        .map(|part| escaped_lines(part).replace('%', "%25").replace('\n', "%0A"));
    parts.collect::<Vec<_>>().join("%0D")
}

/// Property of a workflow command, escaped for the runner.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{Event, Outcome, Prediction},
        report::{
            fixture::{
                cell, event, expect, finished, predicted, scenario, skew, started, trial, trials,
            },
            tally::summarize,
        },
    };

    fn annotated(events: &[Event]) -> String {
        render(&summarize(events).unwrap())
    }

    #[test]
    fn an_expectation_that_failed_is_an_error_on_its_file() {
        insta::assert_snapshot!(annotated(&skew()));
    }

    #[test]
    fn what_is_open_or_unexpected_or_cut_short_is_a_warning() {
        let mut plan = scenario("open, 50%: x", 20, vec![cell(&[]), cell(&[])]);
        plan.expectations = vec![expect(">= 0.95", None)];
        let mut events = vec![started(vec![plan])];
        events.extend(trials(0, 20, 20));
        let lucky = trial(0, 20, Outcome::Success);
        events.push(event(predicted(lucky, Prediction::ShouldNot)));
        events.extend((0..3).map(|number| event(trial(1, number, Outcome::Error))));
        insta::assert_snapshot!(annotated(&events));
    }

    #[test]
    fn nothing_is_said_if_all_is_well() {
        let mut plan = scenario("well", 200, vec![cell(&[])]);
        plan.expectations = vec![expect(">= 0.95", None)];
        let mut events = vec![started(vec![plan])];
        events.extend(trials(0, 200, 200));
        events.push(finished(false));
        assert_eq!(annotated(&events), "");
    }

    #[test]
    fn no_more_than_github_shows() {
        let plans = (0..25).map(|number| {
            let mut plan = scenario(&format!("s{number}"), 1, vec![cell(&[])]);
            plan.expectations = vec![expect(">= 0.95", None)];
            plan
        });
        let mut events = vec![started(plans.collect())];
        events.extend((0..25).flat_map(|scenario| {
            (0..50).map(move |number| {
                let mut trial = trial(0, number, Outcome::Failure);
                trial.scenario = scenario;
                event(trial)
            })
        }));
        events.push(finished(false));
        let text = annotated(&events);
        let errors: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with("::error "))
            .collect();
        assert_eq!(errors.len(), 10, "{text}");
        assert_eq!(errors[9], "::error title=harness::and 16 more");
    }
}
