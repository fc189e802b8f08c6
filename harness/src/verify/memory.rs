//! How long a NAT remembers connections, where that is short enough to wait for.

use std::{io, net::SocketAddr, time::Duration};

use punch::{driver::clock::monotonic_now, proto::time::MonoTime};

use super::{
    bench::{Bench, Flow},
    packet::{self, Segment, Transport},
    probe::{REMEMBERED, REMOTE_SEQ, first_port, syn_ack},
};
use crate::{
    nat::{Filtering, NatSpec, Timeouts, Unsolicited},
    peers::Family,
};

/// Longer time-outs are not waited for.
pub(super) const MAX_TIMEOUT_S: u32 = 5;

/// How long after its time-out a NAT must have forgotten.
const MARGIN: Duration = Duration::from_millis(500);

/// The state of a connection that is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Syn,
    Established,
    Closed,
}

/// Whether a NAT still knew a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Remembered {
    pub(super) state: State,
    /// The time-out that is expected, in seconds.
    pub(super) seconds: u32,
    /// Whether it did after half of it.
    pub(super) early: bool,
    /// Whether it did somewhat after it.
    pub(super) late: bool,
}

/// Tries every time-out that is short.
///
/// # Errors
/// The kernel refuses a socket, or a descriptor failed.
pub(super) fn probe(bench: &mut Bench, nat: &NatSpec) -> io::Result<Vec<Remembered>> {
    // What lets in everything lets in what it has forgotten as well.
    if bench.family == Family::V6 && nat.unsolicited == Unsolicited::Open {
        return Ok(Vec::new());
    }
    let Timeouts { syn_s, established_s, close_s } = nat.timeouts;
    // Where others than the contacted are let in, a mapping outlives its connections.
    let apart = nat.filtering == Filtering::AddressAndPortDependent;
    let wanted = [
        (State::Syn, syn_s),
        (State::Established, established_s),
        (State::Closed, close_s.filter(|_| apart)),
    ];
    let short: Vec<(State, u32)> = wanted
        .into_iter()
        .filter_map(|(state, seconds)| Some((state, seconds.filter(|s| *s <= MAX_TIMEOUT_S)?)))
        .collect();
    let mut port = first_port(nat) + REMEMBERED;
    // Every look refreshes what it looks at, so that each has a connection of its own.
    let mut looks = Vec::new();
    for (index, (state, seconds)) in short.iter().enumerate() {
        let timeout = Duration::from_secs((*seconds).into());
        for (late, after) in [(false, timeout / 2), (true, timeout + MARGIN)] {
            let (connection, since) = Connection::open(bench, *state, port)?;
            port += 1;
            looks.push(Look { index, late, at: since + after, connection });
        }
    }
    looks.sort_by_key(|look| look.at);
    let mut found: Vec<Remembered> = short
        .into_iter()
        .map(|(state, seconds)| Remembered { state, seconds, early: false, late: false })
        .collect();
    for look in &looks {
        bench.watch_until(look.at)?;
        let known = look.connection.is_known(bench, look.late)?;
        let found = &mut found[look.index];
        *(if look.late { &mut found.late } else { &mut found.early }) = known;
    }
    Ok(found)
}

struct Look {
    index: usize,
    late: bool,
    at: MonoTime,
    connection: Connection,
}

/// A connection, and the segment by which to see whether the NAT knows it.
struct Connection {
    /// Where it has one; closed ones have none.
    _socket: Option<Flow>,
    inside: SocketAddr,
    remote: SocketAddr,
    outside: Option<SocketAddr>,
    asks: Segment,
}

impl Connection {
    /// Brings a connection into that state; returns since when it has been.
    fn open(bench: &mut Bench, state: State, port: u16) -> io::Result<(Self, MonoTime)> {
        let flow = bench.open(0, Transport::Tcp, port)?;
        let remote = flow.remote;
        let (inside, outside, seq) = (flow.inside, flow.outside, flow.seq);
        let made = |socket, asks| Self { _socket: socket, inside, remote, outside, asks };
        let Some(to) = outside else {
            return Ok((made(None, Segment::default()), monotonic_now()));
        };
        if state == State::Syn {
            // Else the kernel sends its SYN again, and the NAT begins anew.
            drop(flow);
            return Ok((made(None, syn_ack(seq)), monotonic_now()));
        }
        let ours = seq.wrapping_add(1);
        let from_us = |flag: fn(Segment) -> bool| {
            move |bench: &Bench| {
                bench.outside.iter().any(|packet| {
                    packet.destination == remote && packet.segment().is_some_and(flag)
                })
            }
        };
        bench.inject(&packet::tcp(remote, to, syn_ack(seq)))?;
        bench.come(from_us(|it| it.ack.is_some() && !it.syn))?;
        let ack =
            |theirs: u32, ours: u32| Segment { seq: theirs, ack: Some(ours), ..Segment::default() };
        if state == State::Established {
            return Ok((made(Some(flow), ack(REMOTE_SEQ + 1, ours)), monotonic_now()));
        }
        drop(flow);
        bench.come(from_us(|it| it.fin))?;
        let closed = ours.wrapping_add(1);
        let fin = Segment { fin: true, ..ack(REMOTE_SEQ + 1, closed) };
        let before = bench.outside.len();
        bench.inject(&packet::tcp(remote, to, fin))?;
        bench.come(|bench| {
            bench
                .outside
                .iter()
                .skip(before)
                .any(|packet| packet.destination == remote)
        })?;
        Ok((made(None, ack(REMOTE_SEQ + 2, closed)), monotonic_now()))
    }

    /// Whether the NAT lets the remote host's segment in.
    fn is_known(&self, bench: &mut Bench, late: bool) -> io::Result<bool> {
        let Some(to) = self.outside else { return Ok(false) };
        let before = bench.inside[0].len();
        let came = |bench: &Bench| {
            let mut later = bench.inside[0].iter().skip(before);
            later.any(|packet| packet.source == self.remote && packet.destination == self.inside)
        };
        bench.inject(&packet::tcp(self.remote, to, self.asks))?;
        if late {
            bench.watch_shortly(came)?
        } else {
            bench.come(came)?
        }
        Ok(came(bench))
    }
}
