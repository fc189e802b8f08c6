//! What a NAT does with ICMP: errors about its mappings, and echoes.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use socket2::Socket;

use super::{
    bench::{Bench, Flow},
    packet::{self, Packet, Segment, Transport, What},
};

/// Identifier of the echo request, by which its reply finds it.
const ID: u16 = 4711;

/// What was sent.
#[derive(Debug)]
pub(super) struct IcmpProbes {
    /// About which an error comes.
    flow: Flow,
    /// To whom the echo request goes.
    remote: IpAddr,
    /// Kept open until the end.
    _socket: Socket,
}

impl IcmpProbes {
    /// Sends an error about a mapping, and a reply to an echo request from inside.
    ///
    /// # Errors
    /// The kernel refuses a socket, or a descriptor failed.
    pub(super) fn send(bench: &mut Bench, port: u16) -> io::Result<Self> {
        let flow = bench.open(0, Transport::Tcp, port)?;
        if let Some(outside) = flow.outside {
            let segment = Segment { seq: flow.seq, syn: true, ..Segment::default() };
            let about = packet::tcp(outside, flow.remote, segment);
            let router = bench.fresh_address();
            bench.inject(&packet::host_unreachable(router, outside.ip(), &about))?;
        }
        let remote = bench.fresh_address();
        let socket = bench.ping(0, remote, ID)?;
        let probes = Self { flow, remote, _socket: socket };
        bench.come(|bench| probes.request(bench).is_some())?;
        if let Some((source, id)) = probes.request(bench) {
            bench.inject(&packet::echo_reply(remote, source, id))?;
        }
        Ok(probes)
    }

    /// Where the echo request seemed to come from, and with which identifier.
    fn request(&self, bench: &Bench) -> Option<(IpAddr, u16)> {
        bench.outside.iter().find_map(|packet| match packet.what {
            What::Echo { reply: false, id } if packet.destination.ip() == self.remote => {
                Some((packet.source.ip(), id))
            }
            What::Echo { .. } | What::Segment(_) | What::Datagram | What::Unreachable { .. } => {
                None
            }
        })
    }

    /// Whether the error came to the inside host, and tells it which of its connections it is about.
    pub(super) fn passes_errors(&self, bench: &Bench) -> bool {
        let tells = |packet: &Packet| match packet.what {
            What::Unreachable { about, .. } => about == Some(self.flow.remote),
            What::Echo { .. } | What::Segment(_) | What::Datagram => false,
        };
        bench.inside[0].iter().any(tells)
    }

    /// Whether the reply to the echo request came to the inside host.
    pub(super) fn echoes(&self, bench: &Bench) -> bool {
        let reply = What::Echo { reply: true, id: ID };
        let from = SocketAddr::new(self.remote, 0);
        bench.inside[0]
            .iter()
            .any(|packet| packet.source == from && packet.what == reply)
    }
}
