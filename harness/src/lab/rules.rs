//! The rules of a NAT as pure text for `iptables-restore` or `ip6tables-restore`; applying them is
//! [`super::build()`]'s.
//!
//! IPv4: an unsolicited SYN is addressed to the NAT itself, since no mapping rewrites it, so that
//! the policy towards it belongs in INPUT. IPv6: nothing is translated, the SYN is addressed to a
//! host behind the firewall, and the policy belongs in FORWARD.

use crate::scenario::{Allocation, Family, NatSpec, Unsolicited};

/// Interface of a NAT towards the WAN, and of a public host.
pub(crate) const WAN: &str = "wan";

/// Interface of a NAT towards its inside hosts.
pub(crate) const LAN: &str = "lan";

/// The program that takes [`restore`]'s text.
pub(crate) const fn program(family: Family) -> &'static str {
    match family {
        Family::V4 => "iptables-restore",
        Family::V6 => "ip6tables-restore",
    }
}

/// Input for [`program`].
pub(crate) fn restore(family: Family, nat: &NatSpec) -> String {
    let answer = answer(family, nat.unsolicited);
    let masquerade = match nat.allocation {
        Allocation::Preserving => "MASQUERADE",
        Allocation::Random => "MASQUERADE --random-fully",
    };
    let (nat, unsolicited_to, never_to) = match family {
        Family::V4 => {
            (format!("*nat\n-A POSTROUTING -o {WAN} -j {masquerade}\nCOMMIT\n"), "INPUT", "FORWARD")
        }
        Family::V6 => (String::new(), "FORWARD", "INPUT"),
    };
    let new = format!("-i {WAN} -m conntrack --ctstate NEW,INVALID");
    // Only TCP can be answered with a reset; the rest is dropped as a router's firewall would.
    format!(
        "{nat}*filter\n\
         -A {unsolicited_to} -p tcp {new} -j {answer}\n\
         -A {unsolicited_to} {new} -j DROP\n\
         -A {never_to} {new} -j DROP\n\
         COMMIT\n"
    )
}

fn answer(family: Family, unsolicited: Unsolicited) -> String {
    let with = match (family, unsolicited) {
        (_, Unsolicited::Drop) => return "DROP".to_owned(),
        (_, Unsolicited::Reset) => "tcp-reset",
        (Family::V4, Unsolicited::IcmpPort) => "icmp-port-unreachable",
        (Family::V4, Unsolicited::IcmpAdmin) => "icmp-admin-prohibited",
        (Family::V6, Unsolicited::IcmpPort) => "icmp6-port-unreachable",
        (Family::V6, Unsolicited::IcmpAdmin) => "icmp6-adm-prohibited",
    };
    format!("REJECT --reject-with {with}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Named;

    #[test]
    fn the_rules_of_each_nat_are_these() {
        let mut text = String::new();
        for (family, allocation) in [
            (Family::V4, Allocation::Preserving),
            (Family::V4, Allocation::Random),
            (Family::V6, Allocation::Preserving),
        ] {
            for (_, unsolicited) in Unsolicited::NAMES {
                let nat = NatSpec { allocation, ..NatSpec::home(*unsolicited) };
                let rules = restore(family, &nat);
                text += &format!("# {family:?} {allocation:?} {unsolicited:?}\n{rules}\n");
            }
        }
        insta::assert_snapshot!(text);
    }
}
