//! `--exec COMMAND`: a command whose standard input and output are the connection.
//!
//! The command leads a process group. Signals are passed on to the group, and nothing of the group
//! outlives `punch`.

use std::{
    io::{self, Read},
    net::{Shutdown, TcpStream},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use punch::driver::clock::monotonic_now;

use crate::{
    exit::Problem,
    interrupt::{Interrupt, Signal},
    progress::Progress,
    relay::{self, Note, acknowledged, connection_broke},
    socket::{self, Carried, Counter},
};

/// Time that the command gets to end after a signal, before it is killed.
const MAX_END: Duration = Duration::from_secs(1);

/// Time for which processes that the command leaves in the background keep the connection.
const MAX_BACKGROUND: Duration = Duration::from_secs(60);

/// Time for which the peer may take nothing of what the command has written, after its end.
const MAX_STALL: Duration = Duration::from_secs(60);

/// Interval at which the processes of the command are looked at.
const CHECK: Duration = Duration::from_millis(20);

/// Time for which the peer's last bytes are read after the command's end.
const FINAL_READ: Duration = Duration::from_secs(2);

/// Runs a shell command whose standard input and output are the connection. Returns the bytes as
/// well, where the system tells.
pub(crate) fn exec(
    command: &str,
    stream: &TcpStream,
    interrupt: &Interrupt,
    progress: &Progress,
) -> (Result<(), Problem>, Option<Carried>) {
    socket::reset_on_close(stream);
    let counter = Counter::start(stream);
    let mut fins = [false; 2];
    let result = run(command, stream, interrupt, progress, &mut fins);
    interrupt.set_last_act(None);
    let carried = counter.carried(stream, fins);
    if result.is_ok() {
        socket::close_in_order(stream);
    }
    (result, carried)
}

fn run(
    command: &str,
    stream: &TcpStream,
    interrupt: &Interrupt,
    progress: &Progress,
    fins: &mut [bool; 2],
) -> Result<(), Problem> {
    let (tell, told) = mpsc::channel();
    let mut child = spawn(command, stream)?;
    let group = Group::led_by(&child);
    interrupt.set_last_act(Some(Box::new(move || group.kill())));
    let on_signal = tell.clone();
    interrupt.listen(move |signal| relay::tell_of(&on_signal, Note::Signal(signal)));
    thread::Builder::new()
        .name("punch-exec".into())
        .spawn(move || relay::tell_of(&tell, Note::Ended(child.wait())))
        .map_err(|error| {
            group.kill();
            Problem::failed(format!("--exec: {error}"))
        })?;
    let Some(status) = wait_for_leader(group, &told)? else {
        return Err(Problem::failed("--exec: the command cannot be waited for"));
    };
    wait_for_background(group, &told, progress)?;
    // What the command has written reaches the peer even if the command has failed.
    acknowledged(stream, &told, progress, Some(MAX_STALL))?;
    if !status.success() {
        return Err(Problem::failed(format!("--exec: {command:?} ended with {status}")));
    }
    let _ = stream.shutdown(Shutdown::Write);
    acknowledged(stream, &told, progress, Some(MAX_STALL))?;
    fins[0] = true;
    fins[1] = read_rest(stream, &told)?;
    Ok(())
}

/// Starts the command in a process group of its own.
fn spawn(command: &str, stream: &TcpStream) -> Result<Child, Problem> {
    let end = || stream.try_clone().map(stdio).map_err(connection_broke);
    let (input, output) = (end()?, end()?);
    let shell = if cfg!(windows) { ["cmd", "/C"] } else { ["/bin/sh", "-c"] };
    let mut shell_command = Command::new(shell[0]);
    shell_command
        .args([shell[1], command])
        .stdin(input)
        .stdout(output);
    Group::begin(&mut shell_command);
    shell_command
        .spawn()
        .map_err(|error| Problem::failed(format!("--exec: {} cannot be run: {error}", shell[0])))
}

/// Waits for the command itself. A signal is passed on, and ends the whole group.
fn wait_for_leader(group: Group, told: &Receiver<Note>) -> Result<Option<ExitStatus>, Problem> {
    loop {
        match relay::next(told, None)? {
            Some(Note::Signal(signal)) => return Err(end_by_signal(group, signal, told)),
            Some(Note::Ended(status)) => return Ok(status.ok()),
            _ => {}
        }
    }
}

/// Waits for what the command has left in the background, which may still write. After
/// [`MAX_BACKGROUND`] it is ended.
fn wait_for_background(
    group: Group,
    told: &Receiver<Note>,
    progress: &Progress,
) -> Result<(), Problem> {
    let started = monotonic_now();
    while group.is_alive() {
        if let Some(Note::Signal(signal)) = relay::next(told, Some(CHECK))? {
            return Err(end_by_signal(group, signal, told));
        }
        if monotonic_now().since(started) > MAX_BACKGROUND {
            progress.remark(&format!(
                "--exec: processes in the background are ended {} s after the command; setsid \
                 would have kept them",
                MAX_BACKGROUND.as_secs()
            ));
            end(group, Signal::Terminate, told);
        }
    }
    Ok(())
}

fn end_by_signal(group: Group, signal: Signal, told: &Receiver<Note>) -> Problem {
    end(group, signal, told);
    Problem::signalled(signal)
}

/// Ends a group by a signal, and by SIGKILL where that does not help.
fn end(group: Group, signal: Signal, told: &Receiver<Note>) {
    group.signal(signal);
    for limit in [MAX_END, MAX_END / 4] {
        let started = monotonic_now();
        while group.is_alive() && monotonic_now().since(started) < limit {
            // The end of the leader is told, which needs no further step.
            let _ = relay::next(told, Some(CHECK));
        }
        group.kill();
    }
}

/// Reads the peer's bytes to their end, for a bounded time: a close over unread bytes would reset
/// the connection, and the peer might lose what the command has written last. Whether the peer has
/// ended.
fn read_rest(stream: &TcpStream, told: &Receiver<Note>) -> Result<bool, Problem> {
    let mut reader = stream;
    let mut buffer = vec![0; 64 * 1024];
    let started = monotonic_now();
    // Without a time-out, a read could wait for ever.
    stream
        .set_read_timeout(Some(CHECK))
        .map_err(connection_broke)?;
    while monotonic_now().since(started) < FINAL_READ {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(true),
            Ok(_) => {}
            Err(error) if is_passing(&error) => {}
            Err(_) => return Ok(false),
        }
        if let Some(Note::Signal(signal)) = relay::next(told, Some(Duration::ZERO))? {
            return Err(Problem::signalled(signal));
        }
    }
    Ok(false)
}

fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

#[cfg(unix)]
fn stdio(stream: TcpStream) -> Stdio {
    std::os::fd::OwnedFd::from(stream).into()
}

#[cfg(windows)]
fn stdio(stream: TcpStream) -> Stdio {
    std::os::windows::io::OwnedHandle::from(std::os::windows::io::OwnedSocket::from(stream)).into()
}

/// The process group of the command.
#[cfg(unix)]
#[derive(Debug, Clone, Copy)]
struct Group(nix::unistd::Pid);

#[cfg(unix)]
impl Group {
    /// Makes a command lead a group.
    fn begin(command: &mut Command) {
        use std::os::unix::process::CommandExt;
        // Processes whose parent has ended come to this one: it can tell when the last has ended.
        #[cfg(target_os = "linux")]
        let _ = nix::sys::prctl::set_child_subreaper(true);
        // Where this process is killed, nobody else would tell the command.
        #[cfg(target_os = "linux")]
        // SAFETY: prctl is async-signal-safe, and nothing is allocated.
        unsafe {
            command.pre_exec(|| {
                nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGTERM)
                    .map_err(io::Error::from)
            });
        }
        command.process_group(0);
    }

    fn led_by(child: &Child) -> Self {
        // A process id is a positive i32.
        Self(nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX)))
    }

    fn signal(self, signal: Signal) {
        use nix::sys::signal::Signal::{SIGCONT, SIGHUP, SIGINT, SIGTERM};
        let signal = match signal {
            Signal::Hangup => SIGHUP,
            Signal::Interrupt => SIGINT,
            Signal::Terminate => SIGTERM,
        };
        // A process that is stopped takes a signal when it goes on.
        for signal in [signal, SIGCONT] {
            // Fails where the group has ended.
            let _ = nix::sys::signal::killpg(self.0, signal);
        }
    }

    fn kill(self) {
        let _ = nix::sys::signal::killpg(self.0, nix::sys::signal::Signal::SIGKILL);
    }

    /// Whether a process of the group is left. The leader is waited for elsewhere, and before.
    fn is_alive(self) -> bool {
        use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
        let group = nix::unistd::Pid::from_raw(-self.0.as_raw());
        while waitpid(group, Some(WaitPidFlag::WNOHANG))
            .is_ok_and(|status| status != WaitStatus::StillAlive)
        {}
        nix::sys::signal::killpg(self.0, None).is_ok()
    }
}

/// The process of the command: this system has no groups, and the command gets no signal.
#[cfg(not(unix))]
#[derive(Debug, Clone, Copy)]
struct Group;

#[cfg(not(unix))]
impl Group {
    fn begin(_: &mut Command) {}

    fn led_by(_: &Child) -> Self {
        Self
    }

    fn signal(self, _: Signal) {}

    fn kill(self) {}

    fn is_alive(self) -> bool {
        false
    }
}
