//! IPv4 peers in a network that has IPv6 only: their addresses through the network's NAT64.
//!
//! The prefix of the NAT64 is discovered by the name `ipv4only.arpa`, whose IPv4 addresses are
//! known (RFC 7050). The peer's address is then put into the prefix (RFC 6052 section 2.2).

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket},
};

/// Name whose AAAA records only a DNS64 makes.
const WELL_KNOWN_NAME: &str = "ipv4only.arpa";

/// Its IPv4 addresses.
const WELL_KNOWN_ADDRESSES: [Ipv4Addr; 2] =
    [Ipv4Addr::new(192, 0, 0, 170), Ipv4Addr::new(192, 0, 0, 171)];

/// Lengths that a prefix may have, in bytes.
const PREFIX_LENGTHS: [usize; 6] = [12, 8, 7, 6, 5, 4];

/// Port of the route lookup, which sends nothing (RFC 863).
const DISCARD_PORT: u16 = 9;

/// What is known about the way to an IPv4 peer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The machine has IPv4, or neither IPv4 nor IPv6 so far.
    Direct,
    /// The network has IPv6 only; its NAT64 translates this address.
    Translated(Ipv6Addr),
    /// The network has IPv6 only, and no NAT64 that can be discovered.
    None,
}

/// The way to an IPv4 peer from this machine. May ask a name server.
pub(crate) fn way_to(peer: Ipv4Addr) -> Way {
    // An address of the documentation, which the default route would take.
    let anywhere = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    if has_route(peer.into()) || !has_route(anywhere.into()) {
        return Way::Direct;
    }
    let Ok(found) = (WELL_KNOWN_NAME, 0).to_socket_addrs() else { return Way::None };
    let translated = found.filter_map(|address| match address {
        SocketAddr::V4(_) => None,
        SocketAddr::V6(synthesised) => translate(*synthesised.ip(), peer),
    });
    translated.map(Way::Translated).next().unwrap_or(Way::None)
}

/// Whether this machine has a route to an address, or refuses it for another reason. Sends nothing.
fn has_route(address: IpAddr) -> bool {
    let any: SocketAddr = match address {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let connected = UdpSocket::bind(any).and_then(|socket| socket.connect((address, DISCARD_PORT)));
    connected.map_or_else(|error| !is_no_route(&error), |()| true)
}

fn is_no_route(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, HostUnreachable, NetworkUnreachable, Unsupported};
    matches!(error.kind(), AddrNotAvailable | HostUnreachable | NetworkUnreachable | Unsupported)
}

/// The address of `peer` in the prefix of an address that was made of a well-known one.
fn translate(synthesised: Ipv6Addr, peer: Ipv4Addr) -> Option<Ipv6Addr> {
    let octets = synthesised.octets();
    let length = PREFIX_LENGTHS.into_iter().find(|&length| {
        let embedded = positions(length).map(|position| octets[position]);
        WELL_KNOWN_ADDRESSES
            .map(|known| known.octets())
            .contains(&embedded)
    })?;
    let mut translated = octets;
    for (position, octet) in positions(length).into_iter().zip(peer.octets()) {
        translated[position] = octet;
    }
    Some(translated.into())
}

/// Positions of the four bytes of an IPv4 address behind a prefix of `length` bytes. Byte 8 is not
/// used (RFC 6052 section 2.2).
fn positions(length: usize) -> [usize; 4] {
    [0, 1, 2, 3].map(|index| {
        let position = length + index;
        if length < 9 && position >= 8 { position + 1 } else { position }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of RFC 6052 section 2.4.
    #[test]
    fn addresses_are_translated_as_in_the_rfc() {
        let peer = Ipv4Addr::new(192, 0, 2, 33);
        for (known, expected) in [
            ("2001:db8:c000:aa::", "2001:db8:c000:221::"),
            ("2001:db8:1c0:0:aa::", "2001:db8:1c0:2:21::"),
            ("2001:db8:122:c000:0:aa00::", "2001:db8:122:c000:2:2100::"),
            ("2001:db8:122:3c0:0:aa::", "2001:db8:122:3c0:0:221::"),
            ("2001:db8:122:344:c0:0:aa00::", "2001:db8:122:344:c0:2:2100::"),
            ("2001:db8:122:344::192.0.0.170", "2001:db8:122:344::192.0.2.33"),
            ("64:ff9b::192.0.0.171", "64:ff9b::192.0.2.33"),
        ] {
            let translated = translate(known.parse().unwrap(), peer);
            assert_eq!(translated, Some(expected.parse().unwrap()), "{known}");
        }
        assert_eq!(translate("2001:db8::1".parse().unwrap(), peer), None);
    }
}
