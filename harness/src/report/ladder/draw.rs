//! Rows as text.

use punch::{
    ClockOffset,
    proto::time::{MonoTime, WallTime},
};

use super::{
    Story,
    fold::Line,
    rows::{Column, Row, Shape},
};
use crate::{
    diagnose::{flow::PeerLocation, times},
    peers::{Pair, Side},
};

/// Width of the part with the columns.
const WIDTH: usize = 71;

const fn position(column: Column) -> usize {
    match column {
        Column::PeerA => 0,
        Column::NatA => 14,
        Column::Wan => 35,
        Column::NatB => 56,
        Column::PeerB => WIDTH - 1,
    }
}

/// Names of the columns.
pub(super) fn head(places: Pair<PeerLocation>) -> String {
    let mut canvas = Canvas::blank();
    canvas.write(0, "peer a");
    canvas.write(position(Column::Wan) - 1, "WAN");
    canvas.write(WIDTH - "peer b".len(), "peer b");
    for (column, place, name) in
        [(Column::NatA, places[Side::A], "NAT a"), (Column::NatB, places[Side::B], "NAT b")]
    {
        if place.nats > 0 {
            canvas.write(position(column) - 2, name);
        }
    }
    format!("{:>9} {:>12} {}  {}\n", "ms", "a's clock", canvas.text(), "b's clock")
}

/// One line.
pub(super) fn line(story: &Story<'_>, line: &Line) -> String {
    match line {
        Line::Row(row) => {
            let canvas = drawn(story.places, row);
            let [a, b] = story.skews.map(|skew| clock(story, row.at, skew));
            format!("{:>9} {a} {}  {b}\n", milliseconds(story, row.at), canvas.text())
        }
        Line::Repeats { from, until, counts } => {
            let counts: Vec<String> = counts
                .iter()
                .map(|(shape, count)| format!("{count} × {}", words(shape)))
                .collect();
            format!(
                "{:>9} to {} ms, as above: {}\n",
                milliseconds(story, *from),
                milliseconds(story, *until),
                counts.join(", ")
            )
        }
    }
}

fn milliseconds(story: &Story<'_>, at: MonoTime) -> String {
    format!("{:.1}", times::milliseconds(at.since(story.begin)))
}

/// The time of day that a peer's clock reads.
fn clock(story: &Story<'_>, at: MonoTime, skew: ClockOffset) -> String {
    let wall: WallTime = story.epoch + at.since(story.begin) + skew;
    const DAY_MS: i64 = 86_400_000;
    let ms = (wall.as_nanos() / 1_000_000).rem_euclid(DAY_MS);
    let (seconds, ms) = (ms / 1000, ms % 1000);
    format!("{:02}:{:02}:{:02}.{ms:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn words(shape: &Shape) -> String {
    match shape {
        Shape::Note { side, text } => format!("{side} {text}"),
        Shape::Arrow { from, to, says, end } => {
            let end = if end.is_empty() { String::new() } else { format!(" {end}") };
            format!("{says} {}→{}{end}", name(*from), name(*to))
        }
    }
}

fn name(column: Column) -> &'static str {
    match column {
        Column::PeerA => "a",
        Column::NatA => "NAT a",
        Column::Wan => "WAN",
        Column::NatB => "NAT b",
        Column::PeerB => "b",
    }
}

fn drawn(places: Pair<PeerLocation>, row: &Row) -> Canvas {
    let mut canvas = Canvas::blank();
    let nats = [(Column::NatA, places[Side::A]), (Column::NatB, places[Side::B])];
    for (column, _) in nats.iter().filter(|(_, place)| place.nats > 0) {
        canvas.write(position(*column), "│");
    }
    canvas.write(position(Column::Wan), "│");
    match &row.shape {
        Shape::Note { side, text } => {
            let text = label(text, row, WIDTH / 2 - 2);
            match side {
                Side::A => canvas.write(0, &text),
                Side::B => canvas.write(WIDTH - text.chars().count(), &text),
            }
        }
        Shape::Arrow { from, to, says, end } => {
            canvas.arrow(*from, *to, end);
            // Between the NAT and the WAN, where every arrow passes.
            let (left, right) = if from.max(to) <= &Column::Wan {
                (position(Column::NatA), position(Column::Wan))
            } else {
                (position(Column::Wan), position(Column::NatB))
            };
            let text = label(says, row, right - left - 3);
            let free = right - left - 1 - text.chars().count();
            canvas.write(left + 1 + free / 2, &text);
        }
    }
    canvas
}

/// The text with the row's ports, or their number where they do not fit.
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
    let label = candidates.swap_remove(fits.unwrap_or(candidates.len() - 1));
    label.chars().take(room).collect()
}

/// A line of characters.
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

    /// An arrow between two columns, and behind its head what ends it there.
    fn arrow(&mut self, from: Column, to: Column, end: &str) {
        let (tail, head) = (position(from), position(to));
        let rightwards = head > tail;
        let (left, right) = (tail.min(head), tail.max(head));
        for cell in &mut self.0[left..=right] {
            *cell = if *cell == '│' { '┼' } else { '─' };
        }
        self.0[tail] = if from == Column::Wan { '├' } else { '●' };
        if from == Column::Wan && !rightwards {
            self.0[tail] = '┤';
        }
        let stopped = !end.is_empty();
        self.0[head] = match (stopped, rightwards) {
            (true, _) => '✗',
            (false, true) => '▶',
            (false, false) => '◀',
        };
        if !stopped {
            return;
        }
        if rightwards {
            self.write(head + 2, end);
        } else {
            let at = head.saturating_sub(end.chars().count() + 1);
            self.write(at, end);
        }
    }

    fn text(&self) -> String {
        self.0.iter().collect()
    }
}
