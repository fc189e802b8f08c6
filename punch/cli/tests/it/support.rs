//! Processes of the command, started in pairs between two addresses of the loopback interface.

use std::{
    io::{self, Read, Write},
    os::fd::{AsFd, OwnedFd},
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    pty::openpty,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// Time within which a process ends whose end depends on nothing else, on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(6);

/// The command with these options. Its standard streams are pipes.
pub(crate) fn command(args: &[&str]) -> Command {
    piped(Command::new(env!("CARGO_BIN_EXE_punch")), args)
}

/// The command, started by a line of a shell that ends with `exec "$@"`.
pub(crate) fn in_shell(line: &str, args: &[&str]) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", line, "sh", env!("CARGO_BIN_EXE_punch")]);
    piped(shell, args)
}

fn piped(mut command: Command, args: &[&str]) -> Command {
    command
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Arguments of the first side of a pair (0) or the second (1): each test has addresses and a
/// session of its own.
pub(crate) fn side(test: u8, own: usize, more: &[&str]) -> Vec<String> {
    let addresses = [1, 2].map(|host| format!("127.91.{test}.{host}"));
    let session = format!("test {test}");
    let common = ["--bind", &addresses[own], "--session", &session, "--timeout", "20"];
    let all = [&common[..], more, &[addresses[1 - own].as_str()]].concat();
    all.into_iter().map(str::to_owned).collect()
}

/// The command of one side of a pair.
pub(crate) fn peer(test: u8, own: usize, more: &[&str]) -> Command {
    let args = side(test, own, more);
    command(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

/// One side of a pair, started by a line of a shell.
pub(crate) fn peer_in_shell(line: &str, test: u8, own: usize, more: &[&str]) -> Command {
    let args = side(test, own, more);
    in_shell(line, &args.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Waits for the end of a process, which must come within `time`.
pub(crate) fn ended_within(child: Child, time: Duration) -> Output {
    let id = child.id();
    let (tell, told) = mpsc::channel();
    let waiting = thread::spawn(move || tell.send(child.wait_with_output()));
    if let Ok(output) = told.recv_timeout(time) {
        waiting.join().unwrap().unwrap();
        return output.unwrap();
    }
    kill(pid(id), Signal::SIGKILL).unwrap();
    let said = told.recv().unwrap().unwrap();
    panic!("still there after {time:?}: {said:?}");
}

/// Waits for the end of both sides.
pub(crate) fn both_ended([a, b]: [Child; 2]) -> [Output; 2] {
    thread::scope(|scope| {
        let first = scope.spawn(|| ended_within(a, SOON));
        let second = ended_within(b, SOON);
        [first.join().unwrap(), second]
    })
}

/// Gives a process its whole input.
pub(crate) fn feed(child: &mut Child, input: &[u8]) {
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input).unwrap();
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    kill(pid(child.id()), signal).unwrap();
}

fn pid(id: u32) -> Pid {
    Pid::from_raw(id.try_into().unwrap())
}

/// Reads standard error of a process until it contains `text`.
pub(crate) fn wait_until_said(child: &mut Child, text: &str) {
    wait_until_read(child.stderr.as_mut().unwrap(), text);
}

/// Reads until `text` has come. Returns everything up to its end.
pub(crate) fn wait_until_read(from: &mut impl Read, text: &str) -> String {
    let mut read = Vec::new();
    let mut byte = [0; 1];
    while !String::from_utf8_lossy(&read).contains(text) {
        assert_eq!(from.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&byte);
    }
    String::from_utf8(read).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A terminal: the side of the person, and that of the program.
pub(crate) fn terminal() -> (OwnedFd, OwnedFd) {
    let pty = openpty(None, None).unwrap();
    (pty.master, pty.slave)
}

/// Makes an open file non-blocking.
pub(crate) fn set_nonblocking(file: impl AsFd) {
    fcntl(file.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
}

/// The end of a pipe that nobody reads, and that is full.
pub(crate) fn full_pipe() -> (io::PipeReader, io::PipeWriter) {
    let (reader, mut writer) = io::pipe().unwrap();
    set_nonblocking(&writer);
    while writer.write(&[b'x'; 4096]).is_ok() {}
    fcntl(writer.as_fd(), FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    (reader, writer)
}

/// Pseudo-random bytes, in which a lost or repeated block shows.
pub(crate) fn noise(length: usize, mut state: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&(state >> 16).to_le_bytes()[..6]);
    }
    bytes.truncate(length);
    bytes
}
