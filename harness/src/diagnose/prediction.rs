//! Prediction of a trial: whether the peers should connect. Scenarios and reports call it `theory`.
//!
//! The prediction uses the setup, the clocks and the starts of the peers. It derives the ports as
//! the peers do, so that ports in common by chance count; [`super::reach`] determines which SYNs
//! the NATs let through. It is `depends` where theory does not decide: a clock so close to the edge
//! of a bucket that the time matters which a process needs to start, random loss, NATs that leave
//! it to chance, foreign subjects.
//!
//! Known limit: a NAT that draws one random port for each inside port is taken never to draw the
//! port that the other side expects. With 16 ports that is wrong in 1 of 4,000 trials.

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

use super::reach::{Reachability, reachability};
use crate::{
    event::{Prediction, Theory},
    peers::{Pair, Side},
    scenario::Setup,
};

/// Longest time between the start of a process and its first look at the clock.
const MAX_STARTUP: Duration = Duration::from_millis(250);

/// Start and clock of a peer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeerStart {
    /// When the process was started, after the begin of the trial.
    pub(crate) start: Duration,
    /// The peer's clock minus true time.
    pub(crate) skew: ClockOffset,
}

/// Predicts a trial at the begin of which an exact clock read `epoch`.
pub(crate) fn predict(setup: &Setup, epoch: WallTime, peers: Pair<PeerStart>) -> Theory {
    let depends = |reason: &str| theory(Prediction::Depends, reason.to_owned());
    if setup.subject.is_some() {
        return depends("the rule of a foreign subject is not known");
    }
    if setup.wan.loss >= 1.0 {
        return theory(Prediction::ShouldNot, "every packet is lost".to_owned());
    }
    let timeout = Duration::from_secs_f64(setup.punch.timeout_s);
    let rtt = setup.wan.rtt();
    let starts = peers.map(|peer| peer.start);
    let from = starts[Side::A].max(starts[Side::B]);
    let until = starts[Side::A].min(starts[Side::B]) + timeout;
    if until <= from {
        return theory(Prediction::ShouldNot, "the peers never run at the same time".to_owned());
    }
    if until - from < setup.wan.delay {
        let reason = "the later peer's packets come when the other has given up".to_owned();
        return theory(Prediction::ShouldNot, reason);
    }
    let reachability = reachability(setup);
    let extra = match reachability {
        Reachability::Never => {
            let [a, b] = setup.peers.as_ref().map(|peer| &peer.nat).into_array();
            let reason = format!("neither a's NAT ({a}) nor b's ({b}) lets a SYN of the other in");
            return theory(Prediction::ShouldNot, reason);
        }
        Reachability::Within(extra) => extra,
        Reachability::Uncertain(_) => Duration::ZERO,
    };
    let needed = rtt * 3 + MAX_STARTUP + extra;
    match common_ports(setup, epoch, peers, (from, until), needed) {
        CommonPorts::Never => {
            return theory(Prediction::ShouldNot, "no port in common at any time".to_owned());
        }
        CommonPorts::TooShort => return depends("ports in common for too short a time to be sure"),
        CommonPorts::Unsure => return depends("a clock reads the edge of a bucket"),
        CommonPorts::LongEnough => {}
    }
    if let Reachability::Uncertain(reason) = reachability {
        return depends(reason);
    }
    if setup.wan.loss > 0.0 {
        return depends("packets are lost at random");
    }
    if setup.peers.values().any(|peer| peer.taken_ports > 0) {
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
enum CommonPorts {
    LongEnough,
    TooShort,
    Never,
    /// Depends on when a process first looks at the clock.
    Unsure,
}

fn common_ports(
    setup: &Setup,
    epoch: WallTime,
    peers: Pair<PeerStart>,
    (from, until): (Duration, Duration),
    needed: Duration,
) -> CommonPorts {
    let error = Duration::from_secs_f64(setup.punch.max_clock_error_s);
    let buckets = Buckets::new(setup.punch.rule, error);
    match setup.punch.rule {
        Rule::Article => {
            // Each peer looks at the clock once, at an instant that is known within MAX_STARTUP.
            let ports_after = |side: Side, startup: Duration| {
                ports(buckets, epoch + peers[side].start + startup, peers[side].skew)
            };
            let outcomes: BTreeSet<bool> = [(0, 0), (0, 1), (1, 0), (1, 1)]
                .into_iter()
                .map(|(a, b)| {
                    let of_a = ports_after(Side::A, MAX_STARTUP * a);
                    !of_a.is_disjoint(&ports_after(Side::B, MAX_STARTUP * b))
                })
                .collect();
            match (outcomes.contains(&true), outcomes.contains(&false)) {
                (true, true) => CommonPorts::Unsure,
                (true, false) if until - from >= needed => CommonPorts::LongEnough,
                (true, false) => CommonPorts::TooShort,
                (false, _) => CommonPorts::Never,
            }
        }
        Rule::Rolling | _ => rolling(buckets, epoch, peers, (from, until), needed),
    }
}

/// Walks from one change of buckets to the next, and measures the longest time for which the same
/// port is common.
fn rolling(
    buckets: Buckets,
    epoch: WallTime,
    peers: Pair<PeerStart>,
    (from, until): (Duration, Duration),
    needed: Duration,
) -> CommonPorts {
    // Ports in common, each with the time since when.
    let mut common: BTreeMap<u16, Duration> = BTreeMap::new();
    let mut longest = Duration::ZERO;
    let mut at = from;
    while at < until {
        let next = peers
            .values()
            .filter_map(|peer| {
                let clock = epoch + at + peer.skew;
                let ahead = buckets.next_change(clock)?.as_nanos() - clock.as_nanos();
                Some(at + Duration::from_nanos(u64::try_from(ahead).ok()?))
            })
            .fold(until, Duration::min);
        let used = peers.map(|peer| ports(buckets, epoch + at, peer.skew));
        common = used[Side::A]
            .intersection(&used[Side::B])
            .map(|port| (*port, common.get(port).copied().unwrap_or(at)))
            .collect();
        let oldest = common.values().min().copied();
        longest = longest.max(oldest.map_or(Duration::ZERO, |since| next - since));
        at = next;
    }
    match longest {
        Duration::ZERO => CommonPorts::Never,
        longest if longest >= needed => CommonPorts::LongEnough,
        _ => CommonPorts::TooShort,
    }
}

fn ports(buckets: Buckets, exact: WallTime, skew: ClockOffset) -> BTreeSet<u16> {
    scheduled_ports(buckets, Schedule::ChaCha20, exact + skew, SessionTag::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    /// Begin of a window of both rules.
    const EDGE: WallTime = WallTime::from_secs(42 * 40_000_000);

    fn predict_text(text: &str, epoch: WallTime, starts_s: [f64; 2], skew_s: f64) -> Theory {
        let scenario = Scenario::parse("test.toml", &format!("trials = 1\n{text}")).unwrap();
        let peers = Pair::from([(starts_s[0], 0.0), (starts_s[1], skew_s)]);
        let starts = peers.map(|(start_s, skew_s)| PeerStart {
            start: Duration::from_secs_f64(start_s),
            skew: ClockOffset::from_secs_f64(skew_s).unwrap(),
        });
        predict(&scenario.cells[0].setup, epoch, starts)
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
    fn a_trial_that_chance_decides_depends() {
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
