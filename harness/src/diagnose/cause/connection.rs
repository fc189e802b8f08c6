//! A connection that stood at both of its ends, and still was not enough.

use std::net::SocketAddr;

use punch::{Event, EventKind, Failure, proto::time::MonoTime};

use super::{Case, ms, process, sides};
use crate::{
    diagnose::flow::{Flow, Says, Seen},
    event::{Cause, CauseKind},
    peers::Side,
    ui::plural::count,
};

/// Where the packets show a whole handshake, the cause lies in what came after it.
pub(super) fn stood(case: &Case<'_>, flows: &[Flow]) -> Option<Cause> {
    let mut stood: Vec<(MonoTime, &Flow)> = flows
        .iter()
        .filter_map(|flow| Some((flow.complete()?, flow)))
        .collect();
    stood.sort_by_key(|(at, _)| *at);
    let &(first_up, first) = stood.first()?;
    Some(
        disagreed_by_events(case, &stood)
            .or_else(|| disagreed_by_bytes(case, &stood))
            .unwrap_or_else(|| unused(case, &stood, first, first_up)),
    )
}

/// A NAT whose connection tracking takes packets for invalid passes them on as they are, from an
/// inside address, so that the other side cannot know them. Linux does so where it has seen a part
/// of a handshake only, such as after the ICMP error that ended the first try.
pub(super) fn not_translated(flows: &[Flow]) -> Option<Cause> {
    let raw = |flow: &Flow, side: Side| {
        let of_side = |seen: &&Seen| seen.from == side && seen.says != Says::Rst;
        let all = flow.packets.iter().filter(of_side);
        (all.clone().filter(|seen| !seen.translated).count(), all.count())
    };
    let accepted = |flow: &&Flow| flow.packets.iter().any(|seen| seen.says == Says::SynAck);
    let begun: Vec<&Flow> = flows.iter().filter(accepted).collect();
    let worst = Side::BOTH
        .into_iter()
        .flat_map(|side| begun.iter().map(move |flow| (raw(flow, side), side, *flow)))
        .max_by_key(|((count, _), _, _)| *count);
    let ((count, all), side, flow) = worst?;
    let every = begun
        .iter()
        .all(|flow| Side::BOTH.into_iter().any(|side| raw(flow, side).0 > 0));
    let first = flow
        .packets
        .iter()
        .find(|seen| seen.from == side && !seen.translated)?;
    let begun = flow.packets.first().map_or(first.at, |seen| seen.at);
    let evidence = || {
        format!(
            "on {} NAT {side} let {count} of {side}'s {all} packets out untranslated, the first \
             ({}) {} after the first packet of all: {} cannot know whose they are",
            between(flow),
            first.says,
            ms(first.at.since(begun)),
            side.other()
        )
    };
    (every && count > 0).then(|| CauseKind::NotTranslated.because(evidence()))
}

/// Both sides chose, as they report, and not the same connection.
fn disagreed_by_events(case: &Case<'_>, stood: &[(MonoTime, &Flow)]) -> Option<Cause> {
    let [a, b] = case.peers.each_ref().map(|peer| chosen(peer.events));
    // Each knows the other's end as the WAN does; its own may be another behind a NAT.
    let (of_b, of_a) = (a?, b?);
    let same = stood
        .iter()
        .any(|(_, flow)| same_end(flow.ends[1], of_b) && same_end(flow.ends[0], of_a));
    let evidence = || {
        format!(
            "a chose the connection with b's port {}, b that with a's port {}; {} stood",
            of_b.port(),
            of_a.port(),
            stood.len()
        )
    };
    (!same).then(|| CauseKind::ElectionDisagreed.because(evidence()))
}

/// The remote end of the connection that a peer returned, or at least decided for.
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

/// Peers that report nothing: each sent data, and never on the same connection.
fn disagreed_by_bytes(case: &Case<'_>, stood: &[(MonoTime, &Flow)]) -> Option<Cause> {
    if case.peers.iter().any(|peer| !peer.events.is_empty()) {
        return None;
    }
    let with_data = |side: Side| {
        stood
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
        between(a),
        count(b.data(Side::B), "byte"),
        between(b),
        count(stood.len(), "connection")
    );
    Some(CauseKind::ElectionDisagreed.because(evidence))
}

/// Nothing came of a connection that stood: what the peers say, and what the packets show.
fn unused(case: &Case<'_>, stood: &[(MonoTime, &Flow)], first: &Flow, first_up: MonoTime) -> Cause {
    let later_start = case
        .peers
        .iter()
        .map(|peer| peer.ran[0])
        .max()
        .unwrap_or(case.begin);
    let mut evidence = format!(
        "{} stood, the first on {} {} after the later start",
        count(stood.len(), "connection"),
        between(first),
        ms(first_up.since(later_start))
    );
    for (side, peer) in sides(case) {
        let data: usize = stood.iter().map(|(_, flow)| flow.data(side)).sum();
        let resets = stood.iter().flat_map(|(_, flow)| &flow.packets);
        let resets = resets
            .filter(|seen| seen.from == side && seen.says == Says::Rst)
            .count();
        evidence += &format!("; {side} sent {}", count(data, "byte"));
        if resets > 0 {
            evidence += &format!(" and {}", count(resets, "RST"));
        }
        let left = ms(peer.ran[1].since(first_up));
        evidence += &format!(" and {} {left} later", process::exit(peer));
    }
    let reasons = case.peers.each_ref().map(process::reported);
    let lost = |reason| reasons.contains(&Some(reason));
    let kind = if lost(Failure::ElectionLost) || lost(Failure::ConnectionLost) {
        CauseKind::ElectionLost
    } else if lost(Failure::NoPeer) {
        CauseKind::NoPeer
    } else {
        CauseKind::BytesMissing
    };
    kind.because(evidence)
}

/// `port 7`, or `ports 7 of a and 9 of b`.
pub(super) fn between(flow: &Flow) -> String {
    let [a, b] = Side::BOTH.map(|side| flow.port(side));
    if a == b { format!("port {a}") } else { format!("ports {a} of a and {b} of b") }
}
