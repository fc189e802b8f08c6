//! NATs in the terms of RFC 4787, 5382 and 7857.
//!
//! A NAT is a value ([`NatSpec`]) in these terms. [`catalogue`] names the NATs that users meet,
//! [`possible`] finds contradictory combinations, and [`rules`] turns a NAT into the
//! text of rules and kernel variables. [`crate::lab`] builds NATs, and [`crate::verify`] verifies
//! them.
//!
//! What always holds: the `NatSpec` of a scenario is possible, and equal values have equal rules.
//! One value describes TCP, UDP and ICMP as far as the terms apply: `unsolicited` (other than
//! `open`), `simultaneous_open` and the time-outs concern TCP alone.

pub(crate) mod catalogue;
pub(crate) mod keys;
pub(crate) mod possible;
mod rfc;
pub(crate) mod rules;
pub(crate) mod show;

use std::{fmt, time::Duration};

use crate::named::Named;

/// The NAT between a peer and the WAN, if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Nat {
    /// No NAT: the peer is a public host (`nat = "none"`).
    Public,
    /// A NAT; with IPv6 a stateful firewall that translates nothing.
    Behind(NatSpec),
}

/// Behaviour of a NAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NatSpec {
    /// Name in the catalogue, or name of the NAT from which this one is derived.
    pub(crate) name: &'static str,
    /// Destinations towards which an inside endpoint keeps its outside port.
    pub(crate) mapping: Mapping,
    /// Sources from which a mapping lets packets in.
    pub(crate) filtering: Filtering,
    /// Outside port of a new mapping.
    pub(crate) allocation: Allocation,
    /// Answer to a SYN that no mapping lets in.
    pub(crate) unsolicited: Unsolicited,
    /// Whether a SYN from outside may meet one from inside (RFC 5382 REQ-2). If not, every SYN from
    /// outside is dropped, in spite of mappings.
    pub(crate) simultaneous_open: bool,
    /// Whether inside hosts reach each other by their outside addresses.
    pub(crate) hairpin: Hairpin,
    /// Time-outs of TCP connections.
    pub(crate) timeouts: Timeouts,
    /// Whether the NAT limits the rate of its ICMP errors, as Linux does: six at once to one
    /// address, then one a second. Without the limit every SYN is answered.
    pub(crate) icmp_limit: bool,
}

/// Destinations towards which an inside endpoint keeps its outside port (RFC 4787 section 4.1).
///
/// A mapping that depends on more of the destination is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mapping {
    /// All destinations.
    EndpointIndependent,
    /// All ports of one address.
    AddressDependent,
    /// One address and port only: "symmetric".
    AddressAndPortDependent,
}

impl Named for Mapping {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("endpoint-independent", Self::EndpointIndependent),
        ("address-dependent", Self::AddressDependent),
        ("address-and-port-dependent", Self::AddressAndPortDependent),
    ];
}

/// Sources from which a mapping lets packets in (RFC 4787 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filtering {
    /// Any source.
    EndpointIndependent,
    /// Addresses to which the inside endpoint has sent.
    AddressDependent,
    /// Addresses and ports to which the inside endpoint has sent.
    AddressAndPortDependent,
}

impl Named for Filtering {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("endpoint-independent", Self::EndpointIndependent),
        ("address-dependent", Self::AddressDependent),
        ("address-and-port-dependent", Self::AddressAndPortDependent),
    ];
}

/// Outside port of a new mapping (RFC 4787 section 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allocation {
    /// The inside port, or a random port if another mapping has the inside port.
    Preserving,
    /// The inside port, even if another inside host uses the same port towards another destination
    /// ("port overloading"). Towards the same destination the port would be ambiguous, and a random
    /// port is used.
    PreservingOverloading,
    /// A random port.
    Random,
    /// The port after that of the previous mapping.
    Sequential,
    /// The inside port plus a constant.
    FixedDelta(u16),
    /// A random port of a block, such as carrier-grade NATs reserve for each subscriber.
    Block(PortBlock),
}

