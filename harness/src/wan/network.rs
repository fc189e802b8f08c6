//! Interfaces between a lab and the WAN, and the networks routed to them.

use std::{net::IpAddr, os::fd::OwnedFd};

/// Interface between a lab and the WAN: the TUN device of a NAT or public host.
#[derive(Debug)]
pub(crate) struct WanInterface {
    /// Name in captures and reports.
    pub(crate) name: String,
    /// The network that is routed to the interface.
    pub(crate) network: Network,
    /// Descriptor of the TUN device.
    pub(crate) tun: OwnedFd,
}

/// An address with the length of its network's prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    /// An address in the network.
    pub(crate) address: IpAddr,
    /// Length of the prefix in bits.
    pub(crate) prefix: u8,
}

impl Network {
    /// Whether an address belongs to this network.
    pub(crate) fn contains(self, other: IpAddr) -> bool {
        let prefix = u32::from(self.prefix);
        match (self.address, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differing = u32::from(own) ^ u32::from(other);
                differing.leading_zeros() >= prefix
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differing = u128::from(own) ^ u128::from(other);
                differing.leading_zeros() >= prefix
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    /// A network of one address.
    pub(crate) const fn host(address: IpAddr) -> Self {
        let prefix = if address.is_ipv4() { 32 } else { 128 };
        Self { address, prefix }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_network_contains_the_addresses_with_its_prefix() {
        let network = |text: &str, prefix| Network { address: text.parse().unwrap(), prefix };
        let contains = |network: Network, other: &str| network.contains(other.parse().unwrap());
        let lan = network("2001:db8:1::1", 64);
        assert!(contains(lan, "2001:db8:1::2"));
        assert!(!contains(lan, "2001:db8:2::2"));
        assert!(!contains(lan, "100.64.1.2"));
        let all = Network { address: Ipv4Addr::UNSPECIFIED.into(), prefix: 0 };
        assert!(all.contains(Ipv4Addr::BROADCAST.into()));
        let one = Network::host("198.51.100.1".parse().unwrap());
        assert!(one.contains(one.address));
        assert!(!contains(one, "203.0.113.1"));
    }
}
