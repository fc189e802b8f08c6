//! One peer of a trial: a process in the namespace of its host, from its start to its end.

use std::{
    fs::File,
    io::{self, Read, Seek},
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use punch::{Event, driver::clock::monotonic_now, proto::time::MonoTime};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, Command},
    sync::watch,
    time::{Instant, sleep_until, timeout_at},
};

use super::usage;
use crate::{
    lab::{NetNs, PidNs},
    peers::{Pair, Side},
};

/// Bytes of a peer's output that are kept.
const MAX_OUTPUT: usize = 64 * 1024;

/// Time that a peer gets to end once both directions have carried their bytes.
const END_TIMEOUT: Duration = Duration::from_secs(6);

/// Time for which the pipes of an ended peer are read further.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(200);

/// File for the events of a peer: without a name, so that nothing is left behind.
#[derive(Debug)]
pub(crate) struct PeerEventFile {
    file: File,
    path: PathBuf,
}

impl PeerEventFile {
    /// Creates a file; `process` is the folder of this process in the mounted `/proc`.
    ///
    /// # Errors
    /// No temporary file.
    pub(crate) fn new(process: &Path) -> io::Result<Self> {
        let file = tempfile::tempfile()?;
        let path = process.join("fd").join(file.as_raw_fd().to_string());
        Ok(Self { file, path })
    }

    /// Path that the peer can open.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the events. The last line of a killed peer may be incomplete, and is left out.
    ///
    /// # Errors
    /// The file cannot be read, or a whole line is no event.
    pub(crate) fn read(mut self) -> io::Result<Vec<Event>> {
        let mut text = String::new();
        self.file.rewind()?;
        self.file.read_to_string(&mut text)?;
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .map(|line| serde_json::from_str(line).map_err(io::Error::from))
            .collect()
    }
}

/// End of a peer's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PeerExit {
    /// By itself.
    Status(ExitStatus),
    /// Killed by the harness at the end of the trial.
    Killed,
}

/// Process of a peer from its start to its end.
#[derive(Debug)]
pub(crate) struct PeerRun {
    /// Time of the start.
    pub(crate) started: MonoTime,
    /// Time at which the end was seen, or the peer was killed.
    pub(crate) ended: MonoTime,
    /// Standard output.
    pub(crate) output: Vec<u8>,
    /// Last line on standard error.
    pub(crate) complaint: String,
    /// End of the process.
    pub(crate) exit: PeerExit,
    /// Processor time, if the kernel reports it.
    pub(crate) spent: Option<Duration>,
}

/// Whether each side has received its bytes or ended. Both peers of a trial share it.
pub(super) type SidesDone = watch::Sender<Pair<bool>>;

/// Task of a peer.
#[derive(Debug)]
pub(crate) struct PeerTask<'a> {
    pub(crate) namespace: &'a NetNs,
    pub(crate) processes: &'a PidNs,
    pub(crate) command: &'a [String],
    pub(crate) side: Side,
    /// Text to be sent.
    pub(crate) sends: &'a str,
    /// Text to be received.
    pub(crate) expects: &'a str,
    /// Time at which the peer is killed.
    pub(crate) limit: Instant,
}

/// Process group of a peer or a public host, killed when dropped: processes that a wrapper has
/// started would outlive the wrapper, and disturb the rest of the trial. Processes that have left
/// the group end with the lab.
#[derive(Debug)]
pub(crate) struct ProcessGroup(Option<Pid>);

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // Most often the group is empty.
            let _ = killpg(leader, Signal::SIGKILL);
        }
    }
}

/// Starts a command in the namespaces of a host and its lab, in a process group of its own so that
/// the terminal's signals reach only the harness. `output` receives both streams.
///
/// # Errors
/// The command cannot be started.
pub(crate) fn spawn(
    namespace: &NetNs,
    processes: &PidNs,
    args: &[String],
    output: fn() -> Stdio,
) -> io::Result<(Child, ProcessGroup)> {
    let (program, arguments) = args
        .split_first()
        .ok_or_else(|| io::Error::other("empty command"))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(output())
        .stderr(output())
        .process_group(0)
        .kill_on_drop(true);
    // The system's error does not name the program.
    let child = namespace
        .spawn(processes, &mut command)
        .map_err(|error| io::Error::new(error.kind(), format!("{program}: {error}")))?;
    let leader = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .map(Pid::from_raw);
    Ok((child, ProcessGroup(leader)))
}

