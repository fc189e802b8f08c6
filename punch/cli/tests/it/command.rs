//! The command as a user calls it, between two addresses of the loopback interface.

use std::{
    io::{Read, Write},
    process::{Child, Command, Output, Stdio},
    thread,
};

const MIB: usize = 1 << 20;

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_punch"));
    command.args(args);
    command
}

/// Starts `punch` with these options. Its standard streams are pipes.
fn punch(args: &[&str]) -> Child {
    command(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Starts both sides of a pair, with addresses and a session of its own.
fn pair(test: u8, first: &[&str], second: &[&str]) -> [Child; 2] {
    let addresses = [1, 2].map(|host| format!("127.90.{test}.{host}"));
    let session = format!("command test {test}");
    let side = |own: usize, more: &[&str]| {
        let common = ["--bind", &addresses[own], "--session", &session, "--timeout", "20"];
        punch(&[&common[..], more, &[addresses[1 - own].as_str()]].concat())
    };
    [side(0, first), side(1, second)]
}

/// Gives a process its input, ends it, and waits for the process.
fn finish(mut child: Child, input: Vec<u8>) -> Output {
    let mut stdin = child.stdin.take().unwrap();
    let feeding = thread::spawn(move || {
        // The process may have ended before it has read all.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    feeding.join().unwrap();
    output
}

/// Gives both processes their input at the same time, and waits for both.
fn finish_both([a, b]: [Child; 2], [input_a, input_b]: [Vec<u8>; 2]) -> [Output; 2] {
    thread::scope(|scope| {
        let finishing = scope.spawn(move || finish(a, input_a));
        let b = finish(b, input_b);
        [finishing.join().unwrap(), b]
    })
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Pseudo-random bytes, in which a lost or repeated block shows.
fn noise(length: usize, mut state: u64) -> Vec<u8> {
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

#[test]
fn everything_arrives_in_both_directions_at_once() {
    let (there, back) = (noise(40 * MIB + 1, 1), noise(24 * MIB + 3, 2));
    let sent = there.clone();
    let [a, b] = finish_both(pair(1, &["--quiet"], &["--quiet"]), [sent, back.clone()]);
    assert!(a.status.success() && b.status.success(), "{a:?} {b:?}");
    assert!(b.stdout == there, "{} of {} bytes", b.stdout.len(), there.len());
    assert!(a.stdout == back, "{} of {} bytes", a.stdout.len(), back.len());
}

#[test]
fn one_side_may_go_on_after_the_other_has_ended_its_input() {
    let [first, mut second] = pair(2, &["--quiet"], &["--json"]);
    let finishing = thread::spawn(move || finish(first, Vec::new()));
    wait_until_said(&mut second, "returned");
    let b = finish(second, b"still here".to_vec());
    assert_eq!(finishing.join().unwrap().stdout, b"still here");
    assert!(b.status.success() && b.stdout.is_empty());
}

#[test]
fn a_command_gets_the_connection_as_its_input_and_output() {
    let both = pair(3, &["--quiet", "--exec", "tr a-z A-Z"], &["--quiet"]);
    let [a, b] = finish_both(both, [Vec::new(), b"quiet please".to_vec()]);
    assert_eq!(b.stdout, b"QUIET PLEASE");
    assert!(a.status.success());
}

#[test]
fn a_command_that_fails_gives_exit_code_1() {
    let both = pair(4, &["--quiet", "--exec", "exit 7"], &["--quiet"]);
    let [a, _] = finish_both(both, [Vec::new(), Vec::new()]);
    assert_eq!(a.status.code(), Some(1));
    assert!(stderr(&a).contains("exit status: 7"), "{}", stderr(&a));
}

#[test]
fn progress_comes_as_text_as_json_or_not_at_all() {
    let [a, b] = finish_both(pair(5, &[], &["--json"]), [b"x".to_vec(), Vec::new()]);
    let text = stderr(&a);
    assert!(text.contains("punch: punching towards 127.90.5.2 at "), "{text}");
    assert!(text.contains("punch: connected: 127.90.5.1:"), "{text}");
    let events: Vec<serde_json::Value> = stderr(&b)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(events[0]["event"], "started");
    assert_eq!(events.last().unwrap()["event"], "ended");
    let times: Vec<u64> = events
        .iter()
        .filter_map(|event| event["t_ns"].as_u64())
        .collect();
    assert!(times.len() > 3);
    assert!(times.is_sorted());
}

#[test]
fn the_events_file_has_the_events_of_the_json_on_standard_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.jsonl");
    let both = pair(6, &["--json", "--events", file.to_str().unwrap()], &["-q"]);
    let [a, b] = finish_both(both, [Vec::new(), Vec::new()]);
    assert!(b.stderr.is_empty());
    let written = std::fs::read_to_string(file).unwrap();
    let said = stderr(&a);
    let events = said.lines().filter(|line| line.contains("t_ns"));
    assert!(written.lines().eq(events), "{said}");
    assert!(written.contains("returned"));
}

#[test]
fn mistakes_are_reported_before_anything_is_sent() {
    for (args, says) in [
        (&["127.0.0.1"][..], "--loopback"),
        (&["127.1"], "--loopback"),
        (&["::1"], "--loopback"),
        (&["--bind", "127.0.0.9", "127.0.0.9"], "this machine itself"),
        (&["--bind", "192.0.2.77", "127.0.0.9"], "no address of this machine"),
        (&["--bind", "::1", "127.0.0.9"], "not of the same family"),
        (&["--bind", "0.0.0.0", "127.0.0.9"], "no address of this machine"),
        (&["0.0.0.0"], "cannot be a peer"),
        (&["255.255.255.255"], "cannot be a peer"),
        (&["fe80::1"], "fe80::1%eth0"),
        (&["--election", "wan-ip", "127.0.0.9"], "--wan-ip"),
        (&["--election", "wan-ip", "--wan-ip", "127.0.0.9", "127.0.0.9"], "both WAN addresses"),
        (&["--ports", "0", "127.0.0.9"], "0"),
        (&["--timeout", "-1", "127.0.0.9"], "--timeout"),
        (&["--events", "/nowhere/events", "127.0.0.9"], "/nowhere/events cannot be written"),
        (&["--profile", "article", "--rule", "rolling", "127.0.0.9"], "--profile"),
        (&["--loopback", "--events", "/tmp/events"], "--events"),
        (&["--loopback", "--session", "other"], "--session"),
        (&[], "<PEER>"),
    ] {
        let output = finish(punch(args), Vec::new());
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(says) && !said.contains("panicked"), "{args:?}: {said}");
    }
}

#[test]
fn an_absent_peer_gives_exit_code_1() {
    // 127.0.0.1 is a peer like any other, seen from another address of this machine.
    for peer in ["127.90.7.2", "127.0.0.1"] {
        let args = ["--bind", "127.90.7.1", "--timeout", "0.5", peer];
        let output = finish(punch(&args), Vec::new());
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("every connect was refused"), "{}", stderr(&output));
    }
}

/// A RST of both sides would make NATs refuse the 4-tuple.
#[test]
fn a_process_that_fails_resets_no_connection() {
    let server = std::net::TcpListener::bind("127.90.13.2:23456").unwrap();
    let serving = thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        stream
            .write_all(b"220 another protocol, of which only the first bytes are read")
            .unwrap();
        stream
    });
    let args = ["--bind", "127.90.13.1", "--ports", "23456", "--timeout", "0.5", "127.90.13.2"];
    let output = finish(punch(&args), Vec::new());
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let mut stream = serving.join().unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    assert!(stream.take_error().unwrap().is_none());
}

#[test]
fn ports_in_use_are_reported() {
    let held = std::net::TcpListener::bind("127.90.8.1:0").unwrap();
    let port = held.local_addr().unwrap().port().to_string();
    let args = ["--bind", "127.90.8.1", "--ports", &port, "--timeout", "1", "127.90.8.2"];
    let output = finish(punch(&args), Vec::new());
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains(&format!("port {port} left out")), "{said}");
    assert!(said.contains("none of the ports could be used"), "{said}");
}

