//! Addresses of a lab. All labs have the same ones, since no packet passes from one to another.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{
    peers::{Family, Side},
    wan::Network,
};

/// The WAN interface of a peer's NAT, or of the peer itself where it is public.
pub(super) fn wan(family: Family, side: Side) -> Network {
    Network::host(match (family, side) {
        (Family::V4, Side::A) => Ipv4Addr::new(198, 51, 100, 1).into(),
        (Family::V4, Side::B) => Ipv4Addr::new(203, 0, 113, 1).into(),
        (Family::V6, side) => v6(0xff, number(side), 1),
    })
}

/// The WAN interface of a further public host; `index` counts from 0.
pub(super) fn host(family: Family, index: u8) -> Network {
    Network::host(match family {
        Family::V4 => Ipv4Addr::new(192, 0, 2, index.saturating_add(10)).into(),
        Family::V6 => v6(0xff, 0x100, u16::from(index) + 1),
    })
}

/// The inside interface of a NAT.
pub(super) fn gateway(family: Family, side: Side) -> Network {
    lan(family, side, 1)
}

/// A host inside its NAT.
pub(super) fn inside(family: Family, side: Side) -> Network {
    lan(family, side, 2)
}

/// The second inside interface of a NAT, in a network of its own: packets from one inside host to
/// the other pass the NAT.
pub(super) fn second_gateway(family: Family, side: Side) -> Network {
    network(family, side, 1, 1)
}

/// A host inside its NAT, in the second network there.
pub(super) fn second_inside(family: Family, side: Side) -> Network {
    network(family, side, 1, 2)
}

fn lan(family: Family, side: Side, host: u8) -> Network {
    network(family, side, 0, host)
}

fn network(family: Family, side: Side, subnet: u8, host: u8) -> Network {
    match family {
        Family::V4 => {
            let lan = u8::try_from(number(side)).unwrap_or_default() + 100 * subnet;
            Network { address: Ipv4Addr::new(100, 64, lan, host).into(), prefix: 24 }
        }
        Family::V6 => Network { address: v6(number(side), subnet.into(), host.into()), prefix: 64 },
    }
}

fn number(side: Side) -> u16 {
    match side {
        Side::A => 1,
        Side::B => 2,
    }
}

fn v6(site: u16, subnet: u16, host: u16) -> IpAddr {
    Ipv6Addr::new(0x2001, 0xdb8, site, subnet, 0, 0, 0, host).into()
}
