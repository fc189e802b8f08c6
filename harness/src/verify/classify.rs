//! Probe results in the terms of RFC 4787, and the expected values in the same words. Pure
//! functions.

use std::net::{IpAddr, SocketAddr};

use super::{
    check::Check,
    probe::{Answer, HairpinResult, Mappings, PerTransport, ProbeResults},
    timeouts::{ConnectionState, Remembered},
};
use crate::{
    named::Named,
    nat::{Allocation, Filtering, Hairpin, Mapping, NatSpec, Unsolicited},
    packet::{IcmpErrorKind, Transport},
    peers::Family,
};

const WORKS: &str = "works";
const LIMITED: &str = "limited";
const NOT_LIMITED: &str = "every SYN is answered";
const LET_IN: &str = "let in";
const NOTHING: &str = "no packet came out";
const PASSED_ON: &str = "passed on";
const OWN: &str = "a port of its own";
const SHARES: &str = "shares the port";

/// Span of the ports of a block; random ports span more.
const MAX_BLOCK_SPAN: u16 = 4096;

/// Every property of a NAT but its time-outs: the expected value and the observed one.
pub(super) fn checks(
    family: Family,
    wan: IpAddr,
    nat: &NatSpec,
    results: &ProbeResults,
) -> Vec<Check> {
    let expected_open = if nat.simultaneous_open { WORKS } else { "refused" };
    let observed_open = if results.simultaneous_open { WORKS } else { "refused" };
    let mut all = vec![
        Check::new("connection", WORKS, works(results.connects)),
        Check::new("simultaneous open", expected_open, observed_open),
    ];
    for (transport, seen) in [(Transport::Tcp, &results.tcp), (Transport::Udp, &results.udp)] {
        let prefix = if transport == Transport::Udp { "UDP " } else { "" };
        let named = |(property, expected, observed): Property| Check {
            property: format!("{prefix}{property}"),
            expected,
            observed,
        };
        match family {
            Family::V4 => all.extend(translation_of_ipv4(wan, nat, seen).map(named)),
            Family::V6 => {
                let observed = translation(&seen.mappings);
                all.push(named(("translation", "none".to_owned(), observed)));
            }
        }
        let observed = filtering(transport, seen);
        all.push(named(("filtering", expected_filtering(family, nat), observed)));
        let expected = expected_unsolicited(family, transport, nat.unsolicited).to_owned();
        all.push(named(("unsolicited", expected, unsolicited(&seen.unsolicited))));
    }
    all.extend(icmp(nat, results));
    all
}

/// A property, its expected value and its observed one.
type Property = (&'static str, String, String);

/// The properties of a NAT that translates.
fn translation_of_ipv4(wan: IpAddr, nat: &NatSpec, seen: &PerTransport) -> [Property; 5] {
    let other_destination = if nat.allocation.follows_inside_port() { SHARES } else { OWN };
    [
        ("mapping", nat.mapping.name().to_owned(), mapping(&seen.mappings).0),
        (
            "allocation",
            expected_allocation(nat.allocation),
            allocation(&seen.mappings, wan, nat.allocation),
        ),
        ("second host, same destination", OWN.to_owned(), second_host(&seen.second_same)),
        (
            "second host, other destination",
            other_destination.to_owned(),
            second_host(&seen.second_other),
        ),
        ("hairpin", nat.hairpin.name().to_owned(), hairpin(seen.hairpin, wan, nat)),
    ]
}

/// The properties that concern ICMP.
fn icmp(nat: &NatSpec, results: &ProbeResults) -> Vec<Check> {
    let errors = if results.icmp_errors { PASSED_ON } else { "lost" };
    let mut all = vec![
        Check::new("ICMP errors", PASSED_ON, errors),
        Check::new("ICMP echo", WORKS, works(results.icmp_echoes)),
    ];
    if nat.unsolicited.is_icmp() {
        let expected = if nat.icmp_limit { LIMITED } else { NOT_LIMITED };
        all.push(Check::new("ICMP limit", expected, icmp_limit(results.icmp_answers)));
    }
    all
}

/// A property for each time-out that was waited for.
pub(super) fn timeouts(all: &[Remembered]) -> Vec<Check> {
    let check = |remembered: &Remembered| {
        let property = match remembered.state {
            ConnectionState::Syn => "time-out of a SYN",
            ConnectionState::Established => "time-out when established",
            ConnectionState::Closed => "time-out when closed",
        };
        let seconds = remembered.seconds;
        let observed = match (remembered.early, remembered.late) {
            (true, false) => format!("{seconds} s"),
            (false, _) => format!("less than {} s", f64::from(seconds) / 2.0),
            (true, true) => format!("more than {seconds} s"),
        };
        Check::new(property, &format!("{seconds} s"), &observed)
    };
    all.iter().map(check).collect()
}

fn works(does: bool) -> &'static str {
    if does { WORKS } else { "fails" }
}

