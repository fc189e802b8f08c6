//! NATs: what they do, in the terms of RFC 4787, 5382 and 7857.
//!
//! A NAT is a value ([`NatSpec`]) in these terms. [`catalogue`] names those that users meet,
//! [`possible`] says which combinations there can be, [`rules`] turns one into the text of rules
//! and kernel variables; building it is [`crate::lab`]'s, proving it [`crate::verify`]'s.
//!
//! What always holds: a `NatSpec` that a scenario yields is possible, and two that are equal have
//! the same rules. The same value serves TCP, UDP and ICMP as far as the terms apply: `unsolicited`
//! (but for `open`), `simultaneous_open` and the time-outs are TCP's alone.

pub(crate) mod catalogue;
pub(crate) mod keys;
pub(crate) mod possible;
mod rfc;
pub(crate) mod rules;
pub(crate) mod show;

use std::fmt;

use crate::named::Named;

/// What stands between a peer and the WAN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Nat {
    /// Nothing: the peer is a public host (`nat = "none"`).
    Public,
    /// A NAT; with IPv6 a stateful firewall that translates nothing.
    Behind(NatSpec),
}

/// A NAT and how it behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NatSpec {
    /// Its name in the catalogue, or that of the one it was derived from.
    pub(crate) name: &'static str,
    /// For which destinations an inside endpoint keeps its outside port.
    pub(crate) mapping: Mapping,
    /// From whom a mapping lets packets in.
    pub(crate) filtering: Filtering,
    /// Which outside port a new mapping gets.
    pub(crate) allocation: Allocation,
    /// What it answers to a SYN that no mapping lets in.
    pub(crate) unsolicited: Unsolicited,
    /// Whether a SYN from outside may meet one from inside (RFC 5382 REQ-2). If not, every SYN from
    /// outside is dropped, whatever the mappings say.
    pub(crate) simultaneous_open: bool,
    /// Whether inside hosts reach each other by their outside addresses.
    pub(crate) hairpin: Hairpin,
    /// How long it remembers a TCP connection.
    pub(crate) timeouts: Timeouts,
    /// Whether it limits how many ICMP errors it sends, as Linux does: six at once to one address,
    /// then one a second. Without the limit every single SYN is answered.
    pub(crate) icmp_limit: bool,
}

/// For which destinations an inside endpoint keeps its outside port (RFC 4787 section 4.1); the more
/// it depends on, the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mapping {
    /// For all.
    EndpointIndependent,
    /// For all ports of one address.
    AddressDependent,
    /// For that one only: "symmetric".
    AddressAndPortDependent,
}

impl Named for Mapping {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("endpoint-independent", Self::EndpointIndependent),
        ("address-dependent", Self::AddressDependent),
        ("address-and-port-dependent", Self::AddressAndPortDependent),
    ];
}

/// From whom a mapping lets packets in (RFC 4787 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filtering {
    /// From anyone.
    EndpointIndependent,
    /// From addresses to which the inside endpoint has sent.
    AddressDependent,
    /// From addresses and ports to which it has sent.
    AddressAndPortDependent,
}

impl Named for Filtering {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("endpoint-independent", Self::EndpointIndependent),
        ("address-dependent", Self::AddressDependent),
        ("address-and-port-dependent", Self::AddressAndPortDependent),
    ];
}

/// Which outside port a new mapping gets (RFC 4787 section 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allocation {
    /// The inside port, unless another mapping has it: then a random one.
    Preserving,
    /// The inside port, even if another inside host has it towards another destination ("port
    /// overloading"); a random one only where the same destination would make it ambiguous.
    PreservingOverloading,
    /// A random one.
    Random,
    /// The one after that of the mapping made before.
    Sequential,
    /// The inside port and a constant.
    FixedDelta(u16),
    /// A random one of a block, as carrier-grade NATs reserve for each subscriber.
    Block(PortBlock),
}

/// A range of ports, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PortBlock {
    /// The lowest.
    pub(crate) first: u16,
    /// The highest.
    pub(crate) last: u16,
}

/// The constant of `fixed-delta` unless a scenario gives one.
pub(crate) const DELTA: u16 = 1000;

/// The block of `block` unless a scenario gives one: 512 ports, a usual size for a subscriber.
pub(crate) const BLOCK: PortBlock = PortBlock { first: 61_440, last: 61_951 };

