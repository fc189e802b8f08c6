//! Rules for the SYNs of flows on which both sides sent SYNs.
//!
//! A SYN that arrives after the first SYN of the other side has left *could have passed*: the other
//! NAT has a mapping for it. On any flow with SYNs from both sides at least one could have passed,
//! so that the fate of these SYNs explains why there is no connection.

use std::time::Duration;

use punch::proto::time::MonoTime;

use super::case::{Case, list_ports, ms, opening, ports_of};
use crate::{
    diagnose::flow::{Flow, FlowPacket, PacketKind},
    event::{Cause, CauseKind},
    packet::Transport,
    peers::Side,
    ui::plural::count,
    wan::Fate,
};

/// A host accepted a SYN, but the handshake was not completed.
pub(super) fn incomplete(flows: &[Flow]) -> Option<Cause> {
    let accepts = |packet: &&FlowPacket| packet.kind == PacketKind::SynAck;
    let flow = flows
        .iter()
        .max_by_key(|flow| flow.packets.iter().filter(accepts).count())?;
    let first = flow.packets.iter().find(accepts)?;
    let side = first.from;
    let other = side.other();
    let sent: Vec<&FlowPacket> = flow
        .packets
        .iter()
        .filter(accepts)
        .filter(|packet| packet.from == side)
        .collect();
    let lost = sent
        .iter()
        .filter(|packet| packet.fate == Fate::Lost)
        .count();
    let mut evidence = format!(
        "on {} {} answered {other}'s SYN with SYN-ACK, sent {}, {lost} of them lost",
        ports_of(flow),
        first.sender,
        count(sent.len(), "time"),
    );
    let answered = flow.packets.iter().filter(|packet| {
        packet.from == other
            && matches!(packet.kind, PacketKind::Ack | PacketKind::SynAck | PacketKind::Fin)
    });
    let acks: Vec<&FlowPacket> = answered.collect();
    if let Some(reset) = flow
        .packets
        .iter()
        .find(|packet| packet.from == other && packet.kind == PacketKind::Rst)
    {
        evidence += &format!("; {} answered RST", reset.sender);
    } else if acks.is_empty() {
        evidence += &format!("; {other} never acknowledged it");
    } else {
        let lost = acks
            .iter()
            .filter(|packet| packet.fate == Fate::Lost)
            .count();
        let acks = count(acks.len(), "acknowledgment");
        evidence += &format!("; {other} sent {acks}, of which {lost} were lost");
    }
    Some(CauseKind::HandshakeIncomplete.because(evidence))
}

/// The SYNs or datagrams of one flow that could have passed.
pub(super) struct Passable<'f> {
    pub(super) flow: &'f Flow,
    pub(super) syns: Vec<&'f FlowPacket>,
}

pub(super) fn passable<'f>(flows: &'f [Flow], delay: Duration) -> Vec<Passable<'f>> {
    let mutual = flows.iter().filter(|flow| flow.is_mutual());
    mutual
        .map(|flow| {
            let fits = |syn: &&FlowPacket| {
                let first = flow.first_opening(syn.from.other()).map(|other| other.at);
                first.is_some_and(|first| arrival(syn, delay) >= first)
            };
            let syns = flow
                .packets
                .iter()
                .filter(|packet| matches!(packet.kind, PacketKind::Syn | PacketKind::Datagram))
                .filter(fits);
            Passable { flow, syns: syns.collect() }
        })
        .collect()
}

/// When a SYN arrived, or would have arrived.
fn arrival(syn: &FlowPacket, delay: Duration) -> MonoTime {
    syn.delivered().unwrap_or(syn.at + delay)
}

