//! Building a lab, step by step, each step named in its error.

use std::{
    fs, io,
    io::Write,
    net::{IpAddr, Ipv4Addr},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::{
    Host, Lab, LabSpec, Side,
    link::{LinkError, with_links},
    netns::NetNs,
    rules::{self, LAN, WAN},
    tun,
};
use crate::scenario::{Nat, Unsolicited};

/// Interface of an inside host.
const INSIDE: &str = "eth0";

/// A step of building a lab that failed.
#[derive(Debug, thiserror::Error)]
#[error("{step}: {source}")]
pub(crate) struct BuildError {
    step: String,
    source: LinkError,
}

impl From<io::Error> for BuildError {
    fn from(error: io::Error) -> Self {
        Self { step: "network namespace".to_owned(), source: error.into() }
    }
}

/// Names the step in which an error arose.
trait Step<T> {
    fn step(self, name: impl FnOnce() -> String) -> Result<T, BuildError>;
}

impl<T, E: Into<LinkError>> Step<T> for Result<T, E> {
    fn step(self, name: impl FnOnce() -> String) -> Result<T, BuildError> {
        self.map_err(|error| BuildError { step: name(), source: error.into() })
    }
}

/// Builds a lab. Takes some milliseconds, and blocks.
///
/// # Errors
/// Names the step that failed.
pub(crate) fn build(spec: &LabSpec) -> Result<Lab, BuildError> {
    let mut rules = Vec::new();
    let mut wan = Vec::new();
    let mut peers = Vec::new();
    for (side, nat) in Side::BOTH.into_iter().zip(&spec.nats) {
        let (host, nat_namespace, port) = match nat {
            Nat::Public => {
                let (namespace, port) = public_host(side.wan_address())?;
                (namespace, None, port)
            }
            Nat::Behind(nat) => {
                let (host, ()) = NetNs::create(|_| quiet())?;
                let (namespace, (port, applying)) =
                    NetNs::create(|_| nat_router(side, &host, nat.unsolicited))?;
                rules.push((side, applying));
                host.run(|| inside_host(side))?;
                (host, Some(namespace), port)
            }
        };
        wan.push((format!("{side}-wan"), IpAddr::from(side.wan_address()), port));
        let address = side.wan_address().into();
        peers.push(Host { namespace: host, nat: nat_namespace, wan_address: address });
    }
    let mut hosts = Vec::new();
    for (number, name) in spec.hosts.iter().enumerate() {
        let address = Ipv4Addr::new(192, 0, 2, 10 + u8::try_from(number).unwrap_or(u8::MAX));
        let (namespace, port) = public_host(address)?;
        wan.push((name.clone(), address.into(), port));
        hosts.push(Host { namespace, nat: None, wan_address: address.into() });
    }
    for (side, applying) in rules {
        finish_rules(applying).step(|| format!("rules of NAT {side}"))?;
    }
    let [a, b] = <[Host; 2]>::try_from(peers).expect("there are two sides");
    Ok(Lab { peers: [a, b], hosts, wan })
}

/// A host whose only interface is the WAN.
fn public_host(address: Ipv4Addr) -> Result<(NetNs, OwnedFd), BuildError> {
    NetNs::create(|_| {
        quiet()?;
        wan_interface(address)
    })
}

/// Creates the WAN interface of the calling thread's namespace.
fn wan_interface(address: Ipv4Addr) -> Result<OwnedFd, BuildError> {
    let port = tun::create(WAN).step(|| format!("TUN interface {WAN:?} ({})", tun::DEVICE))?;
    with_links(async |links| {
        links.loopback_up().await?;
        links.configure(WAN, address.into(), 32).await?;
        links.default_through(WAN).await
    })
    .step(|| format!("WAN interface with {address}"))?;
    Ok(port)
}

/// A NAT in the calling thread's namespace; its rules are still being applied.
fn nat_router(
    side: Side,
    host: &NetNs,
    unsolicited: Unsolicited,
) -> Result<(OwnedFd, Child), BuildError> {
    quiet()?;
    sysctl("net/ipv4/ip_forward", "1")?;
    // A NAT that answers with ICMP does so for every port, not for one a second.
    sysctl("net/ipv4/icmp_ratelimit", "0")?;
    let applying = apply_rules(&rules::iptables(unsolicited))
        .step(|| format!("rules of NAT {side}: starting iptables-restore"))?;
    let port = wan_interface(side.wan_address())?;
    with_links(async |links| {
        links.cable(LAN, INSIDE, host).await?;
        links.configure(LAN, side.gateway().into(), 24).await
    })
    .step(|| format!("LAN of NAT {side}"))?;
    Ok((port, applying))
}

/// Configures an inside host in the calling thread's namespace.
fn inside_host(side: Side) -> Result<(), BuildError> {
    with_links(async |links| {
        links.loopback_up().await?;
        links.configure(INSIDE, side.inside_address().into(), 24).await?;
        links.default_via(side.gateway()).await
    })
    .step(|| format!("host {side}"))
}

/// No IPv6 chatter on a WAN that carries IPv4, and no filter by reverse path.
fn quiet() -> Result<(), BuildError> {
    for family in ["all", "default"] {
        let ipv6 = format!("net/ipv6/conf/{family}/disable_ipv6");
        if Path::new("/proc/sys").join(&ipv6).exists() {
            sysctl(&ipv6, "1")?;
        }
        sysctl(&format!("net/ipv4/conf/{family}/rp_filter"), "0")?;
    }
    Ok(())
}

/// Sets a variable of the calling thread's network namespace.
fn sysctl(name: &str, value: &str) -> Result<(), BuildError> {
    fs::write(Path::new("/proc/sys").join(name), value).step(|| format!("sysctl {name}={value}"))
}

fn apply_rules(text: &str) -> io::Result<Child> {
    let program = find_program("iptables-restore")
        .ok_or_else(|| io::Error::other("iptables-restore is not installed"))?;
    let mut child = Command::new(program)
        .args(["--wait", "10"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(text.as_bytes())?;
    }
    Ok(child)
}

fn finish_rules(applying: Child) -> io::Result<()> {
    let output = applying.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("iptables-restore: {} ({})", said.trim(), output.status)))
}

/// Finds a program in `PATH`, or where administrators' programs are for users who lack it there.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(usual).map(|dir| dir.join(name)).find(|file| file.is_file())
}