/// The mapping in words, and as a term where one applies.
///
/// Random ports of different mappings are equal by chance, 1 in 64,512. So the mapping of one
/// inside port among several may seem to depend on less than the others do.
fn mapping(all: &[Mappings]) -> (String, Option<Mapping>) {
    let mut found = Vec::new();
    for Mappings { outside, .. } in all {
        let [Some(one), Some(port), Some(other)] = *outside else {
            return (NOTHING.to_owned(), None);
        };
        found.push(match (one == port, one == other) {
            (true, true) => Mapping::EndpointIndependent,
            (true, false) => Mapping::AddressDependent,
            (false, _) => Mapping::AddressAndPortDependent,
        });
    }
    let Some(term) = found.iter().max().copied() else { return (NOTHING.to_owned(), None) };
    let fits = |(found, Mappings { outside: [one, port, other], .. }): &(&Mapping, &Mappings)| {
        **found == term && (one == port || (one != other && port != other))
    };
    let mut misfits = found
        .iter()
        .zip(all)
        .filter(|pair| !fits(pair))
        .map(|(_, mappings)| mappings);
    match (misfits.next(), misfits.next()) {
        (None, _) => (term.name().to_owned(), Some(term)),
        (Some(_), None) if all.len() > 2 => (term.name().to_owned(), Some(term)),
        (Some(Mappings { inside, outside }), _) => {
            let ports = outside.map(|outside| outside.map_or(0, |outside| outside.port()));
            let [one, port, other] = ports;
            (
                format!(
                    "irregular: {}, but {} was seen as {one}, {port} and {other}",
                    term.name(),
                    inside.port()
                ),
                None,
            )
        }
    }
}

fn expected_allocation(allocation: Allocation) -> String {
    match allocation {
        // A second host shows the difference to `preserving`.
        Allocation::PreservingOverloading => Allocation::Preserving.to_string(),
        Allocation::Preserving
        | Allocation::Random
        | Allocation::Sequential
        | Allocation::FixedDelta(_)
        | Allocation::Block(_) => allocation.to_string(),
    }
}

fn allocation(all: &[Mappings], wan: IpAddr, expected: Allocation) -> String {
    let (_, term) = mapping(all);
    // Pairs of inside and outside port, one for each mapping of the NAT.
    let mut pairs: Vec<(u16, u16)> = Vec::new();
    for Mappings { inside, outside } in all {
        let made: &[_] = match term {
            Some(Mapping::EndpointIndependent) => &outside[..1],
            Some(Mapping::AddressDependent) => &[outside[0], outside[2]],
            Some(Mapping::AddressAndPortDependent) | None => outside,
        };
        for outside in made {
            let Some(outside) = outside else { return NOTHING.to_owned() };
            if outside.ip() != wan {
                return format!("not translated: seen as {outside}");
            }
            pairs.push((inside.port(), outside.port()));
        }
    }
    let first_kept = all.iter().all(|Mappings { inside, outside }| {
        outside[0].is_some_and(|outside| outside.port() == inside.port())
    });
    if first_kept {
        return Allocation::Preserving.to_string();
    }
    // Ports wrap around at 65,536.
    let delta = |(inside, outside): (u16, u16)| outside.wrapping_sub(inside);
    let constant = delta(pairs[0]);
    if pairs.iter().all(|pair| delta(*pair) == constant) {
        return Allocation::FixedDelta(constant).to_string();
    }
    let mut ports: Vec<u16> = pairs.iter().map(|(_, outside)| *outside).collect();
    ports.sort_unstable();
    let (low, high) = (ports[0], ports[ports.len() - 1]);
    ports.dedup();
    if ports.len() == pairs.len() && usize::from(high - low) + 1 == ports.len() {
        return Allocation::Sequential.to_string();
    }
    if let Allocation::Block(block) = expected
        && block.first <= low
        && high <= block.last
    {
        return expected.to_string();
    }
    if high - low < MAX_BLOCK_SPAN {
        return format!("a block around {low}-{high}");
    }
    Allocation::Random.to_string()
}

