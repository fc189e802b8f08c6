//! The rules of a NAT as pure text for `iptables-restore`; applying them is [`super::build`]'s.
//!
//! The policy towards unsolicited SYNs belongs in INPUT: such a packet is addressed to the NAT
//! itself, since no mapping rewrites it.

use crate::scenario::Unsolicited;

/// Interface of a NAT towards the WAN, and of a public host.
pub(crate) const WAN: &str = "wan";

/// Interface of a NAT towards its inside hosts.
pub(crate) const LAN: &str = "lan";

/// Input for `iptables-restore`.
pub(crate) fn iptables(unsolicited: Unsolicited) -> String {
    let reject = |with: &str| format!("REJECT --reject-with {with}");
    let answer = match unsolicited {
        Unsolicited::Drop => "DROP".to_owned(),
        Unsolicited::Reset => reject("tcp-reset"),
        Unsolicited::IcmpPort => reject("icmp-port-unreachable"),
        Unsolicited::IcmpAdmin => reject("icmp-admin-prohibited"),
    };
    // Only TCP can be answered with a reset; the rest is dropped as a router's firewall would.
    format!(
        "*nat\n\
         -A POSTROUTING -o {WAN} -j MASQUERADE\n\
         COMMIT\n\
         *filter\n\
         -A INPUT -i {WAN} -p tcp -m conntrack --ctstate NEW,INVALID -j {answer}\n\
         -A INPUT -i {WAN} -m conntrack --ctstate NEW,INVALID -j DROP\n\
         -A FORWARD -i {WAN} -m conntrack --ctstate NEW,INVALID -j DROP\n\
         COMMIT\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_of_each_answer_are_these() {
        let all =
            [Unsolicited::Drop, Unsolicited::Reset, Unsolicited::IcmpPort, Unsolicited::IcmpAdmin];
        let text: Vec<String> =
            all.iter().map(|answer| format!("# {answer:?}\n{}", iptables(*answer))).collect();
        insta::assert_snapshot!(text.join("\n"));
    }
}
