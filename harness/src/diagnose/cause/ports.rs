//! Whether the peers could meet: their ports, and what NATs made of them.

use std::collections::{BTreeMap, BTreeSet};

use punch::{Event, EventKind, proto::time::MonoTime};

use super::{Case, Evidence, ports_in_words};
use crate::{
    diagnose::flow::Flow,
    event::{Cause, CauseKind},
    peers::Side,
};

/// All ports that a peer used: as it reports, or else those to which it sent SYNs.
pub(crate) fn ports(peer: &Evidence<'_>) -> BTreeSet<u16> {
    if peer.events.is_empty() {
        return peer.syns.ports.clone();
    }
    schedule(peer)
        .into_iter()
        .flat_map(|phase| phase.ports)
        .collect()
}

/// Peers that never had a port in common.
pub(super) fn disjoint(case: &Case<'_>, flows: &[Flow]) -> Option<Cause> {
    let schedules = case.peers.each_ref().map(schedule);
    if schedules.iter().all(|phases| !phases.is_empty()) {
        let [a, b] = &schedules;
        return (!meet(a, b)).then(|| buckets_disjoint(case, [a, b]));
    }
    if flows.iter().any(Flow::is_mutual) {
        return None;
    }
    let [to_b, to_a] = targets(flows);
    let [from_a, from_b] = sources(flows);
    let apart = to_b.is_disjoint(&to_a) && to_b.is_disjoint(&from_b) && to_a.is_disjoint(&from_a);
    let evidence = || {
        format!(
            "a sent SYNs to {} of b, b to {} of a: none in common",
            ports_in_words(to_b),
            ports_in_words(to_a)
        )
    };
    apart.then(|| CauseKind::NoCommonPort.because(evidence()))
}

/// Ports in use from one time to another.
struct Phase {
    from: MonoTime,
    until: MonoTime,
    buckets: Vec<i64>,
    ports: BTreeSet<u16>,
}

/// The ports of a peer in the course of time, as it reports them.
fn schedule(peer: &Evidence<'_>) -> Vec<Phase> {
    let [_, ended] = peer.ran;
    let mut phases: Vec<Phase> = Vec::new();
    for event in peer.events {
        let EventKind::Ports { buckets, ports } = &event.kind else { continue };
        if let Some(last) = phases.last_mut() {
            last.until = event.at;
        }
        let ports = ports.iter().copied().collect();
        phases.push(Phase { from: event.at, until: ended, buckets: buckets.clone(), ports });
    }
    phases
}

fn meet(a: &[Phase], b: &[Phase]) -> bool {
    a.iter().any(|a| {
        let mut at_once = b.iter().filter(|b| a.from < b.until && b.from < a.until);
        at_once.any(|b| !a.ports.is_disjoint(&b.ports))
    })
}

fn buckets_disjoint(case: &Case<'_>, schedules: [&[Phase]; 2]) -> Cause {
    let [a, b] = schedules.map(|phases| {
        let buckets: BTreeSet<i64> = phases
            .iter()
            .flat_map(|phase| phase.buckets.clone())
            .collect();
        let words: Vec<String> = buckets.iter().map(i64::to_string).collect();
        match words.as_slice() {
            [] => "fixed ports".to_owned(),
            [one] => format!("bucket {one}"),
            several => format!("buckets {}", several.join(", ")),
        }
    });
    let mut evidence = format!("a used {a}, b {b}: no port in common at any time");
    let starts = case
        .peers
        .each_ref()
        .map(|peer| peer.events.iter().find_map(Started::of));
    if let [Some(a), Some(b)] = starts {
        let looked_once = schedules.iter().all(|phases| phases.len() == 1);
        evidence += &of_clocks_and_starts(a, b, looked_once);
    }
    CauseKind::BucketsDisjoint.because(evidence)
}

/// The start of an attempt, as its peer reports it.
#[derive(Debug, Clone, Copy)]
struct Started {
    /// The peer's clock minus the monotonic one, in nanoseconds.
    clock_ns: i128,
    /// When it was, on the monotonic clock, in nanoseconds.
    at_ns: i128,
}

impl Started {
    fn of(event: &Event) -> Option<Self> {
        let EventKind::Started { wall_ns, .. } = &event.kind else { return None };
        let at_ns = i128::from(event.at.as_nanos());
        Some(Self { clock_ns: i128::from(*wall_ns) - at_ns, at_ns })
    }
}

