//! Rules for a connection that was established at both ends, and yet did not make the trial
//! succeed.

use std::net::SocketAddr;

use punch::{Event, EventKind, Failure, proto::time::MonoTime};

use super::{
    case::{Case, ms, ports_of},
    process,
};
use crate::{
    diagnose::flow::{Flow, FlowPacket, PacketKind},
    event::{Cause, CauseKind},
    peers::Side,
    ui::plural::count,
};

/// The packets show a whole handshake: the cause lies in what followed.
pub(super) fn established(case: &Case<'_>, flows: &[Flow]) -> Option<Cause> {
    let mut established: Vec<(MonoTime, &Flow)> = flows
        .iter()
        .filter_map(|flow| Some((flow.complete()?, flow)))
        .collect();
    established.sort_by_key(|(at, _)| *at);
    let &(first_up, first) = established.first()?;
    Some(
        disagreed_by_events(case, &established)
            .or_else(|| disagreed_by_bytes(case, &established))
            .unwrap_or_else(|| unused(case, &established, first, first_up)),
    )
}

/// A NAT let packets out with their inside source address, which the other side cannot know.
///
/// Linux does so with packets that connection tracking takes for invalid, where it has seen only a
/// part of the handshake: for example after the ICMP error that ended the first attempt.
pub(super) fn not_translated(flows: &[Flow]) -> Option<Cause> {
    let raw = |flow: &Flow, side: Side| {
        let of_side = |packet: &&FlowPacket| packet.from == side && packet.kind != PacketKind::Rst;
        let all = flow.packets.iter().filter(of_side);
        (all.clone().filter(|packet| !packet.translated).count(), all.count())
    };
    let accepted = |flow: &&Flow| {
        flow.packets
            .iter()
            .any(|packet| packet.kind == PacketKind::SynAck)
    };
    let accepted_flows: Vec<&Flow> = flows.iter().filter(accepted).collect();
    let worst = Side::BOTH
        .into_iter()
        .flat_map(|side| {
            let flows = accepted_flows.iter();
            flows.map(move |flow| (raw(flow, side), side, *flow))
        })
        .max_by_key(|((count, _), _, _)| *count);
    let ((count, all), side, flow) = worst?;
    let every = accepted_flows
        .iter()
        .all(|flow| Side::BOTH.into_iter().any(|side| raw(flow, side).0 > 0));
    let first = flow
        .packets
        .iter()
        .find(|packet| packet.from == side && !packet.translated)?;
    let begun = flow.packets.first().map_or(first.at, |packet| packet.at);
    let evidence = || {
        format!(
            "on {} NAT {side} let {count} of {side}'s {all} packets out untranslated, the first \
             ({}) {} after the first packet of all: {} cannot know whose they are",
            ports_of(flow),
            first.kind,
            ms(first.at.since(begun)),
            side.other()
        )
    };
    (every && count > 0).then(|| CauseKind::NotTranslated.because(evidence()))
}

/// Both sides report their choice, and did not choose the same connection.
fn disagreed_by_events(case: &Case<'_>, established: &[(MonoTime, &Flow)]) -> Option<Cause> {
    // A peer knows the other's end as the WAN does, but behind a NAT not its own end.
    let of_b = chosen(case.peers[Side::A].events)?;
    let of_a = chosen(case.peers[Side::B].events)?;
    let same = established
        .iter()
        .any(|(_, flow)| same_end(flow.ends[Side::B], of_b) && same_end(flow.ends[Side::A], of_a));
    let evidence = || {
        format!(
            "a chose the connection with b's port {}, b that with a's port {}; {} stood",
            of_b.port(),
            of_a.port(),
            established.len()
        )
    };
    (!same).then(|| CauseKind::ElectionDisagreed.because(evidence()))
}

/// The remote end of the connection that a peer returned, or else the one that it decided for.
fn chosen(events: &[Event]) -> Option<SocketAddr> {
    let with_port = |wanted: u16| {
        events.iter().find_map(|event| {
            if let EventKind::Connected { port, remote, .. } = event.kind {
                (port == wanted).then_some(remote)
            } else {
                None
            }
        })
    };
    events.iter().rev().find_map(|event| {
        if let EventKind::Returned { remote, .. } = event.kind {
            Some(remote)
        } else if let EventKind::Decided { port, .. } = event.kind {
            with_port(port)
        } else {
            None
        }
    })
}

fn same_end(one: SocketAddr, other: SocketAddr) -> bool {
    (one.ip().to_canonical(), one.port()) == (other.ip().to_canonical(), other.port())
}

/// Peers without events: each sent data, and never both on the same connection.
fn disagreed_by_bytes(case: &Case<'_>, established: &[(MonoTime, &Flow)]) -> Option<Cause> {
    if case.peers.values().any(|peer| !peer.events.is_empty()) {
        return None;
    }
    let with_data = |side: Side| {
        established
            .iter()
            .map(|(_, flow)| *flow)
            .filter(move |flow| flow.data(side) > 0)
    };
    let a = with_data(Side::A).next()?;
    let b = with_data(Side::B).next()?;
    if with_data(Side::A).any(|flow| flow.data(Side::B) > 0) {
        return None;
    }
    let evidence = format!(
        "a sent its {} on {}, b its {} on {}; {} stood",
        count(a.data(Side::A), "byte"),
        ports_of(a),
        count(b.data(Side::B), "byte"),
        ports_of(b),
        count(established.len(), "connection")
    );
    Some(CauseKind::ElectionDisagreed.because(evidence))
}

/// An established connection came to nothing. The evidence is what the peers report and what the
/// packets show.
fn unused(
    case: &Case<'_>,
    established: &[(MonoTime, &Flow)],
    first: &Flow,
    first_up: MonoTime,
) -> Cause {
    let later_start = case
        .peers
        .values()
        .map(|peer| peer.ran[0])
        .max()
        .unwrap_or(case.begin);
    let mut evidence = format!(
        "{} stood, the first on {} {} after the later start",
        count(established.len(), "connection"),
        ports_of(first),
        ms(first_up.since(later_start))
    );
    for (side, peer) in case.peers.iter() {
        let data: usize = established.iter().map(|(_, flow)| flow.data(side)).sum();
        let resets = established
            .iter()
            .flat_map(|(_, flow)| &flow.packets)
            .filter(|packet| packet.from == side && packet.kind == PacketKind::Rst)
            .count();
        evidence += &format!("; {side} sent {}", count(data, "byte"));
        if resets > 0 {
            evidence += &format!(" and {}", count(resets, "RST"));
        }
        let left = ms(peer.ran[1].since(first_up));
        evidence += &format!(" and {} {left} later", process::exit(peer));
    }
    let reasons = case.peers.as_ref().map(process::reported);
    let reported = |reason| reasons.values().any(|own| *own == Some(reason));
    let kind = if reported(Failure::ElectionLost) || reported(Failure::ConnectionLost) {
        CauseKind::ElectionLost
    } else if reported(Failure::NoPeer) {
        CauseKind::NoPeer
    } else {
        CauseKind::BytesMissing
    };
    kind.because(evidence)
}