/// The ports that `sequential` goes through before it begins again.
pub(crate) const SEQUENTIAL: PortBlock = PortBlock { first: 40_000, last: 41_023 };

/// The ports that `random` draws from.
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
    /// Whether the inside port alone decides on the outside port, for every destination, even where
    /// two inside hosts then share it.
    pub(crate) fn follows_inside_port(self) -> bool {
        matches!(self, Self::PreservingOverloading | Self::FixedDelta(_))
    }

    /// The ports that it gives to new mappings, where they do not follow from the inside port.
    pub(crate) fn drawn_from(self) -> Option<PortBlock> {
        match self {
            Self::Random => Some(RANDOM),
            Self::Sequential => Some(SEQUENTIAL),
            Self::Block(block) => Some(block),
            Self::Preserving | Self::PreservingOverloading | Self::FixedDelta(_) => None,
        }
    }

    /// The mapping that usually goes with it.
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

/// What a NAT answers to a SYN that no mapping lets in (RFC 5382 REQ-4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsolicited {
    /// Nothing.
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

/// Whether inside hosts reach each other by their outside addresses (RFC 4787 section 6). What is
/// sent so is not filtered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hairpin {
    /// They do not.
    None,
    /// They do, and see each other's inside address and port.
    Internal,
    /// They do, and see each other's outside address and port (RFC 4787 REQ-9).
    External,
}

impl Named for Hairpin {
    const NAMES: &'static [(&'static str, Self)] =
        &[("none", Self::None), ("internal", Self::Internal), ("external", Self::External)];
}

/// How long a NAT remembers a TCP connection, in whole seconds; the kernel's value where not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Timeouts {
    /// After a SYN without an answer; Linux: 120 s.
    pub(crate) syn_s: Option<u32>,
    /// When established and idle; Linux: 5 days (RFC 5382 REQ-5: at least 2 h 4 min).
    pub(crate) established_s: Option<u32>,
    /// Once closed by either side; Linux: 10 s to 120 s (RFC 7857 section 2: 4 min).
    pub(crate) close_s: Option<u32>,
}

/// Who sends to a mapping from outside, as its filtering sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    /// An address and port to which the inside endpoint has sent.
    Contacted,
    /// Another port of such an address.
    OtherPort,
}

impl NatSpec {
    /// Whether the outside port of an inside endpoint that no other inside host disturbs is its
    /// inside port, whatever the destination.
    pub(crate) fn preserves_ports(&self) -> bool {
        self.mapping == Mapping::EndpointIndependent
            && matches!(self.allocation, Allocation::Preserving | Allocation::PreservingOverloading)
    }

    /// The outside port of the first flow of an inside endpoint, if it follows from the inside
    /// port; later flows have the same where the mapping is endpoint-independent.
    pub(crate) fn first_outside_port(&self, inside: u16) -> Option<u16> {
        match self.allocation {
            Allocation::Preserving | Allocation::PreservingOverloading => Some(inside),
            Allocation::FixedDelta(delta) => inside.checked_add(delta),
            Allocation::Random | Allocation::Sequential | Allocation::Block(_) => None,
        }
    }

    /// Whether a SYN that no mapping lets in is answered at all.
    pub(crate) fn answers_unsolicited(&self) -> bool {
        self.unsolicited != Unsolicited::Drop
    }

    /// Whether a SYN from outside to a mapping comes through to the inside host.
    pub(crate) fn forwards_syn(&self, from: Sender) -> bool {
        self.simultaneous_open && self.forwards(from)
    }

    /// Whether a packet from outside to a mapping comes through to the inside host, if it is not a
    /// SYN.
    pub(crate) fn forwards(&self, from: Sender) -> bool {
        match self.filtering {
            Filtering::EndpointIndependent | Filtering::AddressDependent => true,
            Filtering::AddressAndPortDependent => from == Sender::Contacted,
        }
    }
}

/// Its name, and how it differs from the one of the catalogue that has it.
impl fmt::Display for NatSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let differences = self.differences();
        if differences.is_empty() {
            return f.write_str(self.name);
        }
        write!(f, "{} with {}", self.name, differences.join(", "))
    }
}

/// As a scenario names it: `none`, or the NAT's name and how it differs from the catalogue's.
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
