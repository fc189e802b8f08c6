//! From what was seen to the terms of RFC 4787: pure functions, the same words for what is expected.

use std::net::{IpAddr, SocketAddr};

use super::{
    Check,
    memory::{Remembered, State},
    packet::IcmpError,
    probe::{Answer, HairpinSeen, Mappings, PerTransport, Seen},
};
use crate::{
    named::Named,
    nat::{Allocation, Filtering, Hairpin, Mapping, NatSpec, Unsolicited},
    peers::Family,
};
const NOTHING: &str = "no packet came out";
const PASSED_ON: &str = "passed on";
const OWN: &str = "a port of its own";
const SHARES: &str = "shares the port";

/// Random ports lie farther apart than this, and those of a block do not.
const BLOCK_SPAN: u16 = 4096;

/// Every property of a NAT apart from its time-outs: what is expected and what was seen.
pub(super) fn checks(family: Family, wan: IpAddr, nat: &NatSpec, seen: &Seen) -> Vec<Check> {
    let mut all = vec![Check::new("connection", "works", works(seen.connects))];
    let open = if nat.simultaneous_open { "works" } else { "refused" };
    let opens = if seen.simultaneous_open { "works" } else { "refused" };
    all.push(Check::new("simultaneous open", open, opens));
    for (udp, seen) in [(false, &seen.tcp), (true, &seen.udp)] {
        let prefix = if udp { "UDP " } else { "" };
        let mut add = |property: &str, expected: String, observed: String| {
            all.push(Check { property: format!("{prefix}{property}"), expected, observed });
        };
        match family {
            Family::V4 => {
                add("mapping", nat.mapping.name().to_owned(), mapping(&seen.mappings).0);
                let observed = allocation(&seen.mappings, wan, nat.allocation);
                add("allocation", expected_allocation(nat.allocation), observed);
                let same = second(&seen.second_same);
                add("second host, same destination", OWN.to_owned(), same);
                let other = if nat.allocation.follows_inside_port() { SHARES } else { OWN };
                add("second host, other destination", other.to_owned(), second(&seen.second_other));
                add("hairpin", nat.hairpin.name().to_owned(), hairpin(seen.hairpin, wan, nat));
            }
            Family::V6 => add("translation", "none".to_owned(), translation(&seen.mappings)),
        }
        add("filtering", expected_filtering(family, nat), filtering(udp, seen));
        let expected = expected_unsolicited(family, udp, nat.unsolicited);
        add("unsolicited", expected.to_owned(), unsolicited(&seen.unsolicited));
    }
    all.push(Check::new(
        "ICMP errors",
        PASSED_ON,
        if seen.icmp_errors { PASSED_ON } else { "lost" },
    ));
    all.push(Check::new("ICMP echo", "works", works(seen.icmp_echoes)));
    if nat.unsolicited.is_icmp() {
        let expected = if nat.icmp_limit { "limited" } else { "every SYN is answered" };
        all.push(Check::new("ICMP limit", expected, &icmp_limit(seen.icmp_answers)));
    }
    all
}

/// A property for each time-out that was waited for.
pub(super) fn timeouts(remembered: &[Remembered]) -> Vec<Check> {
    let check = |it: &Remembered| {
        let property = match it.state {
            State::Syn => "time-out of a SYN",
            State::Established => "time-out when established",
            State::Closed => "time-out when closed",
        };
        let seconds = it.seconds;
        let observed = match (it.early, it.late) {
            (true, false) => format!("{seconds} s"),
            (false, _) => format!("less than {} s", f64::from(seconds) / 2.0),
            (true, true) => format!("more than {seconds} s"),
        };
        Check::new(property, &format!("{seconds} s"), &observed)
    };
    remembered.iter().map(check).collect()
}

fn works(does: bool) -> &'static str {
    if does { "works" } else { "fails" }
}

