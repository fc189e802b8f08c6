//! Processes and network namespaces of this machine, from `/proc`.

use std::{collections::BTreeSet, fs, path::Path};

use nix::unistd::Pid;

use crate::test_dir::MARK;

/// Process that existed when `/proc` was read.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pid: i32,
    command_line: String,
}

impl Process {
    pub(crate) fn id(&self) -> Pid {
        Pid::from_raw(self.pid)
    }

    /// Whether the first word of the command line is `program`.
    pub(crate) fn runs(&self, program: &str) -> bool {
        self.command_line.split(' ').next() == Some(program)
    }

    /// Whether the command line ends with `end`.
    pub(crate) fn was_told(&self, end: &str) -> bool {
        self.command_line.trim_end().ends_with(end)
    }

    /// Parent, or `None` if the process has ended.
    pub(crate) fn parent(&self) -> Option<Pid> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
        Some(Pid::from_raw(parent.trim().parse().ok()?))
    }
}

/// Processes whose environment or command line contains the mark of a [`TestDir`].
///
/// [`TestDir`]: crate::test_dir::TestDir
pub(crate) fn marked(mark: &str) -> Vec<Process> {
    let variable = format!("{MARK}={mark}");
    let marked_process = |pid: i32| {
        let [environment, command_line] =
            ["environ", "cmdline"].map(|file| read(&format!("/proc/{pid}/{file}")));
        let carries =
            environment.split('\0').any(|entry| entry == variable) || command_line.contains(mark);
        carries.then(|| Process { pid, command_line: command_line.replace('\0', " ") })
    };
    let own = Pid::this().as_raw();
    pids()
        .into_iter()
        .filter(|pid| *pid != own)
        .filter_map(marked_process)
        .collect()
}

/// Number of zombies whose parent is one of the processes.
pub(crate) fn zombies_of(parents: &[Process]) -> usize {
    let is_zombie = |pid: &i32| {
        let stat = read(&format!("/proc/{pid}/stat"));
        let mut fields = stat
            .rsplit_once(") ")
            .map_or("", |(_, rest)| rest)
            .split(' ');
        let (state, parent) = (fields.next(), fields.next());
        let of_one = parents
            .iter()
            .any(|process| parent == Some(process.pid.to_string().as_str()));
        state == Some("Z") && of_one
    };
    pids().iter().filter(|pid| is_zombie(pid)).count()
}

/// Name of a namespace in `/proc`, such as `net:[4026532000]`.
type Namespace = String;

/// Namespaces that a run occupies at a moment.
///
/// The kernel reuses the number of a namespace that has ended, perhaps for another harness. Only
/// processes in the PID namespaces of this run that started before the moment count: another
/// harness has a PID namespace of its own, and a later process is no remainder of this run.
#[derive(Debug)]
pub(crate) struct Footprint {
    /// Network namespaces, without the test's own.
    pub(crate) network: BTreeSet<Namespace>,
    /// PID namespaces, with the test's own: the guardian is in it.
    pid: BTreeSet<Namespace>,
    /// Ticks since boot.
    at: u64,
}

impl Footprint {
    pub(crate) fn of(processes: &[Process]) -> Self {
        let mut network: BTreeSet<_> = processes
            .iter()
            .flat_map(|process| network_namespaces(process.pid))
            .collect();
        if let Some(own) = link(Path::new("/proc/self/ns/net")) {
            network.remove(&own);
        }
        let own = pid_namespace(Pid::this().as_raw());
        let pid = processes
            .iter()
            .filter_map(|process| pid_namespace(process.pid))
            .chain(own);
        Self { network, pid: pid.collect(), at: now_ticks() }
    }

    /// Processes that still hold one of the network namespaces, and mounts of one.
    pub(crate) fn remains(&self) -> Vec<String> {
        let holds = |pid: &i32| !network_namespaces(*pid).is_disjoint(&self.network);
        let of_the_run = |pid: &i32| {
            pid_namespace(*pid).is_some_and(|namespace| self.pid.contains(&namespace))
                && start_ticks(*pid).is_some_and(|start| start <= self.at)
        };
        let pids = pids()
            .into_iter()
            .filter(|pid| of_the_run(pid) && holds(pid));
        let mounts = read("/proc/self/mountinfo");
        let mounted = self
            .network
            .iter()
            .filter(|namespace| mounts.contains(namespace.as_str()));
        pids.map(|pid| format!("process {pid}"))
            .chain(mounted.cloned())
            .collect()
    }
}

fn pid_namespace(pid: i32) -> Option<Namespace> {
    link(&Path::new("/proc").join(pid.to_string()).join("ns/pid"))
}

/// Start time of a process in ticks since boot (proc(5), `starttime`).
fn start_ticks(pid: i32) -> Option<u64> {
    let stat = read(&format!("/proc/{pid}/stat"));
    // The program's name stands before it in parentheses and may contain any character.
    stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}

/// Time since boot in ticks, rounded up. `/proc` counts 100 ticks a second on all architectures.
fn now_ticks() -> u64 {
    let uptime = read("/proc/uptime");
    let (seconds, rest) = uptime.split_once('.').unwrap();
    seconds.parse::<u64>().unwrap() * 100 + rest[..2].parse::<u64>().unwrap() + 1
}

/// Network namespaces that a process runs in or holds open.
fn network_namespaces(pid: i32) -> BTreeSet<Namespace> {
    let process = Path::new("/proc").join(pid.to_string());
    let mut links = vec![process.join("ns/net")];
    if let Ok(descriptors) = fs::read_dir(process.join("fd")) {
        links.extend(descriptors.flatten().map(|entry| entry.path()));
    }
    links
        .iter()
        .filter_map(|path| link(path))
        .filter(|namespace| namespace.starts_with("net:["))
        .collect()
}

fn pids() -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap();
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Target of a link in `/proc`, or `None` if its process has ended.
fn link(path: &Path) -> Option<String> {
    Some(fs::read_link(path).ok()?.to_str()?.to_owned())
}

/// Text of a file in `/proc`, empty if its process has ended.
fn read(path: &str) -> String {
    fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}
