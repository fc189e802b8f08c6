//! Rules for peers that could not meet: no common port, or source ports that a NAT changed.

use std::collections::{BTreeMap, BTreeSet};

use punch::{Event, EventKind, proto::time::MonoTime};

use super::case::{Case, Evidence, list_ports, opening};
use crate::{
    diagnose::flow::Flow,
    event::{Cause, CauseKind},
    peers::{Pair, Side},
};

/// All ports that a peer reports to have used, or else those to which the peer sent SYNs.
pub(crate) fn ports(peer: &Evidence<'_>) -> BTreeSet<u16> {
    if peer.events.is_empty() {
        return peer.syns.ports.clone();
    }
    schedule(peer)
        .into_iter()
        .flat_map(|phase| phase.ports)
        .collect()
}

/// The peers never had a port in common.
pub(super) fn disjoint(case: &Case<'_>, flows: &[Flow]) -> Option<Cause> {
    let schedules = case.peers.as_ref().map(schedule);
    if schedules.values().all(|phases| !phases.is_empty()) {
        let common = have_common_port(&schedules[Side::A], &schedules[Side::B]);
        return (!common).then(|| buckets_disjoint(case, &schedules));
    }
    if flows.iter().any(Flow::is_mutual) {
        return None;
    }
    let [to_b, to_a] = targets(flows).into_array();
    let [from_a, from_b] = sources(flows).into_array();
    let apart = to_b.is_disjoint(&to_a) && to_b.is_disjoint(&from_b) && to_a.is_disjoint(&from_a);
    let evidence = || {
        format!(
            "a sent {}s to {} of b, b to {} of a: none in common",
            opening(flows),
            list_ports(to_b),
            list_ports(to_a)
        )
    };
    apart.then(|| CauseKind::NoCommonPort.because(evidence()))
}

/// A time during which the ports of a peer did not change.
struct Phase {
    from: MonoTime,
    until: MonoTime,
    buckets: Vec<i64>,
    ports: BTreeSet<u16>,
}

/// The ports of a peer in the course of time, by the peer's events.
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

fn have_common_port(a: &[Phase], b: &[Phase]) -> bool {
    a.iter().any(|own| {
        let mut concurrent = b
            .iter()
            .filter(|other| own.from < other.until && other.from < own.until);
        concurrent.any(|other| !own.ports.is_disjoint(&other.ports))
    })
}

fn buckets_disjoint(case: &Case<'_>, schedules: &Pair<Vec<Phase>>) -> Cause {
    let buckets = |phases: &Vec<Phase>| {
        let buckets: BTreeSet<i64> = phases
            .iter()
            .flat_map(|phase| phase.buckets.clone())
            .collect();
        let numbers: Vec<String> = buckets.iter().map(i64::to_string).collect();
        match numbers.as_slice() {
            [] => "fixed ports".to_owned(),
            [one] => format!("bucket {one}"),
            several => format!("buckets {}", several.join(", ")),
        }
    };
    let [a, b] = schedules.as_ref().map(buckets).into_array();
    let mut evidence = format!("a used {a}, b {b}: no port in common at any time");
    let start = |side: Side| case.peers[side].events.iter().find_map(Started::of);
    if let (Some(a), Some(b)) = (start(Side::A), start(Side::B)) {
        let read_clock_once = schedules.values().all(|phases| phases.len() == 1);
        evidence += &clocks_and_starts(a, b, read_clock_once);
    }
    CauseKind::BucketsDisjoint.because(evidence)
}

/// The start of an attempt, as its peer reports it.
#[derive(Debug, Clone, Copy)]
struct Started {
    /// The peer's clock minus the monotonic one, in nanoseconds.
    clock_ns: i128,
    /// Time of the start on the monotonic clock, in nanoseconds.
    at_ns: i128,
}

impl Started {
    fn of(event: &Event) -> Option<Self> {
        let EventKind::Started { wall_ns, .. } = &event.kind else { return None };
        let at_ns = i128::from(event.at.as_nanos());
        Some(Self { clock_ns: i128::from(*wall_ns) - at_ns, at_ns })
    }
}

/// Difference of the clocks, which put the peers into different buckets, and that of the starts
/// where each peer read its clock only then.
fn clocks_and_starts(a: Started, b: Started, read_clock_once: bool) -> String {
    let clocks = match apart(b.clock_ns - a.clock_ns) {
        None => "; their clocks agreed".to_owned(),
        Some((ahead, behind, seconds)) => {
            format!("; {ahead}'s clock was {seconds:.3} s ahead of {behind}'s")
        }
    };
    let starts = match apart(b.at_ns - a.at_ns).filter(|_| read_clock_once) {
        None => String::new(),
        Some((later, earlier, seconds)) => format!(
            "; {later} started {seconds:.3} s after {earlier}, and each read its clock at its start \
             alone"
        ),
    };
    clocks + &starts
}

