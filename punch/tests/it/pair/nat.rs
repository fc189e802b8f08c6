//! A NAT in terms of RFC 4787 and RFC 5382, with the state that connection tracking keeps.
//!
//! Modelled: a mapping for each pair of inside port and remote port, which an outgoing segment
//! makes and a RST in either direction ends (an ICMP error does not); the answer to an unsolicited
//! SYN.
//!
//! Left out: time-outs of mappings, several inside hosts, hairpinning.

use std::collections::BTreeSet;

use super::kernel::{Kind, Segment};

/// The answer to an unsolicited SYN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsolicited {
    /// Silence (RFC 5382 REQ-4, for as long as an attempt lasts).
    Drop,
    /// RST, as routers without a rule for it answer.
    Reset,
    /// An ICMP error.
    Unreachable,
    /// None: there is no NAT, and everything reaches the host.
    Admit,
}

impl Unsolicited {
    pub(super) const NATS: [Self; 3] = [Self::Drop, Self::Reset, Self::Unreachable];
}

#[derive(Debug)]
pub(super) struct Nat {
    policy: Unsolicited,
    /// External port minus inside port; 0 preserves ports.
    shift: u16,
    /// Inside port and remote port of each mapping.
    mappings: BTreeSet<(u16, u16)>,
}

/// Fate of a segment from the WAN.
#[derive(Debug)]
pub(super) enum Verdict {
    Pass(Segment),
    Drop,
    /// Goes back to the sender.
    Answer(Segment),
}

impl Nat {
    pub(super) fn new(policy: Unsolicited, shift: u16) -> Self {
        Self { policy, shift, mappings: BTreeSet::new() }
    }

    pub(super) fn external(&self, inside: u16) -> u16 {
        inside + self.shift
    }

    pub(super) fn outbound(&mut self, mut segment: Segment) -> Segment {
        let mapping = (segment.from, segment.to);
        if is_rst(&segment.kind) {
            self.mappings.remove(&mapping);
        } else {
            self.mappings.insert(mapping);
        }
        segment.from += self.shift;
        segment
    }

    pub(super) fn inbound(&mut self, segment: Segment) -> Verdict {
        let inside = segment.to.saturating_sub(self.shift);
        let mapping = (inside, segment.from);
        if self.policy == Unsolicited::Admit || self.mappings.contains(&mapping) {
            if is_rst(&segment.kind) {
                self.mappings.remove(&mapping);
            }
            return Verdict::Pass(Segment { to: inside, ..segment });
        }
        let answer = match (self.policy, segment.kind) {
            (Unsolicited::Reset, Kind::Syn { isn }) => Kind::RefusesSyn { isn },
            (Unsolicited::Reset, Kind::SynAck { ack, .. } | Kind::Data { ack, .. }) => {
                Kind::RefusesAck { isn: ack }
            }
            (Unsolicited::Unreachable, Kind::Syn { isn }) => Kind::Unreachable { isn },
            _ => return Verdict::Drop,
        };
        Verdict::Answer(Segment { from: segment.to, to: segment.from, kind: answer })
    }
}

fn is_rst(kind: &Kind) -> bool {
    matches!(kind, Kind::RefusesSyn { .. } | Kind::RefusesAck { .. })
}
