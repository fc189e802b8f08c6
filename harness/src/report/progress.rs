//! Progress of a run, on stderr.
//!
//! On a terminal, the progress is a bar that is redrawn; elsewhere, as in the log of a CI job, a
//! plain line every [`LINE_EVERY`]. The display is updated by events and ticks only. It starts no
//! thread, so that the user namespace can still be entered while a bar exists.

use std::{collections::BTreeSet, io::Write, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{
    event::{Event, Outcome},
    report::{
        sink::{Sink, SinkError},
        text::duration,
    },
    ui::{escape::escaped_lines, plural::count},
};

/// Pause between plain lines.
pub(crate) const LINE_EVERY: Duration = Duration::from_secs(10);

/// Layout of the bar. On a narrow terminal, the message is cut.
const TEMPLATE: &str = "{bar:24} {wide_msg}";

/// Counts of a run so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Trials to run.
    pub total: u64,
    /// Cells to run.
    pub cells: u64,
    /// Trials that succeeded.
    pub successes: u64,
    /// Trials that failed.
    pub failures: u64,
    /// Trials with an error of the bench.
    pub errors: u64,
    /// Cells with at least one finished trial, by scenario and cell.
    reached: BTreeSet<(usize, usize)>,
}

impl Counts {
    /// Counts at the start of a run of `total` trials in `cells` cells.
    pub(crate) fn new(total: u64, cells: u64) -> Self {
        Self { total, cells, ..Self::default() }
    }

    /// Adds an event.
    pub(crate) fn add(&mut self, event: &Event) {
        match event {
            Event::TrialFinished(trial) => {
                match trial.outcome {
                    Outcome::Success => self.successes += 1,
                    Outcome::Failure => self.failures += 1,
                    Outcome::Error => self.errors += 1,
                }
                self.reached.insert((trial.scenario, trial.cell));
            }
            Event::CellExtended(extended) => self.total += u64::from(extended.trials),
            Event::RunStarted(_) | Event::CellDecided(_) | Event::RunFinished(_) => {}
        }
    }

    /// Number of finished trials.
    pub(crate) fn done(&self) -> u64 {
        self.successes + self.failures + self.errors
    }

    /// Estimated remaining time, from the mean time of a trial so far; `None` before the first
    /// trial.
    pub(crate) fn remaining(&self, elapsed: Duration) -> Option<Duration> {
        let done = self.done();
        let left = self.total.saturating_sub(done);
        (done > 0).then(|| elapsed.mul_f64(left as f64 / done as f64))
    }

    /// `120/2000 trials, cell 2/10, 118 ok, 2 failed, 94.0 s left`.
    pub(crate) fn line(&self, elapsed: Duration) -> String {
        let Self { total, cells, successes, failures, errors, reached } = self;
        let (done, cell) = (self.done(), reached.len());
        let mut line = format!(
            "{done}/{total} trials, cell {cell}/{cells}, {successes} ok, {failures} failed"
        );
        if *errors > 0 {
            line.push_str(&format!(", {}", count(*errors, "bench error")));
        }
        if let Some(remaining) = self.remaining(elapsed) {
            line.push_str(&format!(", {} left", duration(remaining.as_secs_f64())));
        }
        line
    }
}

/// Shows the progress of a run. Times are since its start, from one monotonic clock.
#[derive(Debug)]
pub(crate) struct Progress<W: Write> {
    counts: Counts,
    display: Display<W>,
}

#[derive(Debug)]
enum Display<W> {
    Bar(ProgressBar),
    Lines { out: W, next: Duration },
}

impl<W: Write> Progress<W> {
    /// Shows a bar on `target`.
    pub(crate) fn bar(counts: Counts, target: ProgressDrawTarget) -> Self {
        let bar = ProgressBar::with_draw_target(Some(counts.total), target);
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style);
        }
        Self { counts, display: Display::Bar(bar) }
    }

    /// Writes plain lines to `out`. If a line cannot be written, the run continues without it.
    pub(crate) fn lines(counts: Counts, out: W) -> Self {
        Self { counts, display: Display::Lines { out, next: LINE_EVERY } }
    }

    /// Removes the bar. The report follows.
    pub(crate) fn finish(self) {
        if let Display::Bar(bar) = self.display {
            bar.finish_and_clear();
        }
    }
}