/// The peer with the greater value, the one with the lesser value, and the difference in seconds;
/// `None` below half a millisecond. `nanos` is b's value minus a's.
fn apart(nanos: i128) -> Option<(&'static str, &'static str, f64)> {
    let (greater, lesser) = if nanos < 0 { ("a", "b") } else { ("b", "a") };
    #[expect(clippy::cast_precision_loss, reason = "for people to read")]
    let seconds = nanos.unsigned_abs() as f64 / 1e9;
    (seconds >= 0.0005).then_some((greater, lesser, seconds))
}

/// A source port on the WAN other than the one to which the other side sends.
#[derive(Debug, Clone, Copy)]
struct Remap {
    expected: u16,
    packet: u16,
}

/// NATs changed source ports, so that no SYNs could meet.
///
/// Punchers connect from the port that the other side connects to. So if both sides send to the
/// same port, each must send from it. If two flows agree at one end only, a NAT has changed the
/// other end.
pub(super) fn remapped(flows: &[Flow]) -> Option<Cause> {
    if flows.iter().any(Flow::is_mutual) {
        return None;
    }
    let [to_b, to_a] = targets(flows).into_array();
    let common: BTreeSet<u16> = to_b.intersection(&to_a).copied().collect();
    let mut found = Pair::from_fn(|side| by_common_port(flows, side, &common));
    if found.values().all(BTreeMap::is_empty) {
        found = Pair::from_fn(|side| by_other_end(flows, side));
    }
    let clauses: Vec<String> = found
        .iter()
        .filter_map(|(side, remaps)| {
            let Remap { expected, packet } = remaps.values().next()?;
            let all = match remaps.len() {
                1 => String::new(),
                several => format!(" (and {} more alike)", several - 1),
            };
            let other = side.other();
            Some(format!(
                "NAT {side} sent {side}'s {} from port {packet}, {other} expected {expected}{all}",
                opening(flows)
            ))
        })
        .collect();
    (!clauses.is_empty()).then(|| CauseKind::PortRemapped.because(clauses.join("; ")))
}

/// Changed ports, by expected port: both sides send to a common port, and this side from another.
fn by_common_port(flows: &[Flow], side: Side, common: &BTreeSet<u16>) -> BTreeMap<u16, Remap> {
    let mut remaps = BTreeMap::new();
    for flow in flows
        .iter()
        .filter(|flow| flow.first_opening(side).is_some())
    {
        let (packet, expected) = (flow.port(side), flow.port(side.other()));
        if packet != expected && common.contains(&expected) {
            remaps.entry(expected).or_insert(Remap { expected, packet });
        }
    }
    remaps
}

/// Changed ports, by expected port: this side sends to the port from which the other side sends,
/// but not from the port to which the other side sends.
fn by_other_end(flows: &[Flow], side: Side) -> BTreeMap<u16, Remap> {
    let mut remaps = BTreeMap::new();
    let own = flows
        .iter()
        .filter(|flow| flow.first_opening(side).is_some());
    for flow in own {
        let other = side.other();
        let met = flows.iter().find(|theirs| {
            theirs.first_opening(other).is_some() && theirs.port(other) == flow.port(other)
        });
        if let Some(theirs) = met {
            let (packet, expected) = (flow.port(side), theirs.port(side));
            remaps.entry(expected).or_insert(Remap { expected, packet });
        }
    }
    remaps
}

/// Ports of the other side to which each side sent SYNs.
fn targets(flows: &[Flow]) -> Pair<BTreeSet<u16>> {
    Pair::from_fn(|side| {
        with_syns(flows, side)
            .map(|flow| flow.port(side.other()))
            .collect()
    })
}

/// Ports from which each side's SYNs came, as the WAN sees them.
fn sources(flows: &[Flow]) -> Pair<BTreeSet<u16>> {
    Pair::from_fn(|side| with_syns(flows, side).map(|flow| flow.port(side)).collect())
}

fn with_syns(flows: &[Flow], side: Side) -> impl Iterator<Item = &Flow> {
    flows
        .iter()
        .filter(move |flow| flow.first_opening(side).is_some())
}
