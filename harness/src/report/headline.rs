//! A run in one line: the result of its expectations and the number of its trials.

use crate::{
    report::{
        summary::{RunState, Summary, Verdict},
        text::duration,
    },
    ui::plural::count,
};

/// Whether a run has no verdict: there are no expectations, and no cell with errors only.
pub(super) fn has_no_verdict(summary: &Summary) -> bool {
    let mut expectations = summary
        .scenarios
        .iter()
        .flat_map(|scenario| &scenario.expectations);
    expectations.next().is_none() && summary.verdict == Verdict::Pass
}

/// Facts of the line: `1 of 3 expectations failed`, `2000 trials in 34.2 s`.
pub(super) fn facts(summary: &Summary) -> Vec<String> {
    let expectations: Vec<_> = summary
        .scenarios
        .iter()
        .flat_map(|scenario| &scenario.expectations)
        .collect();
    let number = |verdict| {
        expectations
            .iter()
            .filter(|expectation| expectation.verdict == verdict)
            .count()
    };
    let (failed, open) = (number(Verdict::Fail), number(Verdict::Inconclusive));
    let result = match (expectations.len(), failed, open) {
        (0, ..) => "nothing was expected".to_owned(),
        (all, 0, 0) => format!("{all} of {all} expectations met"),
        (all, 0, open) => format!("{open} of {all} expectations inconclusive"),
        (all, failed, 0) => format!("{failed} of {all} expectations failed"),
        (all, failed, open) => {
            format!("{failed} of {all} expectations failed, {open} inconclusive")
        }
    };
    let cells = || {
        summary
            .scenarios
            .iter()
            .flat_map(|scenario| &scenario.cells)
    };
    let mut facts = vec![result];
    let only_errors = cells().filter(|cell| cell.has_only_errors()).count();
    if only_errors > 0 {
        facts.push(format!("{} with errors only", count(only_errors, "cell")));
    }
    let run = count(cells().map(|cell| cell.trials).sum::<u64>(), "trial");
    facts.push(match (summary.state, summary.elapsed_s) {
        (RunState::Finished, Some(elapsed_s)) => format!("{run} in {}", duration(elapsed_s)),
        (RunState::Interrupted, Some(elapsed_s)) => {
            format!("{run}, interrupted after {}", duration(elapsed_s))
        }
        (RunState::Finished | RunState::Interrupted, None) => run,
        (RunState::Unfinished, _) => format!("{run} so far (killed, or still running)"),
    });
    if let Some(retries @ 1..) = summary.lab_retries {
        facts.push(format!("labs rebuilt {}", count(retries, "time")));
    }
    facts
}
