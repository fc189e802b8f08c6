//! Two attempts on a simulated network.

mod check;
mod host;
mod kernel;
mod nat;
mod sim;

use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;
use punch::proto::{
    attempt::{MAX_FIXED_PORTS, PortSource},
    bucket::Rule,
    connection::Failure,
    event::EventKind,
    schedule::Schedule,
    time::MonoTime,
};

use self::{
    nat::Unsolicited,
    sim::{Report, Trial},
};
use crate::schedule::{ARTICLE_TWINS, WINDOW_S, buckets, ports_at};

/// W in nanoseconds.
const WINDOW_NS: i64 = WINDOW_S * SECOND_NS;

const SECOND_NS: i64 = 1_000_000_000;

/// The first nanosecond of a bucket near the present.
const BUCKET_BEGINS: i64 = 40_476_190 * WINDOW_NS;

/// Number of seeds for a figure, or of cases for a property: `PUNCH_TRIALS` times the default.
fn seeds(default: u32) -> std::ops::Range<u64> {
    let times = std::env::var("PUNCH_TRIALS")
        .ok()
        .and_then(|value| value.parse().ok());
    0..u64::from(default * times.unwrap_or(1))
}

fn cases(default: u32) -> ProptestConfig {
    ProptestConfig::with_cases(u32::try_from(seeds(default).end).unwrap())
}

fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Two sides with clocks, starts and a round trip that the test chooses.
fn trial(seed: u64, rtt_ms: u64, start_ns: [u64; 2], wall: [i64; 2]) -> Trial {
    let start = start_ns.map(Duration::from_nanos);
    Trial { rtt: millis(rtt_ms), start, wall, ..Trial::new(seed) }
}

/// Sixteen ports on each side, of which eight are common, as with two neighbouring buckets.
fn half_common(ports: &mut [PortSource; 2]) {
    let list = |own: u16| PortSource::Fixed((3000..3008).chain(own..own + 8).collect());
    *ports = [list(4000), list(5000)];
}

/// The article's rule: one bucket, chosen once, no listeners.
fn article(trial: Trial) -> Trial {
    let (buckets, schedule) = (buckets(Rule::Article), Schedule::ChaCha20);
    let ports = [0, 1].map(|_| PortSource::Clock { buckets, schedule });
    Trial { ports, listen: false, timeout: Duration::from_secs(12), ..trial }
}

/// A start of either side within `most_ns` of the other's.
fn starts(most_ns: u64) -> impl Strategy<Value = [u64; 2]> {
    (0..=most_ns, any::<bool>()).prop_map(|(late, swap)| if swap { [late, 0] } else { [0, late] })
}

