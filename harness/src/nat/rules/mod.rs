//! A NAT as text: rules for `iptables-restore` (or `ip6tables-restore`) where iptables can express
//! the behaviour, for `nft -f` elsewhere, and kernel variables. [`crate::lab`] applies them.
//!
//! With IPv4 an unsolicited SYN is addressed to the NAT itself, since no mapping rewrites the
//! destination: the policy belongs in INPUT. With IPv6 nothing is translated, and the SYN is
//! addressed to a host behind the firewall: the policy belongs in FORWARD.

mod iptables;
mod nft;

use std::net::IpAddr;

use super::{Allocation, Filtering, Hairpin, Mapping, NatSpec};
use crate::peers::Family;

/// Interface of a NAT towards the WAN, and of a public host.
pub(crate) const WAN: &str = "wan";

/// Interface of a NAT towards the first inside host. The names of interfaces towards further hosts
/// begin with this one.
pub(crate) const LAN: &str = "lan";

/// Rules and kernel variables that make a router a NAT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rules {
    /// The program that reads `text` from standard input.
    pub(crate) tool: Tool,
    /// Rules, with comments.
    pub(crate) text: String,
    /// Kernel variables of the network namespace.
    pub(crate) sysctls: Vec<Sysctl>,
}

/// A program that loads rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tool {
    /// `iptables-restore`
    Iptables,
    /// `ip6tables-restore`
    Ip6tables,
    /// `nft -f -`
    Nft,
}

impl Tool {
    /// Name of the program.
    pub(crate) const fn program(self) -> &'static str {
        match self {
            Self::Iptables => "iptables-restore",
            Self::Ip6tables => "ip6tables-restore",
            Self::Nft => "nft",
        }
    }

    /// Arguments with which the program reads rules from standard input.
    pub(crate) const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Iptables | Self::Ip6tables => &["--wait", "10"],
            Self::Nft => &["-f", "-"],
        }
    }

    /// The package that contains the program.
    pub(crate) const fn package(self) -> &'static str {
        match self {
            Self::Iptables | Self::Ip6tables => "iptables",
            Self::Nft => "nftables",
        }
    }
}

/// A kernel variable below `/proc/sys`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sysctl {
    /// Path below `/proc/sys`, with slashes.
    pub(crate) name: &'static str,
    /// Value to be written.
    pub(crate) value: String,
}

/// The program that a NAT needs.
pub(crate) fn tool(family: Family, nat: &NatSpec) -> Tool {
    match family {
        Family::V4 if needs_tables(nat) => Tool::Nft,
        Family::V6 if nat.filtering != Filtering::AddressAndPortDependent => Tool::Nft,
        Family::V4 => Tool::Iptables,
        Family::V6 => Tool::Ip6tables,
    }
}

/// The rules of a possible NAT whose address on the WAN is `wan`.
pub(crate) fn rules(family: Family, wan: IpAddr, nat: &NatSpec) -> Rules {
    let tool = tool(family, nat);
    let text = match (tool, family) {
        (Tool::Iptables | Tool::Ip6tables, _) => iptables::restore(family, wan, nat),
        (Tool::Nft, Family::V4) => nft::nat(wan, nat),
        (Tool::Nft, Family::V6) => nft::firewall(nat),
    };
    Rules { tool, text, sysctls: sysctls(family, nat) }
}

/// Whether a NAT remembers more than connections, which iptables cannot.
fn needs_tables(nat: &NatSpec) -> bool {
    let allocation = match nat.allocation {
        Allocation::PreservingOverloading | Allocation::FixedDelta(_) => false,
        Allocation::Preserving | Allocation::Sequential => true,
        Allocation::Random => nat.mapping != Mapping::AddressAndPortDependent,
        Allocation::Block(_) => nat.mapping != Mapping::EndpointIndependent,
    };
    allocation
        || nat.filtering != Filtering::AddressAndPortDependent
        || nat.hairpin != Hairpin::None
}

fn sysctls(family: Family, nat: &NatSpec) -> Vec<Sysctl> {
    let (forwarding, rate_limit) = match family {
        Family::V4 => ("net/ipv4/ip_forward", "net/ipv4/icmp_ratelimit"),
        Family::V6 => ("net/ipv6/conf/all/forwarding", "net/ipv6/icmp/ratelimit"),
    };
    let mut all = vec![Sysctl { name: forwarding, value: "1".to_owned() }];
    if !nat.icmp_limit {
        all.push(Sysctl { name: rate_limit, value: "0".to_owned() });
    }
    let conntrack: &[(Option<u32>, &[&'static str])] = &[
        (nat.timeouts.syn_s, &["net/netfilter/nf_conntrack_tcp_timeout_syn_sent"]),
        (nat.timeouts.established_s, &["net/netfilter/nf_conntrack_tcp_timeout_established"]),
        (
            nat.timeouts.close_s,
            &[
                "net/netfilter/nf_conntrack_tcp_timeout_fin_wait",
                "net/netfilter/nf_conntrack_tcp_timeout_close_wait",
                "net/netfilter/nf_conntrack_tcp_timeout_last_ack",
                "net/netfilter/nf_conntrack_tcp_timeout_time_wait",
                "net/netfilter/nf_conntrack_tcp_timeout_close",
            ],
        ),
    ];
    for (seconds, names) in conntrack {
        let Some(seconds) = seconds else { continue };
        all.extend(
            names
                .iter()
                .map(|name| Sysctl { name, value: seconds.to_string() }),
        );
    }
    all
}

#[cfg(test)]
mod tests;
