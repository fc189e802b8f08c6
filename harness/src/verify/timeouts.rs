//! Probes of a NAT's time-outs, where these are short enough to wait for.

use std::{io, net::SocketAddr, time::Duration};

use punch::{driver::clock::monotonic_now, proto::time::MonoTime};

use super::{
    builders,
    probe::{REMEMBERED, REMOTE_SEQ, first_port, syn_ack},
    rig::{NatRig, ProbeFlow},
};
use crate::{
    nat::{Filtering, NatSpec, Timeouts, Unsolicited},
    packet::{Segment, Transport},
    peers::Family,
};

/// Longest time-out that is waited for.
pub(super) const MAX_TIMEOUT_S: u32 = 5;

/// Time after a time-out at which the NAT must have forgotten the connection.
const MARGIN: Duration = Duration::from_millis(500);

/// State of a connection that a NAT remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionState {
    Syn,
    Established,
    Closed,
}

/// Whether a NAT still knew a connection before and after its time-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Remembered {
    pub(super) state: ConnectionState,
    /// The expected time-out in seconds.
    pub(super) seconds: u32,
    /// Whether the NAT knew it after half of the time-out.
    pub(super) early: bool,
    /// Whether the NAT knew it [`MARGIN`] after the time-out.
    pub(super) late: bool,
}

/// Probes every time-out of up to [`MAX_TIMEOUT_S`].
///
/// # Errors
/// The kernel refuses a socket, or a descriptor failed.
pub(super) fn probe(rig: &mut NatRig, nat: &NatSpec) -> io::Result<Vec<Remembered>> {
    // A firewall that lets everything in lets in forgotten connections as well.
    if rig.family == Family::V6 && nat.unsolicited == Unsolicited::Open {
        return Ok(Vec::new());
    }
    let Timeouts { syn_s, established_s, close_s } = nat.timeouts;
    // With any other filtering a mapping outlives its connections.
    let ends_with_connection = nat.filtering == Filtering::AddressAndPortDependent;
    let wanted = [
        (ConnectionState::Syn, syn_s),
        (ConnectionState::Established, established_s),
        (ConnectionState::Closed, close_s.filter(|_| ends_with_connection)),
    ];
    let short: Vec<(ConnectionState, u32)> = wanted
        .into_iter()
        .filter_map(|(state, seconds)| Some((state, seconds.filter(|s| *s <= MAX_TIMEOUT_S)?)))
        .collect();
    let mut port = first_port(nat) + REMEMBERED;
    // A probe refreshes its connection, so that every probe has a connection of its own.
    let mut probes = Vec::new();
    for (index, (state, seconds)) in short.iter().enumerate() {
        let timeout = Duration::from_secs((*seconds).into());
        for (late, after) in [(false, timeout / 2), (true, timeout + MARGIN)] {
            let (connection, since) = ProbeConnection::open(rig, *state, port)?;
            port += 1;
            probes.push(TimeoutProbe { index, late, at: since + after, connection });
        }
    }
    probes.sort_by_key(|probe| probe.at);
    let mut found: Vec<Remembered> = short
        .into_iter()
        .map(|(state, seconds)| Remembered { state, seconds, early: false, late: false })
        .collect();
    for probe in &probes {
        rig.receive_until(probe.at)?;
        let known = probe.connection.is_known(rig, probe.late)?;
        let remembered = &mut found[probe.index];
        *(if probe.late { &mut remembered.late } else { &mut remembered.early }) = known;
    }
    Ok(found)
}

/// A probe of one connection at one time.
struct TimeoutProbe {
    /// Index of the time-out.
    index: usize,
    /// Whether the time is after the time-out.
    late: bool,
    at: MonoTime,
    connection: ProbeConnection,
}

/// A connection, and the segment that shows whether the NAT knows it.
struct ProbeConnection {
    /// Held open; a closed connection has no socket.
    _socket: Option<ProbeFlow>,
    inside: SocketAddr,
    remote: SocketAddr,
    outside: Option<SocketAddr>,
    probe: Segment,
}

impl ProbeConnection {
    /// Brings a connection into a state; returns it with the time since when it has been in it.
    fn open(rig: &mut NatRig, state: ConnectionState, port: u16) -> io::Result<(Self, MonoTime)> {
        let flow = rig.open(0, Transport::Tcp, port)?;
        let remote = flow.remote;
        let (inside, outside, sequence) = (flow.inside, flow.outside, flow.sequence);
        let made = |socket, probe| Self { _socket: socket, inside, remote, outside, probe };
        let Some(to) = outside else {
            return Ok((made(None, Segment::default()), monotonic_now()));
        };
        if state == ConnectionState::Syn {
            // A retransmitted SYN would restart the NAT's time-out.
            drop(flow);
            return Ok((made(None, syn_ack(sequence)), monotonic_now()));
        }
        let ours = sequence.wrapping_add(1);
        let from_us = |flag: fn(Segment) -> bool| {
            move |rig: &NatRig| {
                rig.outside.iter().any(|packet| {
                    packet.destination == remote && packet.segment().is_some_and(flag)
                })
            }
        };
        rig.inject(&builders::tcp(remote, to, syn_ack(sequence)))?;
        rig.wait_for(from_us(|segment| segment.ack.is_some() && !segment.syn))?;
        let ack = |theirs: u32, ours: u32| Segment {
            sequence: theirs,
            ack: Some(ours),
            ..Segment::default()
        };
        if state == ConnectionState::Established {
            return Ok((made(Some(flow), ack(REMOTE_SEQ + 1, ours)), monotonic_now()));
        }
        drop(flow);
        rig.wait_for(from_us(|segment| segment.fin))?;
        let closed = ours.wrapping_add(1);
        let fin = Segment { fin: true, ..ack(REMOTE_SEQ + 1, closed) };
        let before = rig.outside.len();
        rig.inject(&builders::tcp(remote, to, fin))?;
        rig.wait_for(|rig| {
            rig.outside
                .iter()
                .skip(before)
                .any(|packet| packet.destination == remote)
        })?;
        Ok((made(None, ack(REMOTE_SEQ + 2, closed)), monotonic_now()))
    }

    /// Whether the NAT lets the remote host's segment in.
    fn is_known(&self, rig: &mut NatRig, late: bool) -> io::Result<bool> {
        let Some(to) = self.outside else { return Ok(false) };
        let before = rig.inside[0].len();
        let came = |rig: &NatRig| {
            let mut later = rig.inside[0].iter().skip(before);
            later.any(|packet| packet.source == self.remote && packet.destination == self.inside)
        };
        rig.inject(&builders::tcp(self.remote, to, self.probe))?;
        if late {
            rig.linger_for(came)?
        } else {
            rig.wait_for(came)?
        }
        Ok(came(rig))
    }
}
