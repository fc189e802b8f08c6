//! What is said before and while the peer is waited for.

use nix::sys::signal::Signal;

use crate::support::{SOON, command, ended_within, signal, stderr, wait_until_read};

/// Runs a short attempt alone, and returns what it says.
fn said_alone(args: &[&str]) -> String {
    let all = [&["--bind", "127.91.151.1", "--timeout", "0.2"], args].concat();
    stderr(&ended_within(command(&all).spawn().unwrap(), SOON))
}

#[test]
fn the_time_and_the_end_of_the_attempt_are_said_in_utc() {
    let said = said_alone(&["127.91.151.2"]);
    let line = said.lines().next().unwrap();
    let times = line
        .strip_prefix("punch: punching towards 127.91.151.2 at ")
        .and_then(|rest| rest.strip_suffix(" (--timeout)"))
        .unwrap_or_else(|| panic!("{said}"));
    let (now, until) = times.split_once(", until ").unwrap();
    for time in [now, until] {
        let clock = time.strip_suffix(" UTC").unwrap();
        let parts: Vec<u32> = clock.split(':').map(|part| part.parse().unwrap()).collect();
        assert!(matches!(parts[..], [0..24, 0..60, 0..60]), "{line}");
    }
}

#[test]
fn the_time_is_that_of_the_corrected_clock() {
    let now = said_alone(&["127.91.151.2"]);
    let shifted = said_alone(&["--clock-offset", "43200", "127.91.151.2"]);
    for before in [" at ", "\n  now     "] {
        let hour = |said: &str| -> u32 {
            let (_, after) = said.split_once(before).unwrap();
            after[..2].parse().unwrap()
        };
        let passed = (hour(&shifted) + 24 - hour(&now)) % 24;
        assert!(passed == 12 || passed == 13, "{now}{shifted}");
    }
}

#[test]
fn two_people_have_two_minutes_by_default() {
    let mut alone = command(&["--bind", "127.91.152.1", "127.91.152.2"])
        .spawn()
        .unwrap();
    let line = wait_until_read(alone.stderr.as_mut().unwrap(), "\n");
    signal(&alone, Signal::SIGINT);
    assert_eq!(ended_within(alone, SOON).status.code(), Some(130));
    let seconds = |after: &str| -> u32 {
        let (_, rest) = line.split_once(after).unwrap();
        rest[..8]
            .split(':')
            .fold(0, |sum, part| sum * 60 + part.parse::<u32>().unwrap())
    };
    assert_eq!((seconds(" until ") + 86_400 - seconds(" at ")) % 86_400, 120, "{line}");
}

#[test]
fn an_address_that_is_valid_only_in_some_network_is_warned_of_at_once() {
    for (peer, says) in [
        ("192.168.77.5", "a private address"),
        ("100.100.1.2", "a carrier's own network"),
        ("169.254.3.4", "a link-local address"),
    ] {
        let said = said_alone(&[peer]);
        assert!(said.lines().next().unwrap().contains(says), "{said}");
        assert!(said.contains("WAN address"), "{said}");
    }
    assert!(!said_alone(&["127.91.151.2"]).contains("WAN address"));
}

#[test]
fn a_port_after_the_host_is_explained() {
    for args in [
        &["203.0.113.7:4000"][..],
        &["[2001:db8::1]:4000"],
        &["host.invalid:4000"],
        &["203.0.113.7", "4000"],
    ] {
        let output = ended_within(command(args).spawn().unwrap(), SOON);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?} {said}");
        assert!(said.contains("follow from the clock"), "{args:?} {said}");
        assert!(said.contains("--ports 4000"), "{args:?} {said}");
    }
}
