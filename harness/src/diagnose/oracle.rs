//! The oracle: should this trial connect?
//!
//! It knows the setup, the clocks and when the peers were started, and derives their ports as they
//! do, chance common ports included; [`super::ways`] tells which SYNs their NATs let through. It
//! says `depends` where theory does not decide: a clock so close to a bucket's edge that the time a
//! process needs to start matters, random loss, NATs that leave it to chance, subjects whose rule it
//! does not know.
//!
//! Known limit: that a NAT with random ports happens to give the very port that the other expects
//! is taken for impossible where it draws one for each inside port only; with 16 ports that is 1 of
//! 4,000 trials.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use punch::{
    ClockOffset, Rule,
    proto::{
        bucket::Buckets, schedule::Schedule, schedule::scheduled_ports, time::WallTime,
        wire::SessionTag,
    },
};

use super::ways::{Ways, ways};
use crate::{
    event::{Prediction, Theory},
    scenario::Setup,
};

/// What a process may need between its start and its first look at the clock.
const STARTING: Duration = Duration::from_millis(250);

/// What the oracle needs to know of a peer beyond the setup.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Running {
    /// When its process was started, after the begin of the trial.
    pub(crate) start: Duration,
    /// Its clock minus true time.
    pub(crate) skew: ClockOffset,
}

/// Predicts a trial whose exact clock read `epoch` at its begin.
pub(crate) fn predict(setup: &Setup, epoch: WallTime, peers: [Running; 2]) -> Theory {
    let depends = |reason: &str| theory(Prediction::Depends, reason.to_owned());
    if setup.subject.is_some() {
        return depends("the rule of a foreign subject is not known");
    }
    if setup.wan.loss >= 1.0 {
        return theory(Prediction::ShouldNot, "every packet is lost".to_owned());
    }
    let timeout = Duration::from_secs_f64(setup.punch.timeout_s);
    let rtt = setup.wan.rtt();
    let from = peers[0].start.max(peers[1].start);
    let until = peers[0].start.min(peers[1].start) + timeout;
    if until <= from {
        return theory(Prediction::ShouldNot, "the peers never run at the same time".to_owned());
    }
    if until - from < setup.wan.delay {
        let reason = "the later peer's packets come when the other has given up".to_owned();
        return theory(Prediction::ShouldNot, reason);
    }
    let ways = ways(setup);
    let patience = match ways {
        Ways::None => {
            let [a, b] = setup.peers.each_ref().map(|peer| &peer.nat);
            let reason = format!("neither a's NAT ({a}) nor b's ({b}) lets a SYN of the other in");
            return theory(Prediction::ShouldNot, reason);
        }
        Ways::Within(patience) => patience,
        Ways::Chance(_) => Duration::ZERO,
    };
    let needed = rtt * 3 + STARTING + patience;
    match meeting(setup, epoch, peers, (from, until), needed) {
        Meeting::Never => {
            return theory(Prediction::ShouldNot, "no port in common at any time".to_owned());
        }
        Meeting::Short => return depends("ports in common for too short a time to be sure"),
        Meeting::Unsure => return depends("a clock reads the edge of a bucket"),
        Meeting::Lasting => {}
    }
    if let Ways::Chance(reason) = ways {
        return depends(reason);
    }
    if setup.wan.loss > 0.0 {
        return depends("packets are lost at random");
    }
    if setup.peers.iter().any(|peer| peer.taken_ports > 0) {
        return depends("other programs hold some of the ports");
    }
    theory(
        Prediction::Should,
        "a port in common, and a NAT that lets the other's SYN in".to_owned(),
    )
}

fn theory(prediction: Prediction, reason: String) -> Theory {
    Theory { prediction, reason }
}

/// Whether the peers have a port in common while both run.
enum Meeting {
    Lasting,
    Short,
    Never,
    /// It depends on when in its start a process looks at the clock.
    Unsure,
}

