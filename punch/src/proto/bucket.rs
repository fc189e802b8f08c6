//! From the clock to buckets: numbers that both peers compute without exchanging a message.
//!
//! Time is divided into windows of W seconds, and a bucket is the index of a window. With one
//! bucket in use, two clocks that differ by d agree with probability 1 − |d|/W only. Therefore two
//! neighbouring buckets are in use, and W ≥ D + H, where D is the largest difference of the clocks
//! and H the time that a handshake needs. Then the peers always have a common bucket that both use
//! for H or longer.
//!
//! Each port of a bucket belongs to one of eight lanes, and lane j follows the clock with a delay
//! of j · W / 8. The guarantee holds for each lane, so that half of the ports in use are always
//! common. Every W / 8, one port is replaced by a new one. This matters if the ports in use are of
//! no use: a NAT that remembers the sequence number of an earlier attempt drops all SYNs of a later
//! one on the same port.

use std::{fmt, ops::RangeInclusive, str::FromStr, time::Duration};

use super::{
    names::{self, UnknownName},
    time::WallTime,
};

/// Time for a handshake: H in the documentation of this module.
const HANDSHAKE: Duration = Duration::from_secs(2);

/// Number of lanes of the `rolling` rule: one for each port of a bucket.
pub const LANES: usize = 8;

/// Rule by which buckets follow from the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Rule {
    /// In lane j the two buckets i and i + 1, where i = ⌊(clock − j·W/8) / W⌋. They are followed
    /// while the attempt runs.
    #[default]
    Rolling,
    /// The article's: the one bucket ⌊(clock − max_clock_error) / W⌋, taken once, at the start.
    Article,
}

impl Rule {
    /// Every rule with its name, which [`Display`](fmt::Display) writes and [`FromStr`] reads.
    pub const NAMES: &'static [(&'static str, Self)] =
        &[("rolling", Self::Rolling), ("article", Self::Article)];
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(names::name(Self::NAMES, *self))
    }
}

impl FromStr for Rule {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        names::parse(Self::NAMES, name)
    }
}

/// Buckets by a rule, for a maximum clock error, in some or all lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Buckets {
    rule: Rule,
    max_clock_error: Duration,
    width: usize,
}

impl Buckets {
    /// The default clock error, the article's 20 s.
    pub const DEFAULT_CLOCK_ERROR: Duration = Duration::from_secs(20);

    /// Buckets for clocks that are each within `max_clock_error` of true time, in all lanes.
    pub const fn new(rule: Rule, max_clock_error: Duration) -> Self {
        Self { rule, max_clock_error, width: LANES }
    }

    /// Uses the first `width` lanes only, 1 to [`LANES`]: fewer ports, where a network bans hosts
    /// that knock on many. Peers with different widths have the ports of the smaller one in common.
    /// The `article` rule has one lane, and no width.
    #[must_use]
    pub fn with_width(self, width: usize) -> Self {
        Self { width: width.clamp(1, LANES), ..self }
    }

    /// The rule.
    pub const fn rule(self) -> Rule {
        self.rule
    }

    /// Number of lanes in use.
    pub const fn lanes(self) -> usize {
        match self.rule {
            Rule::Rolling => self.width,
            Rule::Article => 1,
        }
    }

    /// W: twice the clock error plus 2 s. It is 42 s by default.
    pub fn window(self) -> Duration {
        self.max_clock_error
            .saturating_mul(2)
            .saturating_add(HANDSHAKE)
    }

    /// The buckets of which this lane uses a port when the clock reads `wall`: two under `rolling`,
    /// one under `article`.
    pub fn at(self, wall: WallTime, lane: usize) -> RangeInclusive<i64> {
        match self.rule {
            Rule::Rolling => {
                let first = self.index(wall, lane);
                first..=first + 1
            }
            Rule::Article => {
                let only = self.index(wall - self.max_clock_error, 0);
                only..=only
            }
        }
    }

    /// The buckets of which any lane uses a port when the clock reads `wall`: two, or three while
    /// only some of the lanes have changed to the next bucket.
    pub fn in_use(self, wall: WallTime) -> RangeInclusive<i64> {
        *self.at(wall, self.lanes() - 1).start()..=*self.at(wall, 0).end()
    }

    /// The first reading of the clock after `wall` at which a lane changes to another bucket;
    /// `None` if none ever does.
    pub fn next_change(self, wall: WallTime) -> Option<WallTime> {
        match self.rule {
            Rule::Rolling => {
                let next = |lane| {
                    let begin = i128::from(self.index(wall, lane)) + 1;
                    begin * self.window_nanos() + self.shift_nanos(lane)
                };
                let first = (0..self.width).map(next).min()?;
                Some(WallTime::from_nanos(i64::try_from(first).ok()?))
            }
            Rule::Article => None,
        }
    }

    fn index(self, wall: WallTime, lane: usize) -> i64 {
        let shifted = i128::from(wall.as_nanos()) - self.shift_nanos(lane);
        let index = shifted.div_euclid(self.window_nanos());
        i64::try_from(index).expect("a clock of 64 bits by at least two seconds fits")
    }

