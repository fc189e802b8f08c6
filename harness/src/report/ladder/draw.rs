//! Text of the ladder's rows.

use punch::{
    ClockOffset,
    proto::time::{MonoTime, WallTime},
};

use super::{
    LadderInput,
    fold::LadderLine,
    rows::{Lifeline, Row, Shape},
};
use crate::{
    diagnose::{flow::PeerLocation, times},
    peers::{Pair, Side},
};

/// Width of the part with the lifelines.
const WIDTH: usize = 71;

/// Column of a lifeline, in characters.
const fn position(lifeline: Lifeline) -> usize {
    match lifeline {
        Lifeline::PeerA => 0,
        Lifeline::NatA => 14,
        Lifeline::Wan => 35,
        Lifeline::NatB => 56,
        Lifeline::PeerB => WIDTH - 1,
    }
}

/// Line with the names of the lifelines.
pub(super) fn head(locations: Pair<PeerLocation>) -> String {
    let mut canvas = Canvas::blank();
    canvas.write(0, "peer a");
    canvas.write(position(Lifeline::Wan) - 1, "WAN");
    canvas.write(WIDTH - "peer b".len(), "peer b");
    for (side, name) in [(Side::A, "NAT a"), (Side::B, "NAT b")] {
        if locations[side].nats > 0 {
            canvas.write(position(Lifeline::nat(side)) - 2, name);
        }
    }
    format!("{:>9} {:>12} {}  {}\n", "ms", "a's clock", canvas.text(), "b's clock")
}

/// Text of one line.
pub(super) fn line(input: &LadderInput<'_>, line: &LadderLine) -> String {
    match line {
        LadderLine::Row(row) => {
            let canvas = draw(input.locations, row);
            let [a, b] = input
                .skews
                .map(|skew| clock(input, row.at, skew))
                .into_array();
            format!("{:>9} {a} {}  {b}\n", milliseconds(input, row.at), canvas.text())
        }
        LadderLine::Repeats { from, until, counts } => {
            let counts: Vec<String> = counts
                .iter()
                .map(|(shape, count)| format!("{count} × {}", shape_text(shape)))
                .collect();
            format!(
                "{:>9} to {} ms, as above: {}\n",
                milliseconds(input, *from),
                milliseconds(input, *until),
                counts.join(", ")
            )
        }
    }
}

fn milliseconds(input: &LadderInput<'_>, at: MonoTime) -> String {
    format!("{:.1}", times::milliseconds(at.since(input.begin)))
}

/// Time of day on a peer's clock.
fn clock(input: &LadderInput<'_>, at: MonoTime, skew: ClockOffset) -> String {
    let wall: WallTime = input.epoch + at.since(input.begin) + skew;
    const DAY_MS: i64 = 86_400_000;
    let ms_of_day = (wall.as_nanos() / 1_000_000).rem_euclid(DAY_MS);
    let (seconds, ms) = (ms_of_day / 1000, ms_of_day % 1000);
    format!("{:02}:{:02}:{:02}.{ms:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn shape_text(shape: &Shape) -> String {
    match shape {
        Shape::Note { side, text } => format!("{side} {text}"),
        Shape::Arrow { from, to, text, stop } => {
            let space = if stop.is_empty() { "" } else { " " };
            format!("{text} {}→{}{space}{stop}", name(*from), name(*to))
        }
    }
}

fn name(lifeline: Lifeline) -> &'static str {
    match lifeline {
        Lifeline::PeerA => "a",
        Lifeline::NatA => "NAT a",
        Lifeline::Wan => "WAN",
        Lifeline::NatB => "NAT b",
        Lifeline::PeerB => "b",
    }
}

fn draw(locations: Pair<PeerLocation>, row: &Row) -> Canvas {
    let mut canvas = Canvas::blank();
    for side in Side::BOTH
        .into_iter()
        .filter(|&side| locations[side].nats > 0)
    {
        canvas.write(position(Lifeline::nat(side)), "│");
    }
    canvas.write(position(Lifeline::Wan), "│");
    match &row.shape {
        Shape::Note { side, text } => {
            let label = label(text, row, WIDTH / 2 - 2);
            match side {
                Side::A => canvas.write(0, &label),
                Side::B => canvas.write(WIDTH - label.chars().count(), &label),
            }
        }
        Shape::Arrow { from, to, text, stop } => {
            canvas.arrow(*from, *to, stop);
            // The label is between NAT and WAN, where every arrow passes.
            let (left, right) = if from.max(to) <= &Lifeline::Wan {
                (position(Lifeline::NatA), position(Lifeline::Wan))
            } else {
                (position(Lifeline::Wan), position(Lifeline::NatB))
            };
            let label = label(text, row, right - left - 3);
            let free = right - left - 1 - label.chars().count();
            canvas.write(left + 1 + free / 2, &label);
        }
    }
    canvas
}

/// The text with the ports of the row, or with their number if they do not fit.
fn label(text: &str, row: &Row, room: usize) -> String {
    let ports: Vec<&str> = row.ports.iter().map(String::as_str).collect();
    let mut candidates = vec![format!("{text} {}", ports.join(" "))];
    match ports.as_slice() {
        [] => candidates = vec![text.to_owned()],
        [port] => {
            let kind = text.split(' ').next().unwrap_or(text);
            candidates.push(format!("{kind} {port}"));
        }
        several => candidates.push(format!("{text} × {}", several.len())),
    }
    let fits = candidates
        .iter()
        .position(|label| label.chars().count() <= room);
    let best = candidates.swap_remove(fits.unwrap_or(candidates.len() - 1));
    best.chars().take(room).collect()
}

/// The characters of a row between the clocks.
struct Canvas(Vec<char>);

impl Canvas {
    fn blank() -> Self {
        Self(vec![' '; WIDTH])
    }

    fn write(&mut self, at: usize, text: &str) {
        for (cell, character) in self.0.iter_mut().skip(at).zip(text.chars()) {
            *cell = character;
        }
    }

    /// Draws an arrow between two lifelines, and the reason for its stop behind its head.
    fn arrow(&mut self, from: Lifeline, to: Lifeline, stop: &str) {
        let (tail, head) = (position(from), position(to));
        let rightwards = head > tail;
        let (left, right) = (tail.min(head), tail.max(head));
        for cell in &mut self.0[left..=right] {
            *cell = if *cell == '│' { '┼' } else { '─' };
        }
        self.0[tail] = if from == Lifeline::Wan { '├' } else { '●' };
        if from == Lifeline::Wan && !rightwards {
            self.0[tail] = '┤';
        }
        let stopped = !stop.is_empty();
        self.0[head] = match (stopped, rightwards) {
            (true, _) => '✗',
            (false, true) => '▶',
            (false, false) => '◀',
        };
        if !stopped {
            return;
        }
        if rightwards {
            self.write(head + 2, stop);
        } else {
            let at = head.saturating_sub(stop.chars().count() + 1);
            self.write(at, stop);
        }
    }

    fn text(&self) -> String {
        self.0.iter().collect()
    }
}