fn meeting(
    setup: &Setup,
    epoch: WallTime,
    peers: [Running; 2],
    (from, until): (Duration, Duration),
    needed: Duration,
) -> Meeting {
    let error = Duration::from_secs_f64(setup.punch.max_clock_error_s);
    let buckets = Buckets::new(setup.punch.rule, error);
    match setup.punch.rule {
        Rule::Article => {
            // One look at the clock, at an instant that is known within STARTING.
            let looks = |peer: Running, late: Duration| {
                ports(buckets, epoch + peer.start + late, peer.skew)
            };
            let met: BTreeSet<bool> = [(0, 0), (0, 1), (1, 0), (1, 1)]
                .into_iter()
                .map(|(a, b)| {
                    let a = looks(peers[0], STARTING * a);
                    !a.is_disjoint(&looks(peers[1], STARTING * b))
                })
                .collect();
            match (met.contains(&true), met.contains(&false)) {
                (true, true) => Meeting::Unsure,
                (true, false) if until - from >= needed => Meeting::Lasting,
                (true, false) => Meeting::Short,
                (false, _) => Meeting::Never,
            }
        }
        Rule::Rolling => rolling(buckets, epoch, peers, (from, until), needed),
    }
}

/// Walks from one change of buckets to the next, and measures the longest time for which one and
/// the same port is common.
fn rolling(
    buckets: Buckets,
    epoch: WallTime,
    peers: [Running; 2],
    (from, until): (Duration, Duration),
    needed: Duration,
) -> Meeting {
    // Since when each port that is common has been so.
    let mut common: BTreeMap<u16, Duration> = BTreeMap::new();
    let mut longest = Duration::ZERO;
    let mut at = from;
    while at < until {
        let next = peers
            .iter()
            .filter_map(|peer| {
                let clock = epoch + at + peer.skew;
                let ahead = buckets.next_change(clock)?.as_nanos() - clock.as_nanos();
                Some(at + Duration::from_nanos(u64::try_from(ahead).ok()?))
            })
            .fold(until, Duration::min);
        let [a, b] = peers.map(|peer| ports(buckets, epoch + at, peer.skew));
        common = a
            .intersection(&b)
            .map(|port| (*port, common.get(port).copied().unwrap_or(at)))
            .collect();
        let oldest = common.values().min().copied();
        longest = longest.max(oldest.map_or(Duration::ZERO, |since| next - since));
        at = next;
    }
    match longest {
        Duration::ZERO => Meeting::Never,
        longest if longest >= needed => Meeting::Lasting,
        _ => Meeting::Short,
    }
}

