//! Rules for `iptables-restore` and `ip6tables-restore`.

use std::net::IpAddr;

use super::{LAN, WAN};
use crate::{
    nat::{Allocation, Mapping, NatSpec, PortBlock, Unsolicited},
    peers::Family,
};

/// The whole input of the program.
pub(super) fn restore(family: Family, wan: IpAddr, nat: &NatSpec) -> String {
    let mut text = format!("# {nat}\n");
    if !nat.simultaneous_open {
        text += &format!(
            "*raw\n\
             # Before connection tracking sees it, so that no mapping helps.\n\
             -A PREROUTING -i {WAN} -p tcp --syn -j DROP\n\
             COMMIT\n"
        );
    }
    if family == Family::V4 {
        text += &translation(wan, nat);
    }
    text + &filter(family, nat.unsolicited)
}

fn translation(wan: IpAddr, nat: &NatSpec) -> String {
    let masquerade = format!("-A POSTROUTING -o {WAN} -j MASQUERADE");
    let ports = |target: &str| {
        let rule = |protocol| format!("-A POSTROUTING -o {WAN} -p {protocol} -j {target}\n");
        format!("{}{}# ICMP has no ports.\n{masquerade}", rule("tcp"), rule("udp"))
    };
    let rules = match nat.allocation {
        Allocation::FixedDelta(delta) => {
            format!(
                "# Ports LOW-HIGH/BASE: port p becomes LOW + p, since iptables drops this BASE.\n{}",
                ports(&shifted(wan, delta))
            )
        }
        Allocation::Block(PortBlock { first, last }) => {
            ports(&format!("MASQUERADE --to-ports {first}-{last}"))
        }
        Allocation::Random if nat.mapping == Mapping::AddressAndPortDependent => {
            format!("{masquerade} --random-fully")
        }
        Allocation::PreservingOverloading
        | Allocation::Preserving
        | Allocation::Random
        | Allocation::Sequential => masquerade,
    };
    format!("*nat\n{rules}\nCOMMIT\n")
}

/// The SNAT target that maps port p to p + delta.
///
/// For IPv4, iptables passes the oldest structure of SNAT, which has room for the flag that there
/// is a base, but not for the base itself: the kernel reads 0.
fn shifted(wan: IpAddr, delta: u16) -> String {
    format!("SNAT --to-source {wan}:{delta}-65535/1")
}

fn filter(family: Family, unsolicited: Unsolicited) -> String {
    if unsolicited == Unsolicited::Open {
        return "# No filter: the router itself answers.\n".to_owned();
    }
    let (unsolicited_to, never_to) = match family {
        Family::V4 => ("INPUT", "FORWARD"),
        Family::V6 => ("FORWARD", "INPUT"),
    };
    let new = format!("-i {WAN} -m conntrack --ctstate NEW,INVALID");
    let answer = answer(family, unsolicited);
    format!(
        "*filter\n\
         # Only TCP is answered; the rest is dropped.\n\
         -A {unsolicited_to} -p tcp {new} -j {answer}\n\
         -A {unsolicited_to} {new} -j DROP\n\
         # Past the NAT, to an inside address itself ({LAN}).\n\
         -A {never_to} {new} -j DROP\n\
         COMMIT\n"
    )
}

fn answer(family: Family, unsolicited: Unsolicited) -> String {
    let with = match (family, unsolicited) {
        (_, Unsolicited::Drop | Unsolicited::Open) => return "DROP".to_owned(),
        (_, Unsolicited::Reset) => "tcp-reset",
        (Family::V4, Unsolicited::IcmpPort) => "icmp-port-unreachable",
        (Family::V4, Unsolicited::IcmpAdmin) => "icmp-admin-prohibited",
        (Family::V4, Unsolicited::IcmpHost) => "icmp-host-unreachable",
        (Family::V6, Unsolicited::IcmpPort) => "icmp6-port-unreachable",
        (Family::V6, Unsolicited::IcmpAdmin) => "icmp6-adm-prohibited",
        (Family::V6, Unsolicited::IcmpHost) => "icmp6-addr-unreachable",
    };
    format!("REJECT --reject-with {with}")
}
