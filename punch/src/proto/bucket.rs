//! From the clock to buckets: numbers that both peers compute without exchanging a message.
//!
//! Time is divided into windows of W seconds, and a bucket is the index of a window. With one
//! bucket in use, two clocks that differ by d agree with probability 1 − |d|/W only. Therefore two
//! neighbouring buckets are in use, and W ≥ D + H, where D is the largest difference of the clocks
//! and H the time that a handshake needs. Then the peers always have a common bucket that both use
//! for H or longer.

use std::{fmt, ops::RangeInclusive, str::FromStr, time::Duration};

use super::{
    names::{self, UnknownName},
    time::WallTime,
};

/// Time for a handshake: H in the documentation of this module.
const HANDSHAKE: Duration = Duration::from_secs(2);

/// Rule by which buckets follow from the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Rule {
    /// The two buckets i and i + 1, where i = ⌊clock / W⌋. They are followed while the attempt
    /// runs.
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

/// Buckets by a rule, for a maximum clock error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Buckets {
    rule: Rule,
    max_clock_error: Duration,
}

impl Buckets {
    /// The default clock error, the article's 20 s.
    pub const DEFAULT_CLOCK_ERROR: Duration = Duration::from_secs(20);

    /// Buckets for clocks that are each within `max_clock_error` of true time.
    pub const fn new(rule: Rule, max_clock_error: Duration) -> Self {
        Self { rule, max_clock_error }
    }

    /// The rule.
    pub const fn rule(self) -> Rule {
        self.rule
    }

    /// W: twice the clock error plus 2 s. It is 42 s by default.
    pub fn window(self) -> Duration {
        self.max_clock_error
            .saturating_mul(2)
            .saturating_add(HANDSHAKE)
    }

    /// The buckets in use when the clock reads `wall`: two under `rolling`, one under `article`.
    pub fn at(self, wall: WallTime) -> RangeInclusive<i64> {
        match self.rule {
            Rule::Rolling => {
                let first = self.index(wall);
                first..=first + 1
            }
            Rule::Article => {
                let only = self.index(wall - self.max_clock_error);
                only..=only
            }
        }
    }

    /// The first reading of the clock after `wall` at which the buckets in use change; `None` if
    /// they never do.
    pub fn next_change(self, wall: WallTime) -> Option<WallTime> {
        match self.rule {
            Rule::Rolling => {
                let next = i128::from(self.index(wall)) + 1;
                let nanos = i64::try_from(next * self.window_nanos()).ok()?;
                Some(WallTime::from_nanos(nanos))
            }
            Rule::Article => None,
        }
    }

    fn index(self, wall: WallTime) -> i64 {
        let index = i128::from(wall.as_nanos()).div_euclid(self.window_nanos());
        i64::try_from(index).expect("a quotient of an i64 by at least two is an i64")
    }

    fn window_nanos(self) -> i128 {
        i128::try_from(self.window().as_nanos()).unwrap_or(i128::MAX)
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

    #[test]
    fn article_buckets_are_those_of_the_published_program() {
        let buckets = Buckets::new(Rule::Article, ERROR);
        let published = [(0, -1), (19, -1), (20, 0), (61, 0), (62, 1), (1_000_000_000, 23_809_523)];
        for (now, bucket) in published {
            assert_eq!(buckets.at(WallTime::from_secs(now)), bucket..=bucket, "at {now}");
        }
    }

    #[test]
    fn extreme_clocks_and_clock_errors_have_buckets() {
        for rule in [Rule::Rolling, Rule::Article] {
            for error in [Duration::ZERO, Duration::MAX] {
                let buckets = Buckets::new(rule, error);
                for nanos in [i64::MIN, -1, 0, i64::MAX] {
                    let wall = WallTime::from_nanos(nanos);
                    let _ = (buckets.at(wall), buckets.next_change(wall));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn rolling_clocks_within_40_s_always_share_a_bucket(
            wall in -4_000_000_000_000_000_000_i64..4_000_000_000_000_000_000,
            skew in -40_000_000_000_i64..=40_000_000_000,
        ) {
            let buckets = Buckets::new(Rule::Rolling, ERROR);
            let a = WallTime::from_nanos(wall);
            let b = WallTime::from_nanos(wall + skew);
            prop_assert!(common(buckets.at(a), buckets.at(b)));
        }

        #[test]
        fn a_common_bucket_lasts_for_a_handshake(
            wall in -4_000_000_000_000_000_000_i64..4_000_000_000_000_000_000,
            skew in -40_000_000_000_i64..=40_000_000_000,
        ) {
            let buckets = Buckets::new(Rule::Rolling, ERROR);
            let lasting = |clock: i64| {
                let now = WallTime::from_nanos(clock);
                let last = now + HANDSHAKE - Duration::from_nanos(1);
                *buckets.at(last).start()..=*buckets.at(now).end()
            };
            prop_assert!(common(lasting(wall), lasting(wall + skew)));
        }

        #[test]
        fn buckets_change_at_the_predicted_time(
            wall in -4_000_000_000_000_000_000_i64..4_000_000_000_000_000_000,
        ) {
            let buckets = Buckets::new(Rule::Rolling, ERROR);
            let change = buckets.next_change(WallTime::from_nanos(wall)).unwrap();
            let before = WallTime::from_nanos(change.as_nanos() - 1);
            prop_assert!(change.as_nanos() > wall);
            prop_assert_eq!(buckets.at(before), buckets.at(WallTime::from_nanos(wall)));
            prop_assert_eq!(*buckets.at(change).start(), buckets.at(before).start() + 1);
        }
    }
}
