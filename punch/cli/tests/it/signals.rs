//! Signals: the first one always ends the command, and what `--exec` has started.

use std::{
    io::Write,
    path::Path,
    process::{Child, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

use crate::support::{
    SOON, both_ended, ended_within, feed, full_pipe, in_shell, noise, peer, peer_in_shell, signal,
    stderr, wait_until_read, wait_until_said,
};

const SIGNALS: [(Signal, i32); 3] =
    [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129)];

/// Time within which a signal ends the command.
const AT_ONCE: Duration = Duration::from_secs(3);

fn ended_by(child: Child, sent: Signal) -> Option<i32> {
    signal(&child, sent);
    ended_within(child, AT_ONCE).status.code()
}

#[test]
fn each_signal_ends_an_attempt() {
    for (sent, code) in SIGNALS {
        let mut alone = peer(101, 0, &[]).spawn().unwrap();
        wait_until_said(&mut alone, "punching");
        assert_eq!(ended_by(alone, sent), Some(code));
    }
}

#[test]
fn each_signal_ends_a_connection_of_which_the_peer_has_ended_its_direction() {
    for ((sent, code), test) in SIGNALS.into_iter().zip(102..) {
        let mut interrupted = peer(test, 0, &["--json"]).spawn().unwrap();
        let mut other = peer(test, 1, &["--json"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        wait_until_said(&mut interrupted, "returned");
        wait_until_said(&mut other, "returned");
        assert_eq!(ended_by(interrupted, sent), Some(code));
        let other = ended_within(other, AT_ONCE);
        assert_eq!(other.status.code(), Some(1), "the transfer was not complete");
    }
}

#[test]
fn a_receiver_does_not_take_half_a_file_for_the_whole() {
    for (test, sent, code) in [(105, Signal::SIGINT, Some(130)), (122, Signal::SIGKILL, None)] {
        let mut sender = peer(test, 0, &["-q"]).spawn().unwrap();
        let mut receiver = peer(test, 1, &["-q"]).stdin(Stdio::null()).spawn().unwrap();
        sender.stdin.as_mut().unwrap().write_all(b"half").unwrap();
        wait_until_read(receiver.stdout.as_mut().unwrap(), "half");
        assert_eq!(ended_by(sender, sent), code);
        let receiver = ended_within(receiver, AT_ONCE);
        assert_eq!(receiver.status.code(), Some(1), "after {sent}");
        assert!(stderr(&receiver).contains("interrupted"), "{}", stderr(&receiver));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_command_does_not_outlive_a_punch_that_is_killed() {
    let serving = peer(123, 0, &["-q", "--exec", "echo up; exec sleep 60"])
        .spawn()
        .unwrap();
    let mut client = peer(123, 1, &["-q"]).spawn().unwrap();
    wait_until_read(client.stdout.as_mut().unwrap(), "up\n");
    assert_eq!(ended_by(serving, Signal::SIGKILL), None);
    // The command has the connection as well, which ends with it.
    assert_eq!(ended_within(client, AT_ONCE).status.code(), Some(1));
}

/// In `tar c dir | punch PEER`, Ctrl-C ends tar as well, and tar's end comes first.
#[test]
fn the_end_of_a_program_that_died_of_the_same_signal_is_not_the_end_of_the_file() {
    let mut sender = peer(106, 0, &["-q"]).spawn().unwrap();
    let mut receiver = peer(106, 1, &["-q"]).stdin(Stdio::null()).spawn().unwrap();
    sender.stdin.as_mut().unwrap().write_all(b"half").unwrap();
    wait_until_read(receiver.stdout.as_mut().unwrap(), "half");
    drop(sender.stdin.take());
    assert_eq!(ended_by(sender, Signal::SIGINT), Some(130));
    assert_eq!(ended_within(receiver, AT_ONCE).status.code(), Some(1));
}

#[test]
fn a_signal_ends_a_side_whose_output_nobody_reads() {
    let (reader, writer) = full_pipe();
    let mut sender = peer(107, 0, &["-q"]).spawn().unwrap();
    let mut receiver = peer(107, 1, &["--json"]).stdout(writer).spawn().unwrap();
    wait_until_said(&mut receiver, "returned");
    feed(&mut sender, &noise(64 * 1024, 7));
    assert_eq!(ended_by(receiver, Signal::SIGTERM), Some(143));
    assert_eq!(ended_within(sender, AT_ONCE).status.code(), Some(1));
    drop(reader);
}

#[test]
fn a_signal_ends_a_side_whose_messages_nobody_reads() {
    let (reader, writer) = full_pipe();
    let args = ["--json", "--bind", "127.91.108.1", "127.91.108.2"];
    // The shell says on standard output that signals are about to be caught.
    let line = "(trap '' TERM; sleep 0.3; echo) & exec \"$@\"";
    let mut alone = in_shell(line, &args).stderr(writer).spawn().unwrap();
    wait_until_read(alone.stdout.as_mut().unwrap(), "\n");
    assert_eq!(ended_by(alone, Signal::SIGTERM), Some(143));
    drop(reader);
}

#[test]
fn a_signal_that_was_ignored_stays_ignored() {
    for ((ignored, code), name) in SIGNALS.into_iter().zip(["INT", "TERM", "HUP"]) {
        let line = format!("trap '' {name}; exec \"$@\"");
        let mut alone = peer_in_shell(&line, 109, 0, &[]).spawn().unwrap();
        wait_until_said(&mut alone, "punching");
        signal(&alone, ignored);
        let (next, next_code) = if code == 143 { SIGNALS[0] } else { SIGNALS[1] };
        assert_eq!(ended_by(alone, next), Some(next_code), "not {code}");
    }
}

/// `&` in a shell without job control has SIGINT and SIGQUIT ignored, for the sake of Ctrl-C: who
/// sends it by `kill` means it.
#[test]
fn an_interrupt_by_kill_ends_a_command_in_the_background() {
    let line = "\"$@\" & child=$!; sleep 0.5; kill -INT $child; wait $child";
    let shell = peer_in_shell(line, 121, 0, &[]).spawn().unwrap();
    assert_eq!(ended_within(shell, SOON).status.code(), Some(130));
}

/// Whether the group whose number a command has written to a file is still there.
fn is_alive(group: &Path) -> bool {
    let text = std::fs::read_to_string(group).unwrap();
    killpg(Pid::from_raw(text.trim().parse().unwrap()), None).is_ok()
}

#[test]
fn signals_reach_the_command_and_its_children_and_leave_no_orphan() {
    let folder = tempfile::tempdir().unwrap();
    for (test, ignores, sent, code) in [
        (110, "", Signal::SIGTERM, 143),
        (111, "", Signal::SIGINT, 130),
        (112, "trap '' TERM HUP INT; ", Signal::SIGTERM, 143),
        (113, "trap '' TERM HUP INT; ", Signal::SIGHUP, 129),
    ] {
        let group = folder.path().join(test.to_string());
        let command = format!(
            "{ignores}echo $$ > {}; sleep 61 & sleep 62 & echo up; wait; sleep 63",
            group.display()
        );
        let serving = peer(test, 0, &["-q", "--exec", &command]).spawn().unwrap();
        let mut client = peer(test, 1, &["-q"]).spawn().unwrap();
        wait_until_read(client.stdout.as_mut().unwrap(), "up\n");
        assert_eq!(ended_by(serving, sent), Some(code));
        assert!(!is_alive(&group), "{command}");
        assert_eq!(ended_within(client, AT_ONCE).status.code(), Some(1));
    }
}

#[test]
fn a_command_is_told_of_the_signal_and_may_end_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let note = folder.path().join("note");
    let command = format!("trap 'echo told > {}; exit' TERM; echo up; cat", note.display());
    let serving = peer(114, 0, &["-q", "--exec", &command]).spawn().unwrap();
    let mut client = peer(114, 1, &["-q"]).spawn().unwrap();
    wait_until_read(client.stdout.as_mut().unwrap(), "up\n");
    assert_eq!(ended_by(serving, Signal::SIGTERM), Some(143));
    assert_eq!(std::fs::read_to_string(note).unwrap(), "told\n");
    drop(client.stdin.take());
    ended_within(client, AT_ONCE);
}

#[test]
fn a_peer_that_keeps_its_input_open_does_not_hold_a_command_that_has_ended() {
    let serving = peer(115, 0, &["-q", "--exec", "echo hello"])
        .spawn()
        .unwrap();
    let mut client = peer(115, 1, &["-q"]).spawn().unwrap();
    let input = client.stdin.take();
    let serving = ended_within(serving, SOON);
    assert!(serving.status.success(), "{serving:?}");
    drop(input);
    let client = ended_within(client, SOON);
    assert_eq!(client.stdout, b"hello\n");
}

#[test]
fn what_a_command_leaves_in_the_background_still_writes() {
    let serving = peer(116, 0, &["-q", "--exec", "(sleep 0.7; echo late) & echo now"])
        .spawn()
        .unwrap();
    let client = peer(116, 1, &["-q"]).stdin(Stdio::null()).spawn().unwrap();
    let [serving, client] = both_ended([serving, client]);
    assert!(serving.status.success() && client.status.success());
    assert_eq!(client.stdout, b"now\nlate\n");
}

#[test]
fn a_command_that_fails_sends_what_it_has_and_then_breaks_off() {
    let sent = noise(1 << 20, 8);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, &sent).unwrap();
    let command = format!("cat {}; exit 3", file.display());
    let serving = peer(117, 0, &["-q", "--exec", &command]).spawn().unwrap();
    let client = peer(117, 1, &["-q"]).stdin(Stdio::null()).spawn().unwrap();
    let [serving, client] = both_ended([serving, client]);
    assert_eq!((serving.status.code(), client.status.code()), (Some(1), Some(1)));
    assert!(stderr(&serving).contains("exit status: 3"), "{}", stderr(&serving));
    assert!(client.stdout == sent, "{} bytes", client.stdout.len());
}
