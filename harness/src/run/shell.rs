//! Lab for a person: a shell in the namespace of one of the peers.

use std::{fmt::Write as _, io, path::Path, process::ExitStatus};

use punch::ClockOffset;
use tokio::process::{Child, Command};

use super::{
    context::RunContext,
    interrupt::Interruptible,
    lab_slots::{LabSlot, with_one_lab},
    live_lab::{BenchError, LiveLab},
    observation::skew,
    randomness::{Randomness, TrialSeed},
    subject::{self, PeerSettings},
};
use crate::{
    lab::{Host, NetNs, PidNs},
    nat::Nat,
    peers::{Pair, Side},
    scenario::{Cell, Setup},
    ui::shell::command_line,
};

/// Shell, or other command, in a peer's namespace.
#[derive(Debug)]
pub(crate) struct ShellSession<'a> {
    /// Cell that describes the lab.
    pub(crate) cell: &'a Cell,
    /// Name of the lab, for people.
    pub(crate) title: String,
    /// Peer in whose namespace the command runs.
    pub(crate) side: Side,
    /// Program and arguments.
    pub(crate) command: Vec<String>,
}

/// Builds the lab, passes a guide to it to `banner`, runs the shell to its end and removes the lab.
///
/// # Errors
/// The lab cannot be built, or the shell not be started: in words.
pub(crate) async fn open_shell(
    context: &RunContext,
    session: &ShellSession<'_>,
    banner: impl FnOnce(&str),
) -> Result<Interruptible<ExitStatus>, String> {
    let ended = with_one_lab(|slot| run_shell(context, session, slot, banner)).await;
    match ended.map_err(|error| error.to_string())? {
        Interruptible::Interrupted(signal) => Ok(Interruptible::Interrupted(signal)),
        Interruptible::Done(Ok(status)) => Ok(Interruptible::Done(status)),
        Interruptible::Done(Err(error)) => Err(error.to_string()),
    }
}

async fn run_shell(
    context: &RunContext,
    session: &ShellSession<'_>,
    slot: LabSlot,
    banner: impl FnOnce(&str),
) -> Result<ExitStatus, BenchError> {
    let setup = &session.cell.setup;
    let randomness = Randomness::new(TrialSeed::new(0, session.cell, 0), setup);
    let lab = LiveLab::start(context, setup, randomness.wan_seed, slot, &mut 0).await?;
    let guide =
        LabGuide::new(context, setup, &lab).map_err(BenchError::at("finding this program"))?;
    banner(&guide.banner(session));
    let namespace = &lab.peers[session.side].namespace;
    let mut child = spawn(namespace, &lab.processes, &session.command, &guide.environment)
        .map_err(BenchError::at("starting the shell"))?;
    let status = child.wait().await.map_err(BenchError::at("the shell"))?;
    // A public host that has ended by itself is no error here.
    let _ = lab.finish().await;
    Ok(status)
}

/// Starts a command that shares the terminal and the process group of this process: a shell takes
/// the foreground by itself, and any other command has to receive Ctrl-C as well.
fn spawn(
    namespace: &NetNs,
    processes: &PidNs,
    args: &[String],
    environment: &[(String, String)],
) -> io::Result<Child> {
    let (program, arguments) = args
        .split_first()
        .ok_or_else(|| io::Error::other("empty command"))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .envs(environment.iter().cloned())
        .kill_on_drop(true);
    namespace.spawn(processes, &mut command)
}

/// Guide to a lab for the user of a shell.
struct LabGuide {
    environment: Vec<(String, String)>,
    /// One line for each host, and the path of the host's namespace.
    hosts: Vec<(String, String)>,
    /// Command by which each peer punches.
    punch: Pair<String>,
    wan: String,
    /// Options for `nsenter` from outside, if the lab is in a user namespace.
    as_user: String,
}

