//! Annotations for GitHub Actions: lines that the runner turns into marks on the files of a pull
//! request ("workflow commands"). They mean nothing elsewhere.

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

/// GitHub shows at most ten errors and ten warnings of a step.
const MAX_ANNOTATIONS: usize = 10;

/// An annotation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Annotation {
    level: Level,
    file: String,
    /// In the file, from 1.
    line: Option<usize>,
    title: String,
    text: String,
}

/// How GitHub shows it; the worst first.
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

/// The annotations of a run, a line each: an error for every expectation that failed, a warning for
/// one that is open, for cells with nothing but errors of the bench, for trials against theory of
/// which nothing was expected, and for a run that was cut short. Empty if all is well.
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
        let title = format!("{}: {title}", scenario.name);
        all.push(Annotation { level, file: scenario.file.clone(), line, title, text });
    };
    for expectation in &scenario.expectations {
        let finding = ExpectationText::of(expectation, labels);
        let (level, title) = match finding.verdict {
            Verdict::Pass => continue,
            Verdict::Fail => (Level::Error, "expectation failed"),
            Verdict::Inconclusive => (Level::Warning, "expectation inconclusive"),
        };
        let mut text = finding.sentence();
        if !finding.remark.is_empty() {
            let _infallible = write!(text, ". {}", finding.remark);
        }
        if let (Verdict::Fail, Some(cell)) = (finding.verdict, finding.cell) {
            let causes = scenario
                .cells
                .get(cell)
                .map_or(&[][..], |cell| &cell.failure_causes);
            if let Some(CauseSummary { kind, count, evidence, .. }) = causes.first() {
                let _infallible = write!(text, "\n{count} × {kind}: {evidence}");
            }
            if let Some(trial) = labels.example_trial_of(cell) {
                let _infallible = write!(text, "\n{}", replay(None, &trial));
            }
        }
        add(level, expectation.line, title.to_owned(), text);
    }
    if let Some((title, text)) = spoiled(scenario, labels) {
        add(Level::Warning, None, title, text);
    }
    let expected = scenario
        .expectations
        .iter()
        .any(|it| it.expected.starts_with("theory"));
    let otherwise: u64 = scenario
        .cells
        .iter()
        .map(|cell| cell.theory.unexpected())
        .sum();
    if let (false, 1.., Some(trial)) = (expected, otherwise, labels.example_trial()) {
        let title = format!("{} against theory", count(otherwise, "trial"));
        add(Level::Warning, None, title, replay(None, &trial));
    }
}

/// Cells of which nothing is known because of the bench itself.
fn spoiled(scenario: &ScenarioSummary, labels: &Labels<'_>) -> Option<(String, String)> {
    let cells = scenario
        .cells
        .iter()
        .filter(|cell| cell.has_only_errors())
        .count();
    let cause = labels.causes(|cell| &cell.error_causes);
    let cause = cause.first().filter(|_| cells > 0)?;
    let title = format!("{} with errors of the bench only", count(cells, "cell"));
    Some((title, format!("{}: {}", cause.first.kind, cause.first.evidence)))
}

fn lines(level: Level, all: &[Annotation]) -> String {
    let chosen: Vec<_> = all
        .iter()
        .filter(|annotation| annotation.level == level)
        .collect();
    let mut out = String::new();
    // The last of too many makes room for saying so.
    let shown = if chosen.len() > MAX_ANNOTATIONS { MAX_ANNOTATIONS - 1 } else { chosen.len() };
    for Annotation { file, line, title, text, .. } in &chosen[..shown] {
        let file =
            if file.is_empty() { String::new() } else { format!("file={},", property(file)) };
        let line = line.map_or_else(String::new, |line| format!("line={line},"));
        let (command, title) = (level.command(), property(title));
        let _infallible = writeln!(out, "::{command} {file}{line}title={title}::{}", data(text));
    }
    if shown < chosen.len() {
        let (command, more) = (level.command(), chosen.len() - shown);
        let _infallible = writeln!(out, "::{command} title=harness::and {more} more");
    }
    out
}

/// The text of a workflow command, as the runner unescapes it.
fn data(text: &str) -> String {
    let parts = text
        .split('\r')
        .map(|part| escaped_lines(part).replace('%', "%25").replace('\n', "%0A"));
    parts.collect::<Vec<_>>().join("%0D")
}

/// A property of a workflow command, as the runner unescapes it.
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
        let events = [started(vec![plan])].into_iter().chain(trials(0, 200, 200));
        let events: Vec<_> = events.chain([finished(false)]).collect();
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
