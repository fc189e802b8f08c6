//! The end of a transfer: nothing is lost, nothing is stuck, and exit code 0 is true.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    process::{Child, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use nix::sys::{signal::Signal, stat::Mode};

use crate::support::{
    SOON, both_ended, ended_within, feed, full_pipe, in_shell, noise, peer, peer_in_shell,
    set_nonblocking, signal, stderr, terminal, wait_until_said,
};

const MIB: usize = 1 << 20;

/// A file with these bytes, opened at its begin.
fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    io::Seek::rewind(&mut file).unwrap();
    file
}

fn contents(mut file: &File) -> Vec<u8> {
    let mut bytes = Vec::new();
    io::Seek::rewind(&mut file).unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

fn codes([a, b]: [Child; 2]) -> [Option<i32>; 2] {
    both_ended([a, b]).map(|output| output.status.code())
}

#[test]
fn a_file_for_a_receiver_at_a_terminal_ends_on_both_sides() {
    for (test, size) in [(1, MIB), (2, 0)] {
        let sent = noise(size, 3);
        let sender = peer(test, 0, &["-q"]).stdin(file(&sent)).spawn().unwrap();
        let (_person, slave) = terminal();
        let received = tempfile::tempfile().unwrap();
        let receiver = peer(test, 1, &["-q"])
            .stdin(slave)
            .stdout(received.try_clone().unwrap())
            .spawn()
            .unwrap();
        assert_eq!(codes([sender, receiver]), [Some(0), Some(0)]);
        assert!(contents(&received) == sent);
    }
}

#[test]
fn what_is_typed_reaches_a_peer_whose_input_is_empty() {
    let receiver = peer(3, 1, &["-q"]).stdin(Stdio::null()).spawn().unwrap();
    let (person, slave) = terminal();
    let mut sender = peer(3, 0, &[])
        .stdin(slave.try_clone().unwrap())
        .stdout(slave)
        .spawn()
        .unwrap();
    wait_until_said(&mut sender, "the peer only receives");
    // The second byte is Ctrl-D.
    File::from(person.try_clone().unwrap())
        .write_all(b"typed\n\x04")
        .unwrap();
    let [sender, receiver] = both_ended([sender, receiver]);
    assert!(sender.status.success() && receiver.status.success());
    assert_eq!(receiver.stdout, b"typed\n");
}

#[test]
fn a_chat_ends_when_the_other_person_leaves() {
    let mut leaving = peer(4, 0, &["-q"]).spawn().unwrap();
    let (person, slave) = terminal();
    let staying = peer(4, 1, &["-q"])
        .stdin(slave.try_clone().unwrap())
        .stdout(slave)
        .spawn()
        .unwrap();
    feed(&mut leaving, b"goodbye\n");
    assert_eq!(codes([leaving, staying]), [Some(0), Some(0)]);
    drop(person);
}

#[test]
fn a_pipe_is_read_to_its_end_although_the_peer_has_sent_everything() {
    let receiver = peer(5, 1, &["-q"]).stdin(file(b"file")).spawn().unwrap();
    let mut sender = peer(5, 0, &[]).spawn().unwrap();
    wait_until_said(&mut sender, "standard input goes on to its end");
    feed(&mut sender, b"late");
    let [sender, receiver] = both_ended([sender, receiver]);
    assert_eq!((sender.stdout, receiver.stdout), (b"file".to_vec(), b"late".to_vec()));
    assert!(sender.status.success() && receiver.status.success());
}

/// The standard input of a command that ssh, cron or a service starts.
#[test]
fn a_pipe_that_nobody_uses_does_not_hold_up_a_file_for_ever() {
    let sender = peer(6, 0, &["-q"]).stdin(file(b"a file")).spawn().unwrap();
    let received = tempfile::tempfile().unwrap();
    let (input, unused) = io::pipe().unwrap();
    let receiver = peer(6, 1, &[])
        .stdin(input)
        .stdout(received.try_clone().unwrap())
        .spawn()
        .unwrap();
    let receiver = ended_within(receiver, Duration::from_secs(16));
    assert!(receiver.status.success(), "{receiver:?}");
    assert!(stderr(&receiver).contains("--recv-only"), "{}", stderr(&receiver));
    assert!(ended_within(sender, SOON).status.success());
    assert_eq!(contents(&received), b"a file");
    drop(unused);
}

#[test]
fn bytes_that_the_peer_never_took_are_no_success() {
    let mut sender = peer(7, 0, &["--json"]).spawn().unwrap();
    let mut receiver = peer(7, 1, &["-q"]).stdin(Stdio::null()).spawn().unwrap();
    wait_until_said(&mut sender, "returned");
    // Its end has been read by then.
    signal(&receiver, Signal::SIGKILL);
    receiver.wait().unwrap();
    feed(&mut sender, b"important");
    assert_eq!(ended_within(sender, SOON).status.code(), Some(1));
}

#[test]
fn a_receiver_that_leaves_early_ends_both_sides_with_a_failure() {
    for (test, size) in [(8, 200_000), (9, 5 * MIB)] {
        let sender = peer(test, 0, &["-q"])
            .stdin(file(&noise(size, 4)))
            .spawn()
            .unwrap();
        // `punch PEER | head -c 10`
        let mut receiver = peer(test, 1, &["-q"]).spawn().unwrap();
        let mut output = receiver.stdout.take().unwrap();
        output.read_exact(&mut [0; 10]).unwrap();
        drop(output);
        let [sender, receiver] = both_ended([sender, receiver]);
        assert_eq!((sender.status.code(), receiver.status.code()), (Some(1), Some(1)));
        assert!(stderr(&sender).contains("the peer has broken off"), "{}", stderr(&sender));
        assert_eq!(stderr(&receiver), "", "its reader has seen enough");
    }
}

#[test]
fn a_sender_whose_input_fails_gives_both_sides_a_failure() {
    let directory = File::open("/").unwrap();
    let sender = peer(10, 0, &["-q"]).stdin(directory).spawn().unwrap();
    let receiver = peer(10, 1, &["-q"]).stdin(Stdio::null()).spawn().unwrap();
    let [sender, receiver] = both_ended([sender, receiver]);
    assert_eq!((sender.status.code(), receiver.status.code()), (Some(1), Some(1)));
    assert!(stderr(&sender).contains("standard input cannot be read"), "{}", stderr(&sender));
    assert!(stderr(&receiver).contains("the peer has broken off"), "{}", stderr(&receiver));
}

#[test]
fn streams_that_do_not_block_lose_nothing() {
    let sent = noise(3 * MIB, 5);
    let (input, mut feeder) = io::pipe().unwrap();
    let (mut reader, output) = io::pipe().unwrap();
    set_nonblocking(&input);
    set_nonblocking(&output);
    let sender = peer(11, 0, &["-q"]).stdin(input).spawn().unwrap();
    let mut receiver = peer(11, 1, &["--json"])
        .stdin(Stdio::null())
        .stdout(output)
        .spawn()
        .unwrap();
    // Nothing can be read at first.
    wait_until_said(&mut receiver, "returned");
    let fed = sent.clone();
    let feeding = thread::spawn(move || feeder.write_all(&fed));
    let mut received = vec![0; sent.len()];
    reader.read_exact(&mut received).unwrap();
    feeding.join().unwrap().unwrap();
    assert_eq!(codes([sender, receiver]), [Some(0), Some(0)]);
    assert!(received == sent);
}

#[test]
fn a_reader_that_begins_late_gets_everything() {
    let sent = noise(8 * MIB, 6);
    let sender = peer(12, 0, &["-q"]).stdin(file(&sent)).spawn().unwrap();
    let mut receiver = peer(12, 1, &["-q"]).stdin(Stdio::null()).spawn().unwrap();
    let mut output = receiver.stdout.take().unwrap();
    // The pipe is full after 64 KiB, and stays so for a while.
    output.read_exact(&mut [0; 1]).unwrap();
    let (_keep, never) = mpsc::channel::<()>();
    never.recv_timeout(Duration::from_millis(500)).unwrap_err();
    let mut received = Vec::new();
    output.read_to_end(&mut received).unwrap();
    assert_eq!(codes([sender, receiver]), [Some(0), Some(0)]);
    assert!(received == sent[1..]);
}

#[test]
fn a_side_that_only_sends_ends_when_the_peer_has_everything() {
    let sender = peer(13, 0, &["-q", "--send-only"])
        .stdin(file(b"all of it"))
        .spawn()
        .unwrap();
    let mut receiver = peer(13, 1, &["-q"]).spawn().unwrap();
    receiver
        .stdin
        .as_mut()
        .unwrap()
        .write_all(b"unwanted")
        .unwrap();
    let mut input = receiver.stdin.take();
    let sender = ended_within(sender, SOON);
    assert!(sender.status.success() && sender.stdout.is_empty(), "{sender:?}");
    drop(input.take());
    let receiver = ended_within(receiver, SOON);
    assert!(receiver.status.success(), "{receiver:?}");
    assert_eq!(receiver.stdout, b"all of it");
}

#[test]
fn a_side_that_only_receives_leaves_its_input_alone() {
    let sender = peer(14, 0, &["-q"])
        .stdin(file(b"all of it"))
        .spawn()
        .unwrap();
    let (mut input, mut feeder) = io::pipe().unwrap();
    feeder.write_all(b"for somebody else").unwrap();
    let receiver = peer(14, 1, &["-q", "--recv-only"])
        .stdin(input.try_clone().unwrap())
        .spawn()
        .unwrap();
    let [sender, receiver] = both_ended([sender, receiver]);
    assert!(sender.status.success() && sender.stdout.is_empty());
    assert!(receiver.status.success());
    assert_eq!(receiver.stdout, b"all of it");
    drop(feeder);
    assert_eq!(io::read_to_string(&mut input).unwrap(), "for somebody else");
}

#[test]
fn a_closed_standard_input_is_an_empty_one() {
    // `nohup` opens /dev/null for writing in the place of a terminal.
    for (test, redirection) in [(15, "<&-"), (16, "0>/dev/null"), (17, "</dev/null")] {
        let line = format!("exec \"$@\" {redirection}");
        let receiver = peer_in_shell(&line, test, 1, &["-q"]).spawn().unwrap();
        let sender = peer(test, 0, &["-q"]).stdin(file(b"file")).spawn().unwrap();
        let [sender, receiver] = both_ended([sender, receiver]);
        assert!(sender.status.success(), "{redirection} {sender:?}");
        assert!(receiver.status.success(), "{redirection} {receiver:?}");
        assert_eq!(receiver.stdout, b"file", "{redirection}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_closed_standard_output_swallows_nothing() {
    let receiver = peer_in_shell("exec \"$@\" >&- </dev/null", 18, 1, &["-q"])
        .spawn()
        .unwrap();
    let sender = peer(18, 0, &["-q"]).stdin(file(b"file")).spawn().unwrap();
    let [sender, receiver] = both_ended([sender, receiver]);
    assert_eq!((sender.status.code(), receiver.status.code()), (Some(1), Some(1)));
    assert!(stderr(&receiver).contains("it is closed"), "{}", stderr(&receiver));
}

#[test]
fn messages_that_nobody_reads_hold_up_neither_attempt_nor_connection() {
    let (reader, writer) = full_pipe();
    let args = ["--json", "--bind", "127.91.19.1", "--timeout", "0.5", "127.91.19.2"];
    let alone = in_shell("exec \"$@\"", &args)
        .stderr(writer.try_clone().unwrap())
        .spawn()
        .unwrap();
    assert_eq!(ended_within(alone, SOON).status.code(), Some(1));

    let sender = peer(20, 0, &["--json"])
        .stdin(file(b"file"))
        .stderr(writer)
        .spawn()
        .unwrap();
    let receiver = peer(20, 1, &["-q"]).stdin(Stdio::null()).spawn().unwrap();
    let [sender, receiver] = both_ended([sender, receiver]);
    assert!(sender.status.success() && receiver.status.success());
    assert_eq!(receiver.stdout, b"file");
    drop(reader);
}

#[test]
fn an_events_pipe_that_nobody_reads_holds_up_nothing_and_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    let events = ["-q", "--events", pipe.to_str().unwrap()];
    let both = |test| {
        let sender = peer(test, 0, &events).stdin(file(b"file")).spawn().unwrap();
        let receiver = peer(test, 1, &["-q"]).stdin(Stdio::null()).spawn().unwrap();
        both_ended([sender, receiver])
    };
    let [sender, receiver] = both(21);
    assert_eq!(receiver.stdout, b"file");
    assert_eq!(sender.status.code(), Some(1));
    assert!(stderr(&sender).contains("events are lost"), "{}", stderr(&sender));

    // With a reader, the same pipe has every event.
    let mut reader = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&pipe)
        .unwrap();
    let reading = thread::spawn(move || crate::support::wait_until_read(&mut reader, "returned"));
    let [sender, _] = both(22);
    assert!(sender.status.success(), "{sender:?}");
    assert!(reading.join().unwrap().contains("started"));
}