/// No other program holds the ports, and a later try may get a descriptor.
#[cfg(unix)]
#[test]
fn running_out_of_descriptors_is_not_reported_as_ports_in_use() {
    // One more descriptor each time: at first too few for what comes before the sockets, at last
    // enough for the first socket.
    let said = [6, 7, 8, 9].map(|limit| {
        let program = env!("CARGO_BIN_EXE_punch");
        let few = format!(
            "ulimit -n {limit}; exec {program} --bind 127.90.12.1 --timeout 0.3 127.90.12.2"
        );
        let output = Command::new("/bin/sh").args(["-c", &few]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        stderr(&output)
    });
    assert!(
        said.iter()
            .any(|said| said.contains("no more files can be opened")),
        "{said:?}"
    );
    assert!(!said.iter().any(|said| said.contains("other programs hold")), "{said:?}");
}

/// Reads standard error up to an event.
fn wait_until_said(child: &mut Child, event: &str) {
    let mut said = Vec::new();
    let mut byte = [0; 1];
    let stderr = child.stderr.as_mut().unwrap();
    while !String::from_utf8_lossy(&said).contains(event) {
        assert_eq!(stderr.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&said));
        said.extend_from_slice(&byte);
    }
}

#[test]
fn the_manual_and_the_completions_are_made() {
    for (args, begins) in
        [(&["--man"][..], ".ie"), (&["--completions", "bash"], "_punch"), (&["--help"], "Connect")]
    {
        let output = finish(punch(args), Vec::new());
        assert!(output.status.success(), "{args:?}");
        assert!(
            String::from_utf8(output.stdout)
                .unwrap()
                .starts_with(begins),
            "{args:?}"
        );
    }
}

/// Example: `punch PEER 2>&1 | head -1`, and `punch --man | head -1`.
#[test]
fn a_closed_stdout_or_stderr_causes_no_panic() {
    // The end of a pipe that nobody reads.
    let unread = || std::io::pipe().unwrap().1;
    for args in [&["--man"][..], &["--completions", "bash"]] {
        let output = command(args).stdout(unread()).output().unwrap();
        assert_eq!((output.status.code(), &*stderr(&output)), (Some(1), ""), "{args:?}");
    }
    let alone = ["--bind", "127.90.11.1", "--timeout", "0.3", "--json", "127.90.11.2"];
    let status = command(&alone).stderr(unread()).status().unwrap();
    assert_eq!(status.code(), Some(1), "not that of a panic");
}

#[test]
fn the_demonstration_shows_both_sides() {
    let output = finish(punch(&["--loopback"]), Vec::new());
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("received \"hello from a\"") && said.contains("received \"hello from b\"")
    );
}