/// Starts a peer, gives it its bytes, and watches it to its end.
///
/// # Errors
/// The peer cannot be started or watched: the bench's fault, not the peer's.
pub(crate) async fn run(task: PeerTask<'_>, progress: &SidesDone) -> io::Result<PeerRun> {
    let started = monotonic_now();
    let (mut child, _group) = spawn(task.namespace, task.processes, task.command, Stdio::piped)?;
    let mut stdin = child.stdin.take();
    let stdout = child.stdout.take();
    let stderr = child.stderr.take();
    if let Some(stdin) = &mut stdin {
        // A peer that has ended already reads nothing; its exit has the reason.
        let _ = stdin.write_all(task.sends.as_bytes()).await;
    }
    let side_done = || progress.send_modify(|sides| sides[task.side] = true);
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let (exit, mut spent, ended) = {
        let ending = async {
            let ending = end(&mut child, stdin, progress, task.limit).await;
            ending.map(|(exit, spent)| (exit, spent, monotonic_now()))
        };
        let reading = async {
            tokio::join!(
                async {
                    read(stdout, &mut output, Truncate::End, task.expects.len(), side_done).await;
                    // Nothing more will come, whether it was enough or not.
                    side_done();
                },
                read(stderr, &mut errors, Truncate::Start, usize::MAX, || {}),
            )
        };
        tokio::pin!(ending, reading);
        let (ending, all_read) = tokio::select! {
            ending = &mut ending => (ending?, false),
            _ = &mut reading => (ending.await?, true),
        };
        if !all_read {
            // A grandchild may hold the pipes open for ever: what is there now is taken.
            let _ = timeout_at(Instant::now() + DRAIN_TIMEOUT, reading).await;
        }
        ending
    };
    side_done();
    if exit == PeerExit::Killed {
        // The peer may have ended in this moment.
        let _ = child.start_kill();
        (_, spent) = reap(&mut child).await;
    }
    let complaint = last_line(&String::from_utf8_lossy(&errors)).to_owned();
    Ok(PeerRun { started, ended, output, complaint, exit, spent })
}

/// The last line that is not empty.
fn last_line(text: &str) -> &str {
    let lines = || text.lines().rev().filter(|line| !line.trim().is_empty());
    // The details of a message are indented.
    let is_head = |line: &&str| !line.starts_with(char::is_whitespace);
    let last = lines().find(is_head).or_else(|| lines().next());
    last.unwrap_or_default().trim()
}

/// Waits for the end of a process: by itself, at `limit`, or [`END_TIMEOUT`] after both sides are
/// done and the standard input of the process has been closed.
async fn end(
    child: &mut Child,
    stdin: Option<ChildStdin>,
    progress: &SidesDone,
    limit: Instant,
) -> io::Result<(PeerExit, Option<Duration>)> {
    let overdue = async {
        let mut sides = progress.subscribe();
        // The sender lives as long as the trial.
        let _ = timeout_at(limit, sides.wait_for(|done| done[Side::A] && done[Side::B])).await;
        drop(stdin);
        sleep_until(limit.min(Instant::now() + END_TIMEOUT)).await;
    };
    tokio::select! {
        (status, spent) = reap(child) => status.map(|status| (PeerExit::Status(status), spent)),
        () = overdue => Ok((PeerExit::Killed, None)),
    }
}

/// Waits for the end of a process; returns the processor time as well.
async fn reap(child: &mut Child) -> (io::Result<ExitStatus>, Option<Duration>) {
    let spent = match child.id() {
        Some(pid) => usage::at_end(pid).await.ok(),
        None => None,
    };
    (child.wait().await, spent)
}

/// Part of too much output that is dropped.
#[derive(Debug, Clone, Copy)]
enum Truncate {
    Start,
    End,
}

/// Reads to the end of the stream; calls `enough` as soon as `expected` bytes are there.
async fn read(
    pipe: Option<impl AsyncRead + Unpin>,
    output: &mut Vec<u8>,
    truncate: Truncate,
    expected: usize,
    enough: impl Fn(),
) {
    let Some(mut pipe) = pipe else { return };
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
        output.extend_from_slice(&buffer[..read]);
        let surplus = output.len().saturating_sub(MAX_OUTPUT);
        match truncate {
            Truncate::Start => drop(output.drain(..surplus)),
            Truncate::End => output.truncate(MAX_OUTPUT),
        }
        if output.len() >= expected {
            enough();
        }
    }
}
