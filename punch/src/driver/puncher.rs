//! [`Puncher`], the library's entry point.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr, SocketAddrV6},
    ops::RangeInclusive,
    str::FromStr,
    time::Duration,
};

use polling::Poller;

use super::{
    canceller::Canceller,
    clock::{monotonic_now, wall_now},
    connection::Connection,
    error::Error,
    event_loop::{EventLoop, Settings},
    keepalive::Keepalive,
    local_address::LocalAddress,
    socket::{self, SocketOptions},
};
use crate::proto::{
    UnknownName,
    attempt::{Attempt, Config, MAX_FIXED_PORTS, PortSource},
    bucket::{Buckets, LANES, Rule},
    election::Scheme,
    event::Event,
    schedule::Schedule,
    time::ClockOffset,
    wire::{Nonce, SessionTag},
};

/// The election: the choice of one connection among several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ElectionKind {
    /// HELLO / COMMIT / ACK. It needs no address, and both sides know the result.
    #[default]
    Nonce,
    /// The article's: the side with the greater WAN address sends one `$`, without an answer.
    WanIp {
        /// This side's WAN address.
        own: IpAddr,
    },
}

impl fmt::Display for ElectionKind {
    /// `nonce`, or `wan-ip:` and the address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nonce => f.pad("nonce"),
            Self::WanIp { own } => f.pad(&format!("wan-ip:{own}")),
        }
    }
}

impl FromStr for ElectionKind {
    type Err = UnknownName;

    /// Reads what [`Display`](fmt::Display) writes.
    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let address = text
            .strip_prefix("wan-ip:")
            .and_then(|own| own.parse().ok());
        match (text, address) {
            ("nonce", _) => Ok(Self::Nonce),
            (_, Some(own)) => Ok(Self::WanIp { own }),
            _ => Err(UnknownName::new(text, &["nonce", "wan-ip:ADDRESS"])),
        }
    }
}

/// Options of an attempt, and [`connect`](Self::connect), which makes it.
///
/// Both peers need the same rule, schedule, clock error, session and election, and clocks that are
/// right within the clock error.
///
/// ```no_run
/// use std::{io::Write, time::Duration};
///
/// let mut connection =
///     punch::Puncher::new().timeout(Duration::from_secs(60)).connect("203.0.113.7".parse()?)?;
/// connection.write_all(b"hello through two NATs\n")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Puncher {
    rule: Rule,
    schedule: Schedule,
    fixed_ports: Option<Vec<u16>>,
    max_clock_error: Duration,
    clock_offset: ClockOffset,
    session: String,
    election: ElectionKind,
    bind: Option<IpAddr>,
    interface: Option<String>,
    scope_id: u32,
    listen: bool,
    width: usize,
    mss: Option<u16>,
    keepalive: Option<Keepalive>,
    timeout: Duration,
    seed: Option<u64>,
    cancel: Canceller,
}

impl Default for Puncher {
    fn default() -> Self {
        Self::new()
    }
}

impl Puncher {
    /// Maximum segment sizes that [`Self::mss`] takes: Linux has no smaller one, and hardly any
    /// link has a larger one.
    pub const MSS_RANGE: RangeInclusive<u16> = 88..=9000;

    /// The defaults: rule `rolling`, clocks within 20 s, election `nonce`, a time-out of 120 s.
    pub fn new() -> Self {
        Self {
            rule: Rule::default(),
            schedule: Schedule::default(),
            fixed_ports: None,
            max_clock_error: Buckets::DEFAULT_CLOCK_ERROR,
            clock_offset: ClockOffset::default(),
            session: String::new(),
            election: ElectionKind::default(),
            bind: None,
            interface: None,
            scope_id: 0,
            listen: true,
            width: LANES,
            mss: None,
            keepalive: Some(Keepalive::default()),
            timeout: Config::DEFAULT_TIMEOUT,
            seed: None,
            cancel: Canceller::default(),
        }
    }

