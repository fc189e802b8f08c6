//! Buckets and ports that two peers derive from their clocks.

use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;
use punch::ElectionKind;
use punch::proto::{
    bucket::{Buckets, Rule},
    schedule::{Schedule, bucket_ports, scheduled_ports},
    time::WallTime,
    wire::SessionTag,
};

/// W of the default clock error.
pub(crate) const WINDOW_S: i64 = 42;

/// Buckets of the `rolling` rule in use one after the other that share a port by chance, and the
/// port; found by search from bucket 0 and from a bucket of November 2023 on.
pub(crate) const ROLLING_TWINS: [(i64, i64, u16); 4] = [
    (225, 226, 26_530),
    (164, 166, 24_821),
    (40_476_337, 40_476_338, 3_090),
    (40_476_487, 40_476_489, 24_707),
];

/// Neighbouring buckets of the `article` rule that share a port.
pub(crate) const ARTICLE_TWINS: [(i64, i64, u16); 2] =
    [(146, 147, 43_334), (40_476_250, 40_476_251, 39_338)];

pub(crate) fn buckets(rule: Rule) -> Buckets {
    Buckets::new(rule, Duration::from_secs(20))
}

/// The ports of a bucket in the default session, in the order they are drawn.
pub(crate) fn ports_of(rule: Rule, bucket: i64) -> Vec<u16> {
    bucket_ports(rule, Schedule::ChaCha20, bucket, SessionTag::default())
}

/// The ports in use at a reading of the clock, in the default session.
pub(crate) fn ports_at(rule: Rule, wall: WallTime) -> BTreeSet<u16> {
    scheduled_ports(buckets(rule), Schedule::ChaCha20, wall, SessionTag::default())
}

fn common(a: &[u16], b: &[u16]) -> Vec<u16> {
    a.iter().copied().filter(|port| b.contains(port)).collect()
}

/// Some two hundred years around the Unix epoch, in nanoseconds.
fn clock() -> impl Strategy<Value = i64> {
    -3_000_000_000_000_000_000..3_000_000_000_000_000_000_i64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn clocks_in_one_window_give_the_same_ports(
        wall in clock(), other in 0..WINDOW_S * 1_000_000_000,
    ) {
        for rule in [Rule::Rolling, Rule::Article] {
            let shift = if rule == Rule::Article { 20_000_000_000 } else { 0 };
            let window = WINDOW_S * 1_000_000_000;
            let begin = (wall - shift).div_euclid(window) * window + shift;
            let [a, b] = [wall, begin + other].map(WallTime::from_nanos);
            prop_assert_eq!(ports_at(rule, a), ports_at(rule, b));
        }
    }

    #[test]
    fn rolling_clocks_within_40_s_share_a_whole_bucket_for_2_s(
        wall in clock(), skew in -40_000_000_000_i64..=40_000_000_000,
    ) {
        let lasting = |clock: i64| {
            let now = WallTime::from_nanos(clock);
            let last = now + Duration::from_nanos(1_999_999_999);
            let at = |wall| ports_at(Rule::Rolling, wall);
            at(now).intersection(&at(last)).copied().collect::<BTreeSet<u16>>()
        };
        let (a, b) = (lasting(wall), lasting(wall + skew));
        let shared = a.intersection(&b).count();
        prop_assert!(shared >= 8, "{shared} ports in common");
    }

    #[test]
    fn different_sessions_rarely_share_a_port(wall in clock()) {
        let at = |name| {
            let session = SessionTag::new(name);
            let rule = buckets(Rule::Rolling);
            scheduled_ports(rule, Schedule::ChaCha20, WallTime::from_nanos(wall), session)
        };
        prop_assert!(at("one").intersection(&at("another")).count() <= 2);
    }
}

#[test]
fn different_buckets_can_share_a_port_by_chance() {
    let twins = ROLLING_TWINS.map(|twins| (Rule::Rolling, twins));
    for (rule, (a, b, port)) in twins
        .into_iter()
        .chain(ARTICLE_TWINS.map(|t| (Rule::Article, t)))
    {
        assert_eq!(common(&ports_of(rule, a), &ports_of(rule, b)), [port], "{rule:?} {a} {b}");
    }
}

#[test]
fn neighbouring_buckets_share_ports_only_by_chance() {
    let pairs = 300;
    let shared = |bucket: &i64| {
        !common(&ports_of(Rule::Rolling, *bucket), &ports_of(Rule::Rolling, bucket + 1)).is_empty()
    };
    let sharing = (1_000..1_000 + pairs).filter(shared).count();
    // 8 · 8 / 20741 = 0.3 %.
    assert!(sharing <= 5, "{sharing} of {pairs}");
}

#[test]
fn a_port_that_two_buckets_share_is_counted_once() {
    let (first, second, _) = ROLLING_TWINS[0];
    assert_eq!(second, first + 1);
    let wall = WallTime::from_secs(first * WINDOW_S);
    assert_eq!(ports_at(Rule::Rolling, wall).len(), 15);
}

#[test]
fn rules_schedules_and_elections_are_read_by_the_names_that_they_print() {
    for (name, rule) in Rule::NAMES {
        assert_eq!((rule.to_string(), name.parse()), ((*name).to_owned(), Ok(*rule)));
    }
    for (name, schedule) in Schedule::NAMES {
        assert_eq!((schedule.to_string(), name.parse()), ((*name).to_owned(), Ok(*schedule)));
    }
    for name in ["nonce", "wan-ip:203.0.113.7", "wan-ip:2001:db8::7"] {
        assert_eq!(name.parse::<ElectionKind>().unwrap().to_string(), name);
    }
    let unknown = "Rolling".parse::<Rule>().unwrap_err();
    assert_eq!(unknown.to_string(), "\"Rolling\" is none of rolling, article");
    for text in ["wan-ip", "wan-ip:", "wan-ip:home", "Nonce"] {
        let unknown = text.parse::<ElectionKind>().unwrap_err();
        assert_eq!(unknown.to_string(), format!("{text:?} is none of nonce, wan-ip:ADDRESS"));
    }
}