/// SYNs that could have passed were refused.
pub(super) fn refused(case: &Case<'_>, flows: &[Flow]) -> Option<Cause> {
    let passable = passable(flows, case.delay);
    let refused =
        |Passable { syns, .. }: &&Passable<'_>| syns.iter().any(|syn| syn.refusal.is_some());
    let first_refusal = |flow: &Flow| {
        let at = |packet: &FlowPacket| Some(flow.packets[packet.refusal?].at);
        flow.packets.iter().filter_map(at).min()
    };
    let flow = passable
        .iter()
        .filter(refused)
        .map(|passable| passable.flow)
        .min_by_key(|flow| first_refusal(flow))?;
    let first = flow
        .packets
        .iter()
        .find_map(|packet| flow.packets.get(packet.refusal?))?;
    let kind = if first.kind == PacketKind::Rst {
        CauseKind::SynAnsweredRst
    } else {
        CauseKind::SynAnsweredIcmp
    };

    let mut answers: Vec<String> = Side::BOTH
        .into_iter()
        .filter_map(|side| answers_to(flow, side))
        .collect();
    if first.from == Side::A {
        // Side b was refused first.
        answers.reverse();
    }
    let refusals = |side: Side| {
        let syns = flows
            .iter()
            .filter(|flow| flow.is_mutual())
            .flat_map(move |flow| flow.openings(side));
        let (mut sent, mut refused) = (0, 0);
        for syn in syns {
            sent += 1;
            refused += usize::from(syn.refusal.is_some());
        }
        format!("{refused} of {side}'s {}", count(sent, "SYN"))
    };
    let mut evidence = format!("{}; {}", meeting(flow, case.delay), answers.join(", "));
    let mutual = passable.len();
    if mutual > 1 {
        let [a, b] = Side::BOTH.map(refusals);
        evidence += &format!("; on all {mutual} common ports {a} and {b} were refused");
    }
    Some(kind.because(evidence))
}

/// Refusals of a side's SYNs on a flow: `NAT b answered RST to 2 of a's 3 SYNs`.
pub(super) fn answers_to(flow: &Flow, side: Side) -> Option<String> {
    let syns: Vec<&FlowPacket> = flow.openings(side).collect();
    let refusals: Vec<&FlowPacket> = syns
        .iter()
        .filter_map(|syn| flow.packets.get(syn.refusal?))
        .collect();
    let first = refusals.first()?;
    let opening = flow.transport.opening();
    let same = refusals
        .iter()
        .filter(|packet| (packet.sender, packet.kind) == (first.sender, first.kind));
    let which = match (same.count(), syns.len()) {
        (1, 1) => format!("{side}'s {opening}"),
        (answered, all) => format!("{answered} of {side}'s {all} {opening}s"),
    };
    let leak = match (first.translated, first.from) {
        (true, _) => String::new(),
        (false, side) => format!(" (which left NAT {side} untranslated)"),
    };
    Some(format!("{} answered {} to {which}{leak}", first.sender, first.kind))
}

/// No packet answered the SYNs that could have passed: the WAN lost all of them, the mapping had
/// expired when they arrived, or a host or NAT dropped them.
pub(super) fn unanswered(case: &Case<'_>, flows: &[Flow]) -> Option<Cause> {
    let passable = passable(flows, case.delay);
    let all: Vec<(&Flow, &FlowPacket)> = passable
        .iter()
        .flat_map(|Passable { flow, syns }| syns.iter().map(|syn| (*flow, *syn)))
        .collect();
    let arrived: Vec<(&Flow, &FlowPacket)> = all
        .iter()
        .filter(|(_, syn)| syn.delivered().is_some())
        .copied()
        .collect();
    let &(flow, _) = all.first()?;
    if all.iter().all(|(_, syn)| syn.fate == Fate::Lost) {
        return Some(lost(&all, flows));
    }
    if arrived.is_empty() {
        // In flight at the end, or not taken by an interface: too little is known of either.
        return None;
    }
    if let Some(cause) = dropped(case, &arrived) {
        return Some(cause);
    }
    if let Some(cause) = expired(case, &arrived) {
        return Some(cause);
    }
    let of = |side: Side| arrived.iter().filter(|(_, syn)| syn.from == side).count();
    let lost = match all.len() - arrived.len() {
        0 => String::new(),
        lost => format!(" ({lost} more were lost)"),
    };
    let evidence = format!(
        "{}; of the SYNs that could have passed, {} of a and {} of b arrived on {}{lost}, and \
         nothing answered them",
        meeting(flow, case.delay),
        of(Side::A),
        of(Side::B),
        list_ports(
            passable
                .iter()
                .map(|Passable { flow, .. }| flow.port(Side::A))
        ),
    );
    Some(CauseKind::SynUnanswered.because(evidence))
}