    /// Sets the rule by which buckets follow from the clock.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rule = rule;
        self
    }

    /// Sets the generator that turns buckets into ports.
    #[must_use]
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Sets ports to use instead of those of the clock, for callers who have signalling.
    ///
    /// Both peers need the same ports in the same order, since the order decides how a port is
    /// tried: the first two are tried most often, and every other one leaves repeats of a SYN to
    /// the kernel. There may be 1 to [`MAX_FIXED_PORTS`] of them.
    #[must_use]
    pub fn fixed_ports(mut self, ports: impl Into<Vec<u16>>) -> Self {
        self.fixed_ports = Some(ports.into());
        self
    }

    /// Sets the maximum difference of each clock from true time. A window is twice that plus 2 s
    /// long.
    #[must_use]
    pub fn max_clock_error(mut self, error: Duration) -> Self {
        self.max_clock_error = error;
        self
    }

    /// Sets the offset that is added to the system's wall clock.
    #[must_use]
    pub fn clock_offset(mut self, offset: ClockOffset) -> Self {
        self.clock_offset = offset;
        self
    }

    /// Sets a name that both peers share. It keeps several pairs on the same addresses apart.
    #[must_use]
    pub fn session(mut self, name: impl Into<String>) -> Self {
        self.session = name.into();
        self
    }

    /// Sets the election of the connection.
    #[must_use]
    pub fn election(mut self, election: ElectionKind) -> Self {
        self.election = election;
        self
    }

    /// Sets the local address to punch from. By default it is the one from which the system would
    /// send to the peer.
    #[must_use]
    pub fn bind(mut self, address: IpAddr) -> Self {
        self.bind = Some(address.to_canonical());
        self
    }

    /// Sets the interface through which all packets leave and arrive, by its name: for a machine
    /// whose usual route leads into a VPN. Only Linux has it.
    #[must_use]
    pub fn interface(mut self, name: impl Into<String>) -> Self {
        self.interface = Some(name.into());
        self
    }

    /// Sets how many ports of each bucket are used, 1 to 8; all 8 by default. With fewer ports the
    /// attempt is slower where packets are lost. It is for networks that ban a host which connects
    /// to many ports. The peer may have another width: the smaller one counts.
    #[must_use]
    pub fn width(mut self, ports: usize) -> Self {
        self.width = ports.clamp(1, LANES);
        self
    }

    /// Sets the maximum segment size of the connection, in both directions, 88 to 9000 bytes: for a
    /// path on which large packets vanish. By default it follows from the interface.
    #[must_use]
    pub fn mss(mut self, bytes: u16) -> Self {
        self.mss = Some(bytes);
        self
    }

    /// Sets how the connection that is handed over is kept alive, which it is by default; `None`
    /// leaves it to the system.
    #[must_use]
    pub fn keepalive(mut self, keepalive: impl Into<Option<Keepalive>>) -> Self {
        self.keepalive = keepalive.into();
        self
    }

    /// Sets the scope of a link-local IPv6 peer: the index of the interface that reaches it.
    #[must_use]
    pub fn scope_id(mut self, scope_id: u32) -> Self {
        self.scope_id = scope_id;
        self
    }

    /// Sets whether each port is listened on as well, which is the default. Under the `article`
    /// rule no port ever is.
    #[must_use]
    pub fn listen(mut self, listen: bool) -> Self {
        self.listen = listen;
        self
    }

    /// Sets the time after which no new decision is taken.
    ///
    /// The attempt may end later. If the peer was met in time, a side that leads waits for the
    /// peer's answer for [`GRACE`](crate::proto::election::GRACE) more, and a side that follows
    /// waits for the peer's decision for twice that time. Then closing the connections takes one
    /// second at most.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the seed of the nonce and of the random pauses, for tests. By default both are random
    /// numbers of the system.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// A handle that ends [`Self::connect`] from another thread, of this puncher and of its clones.
    pub fn canceller(&self) -> Canceller {
        self.cancel.clone()
    }

    /// Connects to `peer`, given by its address as seen from here. Blocks the calling thread until
    /// there is a connection or the time is over.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn connect(&self, peer: IpAddr) -> Result<Connection, Error> {
        self.connect_observed(peer, |_| {})
    }

    /// Connects as [`Self::connect`] does, and calls `observer` with each event.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn connect_observed(
        &self,
        peer: IpAddr,
        mut observer: impl FnMut(&Event),
    ) -> Result<Connection, Error> {
        let peer = peer.to_canonical();
        self.check_addresses(peer)?;
        let config = self.config(peer)?;
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let poller = Poller::new().map_err(Error::Io)?;
        let registration = self.cancel.register(poller);
        let now = monotonic_now();
        let attempt = Attempt::new(config, now, wall_now() + self.clock_offset);
        let peer = self.scoped(peer);
        let local = LocalAddress::new(peer, self.bind, self.interface.clone(), now);
        let options = SocketOptions { interface: self.interface.as_deref(), mss: self.mss };
        let settings = Settings {
            peer,
            clock_offset: self.clock_offset,
            socket: options,
            keepalive: self.keepalive,
        };
        let (poller, observer) = (registration.poller(), &mut observer);
        let event_loop = EventLoop::new(attempt, local, settings, poller, &self.cancel, observer);
        let elected = event_loop.run()?;
        Ok(elected.into())
    }

    /// Checks what cannot become right while the attempt runs.
    fn check_addresses(&self, peer: IpAddr) -> Result<(), Error> {
        let is_broadcast = matches!(peer, IpAddr::V4(peer) if peer.is_broadcast());
        if peer.is_unspecified() || peer.is_multicast() || is_broadcast {
            return Err(Error::InvalidPeer(peer));
        }
        let is_link_local = matches!(peer, IpAddr::V6(peer) if peer.is_unicast_link_local());
        if is_link_local && self.scope_id == 0 {
            return Err(Error::NoScope(peer));
        }
        if let Some(interface) = &self.interface {
            socket::check_interface(self.scoped(peer), interface)
                .map_err(|source| Error::Interface { name: interface.clone(), source })?;
        }
        if self.mss.is_some_and(|mss| !Self::MSS_RANGE.contains(&mss)) {
            return Err(Error::Mss);
        }
        let local = match self.bind {
            None => match socket::source_address(self.scoped(peer), self.interface.as_deref()) {
                Ok(local) => local,
                // The network may come up while the attempt runs.
                Err(error) if is_passing(&error) => return Ok(()),
                Err(error) => return Err(Error::NoRoute(error)),
            },
            Some(address) if address.is_ipv4() != peer.is_ipv4() => {
                return Err(Error::MixedFamilies { local: address, peer });
            }
            Some(address)
                if address.is_unspecified() || !socket::is_local(self.scoped(address)) =>
            {
                return Err(Error::NotLocal(address));
            }
            Some(address) => address,
        };
        if local == peer { Err(Error::OwnAddress(peer)) } else { Ok(()) }
    }

    /// The socket address of `address`, with the scope that link-local IPv6 needs.
    fn scoped(&self, address: IpAddr) -> SocketAddr {
        match address {
            IpAddr::V4(_) => SocketAddr::new(address, 0),
            IpAddr::V6(v6) => SocketAddrV6::new(v6, 0, 0, self.scope_id).into(),
        }
    }

    fn port_source(&self) -> Result<PortSource, Error> {
        match &self.fixed_ports {
            None => {
                let buckets = Buckets::new(self.rule, self.max_clock_error).with_width(self.width);
                Ok(PortSource::Clock { buckets, schedule: self.schedule })
            }
            Some(ports)
                if ports.is_empty() || ports.len() > MAX_FIXED_PORTS || ports.contains(&0) =>
            {
                Err(Error::FixedPorts)
            }
            Some(ports) => Ok(PortSource::Fixed(ports.clone())),
        }
    }

    fn config(&self, peer: IpAddr) -> Result<Config, Error> {
        let session = SessionTag::new(&self.session);
        let mut random = [0; 48];
        match self.seed {
            Some(seed) => expand(seed, &mut random),
            None => getrandom::fill(&mut random).map_err(|error| Error::Io(error.into()))?,
        }
        let (mut own, mut seed) = (Nonce([0; 16]), [0; 32]);
        own.0.copy_from_slice(&random[..16]);
        seed.copy_from_slice(&random[16..]);
        let ports = self.port_source()?;
        let scheme = self.scheme(own, session, peer)?;
        Ok(Config::new(peer, scheme, seed)
            .ports(ports)
            .session(session)
            .listen(self.listen && self.rule != Rule::Article)
            .timeout(self.timeout))
    }

    fn scheme(&self, own: Nonce, session: SessionTag, peer: IpAddr) -> Result<Scheme, Error> {
        match self.election {
            ElectionKind::Nonce => Ok(Scheme::Nonce { own, session }),
            ElectionKind::WanIp { own } => match own.to_canonical() {
                own if own == peer => Err(Error::EqualWanAddresses(peer)),
                own if own.is_ipv4() != peer.is_ipv4() => {
                    Err(Error::MixedFamilies { local: own, peer })
                }
                own => Ok(Scheme::WanIp { leads: own > peer }),
            },
        }
    }
}

/// Whether the lookup of a route may succeed later.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, HostUnreachable, NetworkDown, NetworkUnreachable};
    matches!(error.kind(), AddrNotAvailable | HostUnreachable | NetworkDown | NetworkUnreachable)
}

/// Fills `random` from a seed.
fn expand(seed: u64, random: &mut [u8]) {
    use rand_chacha::rand_core::{Rng, SeedableRng};
    rand_chacha::ChaCha20Rng::seed_from_u64(seed).fill_bytes(random);
}
