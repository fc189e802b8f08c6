//! A lab left standing for a person: a shell in the namespace of one of its peers.

use std::{fmt::Write as _, io, path::Path, process::ExitStatus, sync::Arc, time::Duration};

use punch::ClockOffset;
use tokio::{process::Command, sync::Semaphore, time::timeout};

use super::{
    context::Bench,
    dispatch::{Stop, catch_signals},
    draws::{Draws, TrialSeed},
    observation::skew,
    standing::{BenchError, During, Standing},
    subject::{self, Order},
};
use crate::{
    lab::{Host, NetNs},
    nat::Nat,
    peers::Side,
    scenario::{Cell, Setup},
    ui::shell::command_line,
};

/// How long the lab may take to go.
const REMOVAL: Duration = Duration::from_secs(10);

/// A shell, or a command, in a peer's namespace.
#[derive(Debug)]
pub(crate) struct Visit<'a> {
    /// The cell whose lab it is.
    pub(crate) cell: &'a Cell,
    /// Which lab it is, for people.
    pub(crate) title: String,
    /// Whose host.
    pub(crate) side: Side,
    /// Program and arguments.
    pub(crate) command: Vec<String>,
}

/// How a visit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// The shell ended.
    Ended(ExitStatus),
    /// A signal ended it: 128 and its number.
    Interrupted(u8),
}

/// Builds the lab, tells `banner` of it, runs the shell to its end and removes the lab.
///
/// # Errors
/// The lab cannot be built, or the shell not be started: in words.
pub(crate) async fn visit(
    bench: &Bench,
    visit: &Visit<'_>,
    banner: impl FnOnce(&str),
) -> Result<Left, String> {
    let mut signals =
        catch_signals().map_err(|error| format!("signals cannot be caught: {error}"))?;
    let labs = Arc::new(Semaphore::new(1));
    let permit = Arc::clone(&labs).acquire_owned().await;
    let permit = permit.expect("the semaphore is never closed");
    let setup = &visit.cell.setup;
    let draws = Draws::new(TrialSeed::new(0, visit.cell, 0), setup);
    let mut retries = 0;
    let stay = async {
        let lab = Standing::start(bench, setup, draws.wan_seed, permit, &mut retries).await?;
        let guide = Guide::new(bench, setup, &lab).during("finding this program")?;
        banner(&guide.banner(visit));
        let namespace = &lab.peers[visit.side.index()].namespace;
        let mut child =
            spawn(namespace, &visit.command, &guide.environment).during("starting the shell")?;
        let status = child.wait().await.during("the shell")?;
        // A public host that has ended by itself is nobody's failure here.
        let _ = lab.finish().await;
        Ok::<_, BenchError>(status)
    };
    let left = tokio::select! {
        biased;
        stop = signals.recv() => Ok(Left::Interrupted(stop.map_or(1, |Stop(code)| code))),
        ended = stay => ended.map(Left::Ended).map_err(|error| error.to_string()),
    };
    let _ = timeout(REMOVAL, labs.acquire()).await;
    left
}

/// Starts a command that shares this process's terminal, and its process group: a shell makes
/// itself the foreground's, and anything else is to hear Ctrl-C as well.
fn spawn(
    namespace: &NetNs,
    words: &[String],
    environment: &[(String, String)],
) -> io::Result<tokio::process::Child> {
    let (program, arguments) = words
        .split_first()
        .ok_or_else(|| io::Error::other("empty command"))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .envs(environment.iter().cloned())
        .kill_on_drop(true);
    let runtime = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        namespace.run(|| {
            let _context = runtime.enter();
            command.spawn()
        })
    })
}

/// What a visitor wants to know.
struct Guide {
    environment: Vec<(String, String)>,
    /// One line for each host, and how to enter it from elsewhere.
    hosts: Vec<(String, String)>,
    /// How each peer punches.
    punch: [String; 2],
    wan: String,
    /// What `nsenter` needs from outside where the lab is in a user namespace.
    as_user: String,
}

