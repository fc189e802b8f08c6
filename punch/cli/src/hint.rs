//! Hints about the peer's address, before anything is sent.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::exit::Problem;

/// Explains that there is no port to give, if `peer` ends with one or `port` follows it, as for
/// netcat.
pub(crate) fn refuse_port(peer: &str, port: Option<&str>) -> Result<(), Problem> {
    let (host, port) = match (port, split_port(peer)) {
        (Some(port), _) => (peer, port),
        (None, Some(split)) => split,
        (None, None) => return Ok(()),
    };
    Err(Problem::usage(format!(
        "{host:?} is enough, without {port:?}: the ports follow from the clock, the same on both \
         sides; --ports {port} on both sides sets one"
    )))
}

/// Host and port, if the text has both. An IPv6 address without brackets has no port.
fn split_port(peer: &str) -> Option<(&str, &str)> {
    let (host, port) = peer.rsplit_once(':')?;
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_bracketed = host.starts_with('[') && host.ends_with(']');
    (is_port && (is_bracketed || !host.contains(':'))).then_some((host, port))
}

/// A warning about an address that is valid only within some network, and not where the peer most
/// often is.
pub(crate) fn about_address(peer: IpAddr) -> Option<String> {
    let what = match peer.to_canonical() {
        IpAddr::V4(address) => about_v4(address)?,
        IpAddr::V6(address) => about_v6(address)?,
    };
    Some(format!(
        "{peer} is {what}; a peer elsewhere is reached by its WAN address, which it can look up on \
         a web page that shows one's address"
    ))
}

fn about_v4(address: Ipv4Addr) -> Option<&'static str> {
    let [first, second, ..] = address.octets();
    match (first, second) {
        _ if address.is_private() => {
            Some("a private address, which is valid only in the peer's own network or VPN")
        }
        _ if address.is_link_local() => Some(
            "a link-local address, which is valid only on one link (and often a sign that \
                  the peer got no address by DHCP)",
        ),
        (100, 64..128) => Some(
            "an address of a carrier's own network (100.64.0.0/10), which is valid only \
                  behind the carrier's NAT or in a VPN",
        ),
        _ => None,
    }
}

fn about_v6(address: Ipv6Addr) -> Option<&'static str> {
    if address.is_unique_local() {
        Some("a unique local address (fc00::/7), which is valid only in the peer's own network")
    } else if address.is_unicast_link_local() {
        Some("a link-local address, which is valid only on one link")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_told_from_an_address_that_ends_with_digits() {
        for (peer, split) in [
            ("203.0.113.7:4000", Some(("203.0.113.7", "4000"))),
            ("[2001:db8::1]:4000", Some(("[2001:db8::1]", "4000"))),
            ("host.example:80", Some(("host.example", "80"))),
            ("2001:db8::1", None),
            ("::1", None),
            ("[2001:db8::1]", None),
            ("fe80::1%2", None),
            ("host", None),
            ("host:", None),
            ("host:name", None),
        ] {
            assert_eq!(split_port(peer), split, "{peer}");
            assert_eq!(refuse_port(peer, None).is_err(), split.is_some(), "{peer}");
        }
        assert!(refuse_port("host", Some("4000")).is_err());
    }

    #[test]
    fn addresses_of_inner_networks_are_warned_of() {
        for (peer, says) in [
            ("10.1.2.3", "a private address"),
            ("172.31.0.1", "a private address"),
            ("192.168.1.5", "a private address"),
            ("::ffff:192.168.1.5", "a private address"),
            ("100.64.0.1", "a carrier's own network"),
            ("100.127.255.1", "a carrier's own network"),
            ("169.254.7.7", "a link-local address"),
            ("fd12::1", "a unique local address"),
            ("fe80::1", "a link-local address"),
        ] {
            let warning = about_address(peer.parse().unwrap()).unwrap();
            assert!(warning.contains(says), "{peer}: {warning}");
        }
        for peer in
            ["203.0.113.7", "172.32.0.1", "100.63.0.1", "100.128.0.1", "2001:db8::1", "127.0.0.9"]
        {
            assert_eq!(about_address(peer.parse().unwrap()), None, "{peer}");
        }
    }
}
