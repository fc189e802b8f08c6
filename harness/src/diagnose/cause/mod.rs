//! Why a trial failed: from both peers' ends and events and from the packets on the WAN, all on one
//! monotonic clock. A pure function.
//!
//! The rules stand in the order of their certainty, and the first that applies names the cause:
//! what a process did ([`process`]), what became of a connection that stood ([`connection`]),
//! whether the peers could meet at all ([`mod@ports`]), and what happened to the SYNs ([`wire`]). All
//! but those on buckets and elections need packets only, so that they hold for foreign punchers as
//! well. What none of them can tell is `unknown`.
//!
//! Known limits: what happens between a host and its NAT is inferred from the WAN, and data is
//! counted, not read.

mod connection;
mod ports;
mod process;
#[cfg(test)]
mod tests;
mod wire;

use std::time::Duration;

use punch::{Event, core::time::MonoTime};

pub(crate) use self::ports::ports;
use super::{
    flow::{self, Flow, Place},
    times::Syns,
};
use crate::{event::Cause, named::Named, peers::Side, wan::Traffic, words::count};

/// The causes, and what each means. Those of errors of the bench are named `bench`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A peer ended with a signal, a panic, or a code that is no puncher's.
    PeerCrashed,
    /// What came out of a peer is not what went into the other.
    BytesDiffer,
    /// All bytes came through, but a peer ended as if they had not.
    EndedBadly,
    /// None of a peer's ports could be bound.
    NothingBound,
    /// A peer sent no SYN to the other.
    NoSyn,
    /// A NAT let packets of a connection out without translating them.
    NotTranslated,
    /// One peer had ended before a SYN of the other could reach it.
    NeverTogether,
    /// A connection stood, and the peers chose different ones.
    ElectionDisagreed,
    /// A connection stood and the peers met on it, but did not agree in time.
    ElectionLost,
    /// A connection stood, but no peer of the session spoke on it in time.
    NoPeer,
    /// A connection stood, but the bytes did not come through.
    BytesMissing,
    /// The peers' clocks put them into buckets without a common port.
    BucketsDisjoint,
    /// The peers sent SYNs to different ports.
    NoCommonPort,
    /// A NAT gave a SYN another source port than the one that the other side aims at.
    PortRemapped,
    /// A SYN was accepted, but the handshake went no further.
    HandshakeIncomplete,
    /// SYNs that should have met were answered with RST.
    SynAnsweredRst,
    /// SYNs that should have met were answered with an ICMP error.
    SynAnsweredIcmp,
    /// Every SYN that could have passed was lost on the WAN.
    SynLost,
    /// A NAT drops every SYN from outside, so that simultaneous open is impossible.
    NatDropsSyns,
    /// A NAT had forgotten its peer's SYN when the other's came.
    MappingExpired,
    /// SYNs that should have been let in arrived, and nothing answered them.
    SynUnanswered,
    /// None of these can be told.
    Unknown,
}

/// The names by which reports count them, and expectations know them.
impl Named for Kind {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("peer-crashed", Self::PeerCrashed),
        ("bytes-differ", Self::BytesDiffer),
        ("ended-badly", Self::EndedBadly),
        ("nothing-bound", Self::NothingBound),
        ("no-syn", Self::NoSyn),
        ("not-translated", Self::NotTranslated),
        ("never-together", Self::NeverTogether),
        ("election-disagreed", Self::ElectionDisagreed),
        ("election-lost", Self::ElectionLost),
        ("no-peer", Self::NoPeer),
        ("bytes-missing", Self::BytesMissing),
        ("buckets-disjoint", Self::BucketsDisjoint),
        ("no-common-port", Self::NoCommonPort),
        ("port-remapped", Self::PortRemapped),
        ("handshake-incomplete", Self::HandshakeIncomplete),
        ("syn-answered-rst", Self::SynAnsweredRst),
        ("syn-answered-icmp", Self::SynAnsweredIcmp),
        ("syn-lost", Self::SynLost),
        ("nat-drops-syns", Self::NatDropsSyns),
        ("mapping-expired", Self::MappingExpired),
        ("syn-unanswered", Self::SynUnanswered),
        ("unknown", Self::Unknown),
    ];
}

