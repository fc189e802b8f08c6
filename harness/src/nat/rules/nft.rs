//! Rules for `nft -f`, for NATs that remember more than connections.
//!
//! Connection tracking remembers the outside port of each connection, but not the inside endpoint
//! to which a port belongs. The tables of these rules do. After translation, every packet from
//! inside writes its outside port into them (`learn`); the next connection of the same endpoint
//! looks there first (`allocate`); packets from outside find the owner of a port (`prerouting`).

use std::{fmt::Write, net::IpAddr};

use super::{LAN, WAN};
use crate::nat::{
    Allocation, Filtering, Hairpin, Mapping, NatSpec, PortBlock, RANDOM, SEQUENTIAL, Timeouts,
    Unsolicited,
};

/// Default time for which a table remembers an endpoint after the last packet.
const MEMORY_S: u32 = 300;

/// Most entries of a table. The NAT forgets further endpoints.
const MAX_ENTRIES: u32 = 4096;

/// Most ports of a block that are used: long lists take long to load.
const MAX_TURNS: u32 = 1024;

const TRANSPORT: &str = "meta l4proto { tcp, udp }";

/// The mark of a connection between inside hosts by their outside addresses.
const HAIRPIN: &str = "1";

/// A NAT for IPv4 whose address on the WAN is `wan`.
pub(super) fn nat(wan: IpAddr, nat: &NatSpec) -> String {
    let mapped = mapped(nat);
    let mut text = format!("# {nat}\ntable ip nat {{\n");
    for Mapped { name, types, .. } in &mapped {
        let types = format!("{types} : inet_service");
        text += &table(&format!("map {name}"), "inside endpoint to outside port", &types);
    }
    if needs_owner(nat) {
        let types = "inet_proto . inet_service : ipv4_addr . inet_service";
        text += &table("map owner", "outside port to inside endpoint", types);
    }
    if nat.filtering == Filtering::AddressDependent {
        let types = "inet_proto . inet_service . ipv4_addr";
        text += &table("set contacted", "to whom the owner of an outside port has sent", types);
    }
    if !nat.simultaneous_open {
        text += &format!(
            "  chain before-tracking {{\n    type filter hook prerouting priority raw;\n    \
             iifname \"{WAN}\" tcp flags & (syn | ack) == syn drop\n  }}\n"
        );
    }
    text += &prerouting(wan, nat);
    text += &postrouting(nat);
    text += &allocate(wan, nat, &mapped);
    text += &learn(nat, &mapped);
    text += &filter(nat);
    text + "}\n"
}

/// A firewall for IPv6 that lets in more than connections from inside.
pub(super) fn firewall(nat: &NatSpec) -> String {
    let (types, learnt, asked) = match nat.filtering {
        Filtering::AddressDependent => (
            "inet_proto . ipv6_addr . inet_service . ipv6_addr",
            "meta l4proto . ip6 saddr . th sport . ip6 daddr",
            "meta l4proto . ip6 daddr . th dport . ip6 saddr",
        ),
        Filtering::EndpointIndependent | Filtering::AddressAndPortDependent => (
            "inet_proto . ipv6_addr . inet_service",
            "meta l4proto . ip6 saddr . th sport",
            "meta l4proto . ip6 daddr . th dport",
        ),
    };
    let opened = table("set opened", "what was opened from inside", types);
    let learn: String = remember(nat.timeouts)
        .into_iter()
        .map(|(state, time)| {
            format!("    {TRANSPORT} {state}update @opened {{ {learnt}{time} }}\n")
        })
        .collect();
    let (mut refuse, mut never) = (String::new(), String::new());
    if nat.unsolicited != Unsolicited::Open {
        refuse = format!(
            "    iifname \"{WAN}\" meta l4proto tcp ct state new,invalid {}\n    \
             iifname \"{WAN}\" ct state new,invalid drop\n",
            answer(nat.unsolicited, "icmpv6", "addr-unreachable")
        );
        never = format!(
            "  chain input {{\n    type filter hook input priority filter;\n    \
             iifname \"{WAN}\" ct state new,invalid drop\n  }}\n"
        );
    }
    format!(
        "# {nat}\ntable ip6 firewall {{\n{opened}  chain learn {{\n    \
         type filter hook postrouting priority srcnat + 10;\n    \
         oifname != \"{WAN}\" return\n    ct direction reply return\n{learn}  }}\n  \
         chain forward {{\n    type filter hook forward priority filter;\n    \
         iifname \"{WAN}\" ct state new {TRANSPORT} {asked} @opened accept\n{refuse}  }}\n{never}}}\n"
    )
}

/// A table of the mappings that exist.
struct Mapped {
    name: &'static str,
    /// Condition on the packets whose mappings are in this table.
    condition: &'static str,
    types: String,
    key: String,
}

