//! A lab: one small internet of network namespaces with real NATs.
//!
//! Each peer's host has one interface towards its NAT; each NAT masquerades towards its `wan`
//! interface, a TUN device whose descriptor belongs to the user-space WAN. What always holds: a
//! lab lives in descriptors only, and ends with them; all its addresses are for documentation or
//! shared address space (RFC 5737, RFC 6598, RFC 3849).

mod address;
mod build;
mod link;
mod netns;
pub(crate) mod tun;

use std::{net::IpAddr, os::fd::OwnedFd};

pub(crate) use self::{
    build::{BuildError, build, build_alone, find_program, is_executable, with_retries},
    netns::NetNs,
};
use crate::{
    nat::Nat,
    peers::{Family, Side},
    wan::WanEnd,
};

/// The WAN address of peer a's NAT; with IPv6, where nothing is translated, that of its interface.
pub(crate) fn wan_address(family: Family) -> IpAddr {
    address::wan(family, Side::A).address
}

/// What to build.
#[derive(Debug, Clone)]
pub(crate) struct LabSpec {
    /// The version of IP.
    pub(crate) family: Family,
    /// The NATs of peers a and b.
    pub(crate) nats: [Nat; 2],
    /// Names of further public hosts.
    pub(crate) hosts: Vec<String>,
}

/// A lab that stands.
#[derive(Debug)]
pub(crate) struct Lab {
    /// Hosts of the peers a and b.
    pub(crate) peers: [Host; 2],
    /// Further public hosts.
    pub(crate) hosts: Vec<Host>,
    /// Ends of the WAN, those of the peers first.
    pub(crate) wan: Vec<WanEnd>,
}

/// One NAT with two hosts inside, each in a network of its own; its WAN is the caller's to play.
#[derive(Debug)]
pub(crate) struct LoneNat {
    /// The hosts inside, with their inside addresses.
    pub(crate) hosts: [Host; 2],
    /// The NAT's address on the WAN.
    pub(crate) wan: IpAddr,
    /// Descriptor of the TUN device that is its WAN interface.
    pub(crate) tun: OwnedFd,
}

/// A host in a lab.
#[derive(Debug)]
pub(crate) struct Host {
    /// Where its processes run.
    pub(crate) namespace: NetNs,
    /// The NAT in front of it; it ends with the lab.
    #[expect(dead_code, reason = "held, not used: the NAT lasts as long as the host")]
    pub(crate) nat: Option<NetNs>,
    /// The address by which others reach it: its NAT's, where there is one that translates.
    pub(crate) address: IpAddr,
}
