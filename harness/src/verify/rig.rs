//! Rig for one NAT under test: real sockets inside, a TUN device as the WAN, and a sniffer on each
//! inside host.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::AsFd,
    time::Duration,
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use punch::{driver::clock::monotonic_now, proto::time::MonoTime};
use socket2::{Domain, Protocol, Socket, Type};

use super::builders;
use crate::{
    lab::{Host, SingleNat},
    packet::{Packet, Segment, Transport},
    peers::Family,
};

/// How long to wait for packets that should come: long enough for a retransmitted SYN.
const WAIT_TIMEOUT: Duration = Duration::from_secs(2);

/// The same after a packet did not come. The NAT is then not as described, and the rest of the
/// result matters less than time.
const SHORT_TIMEOUT: Duration = Duration::from_millis(200);

/// How long to wait for packets that should not come, once all others have come. Within one machine
/// a packet takes some microseconds.
const LINGER: Duration = Duration::from_millis(60);

/// A NAT under test.
#[derive(Debug)]
pub(super) struct NatRig {
    pub(super) family: Family,
    /// The NAT's address on the WAN.
    pub(super) wan: IpAddr,
    hosts: [Host; 2],
    tun: File,
    sniffers: [Socket; 2],
    /// Packets that left the NAT towards the WAN.
    pub(super) outside: Vec<Packet>,
    /// Packets that came to each inside host.
    pub(super) inside: [Vec<Packet>; 2],
    /// First packets that belong to a flow already.
    assigned: BTreeSet<(Transport, SocketAddr, SocketAddr)>,
    used_addresses: u8,
    timeout: Duration,
    buffer: Vec<u8>,
}

/// A socket inside that sends to an address outside.
#[derive(Debug)]
pub(super) struct ProbeFlow {
    /// Held open as long as the flow.
    _socket: Socket,
    pub(super) transport: Transport,
    /// The inside endpoint.
    pub(super) inside: SocketAddr,
    /// The endpoint outside to which the socket sends.
    pub(super) remote: SocketAddr,
    /// Source of the first packet, as seen from outside.
    pub(super) outside: Option<SocketAddr>,
    /// Number of the first packet; earlier packets have smaller numbers.
    pub(super) number: usize,
    /// Sequence number of the SYN.
    pub(super) sequence: u32,
}

impl NatRig {
    /// Takes over a NAT.
    ///
    /// # Errors
    /// No packet socket on a host.
    pub(super) fn new(family: Family, nat: SingleNat) -> io::Result<Self> {
        let SingleNat { hosts, wan, tun } = nat;
        let sniff = |host: &Host| host.namespace.run(|| sniffer(family));
        let sniffers = [sniff(&hosts[0])?, sniff(&hosts[1])?];
        Ok(Self {
            family,
            wan,
            hosts,
            tun: File::from(tun),
            sniffers,
            outside: Vec::new(),
            inside: [Vec::new(), Vec::new()],
            assigned: BTreeSet::new(),
            used_addresses: 0,
            timeout: WAIT_TIMEOUT,
            buffer: vec![0; 65_536],
        })
    }

    /// The inside address of a host.
    pub(super) fn host(&self, host: usize) -> IpAddr {
        self.hosts[host].address
    }

