//! A lab: one small internet of network namespaces with real NATs.
//!
//! Each peer's host has one interface towards its NAT; each NAT masquerades towards its `wan`
//! interface, a TUN device whose descriptor belongs to the user-space WAN.
//!
//! What always holds: only descriptors keep a lab alive, so that it ends with them; all its
//! addresses are for documentation or shared address space (RFC 5737, RFC 6598, RFC 3849).

mod address;
mod build;
mod link;
mod netns;
pub(crate) mod pid_ns;
pub(crate) mod tun;

use std::{net::IpAddr, os::fd::OwnedFd};

pub(crate) use self::{
    build::{
        BuildError, BuildFailure, build, build_single_nat, find_program, is_executable,
        with_retries,
    },
    netns::NetNs,
    pid_ns::PidNs,
};
use crate::{
    nat::Nat,
    peers::{Family, Pair, Side},
    wan::WanInterface,
};

/// The WAN address of peer a's NAT. With IPv6, where nothing is translated, it is the address of
/// the NAT's WAN interface.
pub(crate) fn wan_address(family: Family) -> IpAddr {
    address::wan(family, Side::A).address
}

/// Description of a lab.
#[derive(Debug, Clone)]
pub(crate) struct LabSpec {
    /// The version of IP.
    pub(crate) family: Family,
    /// The NATs of peers a and b.
    pub(crate) nats: Pair<Nat>,
    /// Names of further public hosts.
    pub(crate) hosts: Vec<String>,
}

/// A lab that was built; it ends when this value is dropped.
#[derive(Debug)]
pub(crate) struct Lab {
    /// Hosts of the peers a and b.
    pub(crate) peers: Pair<Host>,
    /// Further public hosts.
    pub(crate) hosts: Vec<Host>,
    /// Ends of the WAN, those of the peers first.
    pub(crate) wan: Vec<WanInterface>,
}

/// One NAT with two hosts inside, each in a network of its own. The caller plays the WAN, by
/// reading and writing the TUN device.
#[derive(Debug)]
pub(crate) struct SingleNat {
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
    /// The network namespace of its processes.
    pub(crate) namespace: NetNs,
    /// The NAT in front of it.
    #[expect(dead_code, reason = "held, not used: the NAT lasts as long as the host")]
    pub(crate) nat: Option<NetNs>,
    /// The address by which others reach it: that of a NAT that translates, or its own.
    pub(crate) address: IpAddr,
}
