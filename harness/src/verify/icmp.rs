//! Probes of a NAT's treatment of ICMP: errors about its mappings, and echoes.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use socket2::Socket;

use super::{
    builders,
    rig::{NatRig, ProbeFlow},
};
use crate::packet::{Packet, Payload, Segment, Transport};

/// Identifier of the echo request and of its reply.
const ID: u16 = 4711;

/// The probes that were sent.
#[derive(Debug)]
pub(super) struct IcmpProbes {
    /// The flow about which an error is sent.
    flow: ProbeFlow,
    /// Destination of the echo request.
    remote: IpAddr,
    /// Held open until the end.
    _socket: Socket,
}

impl IcmpProbes {
    /// Sends an error about a mapping, and a reply to an echo request from inside.
    ///
    /// # Errors
    /// The kernel refuses a socket, or a descriptor failed.
    pub(super) fn send(rig: &mut NatRig, port: u16) -> io::Result<Self> {
        let flow = rig.open(0, Transport::Tcp, port)?;
        if let Some(outside) = flow.outside {
            let segment = Segment { sequence: flow.sequence, syn: true, ..Segment::default() };
            let about = builders::tcp(outside, flow.remote, segment);
            let router = rig.fresh_address();
            rig.inject(&builders::host_unreachable(router, outside.ip(), &about))?;
        }
        let remote = rig.fresh_address();
        let socket = rig.ping(0, remote, ID)?;
        let probes = Self { flow, remote, _socket: socket };
        rig.wait_for(|rig| probes.request(rig).is_some())?;
        if let Some((source, id)) = probes.request(rig) {
            rig.inject(&builders::echo_reply(remote, source, id))?;
        }
        Ok(probes)
    }

    /// Source and identifier of the echo request, as seen from outside.
    fn request(&self, rig: &NatRig) -> Option<(IpAddr, u16)> {
        rig.outside.iter().find_map(|packet| match packet.payload {
            Payload::Echo { reply: false, id } if packet.destination.ip() == self.remote => {
                Some((packet.source.ip(), id))
            }
            Payload::Echo { .. } | Payload::Tcp(_) | Payload::Udp | Payload::IcmpError(_) => None,
        })
    }

    /// Whether the error came to the inside host, and quotes a packet as the host sent it.
    pub(super) fn passes_errors(&self, rig: &NatRig) -> bool {
        let tells = |packet: &Packet| match packet.payload {
            Payload::IcmpError(error) => error
                .quoted
                .is_some_and(|quoted| quoted.destination == self.flow.remote),
            Payload::Echo { .. } | Payload::Tcp(_) | Payload::Udp => false,
        };
        rig.inside[0].iter().any(tells)
    }

    /// Whether the reply to the echo request came to the inside host.
    pub(super) fn echoes(&self, rig: &NatRig) -> bool {
        let reply = Payload::Echo { reply: true, id: ID };
        let from = SocketAddr::new(self.remote, 0);
        rig.inside[0]
            .iter()
            .any(|packet| packet.source == from && packet.payload == reply)
    }
}