    /// An address on the WAN that was not used before.
    pub(super) fn fresh_address(&mut self) -> IpAddr {
        self.used_addresses += 1;
        match self.family {
            Family::V4 => Ipv4Addr::new(192, 0, 2, self.used_addresses).into(),
            Family::V6 => {
                let host = self.used_addresses.into();
                Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, host).into()
            }
        }
    }

    /// Opens sockets on a host, each bound to a port and sending to a remote endpoint. Their first
    /// packets leave in the same order.
    ///
    /// # Errors
    /// The kernel refuses a socket.
    pub(super) fn start(
        &self,
        host: usize,
        wanted: &[(Transport, u16, SocketAddr)],
    ) -> io::Result<Vec<ProbeFlow>> {
        let Host { namespace, address, .. } = &self.hosts[host];
        namespace.run(|| {
            let open = |(transport, port, remote): &(Transport, u16, SocketAddr)| {
                let inside = SocketAddr::new(*address, *port);
                let socket = bound(*transport, inside)?;
                match socket.connect(&(*remote).into()) {
                    Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => {
                        return Err(error);
                    }
                    Ok(()) | Err(_) => {}
                }
                if *transport == Transport::Udp {
                    socket.send(b"probe")?;
                }
                Ok(ProbeFlow {
                    _socket: socket,
                    transport: *transport,
                    inside,
                    remote: *remote,
                    outside: None,
                    number: usize::MAX,
                    sequence: 0,
                })
            };
            wanted.iter().map(open).collect()
        })
    }

    /// Opens one socket on a host, which sends to an unused address, and waits for its first
    /// packet.
    ///
    /// # Errors
    /// See [`Self::start`] and [`Self::wait_for_first_packets`].
    pub(super) fn open(
        &mut self,
        host: usize,
        transport: Transport,
        port: u16,
    ) -> io::Result<ProbeFlow> {
        let remote = SocketAddr::new(self.fresh_address(), 80);
        let mut flows = self.start(host, &[(transport, port, remote)])?;
        self.wait_for_first_packets(&mut flows)?;
        flows
            .pop()
            .ok_or_else(|| io::Error::other("one socket was opened"))
    }

    /// Sends an ICMP echo request from a host; the socket receives the reply.
    ///
    /// # Errors
    /// The kernel refuses the socket.
    pub(super) fn ping(&self, host: usize, remote: IpAddr, id: u16) -> io::Result<Socket> {
        let (domain, protocol) = match self.family {
            Family::V4 => (Domain::IPV4, Protocol::ICMPV4),
            Family::V6 => (Domain::IPV6, Protocol::ICMPV6),
        };
        self.hosts[host].namespace.run(|| {
            let socket = Socket::new(domain, Type::RAW, Some(protocol))?;
            let request = builders::echo_request(self.family, id);
            socket.send_to(&request, &SocketAddr::new(remote, 0).into())?;
            Ok(socket)
        })
    }

    /// Listens for connections on a host.
    ///
    /// # Errors
    /// The kernel refuses the socket.
    pub(super) fn listen(&self, host: usize, port: u16) -> io::Result<Socket> {
        let Host { namespace, address, .. } = &self.hosts[host];
        namespace.run(|| {
            let socket = bound(Transport::Tcp, SocketAddr::new(*address, port))?;
            socket.listen(1)?;
            Ok(socket)
        })
    }

    /// Waits until the first packet of every flow has come to the WAN, and notes its source there.
    ///
    /// # Errors
    /// A descriptor failed.
    pub(super) fn wait_for_first_packets(&mut self, flows: &mut [ProbeFlow]) -> io::Result<()> {
        let mut examined = 0;
        let deadline = monotonic_now() + self.timeout;
        loop {
            self.assign(flows, &mut examined);
            if flows.iter().all(|flow| flow.outside.is_some()) {
                return Ok(());
            }
            if monotonic_now() >= deadline {
                self.timeout = SHORT_TIMEOUT;
                return Ok(());
            }
            self.receive(deadline)?;
        }
    }

    /// Assigns new packets on the WAN, those from number `examined` on, to the flows that they
    /// open.
    fn assign(&mut self, flows: &mut [ProbeFlow], examined: &mut usize) {
        for (number, packet) in self.outside.iter().enumerate().skip(*examined) {
            let is_opened = |flow: &&mut ProbeFlow| {
                flow.outside.is_none()
                    && flow.remote == packet.destination
                    && packet.opens(flow.transport)
            };
            let Some(flow) = flows.iter_mut().find(is_opened) else { continue };
            // A packet that is assigned already is a retransmitted SYN of another flow.
            if self
                .assigned
                .insert((flow.transport, packet.source, packet.destination))
            {
                flow.outside = Some(packet.source);
                flow.number = number;
                flow.sequence = packet.segment().map_or(0, |segment| segment.sequence);
            }
        }
        *examined = self.outside.len();
    }

    /// Sends a packet to the NAT from outside.
    ///
    /// # Errors
    /// The NAT's interface does not take the packet.
    pub(super) fn inject(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.tun).write(bytes).map(drop)
    }

    /// Sends the first packet of a connection from outside.
    ///
    /// # Errors
    /// See [`Self::inject`].
    pub(super) fn inject_first(
        &self,
        transport: Transport,
        from: SocketAddr,
        to: SocketAddr,
    ) -> io::Result<()> {
        self.inject(&match transport {
            Transport::Tcp => {
                builders::tcp(from, to, Segment { sequence: 1, syn: true, ..Segment::default() })
            }
            Transport::Udp => builders::udp(from, to),
        })
    }

    /// Waits for `condition`, up to the timeout; then [`LINGER`] for packets that should not come.
    ///
    /// # Errors
    /// A descriptor failed.
    pub(super) fn wait_then_linger(&mut self, condition: impl Fn(&Self) -> bool) -> io::Result<()> {
        self.wait_for(condition)?;
        self.receive_until(monotonic_now() + LINGER)
    }

    /// Waits for `condition`, up to the timeout.
    ///
    /// # Errors
    /// A descriptor failed.
    pub(super) fn wait_for(&mut self, condition: impl Fn(&Self) -> bool) -> io::Result<()> {
        self.wait(&condition, monotonic_now() + self.timeout)?;
        if !condition(self) {
            self.timeout = SHORT_TIMEOUT;
        }
        Ok(())
    }

    /// Waits for `condition`, up to [`LINGER`].
    ///
    /// # Errors
    /// A descriptor failed.
    pub(super) fn linger_for(&mut self, condition: impl Fn(&Self) -> bool) -> io::Result<()> {
        self.wait(&condition, monotonic_now() + LINGER)
    }

    fn wait(&mut self, condition: &impl Fn(&Self) -> bool, deadline: MonoTime) -> io::Result<()> {
        while !condition(self) && monotonic_now() < deadline {
            self.receive(deadline)?;
        }
        Ok(())
    }

    /// Receives packets until that time.
    ///
    /// # Errors
    /// A descriptor failed.
    pub(super) fn receive_until(&mut self, time: MonoTime) -> io::Result<()> {
        while monotonic_now() < time {
            self.receive(time)?;
        }
        Ok(())
    }

    /// Waits for packets, and reads all that have come.
    fn receive(&mut self, deadline: MonoTime) -> io::Result<()> {
        let wait = deadline.since(monotonic_now());
        // Rounded up, so that the last millisecond is not spent spinning.
        let wait_ms = u16::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(u16::MAX);
        let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let [first, second] = &self.sniffers;
        let mut fds =
            [readable(self.tun.as_fd()), readable(first.as_fd()), readable(second.as_fd())];
        match poll(&mut fds, PollTimeout::from(wait_ms)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        while let Some(length) = packet_length(self.tun.read(&mut self.buffer))? {
            self.outside.extend(Packet::parse(&self.buffer[..length]));
        }
        for (index, sniffer) in self.sniffers.iter().enumerate() {
            while let Some(length) = packet_length((&*sniffer).read(&mut self.buffer))? {
                let packet = Packet::parse(&self.buffer[..length]);
                // The sniffer sees packets that the host sends as well.
                let own = self.hosts[index].address;
                self.inside[index].extend(packet.filter(|packet| packet.destination.ip() == own));
            }
        }
        Ok(())
    }
}

/// The length of a packet, if there was one.
fn packet_length(read: io::Result<usize>) -> io::Result<Option<usize>> {
    match read {
        Ok(length) => Ok(Some(length)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
        Err(error) => Err(error),
    }
}

/// A packet socket with a copy of every IP packet on the interfaces of the calling thread's
/// namespace.
fn sniffer(family: Family) -> io::Result<Socket> {
    let ether_type = match family {
        Family::V4 => libc::ETH_P_IP,
        Family::V6 => libc::ETH_P_IPV6,
    };
    let big_endian = u16::try_from(ether_type).map_err(io::Error::other)?.to_be();
    let protocol = Protocol::from(i32::from(big_endian));
    let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A socket that shares its port with other sockets of the same host.
fn bound(transport: Transport, address: SocketAddr) -> io::Result<Socket> {
    let kind = match transport {
        Transport::Tcp => Type::STREAM,
        Transport::Udp => Type::DGRAM,
    };
    let socket = Socket::new(Domain::for_address(address), kind, None)?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}