    fn window_nanos(self) -> i128 {
        i128::try_from(self.window().as_nanos()).unwrap_or(i128::MAX)
    }

    /// Delay of a lane: lane · W / 8, rounded down.
    fn shift_nanos(self, lane: usize) -> i128 {
        let lanes = i128::try_from(LANES).expect("a small number");
        let lane = i128::try_from(lane.min(LANES)).expect("a small number");
        self.window_nanos() * lane / lanes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ERROR: Duration = Duration::from_secs(20);

    fn common(a: RangeInclusive<i64>, b: RangeInclusive<i64>) -> bool {
        a.start() <= b.end() && b.start() <= a.end()
    }

    /// Some two hundred years around the epoch, in nanoseconds.
    fn clocks() -> impl Strategy<Value = i64> {
        -4_000_000_000_000_000_000_i64..4_000_000_000_000_000_000
    }

    #[test]
    fn article_buckets_are_those_of_the_published_program() {
        let buckets = Buckets::new(Rule::Article, ERROR);
        let published = [(0, -1), (19, -1), (20, 0), (61, 0), (62, 1), (1_000_000_000, 23_809_523)];
        for (now, bucket) in published {
            assert_eq!(buckets.at(WallTime::from_secs(now), 0), bucket..=bucket, "at {now}");
        }
    }

    #[test]
    fn extreme_clocks_and_clock_errors_have_buckets() {
        for rule in [Rule::Rolling, Rule::Article] {
            for error in [Duration::ZERO, Duration::MAX] {
                for width in [0, 1, usize::MAX] {
                    let buckets = Buckets::new(rule, error).with_width(width);
                    for nanos in [i64::MIN, -1, 0, i64::MAX] {
                        let wall = WallTime::from_nanos(nanos);
                        let _ = (buckets.at(wall, usize::MAX), buckets.in_use(wall));
                        let _ = (buckets.at(wall, 0), buckets.next_change(wall));
                    }
                }
            }
        }
    }

    #[test]
    fn a_lane_goes_on_every_eighth_of_a_window() {
        let buckets = Buckets::new(Rule::Rolling, ERROR);
        let mut wall = WallTime::from_secs(42);
        for lane in 0..LANES {
            assert_eq!(buckets.at(wall, lane), 1..=2, "lane {lane}");
            if lane + 1 < LANES {
                assert_eq!(buckets.at(wall, lane + 1), 0..=1, "lane {}", lane + 1);
            }
            let change = buckets.next_change(wall).unwrap();
            assert_eq!(change.since(wall), Duration::from_millis(5_250));
            wall = change;
        }
        assert_eq!(buckets.in_use(wall), 1..=3);
    }

    #[test]
    fn a_smaller_width_uses_the_first_lanes() {
        let (wide, narrow) = (Buckets::new(Rule::Rolling, ERROR), WallTime::from_secs(50));
        for width in 1..=LANES {
            let buckets = wide.with_width(width);
            assert_eq!(buckets.lanes(), width);
            for lane in 0..width {
                assert_eq!(buckets.at(narrow, lane), wide.at(narrow, lane));
            }
        }
    }

    proptest! {
        #[test]
        fn rolling_clocks_within_40_s_always_share_a_bucket_in_each_lane(
            wall in clocks(), skew in -40_000_000_000_i64..=40_000_000_000, lane in 0..LANES,
        ) {
            let buckets = Buckets::new(Rule::Rolling, ERROR);
            let a = WallTime::from_nanos(wall);
            let b = WallTime::from_nanos(wall + skew);
            prop_assert!(common(buckets.at(a, lane), buckets.at(b, lane)));
        }

        #[test]
        fn a_common_bucket_of_each_lane_lasts_for_a_handshake(
            wall in clocks(), skew in -40_000_000_000_i64..=40_000_000_000, lane in 0..LANES,
        ) {
            let buckets = Buckets::new(Rule::Rolling, ERROR);
            let lasting = |clock: i64| {
                let now = WallTime::from_nanos(clock);
                let last = now + HANDSHAKE - Duration::from_nanos(1);
                *buckets.at(last, lane).start()..=*buckets.at(now, lane).end()
            };
            prop_assert!(common(lasting(wall), lasting(wall + skew)));
        }

        #[test]
        fn one_lane_changes_at_the_predicted_time(
            wall in clocks(), width in 1..=LANES, error_ms in 0_u64..100_000,
        ) {
            let error = Duration::from_millis(error_ms);
            let buckets = Buckets::new(Rule::Rolling, error).with_width(width);
            let at = |wall| (0..width).map(|lane| buckets.at(wall, lane)).collect::<Vec<_>>();
            let wall = WallTime::from_nanos(wall);
            let change = buckets.next_change(wall).unwrap();
            let before = WallTime::from_nanos(change.as_nanos() - 1);
            prop_assert!(change > wall);
            prop_assert_eq!(at(before), at(wall));
            let moved = at(change).into_iter().zip(at(before)).filter(|(new, old)| new != old);
            let steps: Vec<i64> = moved.map(|(new, old)| new.start() - old.start()).collect();
            prop_assert_eq!(steps, [1]);
        }
    }
}