/// What put two peers into different buckets: how far their clocks were apart and, where each looked
/// at its clock at its start alone, how far their starts were.
fn of_clocks_and_starts(a: Started, b: Started, looked_once: bool) -> String {
    let clocks = match apart(b.clock_ns - a.clock_ns) {
        None => "; their clocks agreed".to_owned(),
        Some((ahead, behind, seconds)) => {
            format!("; {ahead}'s clock was {seconds:.3} s ahead of {behind}'s")
        }
    };
    let starts = match apart(b.at_ns - a.at_ns).filter(|_| looked_once) {
        None => String::new(),
        Some((later, earlier, seconds)) => format!(
            "; {later} started {seconds:.3} s after {earlier}, and each read its clock at its start \
             alone"
        ),
    };
    clocks + &starts
}

/// Who has the greater value, who the lesser one, and by how many seconds; `None` below half a
/// millisecond. Positive where b has the greater one.
fn apart(nanos: i128) -> Option<(&'static str, &'static str, f64)> {
    let (greater, lesser) = if nanos < 0 { ("a", "b") } else { ("b", "a") };
    #[expect(clippy::cast_precision_loss, reason = "for people to read")]
    let seconds = nanos.unsigned_abs() as f64 / 1e9;
    (seconds >= 0.0005).then_some((greater, lesser, seconds))
}

/// A side's source port on the WAN that is not the one that the other aims at.
#[derive(Debug, Clone, Copy)]
struct Remap {
    expected: u16,
    seen: u16,
}

/// NATs that changed source ports, so that no SYNs could meet.
///
/// Punchers connect from the port that the other side connects to. So where both aim at the same
/// port, each must come from it; and where only one end of two flows agrees, the other is changed.
pub(super) fn remapped(flows: &[Flow]) -> Option<Cause> {
    if flows.iter().any(Flow::is_mutual) {
        return None;
    }
    let [to_b, to_a] = targets(flows);
    let common: BTreeSet<u16> = to_b.intersection(&to_a).copied().collect();
    let mut found = Side::BOTH.map(|side| by_common_port(flows, side, &common));
    if found.iter().all(BTreeMap::is_empty) {
        found = Side::BOTH.map(|side| by_other_end(flows, side));
    }
    let said: Vec<String> = Side::BOTH
        .into_iter()
        .zip(&found)
        .filter_map(|(side, remaps)| {
            let Remap { expected, seen } = remaps.values().next()?;
            let all = match remaps.len() {
                1 => String::new(),
                several => format!(" (and {} more alike)", several - 1),
            };
            let other = side.other();
            Some(format!(
                "NAT {side} sent {side}'s SYN from port {seen}, {other} expected {expected}{all}"
            ))
        })
        .collect();
    (!said.is_empty()).then(|| CauseKind::PortRemapped.because(said.join("; ")))
}

/// By expected port: where both sides aim at the same port, each must come from it.
fn by_common_port(flows: &[Flow], side: Side, common: &BTreeSet<u16>) -> BTreeMap<u16, Remap> {
    let mut remaps = BTreeMap::new();
    for flow in flows.iter().filter(|flow| flow.first_syn(side).is_some()) {
        let (seen, expected) = (flow.port(side), flow.port(side.other()));
        if seen != expected && common.contains(&expected) {
            remaps.entry(expected).or_insert(Remap { expected, seen });
        }
    }
    remaps
}

/// By expected port: this side aims at the port from which the other comes, and comes from another
/// than that at which the other aims.
fn by_other_end(flows: &[Flow], side: Side) -> BTreeMap<u16, Remap> {
    let mut remaps = BTreeMap::new();
    let own = flows.iter().filter(|flow| flow.first_syn(side).is_some());
    for flow in own {
        let other = side.other();
        let met = flows.iter().find(|theirs| {
            theirs.first_syn(other).is_some() && theirs.port(other) == flow.port(other)
        });
        if let Some(theirs) = met {
            let (seen, expected) = (flow.port(side), theirs.port(side));
            remaps.entry(expected).or_insert(Remap { expected, seen });
        }
    }
    remaps
}

/// Ports of b to which a sent SYNs, and of a to which b did.
fn targets(flows: &[Flow]) -> [BTreeSet<u16>; 2] {
    Side::BOTH.map(|side| {
        of_syns(flows, side)
            .map(|flow| flow.port(side.other()))
            .collect()
    })
}

/// Ports from which a's SYNs came, and b's, as the WAN sees them.
fn sources(flows: &[Flow]) -> [BTreeSet<u16>; 2] {
    Side::BOTH.map(|side| of_syns(flows, side).map(|flow| flow.port(side)).collect())
}

fn of_syns(flows: &[Flow], side: Side) -> impl Iterator<Item = &Flow> {
    flows
        .iter()
        .filter(move |flow| flow.first_syn(side).is_some())
}
