//! Why a trial failed, as far as exits, events and ports tell.

use std::collections::BTreeSet;

use punch::{Event, Failure, core::event::What};

use super::times::Syns;
use crate::{event::Cause, lab::Side};

/// The names of all causes that a failure can have, as an expectation can have them.
pub(crate) const KINDS: &[&str] = &[
    "peer-crashed",
    "bytes-differ",
    "no-syn",
    "no-common-port",
    "election-lost",
    "no-peer",
    "nothing-bound",
    "unreachable",
    "refused",
    "no-answer",
    "unknown",
];

/// What is known of a peer at the end of a failed trial.
#[derive(Debug)]
pub(crate) struct Evidence<'a> {
    /// How it ended, in words.
    pub(crate) exit: &'a str,
    /// Whether it ended in a way that no puncher should: a signal, a panic.
    pub(crate) crashed: bool,
    /// The last line it printed on standard error.
    pub(crate) complaint: &'a str,
    /// What it reported.
    pub(crate) events: &'a [Event],
    /// Whether the bytes of the other side came out of it.
    pub(crate) received: bool,
    /// Whether other bytes came out of it.
    pub(crate) garbled: bool,
    /// SYNs of its own seen on the WAN.
    pub(crate) syns: &'a Syns,
}

/// The most telling cause.
pub(crate) fn find(peers: &[Evidence<'_>; 2]) -> Cause {
    crashed(peers)
        .or_else(|| garbled(peers))
        .or_else(|| silent(peers))
        .or_else(|| no_common_port(peers))
        .or_else(|| reported(peers))
        .unwrap_or_else(|| unknown(peers))
}

fn cause(kind: &str, evidence: String) -> Cause {
    Cause { kind: kind.to_owned(), evidence }
}

fn sides<'a>(peers: &'a [Evidence<'a>; 2]) -> impl Iterator<Item = (Side, &'a Evidence<'a>)> {
    Side::BOTH.into_iter().zip(peers)
}

fn crashed(peers: &[Evidence<'_>; 2]) -> Option<Cause> {
    let (side, peer) = sides(peers).find(|(_, peer)| peer.crashed)?;
    Some(cause("peer-crashed", format!("peer {side} ended with {}{}", peer.exit, quote(peer))))
}

fn garbled(peers: &[Evidence<'_>; 2]) -> Option<Cause> {
    let (side, _) = sides(peers).find(|(_, peer)| peer.garbled)?;
    Some(cause("bytes-differ", format!("what came out of peer {side} is not what went in")))
}

fn silent(peers: &[Evidence<'_>; 2]) -> Option<Cause> {
    let (side, peer) = sides(peers).find(|(_, peer)| peer.syns.count == 0)?;
    let evidence = format!("no SYN of peer {side} came to the WAN; {}{}", peer.exit, quote(peer));
    Some(cause("no-syn", evidence))
}

fn no_common_port(peers: &[Evidence<'_>; 2]) -> Option<Cause> {
    let [a, b] = [ports(&peers[0]), ports(&peers[1])];
    if a.is_empty() || b.is_empty() || !a.is_disjoint(&b) {
        return None;
    }
    let [from_a, from_b] = [buckets(peers[0].events), buckets(peers[1].events)];
    let evidence = if from_a.is_empty() || from_b.is_empty() {
        format!("a sent SYNs to {} ports, b to {} others: none in common", a.len(), b.len())
    } else {
        format!("a used buckets {from_a}, b {from_b}: no port in common")
    };
    Some(cause("no-common-port", evidence))
}

/// What the peers themselves say.
fn reported(peers: &[Evidence<'_>; 2]) -> Option<Cause> {
    let reasons = peers.each_ref().map(|peer| failure(peer.events));
    // The one that came furthest knows most.
    let order = [
        (Failure::ElectionLost, "election-lost"),
        (Failure::NoPeer, "no-peer"),
        (Failure::NothingBound, "nothing-bound"),
        (Failure::Unreachable, "unreachable"),
        (Failure::Refused, "refused"),
        (Failure::NoAnswer, "no-answer"),
    ];
    let (_, kind) = order.into_iter().find(|(reason, _)| reasons.contains(&Some(*reason)))?;
    let said: Vec<String> = sides(peers)
        .zip(reasons)
        .map(|((side, peer), reason)| match reason {
            Some(reason) => format!("{side}: {reason}"),
            None if peer.received => format!("{side}: connected"),
            None => format!("{side}: {}", peer.exit),
        })
        .collect();
    Some(cause(kind, said.join("; ")))
}

fn unknown(peers: &[Evidence<'_>; 2]) -> Cause {
    let said: Vec<String> = sides(peers)
        .map(|(side, peer)| {
            let received = if peer.received { "received" } else { "received nothing" };
            format!("{side}: {}, {received}{}", peer.exit, quote(peer))
        })
        .collect();
    cause("unknown", said.join("; "))
}

fn quote(peer: &Evidence<'_>) -> String {
    if peer.complaint.is_empty() { String::new() } else { format!(", saying {:?}", peer.complaint) }
}

/// All ports that a peer used: as it reports, or else those to which it sent SYNs.
pub(crate) fn ports(peer: &Evidence<'_>) -> BTreeSet<u16> {
    if peer.events.is_empty() {
        return peer.syns.ports.clone();
    }
    let mut all = BTreeSet::new();
    for event in peer.events {
        if let What::Ports { ports, .. } = &event.what {
            all.extend(ports);
        }
    }
    all
}

fn buckets(events: &[Event]) -> String {
    let mut all = BTreeSet::new();
    for event in events {
        if let What::Ports { buckets, .. } = &event.what {
            all.extend(buckets);
        }
    }
    all.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}

fn failure(events: &[Event]) -> Option<Failure> {
    let last = events.last()?;
    if let What::Failed { reason } = last.what { Some(reason) } else { None }
}