/// Readings of both wall clocks: at any time, and at most this far apart.
fn clocks(most_s: i64) -> impl Strategy<Value = [i64; 2]> {
    let skew = -most_s * SECOND_NS..=most_s * SECOND_NS;
    (0..1_000_000 * WINDOW_NS, skew).prop_map(|(wall, skew)| [wall, wall + skew])
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn rolling_clocks_within_40_s_connect_at_once_behind_nats_that_drop(
        seed: u64, rtt_ms in 1_u64..=400, start in starts(10_000_000_000), wall in clocks(40),
    ) {
        let report = trial(seed, rtt_ms, start, wall).run();
        check::leader_is_never_alone(&report);
        let connected = report.connected_after().expect("connected");
        let rtts = connected.as_secs_f64() / millis(rtt_ms).as_secs_f64();
        prop_assert!((1.0..=1.6).contains(&rtts), "connected after {rtts} RTT");
        let elected = report.elected_after().expect("elected");
        prop_assert!(elected <= millis(rtt_ms) * 3, "elected after {elected:?}");
        prop_assert_eq!(report.greeted, [true, true]);
    }

    #[test]
    fn the_earlier_peer_connects_without_waiting_for_an_ack_of_the_later_one(
        seed: u64, rtt_ms in 1_u64..=100, late_ms in 130_u64..5_000, swap: bool,
    ) {
        let late_ns = late_ms * 1_000_000;
        let start = if swap { [late_ns, 0] } else { [0, late_ns] };
        let report = trial(seed, rtt_ms, start, [BUCKET_BEGINS; 2]).run();
        let connected = report.connected_after().expect("connected");
        let soonest = millis(rtt_ms).max(millis(rtt_ms) / 2 + millis(20));
        prop_assert!(connected <= soonest + millis(1), "connected after {connected:?}");
    }

    #[test]
    fn article_peers_connect_if_and_only_if_their_ports_meet(
        seed: u64, start in starts(10_000_000_000), wall in clocks(60), wan_ip: bool,
    ) {
        let trial = Trial { wan_ip, ..article(trial(seed, 50, start, wall)) };
        let drawn = [0, 1].map(|side| ports_at(Rule::Article, trial.wall_at_start(side)));
        let meet = !drawn[0].is_disjoint(&drawn[1]);
        let report = trial.run();
        prop_assert_eq!(report.agreed().is_some(), meet);
        prop_assert_eq!(report.greeted, [meet, meet]);
    }

    #[test]
    fn no_fault_leaves_the_peers_with_different_connections(
        seed: u64,
        rtt_ms in 1_u64..300,
        loss in 0.0..0.5,
        deaths in 0.0..1.0,
        nats in prop::array::uniform2(0_usize..4),
        start in starts(3_000_000_000),
        listen: bool,
        unbindable in prop::collection::btree_set(3000_u16..3008, 0..8),
    ) {
        let policy = |nat: usize| *Unsolicited::NATS.get(nat).unwrap_or(&Unsolicited::Admit);
        let mut trial = Trial {
            loss,
            deaths,
            unsolicited: nats.map(policy),
            listen,
            unbindable: [unbindable, BTreeSet::new()],
            timeout: Duration::from_secs(4),
            ..trial(seed, rtt_ms, start, [0; 2])
        };
        half_common(&mut trial.ports);
        let report = trial.run();
        check::leader_is_never_alone(&report);
        if deaths == 0.0 && report.agreed().is_some() {
            prop_assert_eq!(report.greeted, [true, true]);
        }
    }
}

#[test]
fn a_lane_that_goes_on_while_running_is_used_at_once() {
    // B's clock is 80 s ahead. A bucket is common to a lane only in the first 4 s after it goes on
    // at A: lane 0 has done so 4.5 s ago, and lane 1 will in 0.75 s.
    let wall = BUCKET_BEGINS + 4_500_000_000;
    let trial = trial(1, 50, [0; 2], [wall, wall + 80 * SECOND_NS]);
    let report = trial.run();
    let connected = report.connected_after().expect("connected");
    // Of A's 16 ports 15 stay, for each of which the new one waits 3 ms.
    let bounds = Duration::from_millis(845)..=Duration::from_millis(875);
    assert!(bounds.contains(&connected), "{connected:?}");
    let changes: Vec<MonoTime> = (report.events[0].iter())
        .filter(|event| matches!(event.kind, EventKind::Ports { .. }))
        .map(|event| event.at)
        .collect();
    assert_eq!(changes, [0, 750].map(|ms| MonoTime::default() + millis(ms)));
}

/// A's clock is 40 s ahead, so that one bucket is common, or two for 2 s in each window. The start
/// varies, so that the handshake begins at any time around a change of buckets.
#[test]
fn a_common_bucket_that_is_about_to_be_left_is_enough() {
    for rtt_ms in [50, 500, 1_200] {
        for (tenth, swap) in (-45..=5).flat_map(|tenth| [(tenth, false), (tenth, true)]) {
            let ahead = BUCKET_BEGINS + SECOND_NS / 10 * tenth;
            let mut trial = trial(7, rtt_ms, [0, 400_000_000], [ahead, ahead - 40 * SECOND_NS]);
            if swap {
                trial.start.reverse();
            }
            let connected = trial.run().connected_after().expect("connected");
            assert!(connected <= millis(rtt_ms * 8 / 5), "{connected:?} at {rtt_ms} ms, {tenth}");
        }
    }
}

