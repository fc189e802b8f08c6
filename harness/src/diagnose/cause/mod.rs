//! Cause of a failed trial, from the exits and events of both peers and the packets on the WAN, all
//! on one monotonic clock. A pure function.
//!
//! The rules are tried in the order of their certainty, and the first that applies names the cause:
//! what a process did ([`process`]), what became of an established connection ([`connection`]),
//! whether the peers could meet at all ([`mod@ports`]), and what happened to the datagrams of peers
//! that use UDP ([`datagram`]) or to the SYNs ([`wire`]).
//! All rules but those on buckets and elections need packets only, so that they hold for foreign
//! punchers as well. A trial to which no rule applies is `unknown`.
//!
//! Known limits: what happens between a host and its NAT is inferred from the WAN, and data is
//! counted, not read.

mod case;
mod connection;
mod datagram;
mod ports;
mod process;
#[cfg(test)]
mod tests;
mod wire;

pub(crate) use self::{
    case::{Case, Evidence},
    ports::ports,
};
use super::flow::{self, Flow};
use crate::{
    event::{Cause, CauseKind},
    packet::Transport,
    peers::Side,
    ui::plural::count,
};

/// The cause named by the first rule that applies.
pub(crate) fn find(case: &Case<'_>) -> Cause {
    let flows = used_flows(case);
    process::crashed(case)
        .or_else(|| process::garbled(case))
        .or_else(|| process::ended_badly(case))
        .or_else(|| process::nothing_bound(case))
        .or_else(|| process::silent(case, &flows))
        .or_else(|| connection::not_translated(&flows))
        .or_else(|| connection::established(case, &flows))
        .or_else(|| process::never_together(case, &flows))
        .or_else(|| ports::disjoint(case, &flows))
        .or_else(|| ports::remapped(&flows))
        .or_else(|| datagram::of_datagrams(case, &flows))
        .or_else(|| wire::incomplete(&flows))
        .or_else(|| wire::refused(case, &flows))
        .or_else(|| wire::unanswered(case, &flows))
        .unwrap_or_else(|| unknown(case, &flows))
}

/// Flows of the transport protocol that the peers punch with: of UDP if both sent datagrams to the
/// other and not both sent SYNs, or if there is nothing but datagrams.
fn used_flows(case: &Case<'_>) -> Vec<Flow> {
    let of = |transport| flow::flows(case.traffic, &case.locations, transport);
    let senders = |flows: &[Flow]| {
        Side::BOTH
            .into_iter()
            .filter(|side| flows.iter().any(|flow| flow.first_opening(*side).is_some()))
            .count()
    };
    let (tcp, udp) = (of(Transport::Tcp), of(Transport::Udp));
    if senders(&udp) > senders(&tcp) { udp } else { tcp }
}

fn unknown(case: &Case<'_>, flows: &[Flow]) -> Cause {
    let sides: Vec<String> = case
        .peers
        .iter()
        .map(|(side, peer)| {
            let received = if peer.received { "received all" } else { "received nothing" };
            let syns: usize = flows.iter().map(|flow| flow.openings(side).count()).sum();
            format!(
                "{side} sent {}, {received}, {}",
                count(syns, case::opening(flows)),
                process::end(peer)
            )
        })
        .collect();
    let mut evidence = sides.join("; ");
    if case.traffic.not_kept > 0 {
        evidence += &format!("; {} more packets were not kept", case.traffic.not_kept);
    }
    CauseKind::Unknown.because(evidence)
}