/// The tables of mappings; none if every connection gets a mapping of its own.
fn mapped(nat: &NatSpec) -> Vec<Mapped> {
    let inside = "ct original ip saddr . ct original proto-src";
    let both = |types: &str, key: &str| Mapped {
        name: "mapped",
        condition: TRANSPORT,
        types: format!("inet_proto . ipv4_addr . inet_service{types}"),
        key: format!("meta l4proto . {inside}{key}"),
    };
    let each = |name, condition| Mapped {
        name,
        condition,
        types: "ipv4_addr . inet_service . ipv4_addr . inet_service".to_owned(),
        key: format!("{inside} . ct original ip daddr . ct original proto-dst"),
    };
    match (nat.mapping, nat.allocation) {
        (Mapping::AddressAndPortDependent, Allocation::Random | Allocation::Sequential) => vec![],
        // A map of nft has at most four values and a result.
        (Mapping::AddressAndPortDependent, _) => {
            vec![each("mapped-tcp", "meta l4proto tcp"), each("mapped-udp", "meta l4proto udp")]
        }
        (Mapping::AddressDependent, _) => vec![both(" . ipv4_addr", " . ct original ip daddr")],
        (Mapping::EndpointIndependent, _) => vec![both("", "")],
    }
}

fn needs_owner(nat: &NatSpec) -> bool {
    nat.allocation == Allocation::Preserving
        || nat.filtering != Filtering::AddressAndPortDependent
        || nat.hairpin != Hairpin::None
}

fn table(name: &str, what: &str, types: &str) -> String {
    format!(
        "  # {what}\n  {name} {{\n    type {types}\n    flags dynamic,timeout\n    \
         timeout {MEMORY_S}s\n    size {MAX_ENTRIES}\n  }}\n"
    )
}

fn prerouting(wan: IpAddr, nat: &NatSpec) -> String {
    let owner = "dnat ip to meta l4proto . th dport map @owner";
    let mut rules = String::new();
    match nat.filtering {
        Filtering::EndpointIndependent => {
            rules += &format!("    iifname \"{WAN}\" {TRANSPORT} {owner}\n");
        }
        Filtering::AddressDependent => {
            let contacted = "meta l4proto . th dport . ip saddr @contacted";
            rules += &format!("    iifname \"{WAN}\" {TRANSPORT} {contacted} {owner}\n");
        }
        Filtering::AddressAndPortDependent => {}
    }
    if nat.hairpin != Hairpin::None {
        let owned = "meta l4proto . th dport @owner";
        rules += &format!(
            "    iifname \"{LAN}*\" ip daddr {wan} {TRANSPORT} {owned} ct mark set {HAIRPIN} {owner}\n"
        );
    }
    if rules.is_empty() {
        return rules;
    }
    format!("  chain prerouting {{\n    type nat hook prerouting priority dstnat;\n{rules}  }}\n")
}

fn postrouting(nat: &NatSpec) -> String {
    let hairpin = match nat.hairpin {
        Hairpin::External => {
            format!("    oifname \"{LAN}*\" ct mark {HAIRPIN} {TRANSPORT} jump allocate\n")
        }
        Hairpin::None | Hairpin::Internal => String::new(),
    };
    format!(
        "  chain postrouting {{\n    type nat hook postrouting priority srcnat;\n    \
         oifname \"{WAN}\" {TRANSPORT} jump allocate\n    oifname \"{WAN}\" masquerade\n\
         {hairpin}  }}\n"
    )
}

/// The outside port of a new connection: that of its mapping, or a new one.
fn allocate(wan: IpAddr, nat: &NatSpec, mapped: &[Mapped]) -> String {
    // Otherwise the kernel prefers a port that the endpoint has towards another destination.
    let random = match nat.mapping {
        Mapping::EndpointIndependent => "",
        Mapping::AddressDependent | Mapping::AddressAndPortDependent => " fully-random",
    };
    let mut rules = String::new();
    let mut rule = |rule: String| {
        let _ = writeln!(rules, "    {rule}");
    };
    for Mapped { name, condition, key, .. } in mapped {
        rule(format!("{condition} snat ip to {wan} : {key} map @{name}"));
    }
    match nat.allocation {
        Allocation::Preserving => {
            rule(format!("meta l4proto . th sport != @owner snat ip to {wan}"));
            // A range without the inside port, which the kernel would keep towards others.
            rule(format!("{TRANSPORT} th sport < 32768 snat ip to {wan}:32768-65535{random}"));
            rule(format!("{TRANSPORT} snat ip to {wan}:1024-32767{random}"));
        }
        Allocation::Random => {
            let PortBlock { first, last } = RANDOM;
            rule(format!("{TRANSPORT} snat ip to {wan}:{first}-{last} fully-random"));
        }
        Allocation::Sequential => {
            let PortBlock { first, last } = SEQUENTIAL;
            rule(format!("{TRANSPORT} snat ip to {wan} : {}", in_turn(first..=last)));
        }
        // With random ports, two mappings would soon have the same one.
        Allocation::Block(block) => {
            rule(format!("{TRANSPORT} snat ip to {wan} : {}", in_turn(scattered(block))));
        }
        // Allocations that share ports need no tables: see `possible`.
        Allocation::PreservingOverloading | Allocation::FixedDelta(_) => {}
    }
    format!("  chain allocate {{\n{rules}  }}\n")
}