#[test]
fn article_peers_in_neighbouring_buckets_meet_on_a_port_that_both_have_by_chance() {
    for (first, _, port) in ARTICLE_TWINS {
        let begins = first * WINDOW_NS + 20 * SECOND_NS;
        let report = article(trial(1, 50, [0; 2], [begins, begins + WINDOW_NS])).run();
        assert_eq!(report.agreed(), Some((port, port)));
    }
}

#[test]
fn a_round_trip_longer_than_the_pause_before_a_fresh_syn_connects() {
    for rtt_ms in [600, 900, 1_300, 1_900] {
        for seed in seeds(10) {
            let stagger = 100_000_000 * (seed % 100);
            let report = trial(seed, rtt_ms, [0, stagger], [BUCKET_BEGINS; 2]).run();
            let connected = report.connected_after().expect("connected");
            assert!(connected <= millis(rtt_ms * 8 / 5), "{connected:?} at {rtt_ms} ms");
        }
    }
}

#[test]
fn ports_in_use_are_left_out_and_the_others_connect() {
    let common: BTreeSet<u16> = (3000..3008).collect();
    for free in &common {
        let mut trial = trial(1, 50, [0; 2], [0; 2]);
        half_common(&mut trial.ports);
        let taken = common.iter().filter(|port| *port != free);
        let (a, b): (Vec<u16>, Vec<u16>) = taken.partition(|port| port.is_multiple_of(2));
        trial.unbindable = [a.into_iter().collect(), b.into_iter().collect()];
        assert_eq!(trial.run().agreed(), Some((*free, *free)));
    }
}

#[test]
fn a_public_host_is_reached_from_behind_a_nat_that_changes_ports_by_its_listeners_only() {
    for listen in [true, false] {
        let trial = Trial {
            shift: [1000, 0],
            unsolicited: [Unsolicited::Drop, Unsolicited::Admit],
            listen,
            timeout: Duration::from_secs(5),
            ..trial(1, 50, [0; 2], [0; 2])
        };
        let report = trial.run();
        assert_eq!(report.agreed().is_some(), listen);
        assert!(report.agreed().is_none_or(|(a, b)| a == b + 1000));
    }
}

#[test]
fn silence_is_reported_as_no_answer_at_the_deadline() {
    for (nat, failure) in [
        (Unsolicited::Drop, Failure::NoAnswer),
        (Unsolicited::Reset, Failure::Refused),
        (Unsolicited::Unreachable, Failure::Refused),
    ] {
        // B starts only when A has given up.
        let timeout = Duration::from_secs(5);
        let late = [0, 20_000_000_000];
        let trial =
            Trial { unsolicited: [nat; 2], timeout, listen: false, ..trial(1, 50, late, [0; 2]) };
        let end = trial.run().ends[0].expect("A ends");
        assert_eq!(end.result, Err(failure));
        assert_eq!(end.at, MonoTime::default() + timeout);
    }
}

/// Runs a trial for each seed, and returns the time within which 99 % were elected.
fn p99(seeds: std::ops::Range<u64>, run: impl Fn(u64) -> Report) -> Duration {
    let count = usize::try_from(seeds.end - seeds.start).unwrap();
    let after = seeds.map(|seed| run(seed).elected_after().unwrap_or(Duration::MAX));
    let mut after: Vec<Duration> = after.collect();
    after.sort_unstable();
    let at = |percent: usize| after[(count * percent).div_ceil(100) - 1];
    println!("elected after p50 {:?}, p90 {:?}, p99 {:?} of {count}", at(50), at(90), at(99));
    at(99)
}

