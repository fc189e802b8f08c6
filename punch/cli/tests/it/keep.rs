//! `--keep`: one connection after the other, and what is said at the end of each.

use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::support::{
    SOON, both_ended, command, ended_within, feed, peer, signal, stderr, wait_until_said,
};

#[test]
fn connections_are_served_one_after_the_other_until_a_signal() {
    let mut serving = peer(131, 0, &["--keep", "--exec", "tr a-z A-Z"])
        .spawn()
        .unwrap();
    for round in 0..3 {
        let mut client = peer(131, 1, &["-q"]).spawn().unwrap();
        feed(&mut client, b"quiet");
        let client = ended_within(client, SOON);
        assert!(client.status.success(), "{round}: {client:?}");
        assert_eq!(client.stdout, b"QUIET");
        wait_until_said(&mut serving, "5 bytes sent, 5 received");
    }
    signal(&serving, Signal::SIGTERM);
    assert_eq!(ended_within(serving, SOON).status.code(), Some(143));
}

#[test]
fn neither_a_failed_attempt_nor_a_failed_command_is_the_end() {
    let args = ["--bind", "127.91.132.1", "--keep", "--timeout", "0.3", "--exec", "cat; exit 9"];
    let mut serving = command(&[&args[..], &["127.91.132.2"]].concat())
        .spawn()
        .unwrap();
    wait_until_said(&mut serving, "every connect was refused");
    wait_until_said(&mut serving, "punching");
    let mut client = command(&["-q", "--bind", "127.91.132.2", "--timeout", "20", "127.91.132.1"])
        .spawn()
        .unwrap();
    feed(&mut client, b"x");
    wait_until_said(&mut serving, "ended with exit status: 9");
    assert_eq!(ended_within(client, SOON).stdout, b"x");
    wait_until_said(&mut serving, "punching");
    signal(&serving, Signal::SIGINT);
    assert_eq!(ended_within(serving, SOON).status.code(), Some(130));
}

#[test]
fn what_several_peers_send_is_received_in_one_stream() {
    let mut serving = peer(133, 0, &["--keep", "--recv-only"]).spawn().unwrap();
    for part in ["one ", "two "] {
        let mut client = peer(133, 1, &["-q"]).spawn().unwrap();
        feed(&mut client, part.as_bytes());
        assert!(ended_within(client, SOON).status.success());
        wait_until_said(&mut serving, "0 bytes sent, 4 received");
    }
    signal(&serving, Signal::SIGHUP);
    let serving = ended_within(serving, SOON);
    assert_eq!((serving.status.code(), &serving.stdout[..]), (Some(129), &b"one two "[..]));
}

/// There is nobody to receive for, now or later.
#[test]
fn an_output_that_nobody_reads_any_more_is_the_end() {
    let mut serving = peer(134, 0, &["-q", "--keep", "--recv-only"])
        .spawn()
        .unwrap();
    drop(serving.stdout.take());
    let mut client = peer(134, 1, &["-q"]).spawn().unwrap();
    feed(&mut client, b"x");
    assert_eq!(ended_within(serving, SOON).status.code(), Some(1));
    ended_within(client, SOON);
}

#[test]
fn a_second_connection_without_anything_to_send_is_refused_at_once() {
    for args in [&["--keep", "127.0.0.9"][..], &["--keep", "--send-only", "127.0.0.9"]] {
        let output = ended_within(command(args).spawn().unwrap(), SOON);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("--keep"), "{}", stderr(&output));
    }
}

#[test]
fn the_end_of_a_connection_says_bytes_and_time() {
    let mut sender = peer(135, 0, &[]).spawn().unwrap();
    feed(&mut sender, b"seven b");
    let receiver = peer(135, 1, &["--json"])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let [sender, receiver] = both_ended([sender, receiver]);
    let said = stderr(&sender);
    assert!(said.contains("punch: connection ended after 0."), "{said}");
    assert!(said.ends_with(" s: 7 bytes sent, 0 received\n"), "{said}");
    let said = stderr(&receiver);
    let last: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(last["event"], "ended");
    assert_eq!((last["sent_bytes"].as_u64(), last["received_bytes"].as_u64()), (Some(0), Some(7)));
    assert!(last["duration_ms"].as_u64().is_some());
}
