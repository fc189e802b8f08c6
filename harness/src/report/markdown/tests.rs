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

fn markdown(events: &[Event]) -> String {
    render(&summarize(events).unwrap())
}

#[test]
fn a_sweep_in_two_dimensions() {
    insta::assert_snapshot!(markdown(&skew()));
}

#[test]
fn a_matrix_is_a_triangle_and_fits_a_comment() {
    let text = markdown(&matrix());
    assert!(text.len() < 65_536, "{}", text.len());
    let rows = text.lines().filter(|line| line.starts_with("| **"));
    insta::assert_snapshot!(rows.take(14).collect::<Vec<_>>().join("\n"));
}

#[test]
fn one_cell_with_errors_and_odd_names() {
    let mut plan = scenario("a|b", 20, vec![cell(&[])]);
    plan.question = Some("Does <b> | `c` *hold*?".to_owned());
    plan.expectations = vec![expect(">= 0.95", None)];
    let mut events = vec![started(vec![plan])];
    events.extend(trials(0, 19, 19));
    events.push(event(caused(
        trial(0, 19, Outcome::Failure),
        "crashed",
        "said: <script>|\n\x1b[1m",
    )));
    events.push(event(trial(0, 20, Outcome::Error)));
    let lucky = trial(0, 21, Outcome::Success);
    events.push(event(predicted(lucky, Prediction::ShouldNot)));
    events.push(finished(true));
    insta::assert_snapshot!(markdown(&events));
}

#[test]
fn names_of_cells_and_disturbances_are_escaped() {
    let cells = ["@all <b>", "[x](y)"].map(|command| cell(&[("subject.command", command.into())]));
    let mut events = vec![started(vec![scenario("odd", 2, cells.to_vec())])];
    let mut disturbed = trial(0, 0, Outcome::Failure);
    disturbed.disturbed = Some("late: *very* @all".to_owned());
    events.extend([event(disturbed), finished(false)]);
    let text = markdown(&events);
    for (raw, escaped) in [("@all", "\\@all"), ("very", "\\*very\\*")] {
        assert_eq!(text.matches(raw).count(), text.matches(escaped).count(), "{raw} in {text}");
    }
    assert!(
        !text.contains("<b>") && text.contains("(trial 0.0.0 at command = \\@all &lt;b&gt;)"),
        "{text}"
    );
}