impl<W: Write> Sink for Progress<W> {
    fn event(&mut self, event: &Event, elapsed: Duration) -> Result<(), SinkError> {
        self.counts.add(event);
        // The report follows the last event.
        if !matches!(event, Event::RunFinished(_)) {
            self.tick(elapsed);
        }
        Ok(())
    }

    /// Shows the time that has passed.
    fn tick(&mut self, elapsed: Duration) {
        match &mut self.display {
            Display::Bar(bar) => {
                bar.set_length(self.counts.total);
                bar.set_position(self.counts.done());
                bar.set_message(self.counts.line(elapsed));
            }
            Display::Lines { out, next } => {
                if elapsed >= *next {
                    *next = elapsed + LINE_EVERY;
                    let _lost = writeln!(out, "{}", self.counts.line(elapsed));
                }
            }
        }
    }

    /// Writes a message where progress is shown, above the bar.
    fn message(&mut self, text: &str) {
        let text = escaped_lines(text);
        match &mut self.display {
            Display::Bar(bar) => bar.println(text),
            Display::Lines { out, .. } => {
                let _lost = writeln!(out, "{text}");
            }
        }
    }
}

impl Progress<std::io::Stderr> {
    /// Shows progress on stderr: a bar if it is a terminal that can move its cursor, else lines.
    pub(crate) fn on_stderr(counts: Counts, is_terminal: bool) -> Self {
        let target = ProgressDrawTarget::stderr();
        if is_terminal && !target.is_hidden() {
            Self::bar(counts, target)
        } else {
            Self::lines(counts, std::io::stderr())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::{event, started, trial};

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn counts() -> Counts {
        let mut counts = Counts::new(2000, 10);
        counts.add(&started(Vec::new()));
        for number in 0..120 {
            let outcome = if number < 118 { Outcome::Success } else { Outcome::Failure };
            counts.add(&event(trial(usize::from(number > 100), number, outcome)));
        }
        counts
    }

    #[test]
    fn a_line_has_counts_and_remaining_time() {
        insta::assert_snapshot!(
            counts().line(seconds(6)),
            @"120/2000 trials, cell 2/10, 118 ok, 2 failed, 94.0 s left"
        );
    }

    #[test]
    fn errors_of_the_bench_are_shown_if_there_are_any() {
        let mut counts = counts();
        counts.add(&event(trial(1, 120, Outcome::Error)));
        assert!(counts.line(seconds(6)).contains("2 failed, 1 bench error,"));
    }

    #[test]
    fn there_is_no_remaining_time_before_the_first_trial() {
        let counts = Counts::new(10, 1);
        assert_eq!(counts.remaining(seconds(6)), None);
        assert_eq!(counts.line(seconds(6)), "0/10 trials, cell 0/1, 0 ok, 0 failed");
    }

    #[test]
    fn lines_come_every_ten_seconds() {
        let mut out = Vec::new();
        let mut progress = Progress::lines(Counts::new(10, 1), &mut out);
        for now in 0..25 {
            progress.tick(seconds(now));
        }
        progress.message("interrupted");
        progress.finish();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.ends_with("interrupted\n"));
    }

    #[test]
    fn the_bar_follows_the_counts() {
        ProgressStyle::with_template(TEMPLATE).unwrap();
        let hidden = ProgressDrawTarget::hidden();
        let mut progress: Progress<Vec<u8>> = Progress::bar(Counts::new(2, 1), hidden);
        progress
            .event(&event(trial(0, 0, Outcome::Success)), seconds(1))
            .unwrap();
        let Display::Bar(bar) = &progress.display else { panic!("a bar") };
        assert_eq!(bar.position(), 1);
        assert_eq!(bar.message(), "1/2 trials, cell 1/1, 1 ok, 0 failed, 1.0 s left");
    }
}
