//! From the clock to buckets: the number both peers share without a word.
//!
//! Time is cut into windows of W seconds; a bucket is the index of a window. With one bucket in
//! use, two clocks that differ by d agree with probability 1 − |d|/W only. With two neighbouring
//! buckets in use and W ≥ D + H (D the largest skew, H the time a handshake needs) at least one is
//! common whenever both peers run, and stays so for at least H more.
//!
//! Each of the ports of a bucket belongs to a lane, and each lane cuts time at other instants:
//! lane j looks at the clock of j · W / 8 ago. The guarantee holds for each lane alone, so that half
//! of the ports in use are always common; and a new port comes into use every W / 8. A port can be
//! spoilt for as long as it is in use: a NAT that remembers the sequence number of an earlier run
//! takes every SYN of a later one for invalid.

use std::{fmt, ops::RangeInclusive, str::FromStr, time::Duration};

use super::{
    names::{self, UnknownName},
    time::WallTime,
};

/// Time left for a handshake in the window: H in the module's words.
const HANDSHAKE: Duration = Duration::from_secs(2);

/// Number of lanes of the `rolling` rule: one for each port of a bucket.
pub const LANES: usize = 8;

/// How buckets follow from the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Rule {
    /// In lane j buckets {i, i+1} with i = ⌊(clock − j·W/8) / W⌋, re-evaluated while running.
    #[default]
    Rolling,
    /// The article's: one bucket, ⌊(clock − max_clock_error) / W⌋, chosen once.
    Article,
}

impl Rule {
    /// Every value and its name, as [`Display`](fmt::Display) and [`FromStr`] have it.
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

/// A rule, the clock error it allows for, and how many lanes are in use.
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

    /// W: twice the clock error plus 2 s; 42 s for the article's 20 s.
    pub fn window(self) -> Duration {
        self.max_clock_error
            .saturating_mul(2)
            .saturating_add(HANDSHAKE)
    }

    /// The buckets of which this lane uses a port when the clock reads `wall`: two for `rolling`,
    /// one for `article`.
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
    /// some lanes have gone on to the next bucket and others have not.
    pub fn in_use(self, wall: WallTime) -> RangeInclusive<i64> {
        *self.at(wall, self.lanes() - 1).start()..=*self.at(wall, 0).end()
    }

    /// When a lane next goes on to another bucket after `wall`; `None` if none ever does.
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

    /// How much later than lane 0 a lane goes on: lane · W / 8, rounded down.
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
    fn the_extremes_of_clocks_and_errors_have_buckets() {
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
        fn a_common_bucket_of_each_lane_lasts_for_a_whole_handshake(
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
        fn one_lane_goes_on_when_the_buckets_say(
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