/// A range of ports, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PortBlock {
    /// The lowest port.
    pub(crate) first: u16,
    /// The highest port.
    pub(crate) last: u16,
}

/// Default constant of `fixed-delta`.
pub(crate) const DELTA: u16 = 1000;

/// Default block of `block`: 512 ports, a usual size for a subscriber.
pub(crate) const BLOCK: PortBlock = PortBlock { first: 61_440, last: 61_951 };

/// The ports of `sequential`, after which it begins again.
pub(crate) const SEQUENTIAL: PortBlock = PortBlock { first: 40_000, last: 41_023 };

/// The ports from which `random` draws.
pub(crate) const RANDOM: PortBlock = PortBlock { first: 1024, last: 65_535 };

impl Named for Allocation {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("preserving", Self::Preserving),
        ("preserving-overloading", Self::PreservingOverloading),
        ("random", Self::Random),
        ("sequential", Self::Sequential),
        ("fixed-delta", Self::FixedDelta(DELTA)),
        ("block", Self::Block(BLOCK)),
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Preserving => "preserving",
            Self::PreservingOverloading => "preserving-overloading",
            Self::Random => "random",
            Self::Sequential => "sequential",
            Self::FixedDelta(_) => "fixed-delta",
            Self::Block(_) => "block",
        }
    }
}

impl Allocation {
    /// Whether the outside port follows from the inside port for every destination, even if two
    /// inside hosts then share an outside port.
    pub(crate) fn follows_inside_port(self) -> bool {
        matches!(self, Self::PreservingOverloading | Self::FixedDelta(_))
    }

    /// The ports of new mappings, if these do not follow from the inside port.
    pub(crate) fn drawn_from(self) -> Option<PortBlock> {
        match self {
            Self::Random => Some(RANDOM),
            Self::Sequential => Some(SEQUENTIAL),
            Self::Block(block) => Some(block),
            Self::Preserving | Self::PreservingOverloading | Self::FixedDelta(_) => None,
        }
    }

    /// The mapping that usually goes with this allocation.
    pub(crate) fn usual_mapping(self) -> Mapping {
        match self {
            Self::Preserving
            | Self::PreservingOverloading
            | Self::FixedDelta(_)
            | Self::Block(_) => Mapping::EndpointIndependent,
            Self::Random | Self::Sequential => Mapping::AddressAndPortDependent,
        }
    }
}

impl fmt::Display for Allocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::FixedDelta(delta) => write!(f, " {delta:+}"),
            Self::Block(block) => write!(f, " {}-{}", block.first, block.last),
            Self::Preserving | Self::PreservingOverloading | Self::Random | Self::Sequential => {
                Ok(())
            }
        }
    }
}

/// Answer to a SYN that no mapping lets in (RFC 5382 REQ-4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsolicited {
    /// No answer.
    Drop,
    /// RST, by a rule; UDP is dropped.
    Reset,
    /// ICMP port unreachable; UDP is dropped.
    IcmpPort,
    /// ICMP communication administratively prohibited; UDP is dropped.
    IcmpAdmin,
    /// ICMP host unreachable; UDP is dropped.
    IcmpHost,
    /// There is no firewall towards the WAN: the router itself answers, TCP with RST and UDP with
    /// ICMP port unreachable. With IPv6 everything is let in.
    Open,
}

impl Unsolicited {
    /// Whether a SYN is answered with an ICMP error.
    pub(crate) fn is_icmp(self) -> bool {
        match self {
            Self::IcmpPort | Self::IcmpAdmin | Self::IcmpHost => true,
            Self::Drop | Self::Reset | Self::Open => false,
        }
    }
}

impl Named for Unsolicited {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("drop", Self::Drop),
        ("reset", Self::Reset),
        ("icmp-port", Self::IcmpPort),
        ("icmp-admin", Self::IcmpAdmin),
        ("icmp-host", Self::IcmpHost),
        ("open", Self::Open),
    ];
}

