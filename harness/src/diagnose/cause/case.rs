//! A failed trial as the rules see it, and the phrases that they share.

use std::time::Duration;

use punch::{Event, proto::time::MonoTime};

use crate::{
    diagnose::{
        flow::{Flow, PeerLocation},
        times::Syns,
    },
    packet::Transport,
    peers::{Pair, Side},
    wan::Traffic,
};

/// Evidence about one peer at the end of a failed trial.
#[derive(Debug)]
pub(crate) struct Evidence<'a> {
    /// How the process ended, in words.
    pub(crate) exit: &'a str,
    /// Whether the process ended in a way that no puncher should: by a signal or a panic.
    pub(crate) crashed: bool,
    /// Whether the process ended by itself, and with an error.
    pub(crate) failed: bool,
    /// When the process was started and when it ended.
    pub(crate) ran: [MonoTime; 2],
    /// The last line on standard error.
    pub(crate) complaint: &'a str,
    /// Events that the peer reported.
    pub(crate) events: &'a [Event],
    /// Whether the peer printed the bytes of the other side.
    pub(crate) received: bool,
    /// Whether the peer printed other bytes.
    pub(crate) garbled: bool,
    /// SYNs of the peer on the WAN, to any destination.
    pub(crate) syns: &'a Syns,
}

/// A failed trial.
#[derive(Debug)]
pub(crate) struct Case<'a> {
    /// The two peers.
    pub(crate) peers: Pair<Evidence<'a>>,
    /// The peers as the WAN knows them.
    pub(crate) locations: Pair<PeerLocation>,
    /// Everything that passed the WAN.
    pub(crate) traffic: &'a Traffic,
    /// When the trial began.
    pub(crate) begin: MonoTime,
    /// One-way delay of the WAN.
    pub(crate) delay: Duration,
    /// How long a peer tries.
    pub(crate) timeout: Duration,
}

/// Name of the packets that open these flows: `SYN` or `datagram`.
pub(super) fn opening(flows: &[Flow]) -> &'static str {
    flows
        .first()
        .map_or(Transport::Tcp, |flow| flow.transport)
        .opening()
}

/// A duration in milliseconds, to a tenth.
pub(super) fn ms(duration: Duration) -> String {
    let tenths = (duration.as_secs_f64() * 10_000.0).round() / 10.0;
    format!("{tenths} ms")
}

/// `port 7`, `ports 7 and 9`, `16 ports such as 7`
pub(super) fn list_ports(ports: impl IntoIterator<Item = u16>) -> String {
    let ports: Vec<u16> = ports.into_iter().collect();
    match ports.as_slice() {
        [] => "no port".to_owned(),
        [port] => format!("port {port}"),
        [one, other] => format!("ports {one} and {other}"),
        [first, ..] => format!("{} ports such as {first}", ports.len()),
    }
}

/// `port 7`, or `ports 7 of a and 9 of b`
pub(super) fn ports_of(flow: &Flow) -> String {
    let (a, b) = (flow.port(Side::A), flow.port(Side::B));
    if a == b { format!("port {a}") } else { format!("ports {a} of a and {b} of b") }
}