fn ports(buckets: Buckets, exact: WallTime, skew: ClockOffset) -> BTreeSet<u16> {
    scheduled_ports(buckets, Schedule::ChaCha20, exact + skew, SessionTag::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    /// A window of both rules begins here.
    const EDGE: WallTime = WallTime::from_secs(42 * 40_000_000);

    fn predict_text(text: &str, epoch: WallTime, starts_s: [f64; 2], skew_s: f64) -> Theory {
        let scenario = Scenario::parse("test.toml", &format!("trials = 1\n{text}")).unwrap();
        let skews = [0.0, skew_s].map(|skew| ClockOffset::from_secs_f64(skew).unwrap());
        let running = [0, 1].map(|side| Running {
            start: Duration::from_secs_f64(starts_s[side]),
            skew: skews[side],
        });
        predict(&scenario.cells[0].setup, epoch, running)
    }

    #[test]
    fn rolling_peers_within_40_s_should_connect_wherever_the_clocks_stand() {
        for second in 0..42 {
            for skew_s in [-40.0, -21.0, 0.0, 3.0, 40.0] {
                let epoch = EDGE + Duration::from_secs(second);
                let theory = predict_text("", epoch, [0.0, 5.0], skew_s);
                assert_eq!(theory.prediction, Prediction::Should, "{second} {skew_s} {theory:?}");
            }
        }
    }

    #[test]
    fn buckets_that_live_shorter_than_a_handshake_decide_nothing() {
        // Some port is common at any time, but none for the 24 s that the round trips need.
        let text = "[wan]\ndelay_ms = 4000\n[punch]\nmax_clock_error_s = 0\ntimeout_s = 60";
        let theory = predict_text(text, EDGE, [0.0; 2], 0.0);
        assert_eq!(theory.prediction, Prediction::Depends, "{theory:?}");
    }

    #[test]
    fn article_peers_should_connect_exactly_when_they_are_in_one_window() {
        let text = "[punch]\nrule = \"article\"";
        // The article's windows begin 20 s later than the rolling rule's.
        for (second, skew_s, expected) in [
            (21, 40.0, Prediction::Should),
            (24, 40.0, Prediction::ShouldNot),
            (24, -3.0, Prediction::Should),
            (22, -3.0, Prediction::ShouldNot),
        ] {
            let theory = predict_text(text, EDGE + Duration::from_secs(second), [0.0; 2], skew_s);
            assert_eq!(theory.prediction, expected, "{second} {skew_s} {theory:?}");
        }
    }

    #[test]
    fn a_clock_at_the_edge_of_a_window_decides_nothing() {
        let text = "[punch]\nrule = \"article\"";
        let just_before = EDGE + Duration::from_millis(20_000 - 100);
        let theory = predict_text(text, just_before, [0.0; 2], 0.0);
        assert_eq!(theory.prediction, Prediction::Depends, "{theory:?}");
    }

    #[test]
    fn what_chance_decides_depends() {
        for text in [
            "[wan]\nloss = 0.01",
            "[peer.a.nat]\nname = \"icmp-reject\"\nicmp_limit = false",
            "[peer.a]\ntaken_ports = 3",
            "[subject]\ncommand = [\"true\"]",
        ] {
            let theory = predict_text(text, EDGE, [0.0; 2], 0.0);
            assert_eq!(theory.prediction, Prediction::Depends, "{text}");
        }
    }

    #[test]
    fn nats_decide_where_they_let_no_syn_in() {
        let text = "[peer.a]\nnat = \"symmetric\"";
        let theory = predict_text(text, EDGE, [0.0; 2], 0.0);
        assert_eq!(theory.prediction, Prediction::ShouldNot);
        insta::assert_snapshot!(theory.reason);
        let loss = format!("{text}\n[wan]\nloss = 0.5");
        let theory = predict_text(&loss, EDGE, [0.0; 2], 0.0);
        assert_eq!(theory.prediction, Prediction::ShouldNot, "loss does not help");
        let theory = predict_text("[wan]\nloss = 1", EDGE, [0.0; 2], 0.0);
        assert_eq!(theory.prediction, Prediction::ShouldNot, "every packet is lost");
    }

    #[test]
    fn syns_that_must_cross_need_time() {
        let reject = "[peer.a]\nnat = \"home-reject\"\n[peer.b]\nnat = \"linux-router\"";
        for (timeout_s, expected) in [(12, Prediction::Should), (6, Prediction::Depends)] {
            let text = format!("[punch]\ntimeout_s = {timeout_s}\n{reject}");
            let theory = predict_text(&text, EDGE, [0.0; 2], 0.0);
            assert_eq!(theory.prediction, expected, "{timeout_s} s");
        }
    }

    #[test]
    fn peers_that_never_run_together_should_not_connect() {
        let text = "[punch]\ntimeout_s = 2\n[peer.a]\nnat = \"linux-router\"";
        let theory = predict_text(text, EDGE, [0.0, 2.5], 0.0);
        assert_eq!(theory.prediction, Prediction::ShouldNot);
        let theory = predict_text(text, EDGE, [0.0, 1.9], 0.0);
        assert_eq!(theory.prediction, Prediction::Depends, "too short to be sure");
        let far = format!("{text}\n[wan]\ndelay_ms = 200");
        let theory = predict_text(&far, EDGE, [0.0, 1.9], 0.0);
        assert_eq!(theory.prediction, Prediction::ShouldNot, "no packet comes in time");
    }
}
