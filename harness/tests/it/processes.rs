//! What runs on this machine, from `/proc`.

use std::{collections::BTreeSet, fs, path::Path};

use nix::unistd::Pid;

use crate::test_dir::MARK;

/// A process that was running a moment ago.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pid: i32,
    command_line: String,
}

impl Process {
    pub(crate) fn id(&self) -> Pid {
        Pid::from_raw(self.pid)
    }

    /// Whether this program, as its command line names it, is what it runs.
    pub(crate) fn runs(&self, program: &str) -> bool {
        self.command_line.split(' ').next() == Some(program)
    }

    /// Whether its command line ends so.
    pub(crate) fn was_told(&self, end: &str) -> bool {
        self.command_line.trim_end().ends_with(end)
    }

    /// Its parent, if both still run.
    pub(crate) fn parent(&self) -> Option<Pid> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
        Some(Pid::from_raw(parent.trim().parse().ok()?))
    }
}

/// Processes whose environment or command line carries the mark of a dir.
pub(crate) fn marked(mark: &str) -> Vec<Process> {
    let variable = format!("{MARK}={mark}");
    let of_the_bench = |pid: i32| {
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
        .filter_map(of_the_bench)
        .collect()
}

/// A namespace, as `/proc` names it: `net:[4026532000]`.
type Namespace = String;

/// What a run occupies at a moment.
///
/// The kernel gives the number of a namespace that has ended to the next one, perhaps of another
/// harness: so it matters who holds it. Another harness's processes are in a PID namespace of their
/// own, and those that begin later cannot be a rest of this run.
#[derive(Debug)]
pub(crate) struct Footprint {
    /// Network namespaces, but for the test's own.
    pub(crate) network: BTreeSet<Namespace>,
    /// PID namespaces, the test's own included: the guardian is in it.
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

    /// What is left of it: processes that hold a network namespace, and mounts of one.
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

/// When a process began, in ticks since boot (proc(5), `starttime`).
fn start_ticks(pid: i32) -> Option<u64> {
    let stat = read(&format!("/proc/{pid}/stat"));
    // The name before it is in parentheses, and may contain anything.
    stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}

/// The time since boot, rounded up. The unit of `/proc` is the same on all architectures.
fn now_ticks() -> u64 {
    let uptime = read("/proc/uptime");
    let (seconds, rest) = uptime.split_once('.').unwrap();
    seconds.parse::<u64>().unwrap() * 100 + rest[..2].parse::<u64>().unwrap() + 1
}

/// The network namespaces in which a process runs, or which it holds open.
fn network_namespaces(pid: i32) -> BTreeSet<Namespace> {
    let process = Path::new("/proc").join(pid.to_string());
    let mut links = vec![process.join("ns/net")];
    if let Ok(descriptors) = fs::read_dir(process.join("fd")) {
        links.extend(descriptors.flatten().map(|entry| entry.path()));
    }
    links
        .iter()
        .filter_map(|path| link(path))
        .filter(|it| it.starts_with("net:["))
        .collect()
}

fn pids() -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap();
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Where a link of `/proc` leads; none if its process has ended.
fn link(path: &Path) -> Option<String> {
    Some(fs::read_link(path).ok()?.to_str()?.to_owned())
}

/// The text of a file in `/proc`; empty if its process has ended.
fn read(path: &str) -> String {
    fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}
