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

use punch::{Event, proto::time::MonoTime};

pub(crate) use self::ports::ports;
use super::{
    flow::{self, Flow, Place},
    times::Syns,
};
use crate::{
    event::{Cause, CauseKind},
    peers::Side,
    ui::plural::count,
    wan::Traffic,
};

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
    CauseKind::Unknown.because(evidence)
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
