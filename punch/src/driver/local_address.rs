//! The local address of an attempt: the user's, or the one that the system would use for the peer.
//!
//! It is looked up again while the attempt runs, since a machine may get its network late, roam to
//! another one, or be woken up elsewhere.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::socket;
use crate::proto::time::MonoTime;

/// Interval at which the address is looked up.
const LOOKUP_INTERVAL: Duration = Duration::from_secs(2);

/// The local address of an attempt.
#[derive(Debug)]
pub(crate) struct LocalAddress {
    /// The user's address, which never changes.
    fixed: Option<IpAddr>,
    /// Name of the interface to which all sockets are bound.
    interface: Option<String>,
    peer: SocketAddr,
    current: Option<IpAddr>,
    next_lookup: MonoTime,
}

impl LocalAddress {
    /// The local address for `peer`, which has the scope that a link-local address needs.
    pub(crate) fn new(
        peer: SocketAddr,
        fixed: Option<IpAddr>,
        interface: Option<String>,
        now: MonoTime,
    ) -> Self {
        let mut local = Self { fixed, interface, peer, current: fixed, next_lookup: now };
        local.look_up(now);
        local
    }

    /// The address, unless the machine has none for the peer.
    pub(crate) fn current(&self) -> Option<IpAddr> {
        self.current
    }

    /// The interface to which all sockets are bound.
    pub(crate) fn interface(&self) -> Option<&str> {
        self.interface.as_deref()
    }

    /// The address that the system would use, if it belongs to another interface than the user's:
    /// packets may leave through another network than the user expects.
    pub(crate) fn other_route(&self) -> Option<IpAddr> {
        let fixed = self.fixed?;
        let usual = socket::source_address(self.peer, self.interface()).ok()?;
        let is_elsewhere = socket::interface_of(usual) != socket::interface_of(fixed);
        (is_elsewhere && self.interface.is_none()).then_some(usual)
    }

    /// Time of the next lookup.
    pub(crate) fn poll_timeout(&self) -> Option<MonoTime> {
        self.fixed.is_none().then_some(self.next_lookup)
    }

    /// Looks the address up if it is time; whether it is another one now. An address that was lost
    /// is kept until there is another: it often comes back.
    pub(crate) fn has_changed(&mut self, now: MonoTime) -> bool {
        if self.fixed.is_some() || now < self.next_lookup {
            return false;
        }
        let before = self.current;
        self.look_up(now);
        self.current != before
    }

    fn look_up(&mut self, now: MonoTime) {
        self.next_lookup = now + LOOKUP_INTERVAL;
        if self.fixed.is_none()
            && let Ok(found) = socket::source_address(self.peer, self.interface())
            && found != self.peer.ip()
        {
            self.current = Some(found);
        }
    }

    /// The address with a port, and the scope that a link-local address needs.
    pub(crate) fn with_port(&self, port: u16) -> io::Result<SocketAddr> {
        let ip = self
            .current
            .ok_or_else(|| io::Error::from(io::ErrorKind::NetworkUnreachable))?;
        let mut address = self.peer;
        address.set_ip(ip);
        address.set_port(port);
        Ok(address)
    }
}
