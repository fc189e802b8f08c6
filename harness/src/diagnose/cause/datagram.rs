//! Rules for the datagrams of peers that punch with UDP.
//!
//! They are the rules for SYNs, with the differences that no packet accepts a datagram, and that no
//! handshake shows whether one came through. A datagram that could have passed, arrived in time and
//! was not refused is taken to have come through.

use std::collections::BTreeMap;

use super::{
    case::{Case, ms, ports_of},
    process,
    wire::{self, Passable},
};
use crate::{
    diagnose::flow::{Flow, FlowPacket},
    event::{Cause, CauseKind},
    packet::Transport,
    peers::Side,
    ui::plural::count,
    wan::Fate,
};

/// The fate of the datagrams that could have passed.
pub(super) fn of_datagrams(case: &Case<'_>, flows: &[Flow]) -> Option<Cause> {
    if flows.first()?.transport != Transport::Udp {
        return None;
    }
    let passable = wire::passable(flows, case.delay);
    let all: Vec<(&Flow, &FlowPacket)> = passable
        .iter()
        .flat_map(|Passable { flow, syns }| syns.iter().map(|datagram| (*flow, *datagram)))
        .collect();
    let arrived: Vec<(&Flow, &FlowPacket)> = all
        .iter()
        .filter(|(_, datagram)| datagram.delivered().is_some())
        .copied()
        .collect();
    if !all.is_empty() && all.iter().all(|(_, datagram)| datagram.fate == Fate::Lost) {
        return Some(wire::lost(&all, flows));
    }
    let (first_flow, _) = arrived.first()?;
    if let Some(cause) = wire::expired(case, &arrived) {
        return Some(cause);
    }
    let through = came_through(case, &arrived);
    let from = |side: Side| {
        through
            .iter()
            .filter(move |(_, datagram)| datagram.from == side)
    };
    let [a, b] = Side::BOTH.map(|side| from(side).count());
    if a > 0 && b > 0 {
        return Some(exchanged(case, &through));
    }
    if arrived
        .iter()
        .any(|(_, datagram)| datagram.refusal.is_some())
    {
        return Some(refused(case, &arrived));
    }
    let evidence = format!(
        "{}; of the datagrams that could have passed, {a} of a and {b} of b arrived, and nothing \
         answered them",
        wire::meeting(first_flow, case.delay)
    );
    Some(CauseKind::DatagramsUnanswered.because(evidence))
}

/// Datagrams that arrived in time and before any was refused: hosts limit the rate of ICMP errors,
/// so that the missing error of a later one says nothing.
fn came_through<'f>(
    case: &Case<'_>,
    arrived: &[(&'f Flow, &'f FlowPacket)],
) -> Vec<(&'f Flow, &'f FlowPacket)> {
    let mut first_refused = BTreeMap::new();
    for (flow, datagram) in arrived {
        if datagram.refusal.is_some() {
            let key = (flow.ends, datagram.from);
            first_refused.entry(key).or_insert(datagram.at);
        }
    }
    let is_through = |(flow, datagram): &&(&Flow, &FlowPacket)| {
        let refused = first_refused.get(&(flow.ends, datagram.from));
        refused.is_none_or(|at| datagram.at < *at)
            && wire::forgotten(case, flow, datagram).is_none()
    };
    arrived.iter().filter(is_through).copied().collect()
}

/// Datagrams came through in both directions: the cause lies in the peers.
fn exchanged(case: &Case<'_>, through: &[(&Flow, &FlowPacket)]) -> Cause {
    let firsts = Side::BOTH.map(|side| {
        through
            .iter()
            .filter(|(_, datagram)| datagram.from == side)
            .filter_map(|(flow, datagram)| Some((datagram.delivered()?, *flow)))
            .min_by_key(|(at, _)| *at)
    });
    let [first, last] = {
        let mut times = firsts.iter().flatten().copied().collect::<Vec<_>>();
        times.sort_by_key(|(at, _)| *at);
        [times.first().copied(), times.last().copied()]
    };
    let at = last.map_or(case.begin, |(at, _)| at);
    let on = first.map_or_else(String::new, |(_, flow)| format!(" on {}", ports_of(flow)));
    let later_start = case.peers.values().map(|peer| peer.ran[0]).max();
    let mut evidence = format!(
        "datagrams came through both ways{on}, {} after the later start",
        ms(at.since(later_start.unwrap_or(case.begin)))
    );
    for (side, peer) in case.peers.iter() {
        let number = through
            .iter()
            .filter(|(_, datagram)| datagram.from == side)
            .count();
        let received = if peer.received { "received all" } else { "received nothing" };
        evidence += &format!(
            "; {} of {side} came through, {side} {received} and {}",
            count(number, "datagram"),
            process::exit(peer)
        );
    }
    CauseKind::BytesMissing.because(evidence)
}

/// Datagrams that could have passed were answered with ICMP errors.
fn refused(case: &Case<'_>, arrived: &[(&Flow, &FlowPacket)]) -> Cause {
    let refusal = |(flow, datagram): &(&Flow, &FlowPacket)| {
        datagram
            .refusal
            .and_then(|index| flow.packets.get(index))
            .map(|packet| packet.at)
    };
    let flow = arrived
        .iter()
        .filter(|packet| refusal(packet).is_some())
        .min_by_key(|packet| refusal(packet))
        .map_or(arrived[0].0, |(flow, _)| flow);
    let answers: Vec<String> = Side::BOTH
        .into_iter()
        .filter_map(|side| wire::answers_to(flow, side))
        .collect();
    let evidence = format!("{}; {}", wire::meeting(flow, case.delay), answers.join(", "));
    CauseKind::DatagramsAnsweredIcmp.because(evidence)
}
