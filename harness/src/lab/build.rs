//! Builder of a lab. Every step has a name, which its error carries.

use std::{
    fs, io,
    io::Write,
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::{
    Host, Lab, LabSpec, SingleNat, address,
    link::{LinkError, VethEnd, with_links},
    netns::NetNs,
    tun,
};
use crate::{
    nat::{
        Nat, NatSpec,
        rules::{self, LAN, Rules, Sysctl, Tool, WAN},
    },
    peers::{Family, Side},
    wan::{Network, WanInterface},
};

/// Name of an inside host's interface.
const INSIDE: &str = "eth0";

/// Packets that may wait for the WAN's thread. With the kernel's default of 500 a burst of SYNs
/// would overflow the queue, and no record would show the loss.
const WAN_QUEUE_LENGTH: u32 = 4096;

/// Error of one step of building a lab.
#[derive(Debug, thiserror::Error)]
#[error("{step}: {source}")]
pub(crate) struct BuildError {
    step: String,
    source: LinkError,
}

/// Kind of failure, on which the remedy depends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BuildFailure {
    /// A kernel variable cannot be set, since `/proc/sys` is read-only.
    ReadOnlySysctl,
    /// This process may not do it.
    NotPermitted,
    /// There are too many namespaces.
    Limit,
    /// Anything else; most often the kernel lacks a module.
    Other,
}

impl BuildError {
    /// Error of a step.
    #[cfg(test)]
    pub(crate) fn at(step: &str, source: io::Error) -> Self {
        Self { step: step.to_owned(), source: source.into() }
    }

    /// Kind of failure, by the error of the kernel or the words of a program.
    pub(crate) fn failure(&self) -> BuildFailure {
        let code = match &self.source {
            LinkError::Netlink(rtnetlink::Error::NetlinkError(message)) => {
                message.to_io().raw_os_error()
            }
            LinkError::Netlink(_) => None,
            LinkError::Io(error) => error.raw_os_error(),
        };
        let said = self.source.to_string();
        let refused = ["Permission denied", "Operation not permitted", "must be root"];
        match code {
            Some(libc::EROFS) => BuildFailure::ReadOnlySysctl,
            Some(libc::EPERM | libc::EACCES) => BuildFailure::NotPermitted,
            Some(libc::ENOSPC) => BuildFailure::Limit,
            None if refused.iter().any(|words| said.contains(words)) => BuildFailure::NotPermitted,
            Some(_) | None => BuildFailure::Other,
        }
    }
}

impl From<io::Error> for BuildError {
    fn from(error: io::Error) -> Self {
        Self { step: "network namespace".to_owned(), source: error.into() }
    }
}

/// Adds the name of the step to an error.
trait Context<T> {
    fn context(self, name: impl FnOnce() -> String) -> Result<T, BuildError>;
}

