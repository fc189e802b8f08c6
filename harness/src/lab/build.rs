//! Building a lab, step by step, each step named in its error.

use std::{
    fs, io,
    io::Write,
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::{
    Host, Lab, LabSpec, LoneNat, address,
    link::{End, LinkError, with_links},
    netns::NetNs,
    tun,
};
use crate::{
    nat::{
        Nat, NatSpec,
        rules::{self, LAN, Rules, Sysctl, Tool, WAN},
    },
    peers::{Family, Side},
    wan::{Network, WanEnd},
};

/// Interface of an inside host.
const INSIDE: &str = "eth0";

/// Packets that may wait for the WAN's thread. With the kernel's 500 it would lose a burst of SYNs by
/// itself, and nobody would see that.
const QUEUE: u32 = 4096;

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

/// Number of times that building is tried.
const MAX_TRIES: u32 = 3;

/// Builds something again if that fails: a kernel that is busy removing many labs may refuse
/// another one for a moment. `before_retry` is called before each further try.
///
/// # Errors
/// The last error of `build`.
pub(crate) fn with_retries<T>(
    build: impl Fn() -> Result<T, BuildError>,
    mut before_retry: impl FnMut(),
) -> Result<T, BuildError> {
    let mut tries = 1;
    loop {
        match build() {
            Err(_) if tries < MAX_TRIES => {
                tries += 1;
                before_retry();
            }
            done => return done,
        }
    }
}

/// Builds a lab. Takes some milliseconds, and blocks.
///
/// # Errors
/// Names the step that failed.
pub(crate) fn build(spec: &LabSpec) -> Result<Lab, BuildError> {
    let family = spec.family;
    let mut rules = Vec::new();
    let mut wan = Vec::new();
    let mut peers = Vec::new();
    for (side, nat) in Side::BOTH.into_iter().zip(&spec.nats) {
        let (host, end) = match nat {
            Nat::Public => public_host(family, format!("{side}-wan"), address::wan(family, side))?,
            Nat::Behind(nat) => {
                let (inside, ()) = NetNs::create(|_| quiet(family))?;
                let (router, (tun, applying)) =
                    NetNs::create(|_| nat_router(family, side, &inside, nat))?;
                rules.push((side, router.clone(), applying));
                let (own, gateway) =
                    (address::inside(family, side), address::gateway(family, side));
                inside.run(|| inside_host(own, gateway).step(|| format!("host {side}")))?;
                router.run(|| {
                    with_links(async |links| links.until_it_carries(LAN).await)
                        .step(|| format!("LAN of NAT {side}"))
                })?;
                // Without translation the WAN carries the inside addresses.
                let (address, network) = match family {
                    Family::V4 => (address::wan(family, side).address, address::wan(family, side)),
                    Family::V6 => {
                        (address::inside(family, side).address, address::gateway(family, side))
                    }
                };
                let end = WanEnd { name: format!("{side}-wan"), network, tun };
                (Host { namespace: inside, nat: Some(router), address }, end)
            }
        };
        wan.push(end);
        peers.push(host);
    }
    let mut hosts = Vec::new();
    for (index, name) in (0..).zip(&spec.hosts) {
        let (host, end) =
            public_host(family, format!("host-{name}"), address::host(family, index))?;
        wan.push(end);
        hosts.push(host);
    }
    for (side, router, applying) in rules {
        finish_rules(&router, applying, side)?;
    }
    let peers = <[Host; 2]>::try_from(peers).expect("there are two sides");
    Ok(Lab { peers, hosts, wan })
}

/// Builds one NAT with two hosts inside. Takes some milliseconds, and blocks.
///
/// # Errors
/// Names the step that failed.
pub(crate) fn build_alone(family: Family, nat: &NatSpec) -> Result<LoneNat, BuildError> {
    let side = Side::A;
    let ((first, ()), (second, ())) =
        (NetNs::create(|_| quiet(family))?, NetNs::create(|_| quiet(family))?);
    let (router, (tun, applying)) = NetNs::create(|_| nat_router(family, side, &first, nat))?;
    let (second_lan, second_gateway) = (format!("{LAN}1"), address::second_gateway(family, side));
    let lan = || format!("LANs of NAT {side}");
    router.run(|| {
        with_links(async |links| {
            links.cable(&second_lan, INSIDE, &second).await?;
            links.configure(&second_lan, second_gateway).await?;
            let second = address::second_inside(family, side).address;
            links.neighbour(&second_lan, second, End::Far).await
        })
        .step(lan)
    })?;
    let addresses = [address::inside(family, side), address::second_inside(family, side)];
    let gateways = [address::gateway(family, side), second_gateway];
    for ((host, own), gateway) in [&first, &second].into_iter().zip(addresses).zip(gateways) {
        host.run(|| inside_host(own, gateway).step(|| format!("host {}", own.address)))?;
    }
    router.run(|| {
        with_links(async |links| {
            links.until_it_carries(LAN).await?;
            links.until_it_carries(&second_lan).await
        })
        .step(lan)
    })?;
    finish_rules(&router, applying, side)?;
    let hosts = [first, second]
        .into_iter()
        .zip(addresses)
        .map(|(namespace, own)| Host {
            namespace,
            nat: Some(router.clone()),
            address: own.address,
        });
    let hosts = <[Host; 2]>::try_from(hosts.collect::<Vec<_>>()).expect("there are two");
    Ok(LoneNat { hosts, wan: address::wan(family, side).address, tun })
}

/// A host whose only interface is the WAN.
fn public_host(
    family: Family,
    name: String,
    network: Network,
) -> Result<(Host, WanEnd), BuildError> {
    let (namespace, tun) = NetNs::create(|_| {
        quiet(family)?;
        wan_interface(network)
    })?;
    let host = Host { namespace, nat: None, address: network.address };
    Ok((host, WanEnd { name, network, tun }))
}

/// Creates the WAN interface of the calling thread's namespace.
fn wan_interface(network: Network) -> Result<OwnedFd, BuildError> {
    let port = tun::create(WAN).step(|| format!("TUN interface {WAN:?} ({})", tun::DEVICE))?;
    with_links(async |links| {
        links.loopback_up().await?;
        links.queue(WAN, QUEUE).await?;
        links.configure(WAN, network).await?;
        links.default_through(WAN, network.address.is_ipv4()).await
    })
    .step(|| format!("WAN interface with {}", network.address))?;
    Ok(port)
}

/// A NAT in the calling thread's namespace; its rules are still being applied.
fn nat_router(
    family: Family,
    side: Side,
    host: &NetNs,
    nat: &NatSpec,
) -> Result<(OwnedFd, Applying), BuildError> {
    quiet(family)?;
    let wan = address::wan(family, side);
    let Rules { tool, text, sysctls } = rules::rules(family, wan.address, nat);
    let program = apply_rules(tool, &text).step(|| format!("rules of NAT {side}"))?;
    // Connection tracking may not be there before the rules are.
    let (late, early): (Vec<_>, Vec<_>) = sysctls
        .into_iter()
        .partition(|it| it.name.starts_with("net/netfilter"));
    for Sysctl { name, value } in early {
        sysctl(name, &value)?;
    }
    let port = wan_interface(wan)?;
    with_links(async |links| {
        links.cable(LAN, INSIDE, host).await?;
        links.configure(LAN, address::gateway(family, side)).await?;
        links
            .neighbour(LAN, address::inside(family, side).address, End::Far)
            .await
    })
    .step(|| format!("LAN of NAT {side}"))?;
    Ok((port, Applying { program, sysctls: late }))
}

/// Configures an inside host in the calling thread's namespace.
fn inside_host(own: Network, gateway: Network) -> Result<(), LinkError> {
    with_links(async |links| {
        links.loopback_up().await?;
        links.configure(INSIDE, own).await?;
        links.neighbour(INSIDE, gateway.address, End::Near).await?;
        links.default_via(gateway.address).await
    })
}

/// No chatter of IPv6 on the WAN, and no filter by reverse path.
fn quiet(family: Family) -> Result<(), BuildError> {
    for scope in ["all", "default"] {
        sysctl(&format!("net/ipv4/conf/{scope}/rp_filter"), "0")?;
        let ipv6 = format!("net/ipv6/conf/{scope}");
        if !Path::new("/proc/sys").join(&ipv6).exists() {
            continue;
        }
        if family == Family::V4 {
            sysctl(&format!("{ipv6}/disable_ipv6"), "1")?;
        } else {
            for quiet in ["accept_ra", "accept_dad", "router_solicitations"] {
                sysctl(&format!("{ipv6}/{quiet}"), "0")?;
            }
        }
    }
    Ok(())
}

/// Sets a variable of the calling thread's network namespace.
fn sysctl(name: &str, value: &str) -> Result<(), BuildError> {
    fs::write(Path::new("/proc/sys").join(name), value).step(|| format!("sysctl {name}={value}"))
}

/// Rules that are being loaded, and what can only be set when they are.
struct Applying {
    program: Child,
    sysctls: Vec<Sysctl>,
}

fn apply_rules(tool: Tool, text: &str) -> io::Result<Child> {
    let name = tool.program();
    let program =
        find_program(name).ok_or_else(|| io::Error::other(format!("{name} is not installed")))?;
    let mut child = Command::new(&program)
        .args(tool.arguments())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", program.display())))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(text.as_bytes())?;
    }
    Ok(child)
}

fn finish_rules(router: &NetNs, applying: Applying, side: Side) -> Result<(), BuildError> {
    let Applying { program, sysctls } = applying;
    let step = || format!("rules of NAT {side}");
    let output = program.wait_with_output().step(step)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = format!("{} ({})", said.trim(), output.status);
        return Err(io::Error::other(said)).step(step);
    }
    if sysctls.is_empty() {
        return Ok(());
    }
    router.run(|| {
        let mut each = sysctls.iter();
        each.try_for_each(|Sysctl { name, value }| sysctl(name, value))
    })
}

/// Finds a program in `PATH`, or where administrators' programs are for users who lack it there.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(usual)
        .map(|dir| dir.join(name))
        .find(|file| is_executable(file))
}

/// Whether it is a file that somebody may execute.
pub(crate) fn is_executable(file: &Path) -> bool {
    let file = file.metadata().ok().filter(fs::Metadata::is_file);
    file.is_some_and(|file| file.permissions().mode() & 0o111 != 0)
}