#[test]
fn loss_of_30_percent_delays_by_3_s_at_most() {
    let p99 = p99(seeds(300), |seed| {
        let mut trial = Trial { loss: 0.3, ..trial(seed, 100, [0; 2], [0; 2]) };
        half_common(&mut trial.ports);
        trial.run()
    });
    assert!(p99 <= Duration::from_secs(3), "{p99:?}");
}

/// Two sides with 16 ports each, of which 8 are common. The later one starts up to 2 s after the
/// other.
fn staggered(seed: u64, rtt_ms: u64, unsolicited: [Unsolicited; 2]) -> Trial {
    let late = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 2_000_000_000;
    let start = if seed.is_multiple_of(2) { [0, late] } else { [late, 0] };
    let mut trial = Trial { unsolicited, ..trial(seed, rtt_ms, start, [0; 2]) };
    half_common(&mut trial.ports);
    trial
}

#[test]
fn every_mix_of_nat_answers_is_crossed_within_2_s() {
    for (mix, listen) in (0..9).flat_map(|mix| [(mix, true), (mix, false)]) {
        let nats = [Unsolicited::NATS[mix / 3], Unsolicited::NATS[mix % 3]];
        for rtt_ms in [2, 20, 100] {
            print!("{nats:?}, RTT {rtt_ms} ms, listeners {listen}: ");
            let p99 =
                p99(seeds(20), |seed| Trial { listen, ..staggered(seed, rtt_ms, nats) }.run());
            assert!(p99 <= Duration::from_secs(2), "{nats:?} at {rtt_ms} ms: {p99:?}");
        }
    }
}

/// The hardest case: both SYNs must cross on their way.
#[test]
fn two_nats_that_answer_rst_are_crossed_within_2_s() {
    for taken in [false, true] {
        let p99 = p99(seeds(300), |seed| {
            let mut trial = staggered(seed, 2, [Unsolicited::Reset; 2]);
            // The first port is an eager one.
            trial.unbindable[0].extend(taken.then_some(3000));
            trial.run()
        });
        assert!(p99 <= Duration::from_millis(if taken { 2500 } else { 2000 }), "{p99:?}");
    }
}

/// Maximum number of SYNs that a side has sent in any second.
fn most_in_a_second(syns: &[MonoTime]) -> usize {
    let second = Duration::from_secs(1);
    let within = |(index, first): (usize, &MonoTime)| {
        syns[index..].partition_point(|at| at.since(*first) < second)
    };
    syns.iter().enumerate().map(within).max().unwrap_or(0)
}

/// The sides never meet: the second one starts when the first one has given up.
#[test]
fn refusals_never_cause_a_flood_of_syns() {
    let mut most = 0;
    for (seed, rtt_ms) in seeds(4).flat_map(|seed| [(seed, 0), (seed, 2)]) {
        // In every other trial the buckets change in the middle, with 8 new ports.
        let ahead = if seed.is_multiple_of(2) { 0 } else { 5_000_000_000 };
        let trial = Trial {
            unsolicited: [Unsolicited::Reset; 2],
            timeout: Duration::from_secs(10),
            ..trial(seed, rtt_ms, [0, 20_000_000_000], [BUCKET_BEGINS - ahead; 2])
        };
        let report = trial.run();
        assert_eq!(report.agreed(), None);
        most = report
            .syns
            .iter()
            .map(|syns| most_in_a_second(syns))
            .fold(most, usize::max);
    }
    let many = (3000..).take(MAX_FIXED_PORTS).collect::<Vec<u16>>();
    for seed in seeds(4) {
        let trial = Trial {
            unsolicited: [Unsolicited::Reset; 2],
            ports: [0, 1].map(|_| PortSource::Fixed(many.clone())),
            timeout: Duration::from_secs(4),
            ..trial(seed, 0, [0, 20_000_000_000], [BUCKET_BEGINS; 2])
        };
        most = trial
            .run()
            .syns
            .iter()
            .map(|syns| most_in_a_second(syns))
            .fold(most, usize::max);
    }
    println!("at most {most} SYNs in a second");
    assert!(most <= 250, "{most} SYNs in a second");
}
