//! Causes of failed trials, by their names in events, reports and scenarios.

use super::Cause;
use crate::named::Named;

/// Causes of failures. Errors of the bench have the cause `bench` instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CauseKind {
    /// A peer ended with a signal, a panic, or an exit code that no puncher has.
    PeerCrashed,
    /// The output of a peer differs from the input of the other peer.
    BytesDiffer,
    /// All bytes came through, but a peer reported a failure at its end.
    EndedBadly,
    /// A peer could bind none of its ports.
    NothingBound,
    /// A peer sent neither a SYN nor a datagram to the other peer.
    NoSyn,
    /// A NAT let packets of a connection out without translation.
    NotTranslated,
    /// One peer had ended before a SYN or datagram of the other peer could arrive.
    NeverTogether,
    /// Connections were established, and the peers chose different ones.
    ElectionDisagreed,
    /// A connection was established and both peers spoke on it, but did not agree in time.
    ElectionLost,
    /// A connection was established, but no peer of the session spoke on it in time.
    NoPeer,
    /// A connection was established, but the bytes did not come through.
    BytesMissing,
    /// The peers' clocks select buckets without a common port.
    BucketsDisjoint,
    /// The peers sent SYNs or datagrams to different ports.
    NoCommonPort,
    /// A NAT gave a SYN or datagram a source port that is not the target of the other side.
    PortRemapped,
    /// A SYN was accepted, but the handshake was not completed.
    HandshakeIncomplete,
    /// SYNs that should have met were answered by a RST.
    SynAnsweredRst,
    /// SYNs that should have met were answered by an ICMP error.
    SynAnsweredIcmp,
    /// Every SYN that could have passed was lost on the WAN.
    SynLost,
    /// A NAT drops every SYN from outside, so that simultaneous open is impossible.
    NatDropsSyns,
    /// The mapping of a peer's SYN or datagram had expired when that of the other peer came.
    MappingExpired,
    /// Every datagram that could have passed was lost on the WAN.
    DatagramsLost,
    /// Datagrams that should have met were answered by an ICMP error.
    DatagramsAnsweredIcmp,
    /// Datagrams of one side only came through.
    DatagramsUnanswered,
    /// SYNs arrived that should have been let in, and nothing answered them.
    SynUnanswered,
    /// No rule explains the failure.
    Unknown,
}

/// Names in reports and expectations.
impl Named for CauseKind {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("peer-crashed", Self::PeerCrashed),
        ("bytes-differ", Self::BytesDiffer),
        ("ended-badly", Self::EndedBadly),
        ("nothing-bound", Self::NothingBound),
        ("no-syn", Self::NoSyn),
        ("not-translated", Self::NotTranslated),
        ("never-together", Self::NeverTogether),
        ("election-disagreed", Self::ElectionDisagreed),
        ("election-lost", Self::ElectionLost),
        ("no-peer", Self::NoPeer),
        ("bytes-missing", Self::BytesMissing),
        ("buckets-disjoint", Self::BucketsDisjoint),
        ("no-common-port", Self::NoCommonPort),
        ("port-remapped", Self::PortRemapped),
        ("handshake-incomplete", Self::HandshakeIncomplete),
        ("syn-answered-rst", Self::SynAnsweredRst),
        ("syn-answered-icmp", Self::SynAnsweredIcmp),
        ("syn-lost", Self::SynLost),
        ("nat-drops-syns", Self::NatDropsSyns),
        ("mapping-expired", Self::MappingExpired),
        ("syn-unanswered", Self::SynUnanswered),
        ("datagrams-lost", Self::DatagramsLost),
        ("datagrams-answered-icmp", Self::DatagramsAnsweredIcmp),
        ("datagrams-unanswered", Self::DatagramsUnanswered),
        ("unknown", Self::Unknown),
    ];
}

impl CauseKind {
    /// Names of all causes.
    pub(crate) fn names() -> Vec<&'static str> {
        Self::NAMES.iter().map(|(name, _)| *name).collect()
    }

    /// Cause of this kind with its evidence.
    pub(crate) fn because(self, evidence: String) -> Cause {
        Cause { kind: self.name().to_owned(), evidence }
    }
}
