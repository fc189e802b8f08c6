//! The causes of failed trials, by the names that events, reports and scenarios give them.

use super::Cause;
use crate::named::Named;

/// The causes, and what each means. Those of errors of the bench are named `bench`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CauseKind {
    /// A peer ended with a signal, a panic, or a code that is no puncher's.
    PeerCrashed,
    /// What came out of a peer is not what went into the other.
    BytesDiffer,
    /// All bytes came through, but a peer ended as if they had not.
    EndedBadly,
    /// None of a peer's ports could be bound.
    NothingBound,
    /// A peer sent no SYN to the other.
    NoSyn,
    /// A NAT let packets of a connection out without translating them.
    NotTranslated,
    /// One peer had ended before a SYN of the other could reach it.
    NeverTogether,
    /// A connection stood, and the peers chose different ones.
    ElectionDisagreed,
    /// A connection stood and the peers met on it, but did not agree in time.
    ElectionLost,
    /// A connection stood, but no peer of the session spoke on it in time.
    NoPeer,
    /// A connection stood, but the bytes did not come through.
    BytesMissing,
    /// The peers' clocks put them into buckets without a common port.
    BucketsDisjoint,
    /// The peers sent SYNs to different ports.
    NoCommonPort,
    /// A NAT gave a SYN another source port than the one that the other side aims at.
    PortRemapped,
    /// A SYN was accepted, but the handshake went no further.
    HandshakeIncomplete,
    /// SYNs that should have met were answered with RST.
    SynAnsweredRst,
    /// SYNs that should have met were answered with an ICMP error.
    SynAnsweredIcmp,
    /// Every SYN that could have passed was lost on the WAN.
    SynLost,
    /// A NAT drops every SYN from outside, so that simultaneous open is impossible.
    NatDropsSyns,
    /// A NAT had forgotten its peer's SYN when the other's came.
    MappingExpired,
    /// SYNs that should have been let in arrived, and nothing answered them.
    SynUnanswered,
    /// None of these can be told.
    Unknown,
}

/// The names by which reports count them, and expectations know them.
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
        ("unknown", Self::Unknown),
    ];
}

impl CauseKind {
    /// The names of all causes.
    pub(crate) fn names() -> Vec<&'static str> {
        Self::NAMES.iter().map(|(name, _)| *name).collect()
    }

    /// The cause, with its evidence.
    pub(crate) fn because(self, evidence: String) -> Cause {
        Cause { kind: self.name().to_owned(), evidence }
    }
}
