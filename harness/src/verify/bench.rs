//! One NAT under test: real sockets inside, the WAN in our hands, and an eye on each inside host.

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

use super::packet::{self, Packet, Segment, Transport};
use crate::{
    lab::{Host, SingleNat},
    peers::Family,
};

/// How long to wait for what should come: long enough for a SYN that is sent again.
const COMES: Duration = Duration::from_secs(2);

/// The same once something did not: the NAT is not as described, however long the rest takes.
const IMPATIENT: Duration = Duration::from_millis(200);

/// How long to wait for what should not, once all that should has come. Within one machine a packet
/// takes some microseconds.
const QUIET: Duration = Duration::from_millis(60);

/// A NAT under test.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) family: Family,
    /// The NAT's address on the WAN.
    pub(super) wan: IpAddr,
    hosts: [Host; 2],
    tun: File,
    eyes: [Socket; 2],
    /// What left the NAT towards the WAN.
    pub(super) outside: Vec<Packet>,
    /// What came to each inside host.
    pub(super) inside: [Vec<Packet>; 2],
    claimed: BTreeSet<(Transport, SocketAddr, SocketAddr)>,
    addresses: u8,
    patience: Duration,
    buffer: Vec<u8>,
}

/// A socket inside that has begun to talk to an address outside.
#[derive(Debug)]
pub(super) struct Flow {
    /// Closed with the flow.
    _socket: Socket,
    pub(super) transport: Transport,
    /// Its inside endpoint.
    pub(super) inside: SocketAddr,
    /// Whom it talks to.
    pub(super) remote: SocketAddr,
    /// Where its first packet seemed to come from, seen from outside.
    pub(super) outside: Option<SocketAddr>,
    /// Which of all packets that was: earlier ones have smaller numbers.
    pub(super) number: usize,
    /// The sequence number of its SYN.
    pub(super) seq: u32,
}

impl Bench {
    /// Takes over a NAT that stands.
    ///
    /// # Errors
    /// No packet socket on a host.
    pub(super) fn new(family: Family, nat: SingleNat) -> io::Result<Self> {
        let SingleNat { hosts, wan, tun } = nat;
        let eye = |host: &Host| host.namespace.run(|| watch(family));
        let eyes = [eye(&hosts[0])?, eye(&hosts[1])?];
        Ok(Self {
            family,
            wan,
            hosts,
            tun: File::from(tun),
            eyes,
            outside: Vec::new(),
            inside: [Vec::new(), Vec::new()],
            claimed: BTreeSet::new(),
            addresses: 0,
            patience: COMES,
            buffer: vec![0; 65_536],
        })
    }

    /// The inside address of a host.
    pub(super) fn host(&self, host: usize) -> IpAddr {
        self.hosts[host].address
    }