fn translation(all: &[Mappings]) -> String {
    for Mappings { inside, outside } in all {
        for outside in outside {
            match outside {
                None => return NOTHING.to_owned(),
                Some(outside) if outside != inside => return format!("{inside} seen as {outside}"),
                Some(_) => {}
            }
        }
    }
    "none".to_owned()
}

fn second_host(pairs: &[[Option<SocketAddr>; 2]]) -> String {
    if pairs.iter().flatten().any(Option::is_none) {
        return NOTHING.to_owned();
    }
    // A single pair can be equal by chance.
    let shares = pairs.iter().all(|[first, second]| first == second);
    if shares { SHARES } else { OWN }.to_owned()
}

fn expected_filtering(family: Family, nat: &NatSpec) -> String {
    let filtering = match (family, nat.unsolicited) {
        // No firewall at all.
        (Family::V6, Unsolicited::Open) => Filtering::EndpointIndependent,
        _ => nat.filtering,
    };
    filtering.name().to_owned()
}

fn filtering(transport: Transport, seen: &PerTransport) -> String {
    if transport == Transport::Udp && !seen.contacted {
        return "not even those who were sent to are let in".to_owned();
    }
    match (seen.other_port, seen.stranger) {
        (false, false) => Filtering::AddressAndPortDependent.name(),
        (true, false) => Filtering::AddressDependent.name(),
        (true, true) => Filtering::EndpointIndependent.name(),
        (false, true) => "irregular: strangers are let in, other ports of those sent to are not",
    }
    .to_owned()
}

fn expected_unsolicited(
    family: Family,
    transport: Transport,
    unsolicited: Unsolicited,
) -> &'static str {
    match (family, unsolicited, transport) {
        (Family::V6, Unsolicited::Open, _) => LET_IN,
        (Family::V4, Unsolicited::Open, Transport::Tcp) => Unsolicited::Reset.name(),
        (Family::V4, Unsolicited::Open, Transport::Udp) => Unsolicited::IcmpPort.name(),
        (_, other, Transport::Tcp) => other.name(),
        (_, _, Transport::Udp) => Unsolicited::Drop.name(),
    }
}

fn unsolicited(answers: &[Answer]) -> String {
    let word = |answer: &Answer| match answer {
        Answer::Nothing => Unsolicited::Drop.name().to_owned(),
        Answer::Reset => Unsolicited::Reset.name().to_owned(),
        Answer::Icmp(error) => match error.kind {
            IcmpErrorKind::PortUnreachable => Unsolicited::IcmpPort.name().to_owned(),
            IcmpErrorKind::AdminProhibited => Unsolicited::IcmpAdmin.name().to_owned(),
            IcmpErrorKind::HostUnreachable => Unsolicited::IcmpHost.name().to_owned(),
            IcmpErrorKind::NetworkUnreachable
            | IcmpErrorKind::DestinationUnreachable
            | IcmpErrorKind::TimeExceeded
            | IcmpErrorKind::Other => {
                let (kind, code) = error.type_and_code;
                format!("ICMP type {kind} code {code}")
            }
        },
        Answer::Accepted => "accepted".to_owned(),
        Answer::LetIn => LET_IN.to_owned(),
    };
    let mut words: Vec<String> = answers.iter().map(word).collect();
    words.dedup();
    words.join(", then ")
}

fn icmp_limit(answers: usize) -> &'static str {
    match answers {
        0 => "no answer",
        12.. => NOT_LIMITED,
        _ => LIMITED,
    }
}