/// All SYNs or datagrams that arrived came when the mapping had expired.
pub(super) fn expired(case: &Case<'_>, arrived: &[(&Flow, &FlowPacket)]) -> Option<Cause> {
    let late = |(flow, syn): &(&Flow, &FlowPacket)| forgotten(case, flow, syn);
    let (flow, syn) = arrived.first()?;
    let (limit, silence) = forgotten(case, flow, syn)?;
    if !arrived.iter().all(|packet| late(packet).is_some()) {
        return None;
    }
    let (late, early, opening) = (syn.from, syn.from.other(), flow.transport.opening());
    let evidence = format!(
        "NAT {early} forgets a {opening} after {}; on {} {late}'s {opening} came {} after \
         {early}'s last one",
        ms(limit),
        ports_of(flow),
        ms(silence),
    );
    Some(CauseKind::MappingExpired.because(evidence))
}

/// All SYNs that arrived came to NATs that drop every SYN from outside.
fn dropped(case: &Case<'_>, arrived: &[(&Flow, &FlowPacket)]) -> Option<Cause> {
    let at = |side: Side| {
        arrived
            .iter()
            .filter(|(_, syn)| syn.from == side.other())
            .count()
    };
    let drops = |side: Side| case.locations[side].drops_syns;
    if Side::BOTH
        .into_iter()
        .any(|side| at(side) > 0 && !drops(side))
    {
        return None;
    }
    let clauses: Vec<String> = Side::BOTH
        .into_iter()
        .filter(|side| at(*side) > 0)
        .map(|side| {
            let (syns, other) = (count(at(side), "SYN"), side.other());
            format!(
                "NAT {side} drops every SYN from outside: {syns} of {other} that could have passed"
            )
        })
        .collect();
    Some(CauseKind::NatDropsSyns.because(clauses.join("; ")))
}

/// The time-out of the receiver's NAT, and the time since the receiver's last packet when this SYN
/// came, if that was longer.
pub(super) fn forgotten(
    case: &Case<'_>,
    flow: &Flow,
    syn: &FlowPacket,
) -> Option<(Duration, Duration)> {
    let receiver = syn.from.other();
    let location = case.locations[receiver];
    let limit = match flow.transport {
        Transport::Tcp => location.forgets_after?,
        Transport::Udp => location.forgets_datagram_after?,
    };
    let arrived = syn.delivered()?;
    let last = flow
        .packets
        .iter()
        .rfind(|packet| packet.from == receiver && packet.at <= arrived)?;
    let silence = arrived.since(last.at);
    (silence > limit).then_some((limit, silence))
}

pub(super) fn lost(all: &[(&Flow, &FlowPacket)], flows: &[Flow]) -> Cause {
    let opening = opening(flows);
    let of = |side: Side| all.iter().filter(|(_, syn)| syn.from == side).count();
    let total = |side: Side| {
        let syns: Vec<&FlowPacket> = flows.iter().flat_map(|flow| flow.openings(side)).collect();
        let lost = syns.iter().filter(|syn| syn.fate == Fate::Lost).count();
        format!("{lost} of {} of {side}", count(syns.len(), opening))
    };
    let evidence = format!(
        "the {} of a and {} of b that could have passed were all lost; in all, the WAN lost {} and {}",
        count(of(Side::A), opening),
        of(Side::B),
        total(Side::A),
        total(Side::B),
    );
    match flows.first().map(|flow| flow.transport) {
        Some(Transport::Udp) => CauseKind::DatagramsLost.because(evidence),
        Some(Transport::Tcp) | None => CauseKind::SynLost.because(evidence),
    }
}

/// `b's first SYN to port 7 left 62 ms after a's; one-way delay 50 ms`
pub(super) fn meeting(flow: &Flow, delay: Duration) -> String {
    let [a, b] = Side::BOTH.map(|side| {
        flow.first_opening(side)
            .map_or(MonoTime::from_nanos(0), |syn| syn.at)
    });
    let (late, early, apart) =
        if b >= a { (Side::B, Side::A, b.since(a)) } else { (Side::A, Side::B, a.since(b)) };
    format!(
        "{late}'s first {} on {} left {} after {early}'s; one-way delay {}",
        flow.transport.opening(),
        ports_of(flow),
        ms(apart),
        ms(delay)
    )
}