    /// An address on the WAN that nobody has used.
    pub(super) fn fresh_address(&mut self) -> IpAddr {
        self.addresses += 1;
        match self.family {
            Family::V4 => Ipv4Addr::new(192, 0, 2, self.addresses).into(),
            Family::V6 => {
                let host = self.addresses.into();
                Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, host).into()
            }
        }
    }

    /// Opens sockets on a host, each bound to a port and talking to somebody. Their order is that
    /// of their first packets.
    ///
    /// # Errors
    /// The kernel refuses a socket.
    pub(super) fn start(
        &self,
        host: usize,
        wanted: &[(Transport, u16, SocketAddr)],
    ) -> io::Result<Vec<Flow>> {
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
                Ok(Flow {
                    _socket: socket,
                    transport: *transport,
                    inside,
                    remote: *remote,
                    outside: None,
                    number: usize::MAX,
                    seq: 0,
                })
            };
            wanted.iter().map(open).collect()
        })
    }

    /// Opens one socket on a host, which talks to an address of its own, and waits for its first
    /// packet.
    ///
    /// # Errors
    /// See [`Self::start`] and [`Self::meet`].
    pub(super) fn open(
        &mut self,
        host: usize,
        transport: Transport,
        port: u16,
    ) -> io::Result<Flow> {
        let remote = SocketAddr::new(self.fresh_address(), 80);
        let mut flows = self.start(host, &[(transport, port, remote)])?;
        self.meet(&mut flows)?;
        flows
            .pop()
            .ok_or_else(|| io::Error::other("one socket was opened"))
    }

    /// Sends an ICMP echo request from a host; the socket takes the reply.
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
            let request = packet::echo_request(self.family, id);
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

    /// Waits until the first packet of every flow was seen on the WAN, and notes where it seemed to
    /// come from.
    ///
    /// # Errors
    /// A descriptor failed.
    pub(super) fn meet(&mut self, flows: &mut [Flow]) -> io::Result<()> {
        let mut looked = 0;
        let deadline = monotonic_now() + self.patience;
        loop {
            self.claim(flows, &mut looked);
            if flows.iter().all(|flow| flow.outside.is_some()) {
                return Ok(());
            }
            if monotonic_now() >= deadline {
                self.patience = IMPATIENT;
                return Ok(());
            }
            self.take(deadline)?;
        }
    }

    fn claim(&mut self, flows: &mut [Flow], looked: &mut usize) {
        for (number, packet) in self.outside.iter().enumerate().skip(*looked) {
            let mine = |flow: &&mut Flow| {
                flow.outside.is_none()
                    && flow.remote == packet.destination
                    && packet.opens(flow.transport)
            };
            let Some(flow) = flows.iter_mut().find(mine) else { continue };
            // Else it is a SYN of another flow, sent again.
            if self
                .claimed
                .insert((flow.transport, packet.source, packet.destination))
            {
                flow.outside = Some(packet.source);
                flow.number = number;
                flow.seq = packet.segment().map_or(0, |segment| segment.seq);
            }
        }
        *looked = self.outside.len();
    }

    /// Sends a packet into the NAT from outside.
    ///
    /// # Errors
    /// The NAT's interface does not take it.
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
                packet::tcp(from, to, Segment { seq: 1, syn: true, ..Segment::default() })
            }
            Transport::Udp => packet::udp(from, to),
        })
    }

    /// Waits until `come` says that all has come that should, or it should have; then for a moment
    /// more, for what should not.
    ///
    /// # Errors
    /// A descriptor failed.
    pub(super) fn settle(&mut self, come: impl Fn(&Self) -> bool) -> io::Result<()> {
        self.come(come)?;
        self.watch_until(monotonic_now() + QUIET)
    }

    /// Waits until `come`, or it should have.
    ///
    /// # Errors
    /// A descriptor failed.
    pub(super) fn come(&mut self, come: impl Fn(&Self) -> bool) -> io::Result<()> {
        self.wait(&come, monotonic_now() + self.patience)?;
        if !come(self) {
            self.patience = IMPATIENT;
        }
        Ok(())
    }

    /// Waits for a moment, or until `come`.
    ///
    /// # Errors
    /// A descriptor failed.
    pub(super) fn watch_shortly(&mut self, come: impl Fn(&Self) -> bool) -> io::Result<()> {
        self.wait(&come, monotonic_now() + QUIET)
    }

    fn wait(&mut self, come: &impl Fn(&Self) -> bool, deadline: MonoTime) -> io::Result<()> {
        while !come(self) && monotonic_now() < deadline {
            self.take(deadline)?;
        }
        Ok(())
    }

    /// Watches until that time.
    ///
    /// # Errors
    /// A descriptor failed.
    pub(super) fn watch_until(&mut self, time: MonoTime) -> io::Result<()> {
        while monotonic_now() < time {
            self.take(time)?;
        }
        Ok(())
    }

    /// Waits for packets, and takes all that are there.
    fn take(&mut self, deadline: MonoTime) -> io::Result<()> {
        let wait = deadline.since(monotonic_now());
        // Rounded up: else the last millisecond would be spent spinning.
        let wait = u16::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(u16::MAX);
        let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let [first, second] = &self.eyes;
        let mut fds =
            [readable(self.tun.as_fd()), readable(first.as_fd()), readable(second.as_fd())];
        match poll(&mut fds, PollTimeout::from(wait)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        while let Some(length) = length(self.tun.read(&mut self.buffer))? {
            self.outside.extend(Packet::parse(&self.buffer[..length]));
        }
        for (index, eye) in self.eyes.iter().enumerate() {
            while let Some(length) = length((&*eye).read(&mut self.buffer))? {
                let packet = Packet::parse(&self.buffer[..length]);
                // What the host sends is seen as well.
                let own = self.hosts[index].address;
                self.inside[index].extend(packet.filter(|packet| packet.destination.ip() == own));
            }
        }
        Ok(())
    }
}

/// The length of a packet, if there was one.
fn length(read: io::Result<usize>) -> io::Result<Option<usize>> {
    match read {
        Ok(length) => Ok(Some(length)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
        Err(error) => Err(error),
    }
}

/// A copy of every IP packet on the interfaces of the calling thread's namespace.
fn watch(family: Family) -> io::Result<Socket> {
    let protocol = match family {
        Family::V4 => libc::ETH_P_IP,
        Family::V6 => libc::ETH_P_IPV6,
    };
    let protocol = u16::try_from(protocol).map_err(io::Error::other)?.to_be();
    let socket =
        Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(i32::from(protocol))))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A socket that shares its port with others of the same host.
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
