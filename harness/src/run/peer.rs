//! One peer of a trial: a process in its host's namespace, given bytes and watched to its end.

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
use crate::lab::NetNs;

/// What a peer may print before the rest is not looked at.
const MAX_OUTPUT: usize = 64 * 1024;

/// How long a peer may take to end once both directions have carried their bytes.
const END: Duration = Duration::from_secs(6);

/// How long the pipes of a peer that has ended are read on.
const LEFTOVERS: Duration = Duration::from_millis(200);

/// A file for the events of a peer: without a name, so that nothing is left behind.
#[derive(Debug)]
pub(crate) struct EventSink {
    file: File,
    path: PathBuf,
}

impl EventSink {
    /// A sink; `process` is this process as the mounted `/proc` numbers it.
    ///
    /// # Errors
    /// No temporary file.
    pub(crate) fn new(process: &Path) -> io::Result<Self> {
        let file = tempfile::tempfile()?;
        let path = process.join("fd").join(file.as_raw_fd().to_string());
        Ok(Self { file, path })
    }

    /// What the peer is told to open.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The events written. The last line of a killed peer may be incomplete, and is left out.
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

/// How a peer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// By itself.
    Status(ExitStatus),
    /// It had to be killed at the trial's end.
    Killed,
}

/// What a peer did.
#[derive(Debug)]
pub(crate) struct Ended {
    /// When it was started.
    pub(crate) started: MonoTime,
    /// When its end was seen, or it was killed.
    pub(crate) ended: MonoTime,
    /// Everything it printed on standard output.
    pub(crate) output: Vec<u8>,
    /// The last line it printed on standard error.
    pub(crate) complaint: String,
    /// How it ended.
    pub(crate) exit: Exit,
    /// The processor time it used, where the kernel tells.
    pub(crate) spent: Option<Duration>,
}

/// Where each side is: bytes received, or ended. Both peers of a trial share it.
type Progress = watch::Sender<[bool; 2]>;

/// What a peer is given.
#[derive(Debug)]
pub(crate) struct Task<'a> {
    pub(crate) namespace: &'a NetNs,
    pub(crate) command: &'a [String],
    /// 0 or 1.
    pub(crate) index: usize,
    /// What it is to send.
    pub(crate) sends: &'a str,
    /// What it should receive.
    pub(crate) expects: &'a str,
    /// It is killed at this time.
    pub(crate) limit: Instant,
}

/// The process group of a peer or a public host, killed when dropped: what a wrapper has started
/// would outlive it, and disturb the trials that follow.
#[derive(Debug)]
pub(crate) struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // Most often nobody is left in it.
            let _ = killpg(leader, Signal::SIGKILL);
        }
    }
}

/// Starts a command in a namespace, in a process group of its own so that the terminal's signals
/// reach only the harness. `output` is where what it says goes, on both streams.
///
/// # Errors
/// The command cannot be started.
pub(crate) fn spawn(
    namespace: &NetNs,
    words: &[String],
    output: fn() -> Stdio,
) -> io::Result<(Child, Group)> {
    let (program, arguments) = words
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
    let runtime = tokio::runtime::Handle::current();
    let child = tokio::task::block_in_place(|| {
        namespace.run(|| {
            let _context = runtime.enter();
            command.spawn()
        })
    });
    // The system does not say what it did not find.
    let child =
        child.map_err(|error| io::Error::new(error.kind(), format!("{program}: {error}")))?;
    let leader = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .map(Pid::from_raw);
    Ok((child, Group(leader)))
}

/// Starts a peer, gives it its bytes, and watches it to its end.
///
/// # Errors
/// The peer cannot be started or watched: the bench's fault, not the peer's.
pub(crate) async fn run(task: Task<'_>, progress: &Progress) -> io::Result<Ended> {
    let started = monotonic_now();
    let (mut child, _group) = spawn(task.namespace, task.command, Stdio::piped)?;
    let mut stdin = child.stdin.take();
    let stdout = child.stdout.take();
    let stderr = child.stderr.take();
    if let Some(stdin) = &mut stdin {
        // A peer that has ended already cannot be told; its exit says so.
        let _ = stdin.write_all(task.sends.as_bytes()).await;
    }
    let done = || progress.send_modify(|sides| sides[task.index] = true);
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let (exit, spent, ended) = {
        let ending = async {
            let ending = end(&mut child, stdin, progress, task.limit).await;
            ending.map(|(exit, spent)| (exit, spent, monotonic_now()))
        };
        let reading = async {
            tokio::join!(
                async {
                    read(stdout, &mut output, Keep::First, task.expects.len(), done).await;
                    // Nothing more will come, whether it was enough or not.
                    done();
                },
                read(stderr, &mut errors, Keep::Last, usize::MAX, || {}),
            )
        };
        tokio::pin!(ending, reading);
        let (ending, all_read) = tokio::select! {
            ending = &mut ending => (ending?, false),
            _ = &mut reading => (ending.await?, true),
        };
        if !all_read {
            // A grandchild may hold the pipes open for ever: what is there now is taken.
            let _ = timeout_at(Instant::now() + LEFTOVERS, reading).await;
        }
        ending
    };
    done();
    let mut spent = spent;
    if exit == Exit::Killed {
        // It may have ended in this moment.
        let _ = child.start_kill();
        (_, spent) = reap(&mut child).await;
    }
    let said = String::from_utf8_lossy(&errors);
    let complaint = said
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty());
    let complaint = complaint.unwrap_or_default().to_owned();
    Ok(Ended { started, ended, output, complaint, exit, spent })
}

/// Waits for the end of a process: by itself, at `limit`, or [`END`] after both sides are done and
/// its standard input has been closed.
async fn end(
    child: &mut Child,
    stdin: Option<ChildStdin>,
    progress: &Progress,
    limit: Instant,
) -> io::Result<(Exit, Option<Duration>)> {
    let overdue = async {
        let mut sides = progress.subscribe();
        // The sender lives as long as the trial.
        let _ = timeout_at(limit, sides.wait_for(|sides| sides[0] && sides[1])).await;
        drop(stdin);
        sleep_until(limit.min(Instant::now() + END)).await;
    };
    tokio::select! {
        (status, spent) = reap(child) => status.map(|status| (Exit::Status(status), spent)),
        () = overdue => Ok((Exit::Killed, None)),
    }
}

/// Waits for the end of a process, and for what it has cost.
async fn reap(child: &mut Child) -> (io::Result<ExitStatus>, Option<Duration>) {
    let spent = match child.id() {
        Some(pid) => usage::at_end(pid).await.ok(),
        None => None,
    };
    (child.wait().await, spent)
}

/// Which part of too much output is kept.
#[derive(Debug, Clone, Copy)]
enum Keep {
    First,
    Last,
}

/// Reads to the end, telling `enough` when `expected` bytes are there.
async fn read(
    pipe: Option<impl AsyncRead + Unpin>,
    output: &mut Vec<u8>,
    keep: Keep,
    expected: usize,
    enough: impl Fn(),
) {
    let Some(mut pipe) = pipe else { return };
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
        output.extend_from_slice(&buffer[..read]);
        // The first of what it hands over counts, the last of what it says.
        let surplus = output.len().saturating_sub(MAX_OUTPUT);
        match keep {
            Keep::First => output.truncate(MAX_OUTPUT),
            Keep::Last => drop(output.drain(..surplus)),
        }
        if output.len() >= expected {
            enough();
        }
    }
}