impl Guide {
    fn new(bench: &Bench, setup: &Setup, lab: &Standing) -> io::Result<Self> {
        let enter = |host: &Host| namespace_path(&bench.process, &host.namespace);
        let mut hosts = Vec::new();
        let mut environment = Vec::new();
        for (side, peer) in Side::BOTH.into_iter().zip(&setup.peers) {
            let host = &lab.peers[side.index()];
            let behind = match &peer.nat {
                Nat::Public => "a public host".to_owned(),
                Nat::Behind(nat) => format!("behind NAT {nat}"),
            };
            hosts.push((format!("peer {side}  {:<15} {behind}", host.address), enter(host)));
            let name = in_names(side);
            environment.push((format!("NET_{name}"), enter(host)));
        }
        for ((name, address), host) in lab.addresses.iter().zip(&lab.hosts) {
            hosts.push((format!("host {name}  {address:<12}"), enter(host)));
            let name = name.to_uppercase().replace('-', "_");
            environment.push((format!("NET_HOST_{name}"), enter(host)));
        }
        let program = std::env::current_exe()?.display().to_string();
        let punch = Side::BOTH.map(|side| punch_command(&program, setup, lab, side));
        for (side, command) in Side::BOTH.into_iter().zip(&punch) {
            let name = in_names(side);
            environment.push((format!("PUNCH_{name}"), command.clone()));
        }
        let delay_ms = setup.wan.delay.as_secs_f64() * 1000.0;
        let wan = format!("{delay_ms} ms each way, loss {}", setup.wan.loss);
        let as_user = if in_initial_user_namespace() {
            String::new()
        } else {
            format!(" --preserve-credentials --user={}/ns/user", bench.process.display())
        };
        Ok(Self { environment, hosts, punch, wan, as_user })
    }

    fn banner(&self, visit: &Visit<'_>) -> String {
        let mut text = format!(
            "{}\nyou are in peer {}; the lab is removed when this shell ends\n\
             hosts, and how to enter them from another terminal:\n",
            visit.title, visit.side
        );
        for (host, enter) in &self.hosts {
            let _ = writeln!(text, "  {host:<48} nsenter{} --net={enter}", self.as_user);
        }
        let _ = writeln!(text, "  WAN     {}", self.wan);
        let [here, there] = [visit.side, visit.side.other()].map(in_names);
        let _ = writeln!(
            text,
            "to punch, run both at about the same time, each in its peer; or from here:\n  \
             eval \"nsenter --net=$NET_{there} $PUNCH_{there}\" & eval \"$PUNCH_{here}\""
        );
        for (side, command) in Side::BOTH.into_iter().zip(&self.punch) {
            let _ = writeln!(text, "  {side}: {command}");
        }
        text
    }
}

/// A side in the name of a variable.
fn in_names(side: Side) -> String {
    side.to_string().to_uppercase()
}

/// Whether this process has the user namespace of the machine, in which every user is mapped.
fn in_initial_user_namespace() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// The namespace as a file that a process of the same user can enter: it is held by a descriptor
/// of this process, and by no name.
fn namespace_path(process: &Path, namespace: &NetNs) -> String {
    process
        .join("fd")
        .join(namespace.raw_fd().to_string())
        .display()
        .to_string()
}

/// What a trial would start for that side, as one would type it.
fn punch_command(program: &str, setup: &Setup, lab: &Standing, side: Side) -> String {
    let order = Order {
        side,
        own: lab.peers[side.index()].address,
        peer: lab.peers[side.other().index()].address,
        clock_offset: clock_offset(setup, side),
        seed: 0,
        events: Path::new("/dev/null"),
        hosts: &lab.addresses,
    };
    command_line(&match &setup.subject {
        Some(_) => subject::command(setup.subject.as_ref(), &setup.punch, &order),
        None => subject::by_hand(program, &setup.punch, &order),
    })
}

/// There is no virtual time here: the peer's clock is this machine's and its skew.
fn clock_offset(setup: &Setup, side: Side) -> ClockOffset {
    skew(setup.peers[side.index()].clock_offset_s)
}
