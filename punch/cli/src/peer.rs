//! The peer's address, from the argument of the command.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
};

use crate::exit::Problem;

/// Address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

/// Address of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    /// Interface index of a link-local address (`fe80::1%eth0`); 0 for every other address.
    pub(crate) scope_id: u32,
}

/// Resolves an address or a name. An IPv6 address may be in brackets and have a scope.
pub(crate) fn resolve(peer: &str, family: Option<Family>) -> Result<Peer, Problem> {
    let bare = peer
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(peer);
    if bare.is_empty() {
        return Err(Problem::usage("the peer's address is empty"));
    }
    // The port follows from the clock.
    let addresses = (bare, 0)
        .to_socket_addrs()
        .map_err(|error| unresolved(peer, &error))?;
    choose(peer, addresses.collect(), family)
}

fn choose(
    peer: &str,
    found: BTreeSet<SocketAddr>,
    family: Option<Family>,
) -> Result<Peer, Problem> {
    let of = |family: Family| {
        let wanted = move |address: &&SocketAddr| address.is_ipv4() == (family == Family::V4);
        found.iter().find(wanted).copied()
    };
    let chosen = match family {
        Some(family) => of(family).ok_or_else(|| {
            let version = if family == Family::V4 { "IPv4" } else { "IPv6" };
            Problem::usage(format!("{peer} has no {version} address"))
        })?,
        // Both sides must use the same family, and neither knows what the other would prefer.
        None if of(Family::V4).is_some() && of(Family::V6).is_some() => {
            return Err(Problem::usage(format!(
                "{peer} has IPv4 and IPv6 addresses: choose with -4 or -6, the same on both sides"
            )));
        }
        None => found
            .first()
            .copied()
            .ok_or_else(|| unresolved(peer, &io::Error::other("it has no address")))?,
    };
    let scope_id = match chosen {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(address) => address.scope_id(),
    };
    Ok(Peer { address: chosen.ip(), scope_id })
}

fn unresolved(peer: &str, error: &io::Error) -> Problem {
    Problem::failed(format!(
        "the peer {peer:?} is neither an address nor a name that resolves: {error}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(result: Result<Peer, Problem>) -> String {
        result.unwrap_err().message.unwrap()
    }

    #[test]
    fn an_address_may_be_in_brackets() {
        let expected = Peer { address: "2001:db8::1".parse().unwrap(), scope_id: 0 };
        assert_eq!(resolve("[2001:db8::1]", None).unwrap(), expected);
        assert_eq!(resolve("2001:db8::1", None).unwrap(), expected);
    }

    #[test]
    fn scopes_are_kept() {
        let peer = resolve("fe80::1%1", None).unwrap();
        assert_eq!(peer, Peer { address: "fe80::1".parse().unwrap(), scope_id: 1 });
    }

    #[test]
    fn a_name_with_both_families_needs_a_choice() {
        let both: BTreeSet<SocketAddr> = ["192.0.2.1:0", "[2001:db8::1]:0"]
            .map(|address| address.parse().unwrap())
            .into();
        assert!(message(choose("both", both.clone(), None)).contains("-4 or -6"));
        let v6 = choose("both", both, Some(Family::V6)).unwrap();
        assert_eq!(v6.address, "2001:db8::1".parse::<IpAddr>().unwrap());
        let only: BTreeSet<SocketAddr> = ["192.0.2.1:0".parse().unwrap()].into();
        assert!(message(choose("only", only, Some(Family::V6))).contains("no IPv6"));
    }

    #[test]
    fn a_peer_that_cannot_be_resolved_is_refused_with_the_reason() {
        assert!(message(resolve("[]", None)).contains("empty"));
        // A NUL is refused before any server is asked.
        assert!(message(resolve("no\0name", None)).contains("neither an address nor a name"));
    }
}