/// A port for each connection, in the order of `ports`.
fn in_turn(ports: impl Iterator<Item = u16>) -> String {
    // The number of numgen used directly as a port would have its bytes swapped.
    let ports: Vec<String> = ports
        .enumerate()
        .map(|(number, port)| format!("{number} : {port}"))
        .collect();
    format!("numgen inc mod {} map {{ {} }}", ports.len(), ports.join(", "))
}

/// The ports of a block, each once, in an order in which no two neighbours follow each other.
fn scattered(block: PortBlock) -> impl Iterator<Item = u16> {
    let size = u32::from(block.last - block.first) + 1;
    // A step near the golden ratio spreads best; one without a common divisor visits every port.
    let near = size * 618 / 1000;
    let step = (near..size)
        .find(|step| common_divisor(*step, size) == 1)
        .unwrap_or(1);
    let turns = size.min(MAX_TURNS);
    (0..turns).map(move |turn| {
        let offset = u64::from(turn) * u64::from(step) % u64::from(size);
        block.first + u16::try_from(offset).expect("less than the size of the block")
    })
}

fn common_divisor(one: u32, other: u32) -> u32 {
    if other == 0 { one } else { common_divisor(other, one % other) }
}

/// The chain in which packets from inside write their translation into the tables.
fn learn(nat: &NatSpec, mapped: &[Mapped]) -> String {
    let mut updates = Vec::new();
    for Mapped { name, condition, key, .. } in mapped {
        updates.push((*condition, *name, key.clone(), " : th sport"));
    }
    if needs_owner(nat) {
        let inside = " : ct original ip saddr . ct original proto-src";
        updates.push((TRANSPORT, "owner", "meta l4proto . th sport".to_owned(), inside));
    }
    if nat.filtering == Filtering::AddressDependent {
        let contacted = "meta l4proto . th sport . ct original ip daddr".to_owned();
        updates.push((TRANSPORT, "contacted", contacted, ""));
    }
    let mut rules = String::new();
    for (condition, table, value, result) in &updates {
        for (state, time) in remember(nat.timeouts) {
            let _ = writeln!(
                rules,
                "    {condition} {state}update @{table} {{ {value}{time}{result} }}"
            );
        }
    }
    if rules.is_empty() {
        return rules;
    }
    let relevant = match nat.hairpin {
        Hairpin::External => format!("oifname != \"{WAN}\" ct mark != {HAIRPIN} return"),
        Hairpin::None | Hairpin::Internal => format!("oifname != \"{WAN}\" return"),
    };
    format!(
        "  chain learn {{\n    type filter hook postrouting priority srcnat + 10;\n    \
         {relevant}\n    ct direction reply return\n{rules}  }}\n"
    )
}

/// States of a connection with the time for which a table remembers them: a condition and a
/// time-out, or neither if the NAT has no time-outs of its own.
fn remember(timeouts: Timeouts) -> Vec<(&'static str, String)> {
    if timeouts.syn_s.or(timeouts.established_s).is_none() {
        return vec![("", String::new())];
    }
    let time = |seconds: Option<u32>| format!(" timeout {}s", seconds.unwrap_or(MEMORY_S));
    vec![
        ("ct state new ", time(timeouts.syn_s)),
        ("ct state established ", time(timeouts.established_s)),
    ]
}

fn filter(nat: &NatSpec) -> String {
    if nat.unsolicited == Unsolicited::Open {
        return String::new();
    }
    let answer = answer(nat.unsolicited, "icmp", "host-unreachable");
    format!(
        "  # Only TCP is answered; the rest is dropped.\n  chain input {{\n    \
         type filter hook input priority filter;\n    \
         iifname \"{WAN}\" meta l4proto tcp ct state new,invalid {answer}\n    \
         iifname \"{WAN}\" ct state new,invalid drop\n  }}\n  chain forward {{\n    \
         type filter hook forward priority filter;\n    \
         iifname \"{WAN}\" ct state new,invalid ct status & dnat != dnat drop\n  }}\n"
    )
}

fn answer(unsolicited: Unsolicited, icmp: &str, host: &str) -> String {
    match unsolicited {
        Unsolicited::Drop | Unsolicited::Open => "drop".to_owned(),
        Unsolicited::Reset => "reject with tcp reset".to_owned(),
        Unsolicited::IcmpPort => format!("reject with {icmp} type port-unreachable"),
        Unsolicited::IcmpAdmin => format!("reject with {icmp} type admin-prohibited"),
        Unsolicited::IcmpHost => format!("reject with {icmp} type {host}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_of_a_block_is_used_once_and_not_in_order() {
        for (first, last) in [(61_440, 61_951), (1024, 1087), (2000, 2999), (1024, 65_535)] {
            let block = PortBlock { first, last };
            let ports: Vec<u16> = scattered(block).collect();
            let mut distinct = ports.clone();
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!(distinct.len(), ports.len());
            assert_eq!(ports.len(), usize::from(last - first).min(1023) + 1);
            assert!(ports.iter().all(|port| (first..=last).contains(port)));
            let neighbours = ports
                .windows(2)
                .filter(|pair| pair[0].abs_diff(pair[1]) == 1);
            assert_eq!(neighbours.count(), 0, "{block:?}");
        }
    }
}