impl Kind {
    /// The cause, with its evidence.
    fn because(self, evidence: String) -> Cause {
        Cause { kind: self.name().to_owned(), evidence }
    }
}

/// The names of all causes.
pub(crate) fn names() -> Vec<&'static str> {
    Kind::NAMES.iter().map(|(name, _)| *name).collect()
}

/// What is known of a peer at the end of a failed trial.
#[derive(Debug)]
pub(crate) struct Evidence<'a> {
    /// How it ended, in words.
    pub(crate) exit: &'a str,
    /// Whether it ended in a way that no puncher should: a signal, a panic.
    pub(crate) crashed: bool,
    /// Whether it ended by itself, and not well.
    pub(crate) failed: bool,
    /// When its process was started and when it ended.
    pub(crate) ran: [MonoTime; 2],
    /// The last line it printed on standard error.
    pub(crate) complaint: &'a str,
    /// What it reported.
    pub(crate) events: &'a [Event],
    /// Whether the bytes of the other side came out of it.
    pub(crate) received: bool,
    /// Whether other bytes came out of it.
    pub(crate) garbled: bool,
    /// SYNs of its own seen on the WAN, to whomever.
    pub(crate) syns: &'a Syns,
}

/// A failed trial.
#[derive(Debug)]
pub(crate) struct Case<'a> {
    /// The two peers.
    pub(crate) peers: [Evidence<'a>; 2],
    /// Where they are.
    pub(crate) places: [Place; 2],
    /// What passed the WAN.
    pub(crate) traffic: &'a Traffic,
    /// When the trial began.
    pub(crate) begin: MonoTime,
    /// One-way delay of the WAN.
    pub(crate) delay: Duration,
    /// How long a peer tries.
    pub(crate) timeout: Duration,
}

/// The most telling cause.
pub(crate) fn find(case: &Case<'_>) -> Cause {
    let flows = flow::flows(case.traffic, &case.places);
    process::crashed(case)
        .or_else(|| process::garbled(case))
        .or_else(|| process::ended_badly(case))
        .or_else(|| process::nothing_bound(case))
        .or_else(|| process::silent(case, &flows))
        .or_else(|| connection::not_translated(&flows))
        .or_else(|| connection::stood(case, &flows))
        .or_else(|| process::never_together(case, &flows))
        .or_else(|| ports::disjoint(case, &flows))
        .or_else(|| ports::remapped(&flows))
        .or_else(|| wire::incomplete(&flows))
        .or_else(|| wire::refused(case, &flows))
        .or_else(|| wire::unanswered(case, &flows))
        .unwrap_or_else(|| unknown(case, &flows))
}

fn unknown(case: &Case<'_>, flows: &[Flow]) -> Cause {
    let said: Vec<String> = sides(case)
        .map(|(side, peer)| {
            let received = if peer.received { "received all" } else { "received nothing" };
            let syns: usize = flows.iter().map(|flow| flow.syns(side).count()).sum();
            format!("{side} sent {}, {received}, {}", count(syns, "SYN"), process::end(peer))
        })
        .collect();
    let mut evidence = said.join("; ");
    if case.traffic.not_kept > 0 {
        evidence += &format!("; {} more packets were not kept", case.traffic.not_kept);
    }
    Kind::Unknown.because(evidence)
}

fn sides<'a>(case: &'a Case<'a>) -> impl Iterator<Item = (Side, &'a Evidence<'a>)> {
    Side::BOTH.into_iter().zip(&case.peers)
}

/// Milliseconds, to a tenth.
fn ms(duration: Duration) -> String {
    let tenths = (duration.as_secs_f64() * 10_000.0).round() / 10.0;
    format!("{tenths} ms")
}

/// `port 7`, `ports 7 and 9`, `16 ports such as 7`
fn ports_in_words(ports: impl IntoIterator<Item = u16>) -> String {
    let ports: Vec<u16> = ports.into_iter().collect();
    match ports.as_slice() {
        [] => "no port".to_owned(),
        [port] => format!("port {port}"),
        [one, other] => format!("ports {one} and {other}"),
        [first, ..] => format!("{} ports such as {first}", ports.len()),
    }
}