impl LabGuide {
    fn new(context: &RunContext, setup: &Setup, lab: &LiveLab) -> io::Result<Self> {
        let enter = |host: &Host| namespace_path(&context.process, &host.namespace);
        let mut hosts = Vec::new();
        let mut environment = Vec::new();
        for (side, host) in lab.peers.iter() {
            let behind = match &setup.peers[side].nat {
                Nat::Public => "a public host".to_owned(),
                Nat::Behind(nat) => format!("behind NAT {nat}"),
            };
            hosts.push((format!("peer {side}  {:<15} {behind}", host.address), enter(host)));
            environment.push((format!("NET_{}", uppercase(side)), enter(host)));
        }
        for ((name, address), host) in lab.addresses.iter().zip(&lab.hosts) {
            hosts.push((format!("host {name}  {address:<12}"), enter(host)));
            let variable = name.to_uppercase().replace('-', "_");
            environment.push((format!("NET_HOST_{variable}"), enter(host)));
        }
        let program = std::env::current_exe()?.display().to_string();
        let punch = Pair::from_fn(|side| punch_command(&program, setup, lab, side));
        for (side, command) in punch.iter() {
            environment.push((format!("PUNCH_{}", uppercase(side)), command.clone()));
        }
        let delay_ms = setup.wan.delay.as_secs_f64() * 1000.0;
        let wan = format!("{delay_ms} ms each way, loss {}", setup.wan.loss);
        let as_user = if in_initial_user_namespace() {
            String::new()
        } else {
            format!(" --preserve-credentials --user={}/ns/user", context.process.display())
        };
        Ok(Self { environment, hosts, punch, wan, as_user })
    }

    fn banner(&self, session: &ShellSession<'_>) -> String {
        let mut text = format!(
            "{}\nyou are in peer {}; the lab is removed when this shell ends\n\
             hosts, and how to enter them from another terminal:\n",
            session.title, session.side
        );
        for (host, enter) in &self.hosts {
            let _ = writeln!(text, "  {host:<48} nsenter{} --net={enter}", self.as_user);
        }
        let _ = writeln!(text, "  WAN     {}", self.wan);
        let [here, there] = [session.side, session.side.other()].map(uppercase);
        let _ = writeln!(
            text,
            "to punch, run both at about the same time, each in its peer; or from here:\n  \
             eval \"nsenter --net=$NET_{there} $PUNCH_{there}\" & eval \"$PUNCH_{here}\""
        );
        for (side, command) in self.punch.iter() {
            let _ = writeln!(text, "  {side}: {command}");
        }
        text
    }
}

/// A side as in the name of a variable.
fn uppercase(side: Side) -> String {
    side.name().to_uppercase()
}

/// Whether this process is in the initial user namespace of the machine, in which every user is
/// mapped.
fn in_initial_user_namespace() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// Path by which a process of the same user can enter a namespace: a descriptor of this process
/// holds the namespace, and no name does.
fn namespace_path(process: &Path, namespace: &NetNs) -> String {
    process
        .join("fd")
        .join(namespace.raw_fd().to_string())
        .display()
        .to_string()
}

/// Command that a trial would start for a side, as a line for a shell.
fn punch_command(program: &str, setup: &Setup, lab: &LiveLab, side: Side) -> String {
    let settings = PeerSettings {
        side,
        own: lab.peers[side].address,
        peer: lab.peers[side.other()].address,
        clock_offset: clock_offset(setup, side),
        seed: 0,
        events: Path::new("/dev/null"),
        hosts: &lab.addresses,
    };
    let args = match &setup.subject {
        Some(_) => subject::command(setup.subject.as_ref(), &setup.punch, &settings),
        None => subject::interactive_command(program, &setup.punch, &settings),
    };
    command_line(&args)
}

/// Clock of a peer without virtual time: this machine's clock and the peer's skew.
fn clock_offset(setup: &Setup, side: Side) -> ClockOffset {
    skew(setup.peers[side].clock_offset_s)
}