/// Whether inside hosts reach each other by their outside addresses (RFC 4787 section 6). Packets
/// between them are not filtered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hairpin {
    /// Inside hosts do not reach each other.
    None,
    /// The receiver sees the inside address and port of the sender.
    Internal,
    /// The receiver sees the outside address and port of the sender (RFC 4787 REQ-9).
    External,
}

impl Named for Hairpin {
    const NAMES: &'static [(&'static str, Self)] =
        &[("none", Self::None), ("internal", Self::Internal), ("external", Self::External)];
}

/// Time-outs of TCP connections in whole seconds; `None` is the kernel's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Timeouts {
    /// After a SYN without an answer; Linux: 120 s.
    pub(crate) syn_s: Option<u32>,
    /// When established and idle; Linux: 5 days (RFC 5382 REQ-5: at least 2 h 4 min).
    pub(crate) established_s: Option<u32>,
    /// Once closed by either side; Linux: 10 s to 120 s (RFC 7857 section 2: 4 min).
    pub(crate) close_s: Option<u32>,
}

/// Sender to a mapping from outside, as the filtering of the mapping sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    /// An address and port to which the inside endpoint has sent.
    Contacted,
    /// Another port of such an address.
    OtherPort,
}

/// Time for which Linux remembers a datagram without an answer, `nf_conntrack_udp_timeout`.
const LINUX_UDP: Duration = Duration::from_secs(30);

impl NatSpec {
    /// Time after a datagram from inside at which one from outside is no longer let in as its
    /// answer; `None` if a mapping outlives connection tracking.
    pub(crate) fn datagram_timeout(&self) -> Option<Duration> {
        (self.filtering == Filtering::AddressAndPortDependent).then_some(LINUX_UDP)
    }

    /// Whether the outside port of an inside endpoint is the inside port for every destination, as
    /// long as no other inside host uses the port.
    pub(crate) fn preserves_ports(&self) -> bool {
        self.mapping == Mapping::EndpointIndependent
            && matches!(self.allocation, Allocation::Preserving | Allocation::PreservingOverloading)
    }

    /// The outside port of the first flow of an inside endpoint, if it follows from the inside
    /// port. With an endpoint-independent mapping later flows have the same port.
    pub(crate) fn first_outside_port(&self, inside: u16) -> Option<u16> {
        match self.allocation {
            Allocation::Preserving | Allocation::PreservingOverloading => Some(inside),
            Allocation::FixedDelta(delta) => inside.checked_add(delta),
            Allocation::Random | Allocation::Sequential | Allocation::Block(_) => None,
        }
    }

    /// Whether a SYN that no mapping lets in is answered.
    pub(crate) fn answers_unsolicited(&self) -> bool {
        self.unsolicited != Unsolicited::Drop
    }

    /// Whether a SYN from outside to a mapping comes through to the inside host.
    pub(crate) fn forwards_syn(&self, from: Sender) -> bool {
        self.simultaneous_open && self.forwards(from)
    }

    /// Whether a packet other than a SYN from outside to a mapping comes through to the inside
    /// host.
    pub(crate) fn forwards(&self, from: Sender) -> bool {
        match self.filtering {
            Filtering::EndpointIndependent | Filtering::AddressDependent => true,
            Filtering::AddressAndPortDependent => from == Sender::Contacted,
        }
    }
}

/// The name, with the differences to the NAT of the catalogue that has the same name.
impl fmt::Display for NatSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let differences = self.differences();
        if differences.is_empty() {
            return f.write_str(self.name);
        }
        write!(f, "{} with {}", self.name, differences.join(", "))
    }
}

/// `none`, or the NAT with its differences to the catalogue, as a scenario writes it.
impl fmt::Display for Nat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => f.write_str("none"),
            Self::Behind(spec) => spec.fmt(f),
        }
    }
}

impl Nat {
    /// The NAT, if there is one.
    pub(crate) fn spec(&self) -> Option<&NatSpec> {
        match self {
            Self::Public => None,
            Self::Behind(spec) => Some(spec),
        }
    }
}