/// The mapping in words, and as a term where it is one.
///
/// Random ports of different mappings are the same by chance, 1 in 64,512: so one inside port of
/// several may look as if its mapping depended on less than those of the others do.
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
        .filter(|it| !fits(it))
        .map(|(_, mappings)| mappings);
    match (misfits.next(), misfits.next()) {
        (None, _) => (term.name().to_owned(), Some(term)),
        (Some(_), None) if all.len() > 2 => (term.name().to_owned(), Some(term)),
        (Some(Mappings { inside, outside }), _) => {
            let seen = outside.map(|it| it.map_or(0, |outside| outside.port()));
            let [one, port, other] = seen;
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
        // What sets it apart is seen with a second host.
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
    // Pairs of inside and outside port, one for each mapping that the NAT has made.
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
    let first_kept = all
        .iter()
        .all(|it| it.outside[0].is_some_and(|outside| outside.port() == it.inside.port()));
    if first_kept {
        return Allocation::Preserving.to_string();
    }
    // Modulo 65536, as ports are.
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
    if high - low < BLOCK_SPAN {
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

fn second(pairs: &[[Option<SocketAddr>; 2]]) -> String {
    if pairs.iter().flatten().any(Option::is_none) {
        return NOTHING.to_owned();
    }
    // A single one can be equal by chance.
    let shares = pairs.iter().all(|[first, second]| first == second);
    if shares { SHARES } else { OWN }.to_owned()
}

fn expected_filtering(family: Family, nat: &NatSpec) -> String {
    let filtering = match (family, nat.unsolicited) {
        // There is no firewall at all.
        (Family::V6, Unsolicited::Open) => Filtering::EndpointIndependent,
        _ => nat.filtering,
    };
    filtering.name().to_owned()
}

fn filtering(udp: bool, seen: &PerTransport) -> String {
    if udp && !seen.contacted {
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

fn expected_unsolicited(family: Family, udp: bool, unsolicited: Unsolicited) -> &'static str {
    match (family, unsolicited, udp) {
        (Family::V6, Unsolicited::Open, _) => LET_IN,
        (Family::V4, Unsolicited::Open, false) => Unsolicited::Reset.name(),
        (Family::V4, Unsolicited::Open, true) => Unsolicited::IcmpPort.name(),
        (_, other, false) => other.name(),
        (_, _, true) => Unsolicited::Drop.name(),
    }
}

const LET_IN: &str = "let in";

fn unsolicited(answers: &[Answer]) -> String {
    let word = |answer: &Answer| match answer {
        Answer::Nothing => Unsolicited::Drop.name().to_owned(),
        Answer::Reset => Unsolicited::Reset.name().to_owned(),
        Answer::Icmp(IcmpError::Port) => Unsolicited::IcmpPort.name().to_owned(),
        Answer::Icmp(IcmpError::Admin) => Unsolicited::IcmpAdmin.name().to_owned(),
        Answer::Icmp(IcmpError::Host) => Unsolicited::IcmpHost.name().to_owned(),
        Answer::Icmp(IcmpError::Other(kind, code)) => format!("ICMP type {kind} code {code}"),
        Answer::Accepted => "accepted".to_owned(),
        Answer::LetIn => LET_IN.to_owned(),
    };
    let mut words: Vec<String> = answers.iter().map(word).collect();
    words.dedup();
    words.join(", then ")
}

fn icmp_limit(answers: usize) -> String {
    match answers {
        0 => "no answer".to_owned(),
        12.. => "every SYN is answered".to_owned(),
        _ => "limited".to_owned(),
    }
}

fn hairpin(seen: Option<HairpinSeen>, wan: IpAddr, nat: &NatSpec) -> String {
    let Some(HairpinSeen { source, inside, outside, answered }) = seen else {
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
    fn ports_tell_mapping_and_allocation() {
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
    fn one_random_port_that_comes_twice_is_chance_and_two_are_not() {
        let random: Vec<[u16; 3]> = (0..7).map(|it| [it, it + 100, it + 200]).collect();
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
    fn what_fits_no_term_is_called_irregular() {
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
