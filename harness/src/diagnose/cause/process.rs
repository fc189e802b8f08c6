//! Rules for what the processes of the peers did.

use punch::{EventKind, Failure};

use super::case::{Case, Evidence, ms, opening};
use crate::{
    diagnose::flow::{Flow, PacketKind},
    event::{Cause, CauseKind},
    packet::{Packet, Transport},
    peers::Side,
    ui::plural::count,
    wan::Fate,
};

pub(super) fn crashed(case: &Case<'_>) -> Option<Cause> {
    let (side, peer) = case.peers.iter().find(|(_, peer)| peer.crashed)?;
    let [started, ended] = peer.ran;
    let after = ms(ended.since(started));
    let evidence = format!("peer {side} ended with {} after {after}{}", peer.exit, quote(peer));
    Some(CauseKind::PeerCrashed.because(evidence))
}

pub(super) fn garbled(case: &Case<'_>) -> Option<Cause> {
    let (side, _) = case.peers.iter().find(|(_, peer)| peer.garbled)?;
    let evidence = format!("what came out of peer {side} is not what went in");
    Some(CauseKind::BytesDiffer.because(evidence))
}

pub(super) fn ended_badly(case: &Case<'_>) -> Option<Cause> {
    let all_received = case.peers.values().all(|peer| peer.received);
    let (side, peer) = case
        .peers
        .iter()
        .find(|(_, peer)| peer.failed)
        .filter(|_| all_received)?;
    let evidence = format!("the bytes came out of both peers, but {side} {}", end(peer));
    Some(CauseKind::EndedBadly.because(evidence))
}

pub(super) fn nothing_bound(case: &Case<'_>) -> Option<Cause> {
    let bound = |peer: &Evidence<'_>| reported(peer) == Some(Failure::NothingBound);
    let (side, peer) = case.peers.iter().find(|(_, peer)| bound(peer))?;
    let mut errors = peer.events.iter().filter_map(|event| {
        if let EventKind::Unavailable { port, error } = &event.kind {
            Some((port, error))
        } else {
            None
        }
    });
    let (first, others) = (errors.next(), errors.count());
    let which = first.map_or_else(String::new, |(port, error)| {
        format!(": port {port} and {others} more ({error})")
    });
    let evidence = format!("peer {side} could bind none of its ports{which}");
    Some(CauseKind::NothingBound.because(evidence))
}

/// A peer never tried to reach the other one.
pub(super) fn silent(case: &Case<'_>, flows: &[Flow]) -> Option<Cause> {
    let sent_any = |side: Side| {
        let mut packets = flows.iter().flat_map(|flow| &flow.packets);
        packets.any(|packet| {
            let kinds = [PacketKind::Syn, PacketKind::SynAck, PacketKind::Datagram];
            packet.from == side && kinds.contains(&packet.kind)
        })
    };
    let (side, peer) = case.peers.iter().find(|(side, _)| !sent_any(*side))?;
    let opening_packets = |transport: Transport| {
        let packets = case.traffic.packets.iter();
        packets.filter(move |recorded| {
            let packet = Packet::parse(&recorded.bytes);
            recorded.from == side.index() && packet.is_some_and(|packet| packet.opens(transport))
        })
    };
    let sent: Vec<String> = [Transport::Tcp, Transport::Udp]
        .into_iter()
        .map(|transport| (opening_packets(transport).count(), transport.opening()))
        .filter(|(number, _)| *number > 0)
        .map(|(number, name)| count(number, name))
        .collect();
    let mut evidence = format!("no {} of peer {side} came to the WAN", opening(flows));
    if !sent.is_empty() {
        let nowhere = [Transport::Tcp, Transport::Udp]
            .into_iter()
            .flat_map(opening_packets)
            .filter(|recorded| recorded.fate == Fate::NoRoute)
            .count();
        let sent = sent.join(" and ");
        evidence = format!("peer {side} sent {sent}, none of them for peer {}", side.other());
        if nowhere > 0 {
            evidence += &format!(" ({nowhere} to addresses that nobody has)");
        }
    }
    evidence += &format!("; it {}", end(peer));
    Some(CauseKind::NoSyn.because(evidence))
}

/// One peer had ended before any packet of the other could reach it.
pub(super) fn never_together(case: &Case<'_>, flows: &[Flow]) -> Option<Cause> {
    let first = |side| {
        flows
            .iter()
            .filter_map(|flow| flow.first_opening(side))
            .map(|syn| syn.at)
            .min()
    };
    let (early, late, syn) = Side::BOTH.into_iter().find_map(|early| {
        let syn = first(early.other())?;
        let [_, ended] = case.peers[early].ran;
        (syn + case.delay >= ended).then_some((early, early.other(), syn))
    })?;
    let peer = &case.peers[early];
    let [started, ended] = peer.ran;
    // If the peer gave up since its SYNs were refused, the refusal is the cause.
    let gave_up = ended.since(started) < case.timeout;
    let refused = flows
        .iter()
        .any(|flow| flow.openings(early).any(|syn| syn.refusal.is_some()));
    if gave_up && refused {
        return None;
    }
    let opening = opening(flows);
    let when = if syn >= ended {
        format!("{} before {late}'s first {opening} left", ms(syn.since(ended)))
    } else {
        format!(
            "{} after {late}'s first {opening} left, which takes {}",
            ms(ended.since(syn)),
            ms(case.delay)
        )
    };
    let evidence = format!(
        "{early} ran for {} and ended {when}: {late} was started {} after {early}",
        ms(ended.since(started)),
        ms(case.peers[late].ran[0].since(started))
    );
    Some(CauseKind::NeverTogether.because(evidence))
}

/// The failure that a peer reports, if it is a `punch` and failed.
pub(super) fn reported(peer: &Evidence<'_>) -> Option<Failure> {
    let last = peer.events.last()?;
    if let EventKind::Failed { reason } = last.kind { Some(reason) } else { None }
}

/// The end of a peer's process in words, with the reported failure or the last complaint.
pub(super) fn end(peer: &Evidence<'_>) -> String {
    match reported(peer) {
        Some(reason) => format!("{}: {reason}", exit(peer)),
        None => exit(peer) + &quote(peer),
    }
}

/// The end of a peer's process in words.
pub(super) fn exit(peer: &Evidence<'_>) -> String {
    match peer.exit {
        "killed by the harness" => "was killed by the harness".to_owned(),
        exit => format!("ended with {exit}"),
    }
}

fn quote(peer: &Evidence<'_>) -> String {
    if peer.complaint.is_empty() { String::new() } else { format!(", saying {:?}", peer.complaint) }
}