fn hairpin(result: Option<HairpinResult>, wan: IpAddr, nat: &NatSpec) -> String {
    let Some(HairpinResult { source, inside, outside, answered }) = result else {
        return Hairpin::None.name().to_owned();
    };
    let same_port = nat.mapping != Mapping::EndpointIndependent || outside == Some(source);
    let mut text = match source {
        source if source == inside => Hairpin::Internal.name().to_owned(),
        source if source.ip() == wan && same_port => Hairpin::External.name().to_owned(),
        source => format!("seen as {source}"),
    };
    if !answered {
        text += ", but no answer comes back";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nat::PortBlock;

    const WAN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1));

    /// Inside ports from 31000 on, with these outside ports.
    fn mapped(outside: &[[u16; 3]]) -> Vec<Mappings> {
        (31_000..)
            .zip(outside)
            .map(|(inside, outside)| Mappings {
                inside: ([100, 64, 1, 2], inside).into(),
                outside: outside.map(|port| Some((WAN, port).into())),
            })
            .collect()
    }

    #[test]
    fn outside_ports_tell_mapping_and_allocation() {
        let block = Allocation::Block(PortBlock { first: 2000, last: 2999 });
        for (outside, expected, mapping_, allocation_) in [
            (
                vec![[31_000; 3], [31_001; 3]],
                Allocation::Random,
                "endpoint-independent",
                "preserving",
            ),
            (
                vec![[31_007; 3], [31_008; 3]],
                Allocation::Random,
                "endpoint-independent",
                "fixed-delta +7",
            ),
            (vec![[2700; 3], [2050; 3]], block, "endpoint-independent", "block 2000-2999"),
            (vec![[2700; 3], [1050; 3]], block, "endpoint-independent", "a block around 1050-2700"),
            (vec![[2700; 3], [22_050; 3]], block, "endpoint-independent", "random"),
            (
                vec![[40_000, 40_000, 40_001], [40_003, 40_003, 40_002]],
                Allocation::Random,
                "address-dependent",
                "sequential",
            ),
            (
                vec![[31_000, 9, 7], [31_001, 60_000, 3]],
                Allocation::Random,
                "address-and-port-dependent",
                "preserving",
            ),
            (
                vec![[5, 900, 60_000], [31_001, 9000, 3]],
                Allocation::Sequential,
                "address-and-port-dependent",
                "random",
            ),
        ] {
            let all = mapped(&outside);
            assert_eq!(mapping(&all).0, mapping_, "{outside:?}");
            assert_eq!(allocation(&all, WAN, expected), allocation_, "{outside:?}");
        }
    }

    #[test]
    fn one_equal_pair_of_random_ports_is_chance_and_two_are_not() {
        let random: Vec<[u16; 3]> = (0..7).map(|port| [port, port + 100, port + 200]).collect();
        for twice in [[7, 7, 8], [7, 8, 7], [7, 8, 8], [7, 7, 7]] {
            let mut ports = random.clone();
            ports.push(twice);
            assert_eq!(mapping(&mapped(&ports)).0, "address-and-port-dependent", "{twice:?}");
            ports.push(twice);
            assert!(mapping(&mapped(&ports)).0.starts_with("irregular"), "{twice:?}");
        }
        let to_addresses = [[7, 7, 8], [7, 7, 7], [9, 9, 5]];
        assert_eq!(mapping(&mapped(&to_addresses)).0, "address-dependent");
    }

    #[test]
    fn a_mapping_that_fits_no_term_is_irregular() {
        assert!(mapping(&mapped(&[[1, 2, 1]])).0.starts_with("irregular"));
        assert!(
            mapping(&mapped(&[[1, 1, 1], [1, 2, 3]]))
                .0
                .starts_with("irregular")
        );
        let mut several = vec![[7, 7, 7]; 7];
        several.push([7, 8, 7]);
        let irregular = "irregular: address-and-port-dependent, but 31000 was seen as 7, 7 and 7";
        assert_eq!(mapping(&mapped(&several)).0, irregular);
        let mut none = mapped(&[[1, 1, 1]]);
        none[0].outside[0] = None;
        assert_eq!(mapping(&none).0, NOTHING);
        assert_eq!(allocation(&none, WAN, Allocation::Random), NOTHING);
    }
}