impl<T, E: Into<LinkError>> Context<T> for Result<T, E> {
    fn context(self, name: impl FnOnce() -> String) -> Result<T, BuildError> {
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

/// Builds a lab. It takes some milliseconds, and blocks.
///
/// # Errors
/// The step that failed, by name.
pub(crate) fn build(spec: &LabSpec) -> Result<Lab, BuildError> {
    let family = spec.family;
    let mut rules = Vec::new();
    let mut wan = Vec::new();
    let mut peers = Vec::new();
    for (side, nat) in spec.nats.iter() {
        let (host, end) = match nat {
            Nat::Public => public_host(family, format!("{side}-wan"), address::wan(family, side))?,
            Nat::Behind(nat) => {
                let (host, end, applying) = host_behind_nat(family, side, nat)?;
                rules.push((side, applying));
                (host, end)
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
    for (side, applying) in rules {
        finish_rules(applying, side)?;
    }
    let peers = <[Host; 2]>::try_from(peers).expect("there are two sides");
    Ok(Lab { peers: peers.into(), hosts, wan })
}

/// Builds a NAT and the host of a peer behind it. The rules of the NAT are still being loaded.
fn host_behind_nat(
    family: Family,
    side: Side,
    nat: &NatSpec,
) -> Result<(Host, WanInterface, Applying), BuildError> {
    let (inside, ()) = NetNs::create(|_| disable_kernel_chatter(family))?;
    let (router, (tun, loading)) = NetNs::create(|_| nat_router(family, side, &inside, nat))?;
    let (own, gateway) = (address::inside(family, side), address::gateway(family, side));
    inside.run(|| inside_host(own, gateway).context(|| format!("host {side}")))?;
    router.run(|| {
        with_links(async |links| links.wait_until_up(LAN).await)
            .context(|| format!("LAN of NAT {side}"))
    })?;
    // Without translation the WAN carries the inside addresses.
    let (address, network) = match family {
        Family::V4 => (address::wan(family, side).address, address::wan(family, side)),
        Family::V6 => (own.address, gateway),
    };
    let end = WanInterface { name: format!("{side}-wan"), network, tun };
    let applying = Applying { router: router.clone(), loading };
    Ok((Host { namespace: inside, nat: Some(router), address }, end, applying))
}

/// Builds one NAT with two hosts inside. It takes some milliseconds, and blocks.
///
/// # Errors
/// The step that failed, by name.
pub(crate) fn build_single_nat(family: Family, nat: &NatSpec) -> Result<SingleNat, BuildError> {
    let side = Side::A;
    let (first, ()) = NetNs::create(|_| disable_kernel_chatter(family))?;
    let (second, ()) = NetNs::create(|_| disable_kernel_chatter(family))?;
    let (router, (tun, loading)) = NetNs::create(|_| nat_router(family, side, &first, nat))?;
    let (second_lan, second_gateway) = (format!("{LAN}1"), address::second_gateway(family, side));
    let lan = || format!("LANs of NAT {side}");
    router.run(|| {
        with_links(async |links| {
            links.add_veth(&second_lan, INSIDE, &second).await?;
            links.configure(&second_lan, second_gateway).await?;
            let second = address::second_inside(family, side).address;
            links.add_neighbour(&second_lan, second, VethEnd::Far).await
        })
        .context(lan)
    })?;
    let addresses = [address::inside(family, side), address::second_inside(family, side)];
    let gateways = [address::gateway(family, side), second_gateway];
    for ((host, own), gateway) in [&first, &second].into_iter().zip(addresses).zip(gateways) {
        host.run(|| inside_host(own, gateway).context(|| format!("host {}", own.address)))?;
    }
    router.run(|| {
        with_links(async |links| {
            links.wait_until_up(LAN).await?;
            links.wait_until_up(&second_lan).await
        })
        .context(lan)
    })?;
    finish_rules(Applying { router: router.clone(), loading }, side)?;
    let host = |namespace: NetNs, own: Network| Host {
        namespace,
        nat: Some(router.clone()),
        address: own.address,
    };
    let hosts = [host(first, addresses[0]), host(second, addresses[1])];
    Ok(SingleNat { hosts, wan: address::wan(family, side).address, tun })
}

/// A host whose only interface is the WAN.
fn public_host(
    family: Family,
    name: String,
    network: Network,
) -> Result<(Host, WanInterface), BuildError> {
    let (namespace, tun) = NetNs::create(|_| {
        disable_kernel_chatter(family)?;
        wan_interface(network)
    })?;
    let host = Host { namespace, nat: None, address: network.address };
    Ok((host, WanInterface { name, network, tun }))
}

/// Creates the WAN interface of the calling thread's namespace.
fn wan_interface(network: Network) -> Result<OwnedFd, BuildError> {
    let port = tun::create(WAN).context(|| format!("TUN interface {WAN:?} ({})", tun::DEVICE))?;
    with_links(async |links| {
        links.loopback_up().await?;
        links.set_queue_length(WAN, WAN_QUEUE_LENGTH).await?;
        links.configure(WAN, network).await?;
        links.default_through(WAN, network.address.is_ipv4()).await
    })
    .context(|| format!("WAN interface with {}", network.address))?;
    Ok(port)
}

/// Makes a NAT of the calling thread's namespace. Its rules are still being loaded.
fn nat_router(
    family: Family,
    side: Side,
    host: &NetNs,
    nat: &NatSpec,
) -> Result<(OwnedFd, Loading), BuildError> {
    disable_kernel_chatter(family)?;
    let wan = address::wan(family, side);
    let Rules { tool, text, sysctls } = rules::rules(family, wan.address, nat);
    let program = apply_rules(tool, &text).context(|| format!("rules of NAT {side}"))?;
    // The kernel may load connection tracking with the rules only.
    let (late, early): (Vec<_>, Vec<_>) = sysctls
        .into_iter()
        .partition(|variable| variable.name.starts_with("net/netfilter"));
    for Sysctl { name, value } in early {
        sysctl(name, &value)?;
    }
    let port = wan_interface(wan)?;
    with_links(async |links| {
        links.add_veth(LAN, INSIDE, host).await?;
        links.configure(LAN, address::gateway(family, side)).await?;
        links
            .add_neighbour(LAN, address::inside(family, side).address, VethEnd::Far)
            .await
    })
    .context(|| format!("LAN of NAT {side}"))?;
    Ok((port, Loading { program, sysctls: late }))
}

/// Configures an inside host in the calling thread's namespace.
fn inside_host(own: Network, gateway: Network) -> Result<(), LinkError> {
    with_links(async |links| {
        links.loopback_up().await?;
        links.configure(INSIDE, own).await?;
        links
            .add_neighbour(INSIDE, gateway.address, VethEnd::Near)
            .await?;
        links.default_via(gateway.address).await
    })
}

/// Keeps the kernel from sending IPv6 packets of its own to the WAN, and turns the reverse-path
/// filter off.
fn disable_kernel_chatter(family: Family) -> Result<(), BuildError> {
    for scope in ["all", "default"] {
        sysctl(&format!("net/ipv4/conf/{scope}/rp_filter"), "0")?;
        let ipv6 = format!("net/ipv6/conf/{scope}");
        if !Path::new("/proc/sys").join(&ipv6).exists() {
            continue;
        }
        if family == Family::V4 {
            sysctl(&format!("{ipv6}/disable_ipv6"), "1")?;
        } else {
            for variable in ["accept_ra", "accept_dad", "router_solicitations"] {
                sysctl(&format!("{ipv6}/{variable}"), "0")?;
            }
        }
    }
    Ok(())
}

/// Sets a variable of the calling thread's network namespace, unless it has the value: in many
/// containers the variables can be read only.
fn sysctl(name: &str, value: &str) -> Result<(), BuildError> {
    let file = Path::new("/proc/sys").join(name);
    let words = |text: &str| {
        text.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    if fs::read_to_string(&file).is_ok_and(|found| words(&found) == words(value)) {
        return Ok(());
    }
    fs::write(file, value).context(|| format!("sysctl {name}={value}"))
}

/// Rules that a program is loading.
struct Loading {
    program: Child,
    /// Kernel variables that exist only once the rules are loaded.
    sysctls: Vec<Sysctl>,
}

/// A router, with the rules that it is being given.
struct Applying {
    router: NetNs,
    loading: Loading,
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

fn finish_rules(applying: Applying, side: Side) -> Result<(), BuildError> {
    let Applying { router, loading: Loading { program, sysctls } } = applying;
    let step = || format!("rules of NAT {side}");
    let output = program.wait_with_output().context(step)?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        let message = format!("{} ({})", complaint.trim(), output.status);
        return Err(io::Error::other(message)).context(step);
    }
    if sysctls.is_empty() {
        return Ok(());
    }
    router.run(|| {
        let mut each = sysctls.iter();
        each.try_for_each(|Sysctl { name, value }| sysctl(name, value))
    })
}

/// Finds a program in `PATH` or in the usual directories of administrators' programs, which the
/// `PATH` of other users may lack.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let administrators = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(administrators)
        .map(|dir| dir.join(name))
        .find(|file| is_executable(file))
}

/// Whether a path leads to a file that some user may execute.
pub(crate) fn is_executable(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
