//! `harness shell`: a lab with a shell in one of its peers.

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use nix::sys::signal::{Signal, kill};

use crate::{
    processes::Footprint,
    test_dir::{HARNESS, REMOVAL, RunningHarness, TestDir, interfaces, program, python, wait_for},
};

const SCENARIO: &str = r#"
trials = 1
[wan]
delay_ms = 5
[host.stun]
command = []
[sweep]
"peer.b.nat" = ["home", "linux-router"]
"#;

fn start<'a>(dir: &'a TestDir, options: &[&str]) -> RunningHarness<'a> {
    let file = dir.write("lab.toml", SCENARIO);
    let mut command = dir.command(HARNESS);
    command
        .args(["shell", file.to_str().unwrap()])
        .args(options)
        .env("SHELL", "/bin/sh");
    dir.spawn(command, dir.path("none"))
}

#[test]
fn the_environment_of_the_shell_starts_both_peers() {
    let dir = TestDir::new();
    let script = r#"
        ip -4 -brief address > address
        echo from b | eval "nsenter --net=$NET_B $PUNCH_B" > of-b 2> progress-b &
        echo from a | eval "$PUNCH_A" > of-a
        wait
        [ -e "$NET_HOST_STUN" ] || exit 1
        exit 7
    "#;
    let before = interfaces().unwrap();
    let ran = start(&dir, &["a", "--cell", "1", "--command", script]).wait();
    ran.assert_code(7);
    let read = |name: &str| fs::read_to_string(dir.path(name)).unwrap();
    assert!(read("address").contains("100.64.1.2/24"), "{}", read("address"));
    assert_eq!([read("of-a"), read("of-b")], ["from b\n", "from a\n"], "{}", read("progress-b"));
    for part in [
        "cell 1 of 2 (peer.b.nat=linux-router)",
        "you are in peer a",
        "198.51.100.1",
        "behind NAT linux-router",
        "host stun",
        "192.0.2.10",
        "5 ms each way",
        "peer --rule=rolling",
        "connected: 100.64.1.2:",
    ] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
    assert_eq!(interfaces().unwrap(), before);
}

#[test]
fn the_lab_is_removed_with_the_shell_however_it_ends() {
    let dir = TestDir::new();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL] {
        let mut running = start(&dir, &["b", "--command", "sleep 1000"]);
        wait_for("the command", Duration::from_secs(10), || {
            assert!(!running.has_ended());
            dir.processes()
                .into_iter()
                .find(|process| process.runs("sleep"))
        });
        let footprint = Footprint::of(&dir.processes());
        assert!(footprint.network.len() >= 5, "a lab: {footprint:?}");
        kill(running.guardian(), signal).unwrap();
        let ran = running.reap(Duration::from_secs(5));
        ran.assert_code(128 + signal as i32);
        let all_gone =
            || (dir.processes().is_empty() && footprint.remains().is_empty()).then_some(());
        wait_for("everything to go", REMOVAL, all_gone);
        dir.assert_nothing_left();
    }
}

/// Ctrl-C ends the program in the shell, not the shell or the lab. Afterwards the process that
/// started the harness has the terminal again.
#[test]
fn the_shell_gets_the_terminal_and_the_caller_gets_it_back() {
    let dir = TestDir::new();
    dir.write("lab.toml", SCENARIO);
    let mut command = dir.command(&python());
    command
        .arg(program("terminal.py"))
        .arg(format!("{HARNESS} shell lab.toml a"));
    // bash surely makes itself the terminal's foreground group. Without its configuration files,
    // its prompt is known.
    let shell = dir.write("shell", "#!/bin/sh\nPS1='ready> ' exec bash --norc -i\n");
    fs::set_permissions(&shell, fs::Permissions::from_mode(0o755)).unwrap();
    command.env("SHELL", shell).env("TERM", "dumb");
    dir.spawn(command, dir.path("none")).wait().assert_code(0);
}

#[test]
fn an_unknown_cell_or_peer_is_refused() {
    let dir = TestDir::new();
    let ran = start(&dir, &["a", "--cell", "2"]).wait();
    ran.assert_code(2);
    assert!(
        ran.stderr
            .contains("lab has no cell 2; its cells are\n  0: peer.b.nat=home\n"),
        "{ran:?}"
    );
    start(&dir, &["c"]).wait().assert_code(2);
}

/// A lost answer of ARP or neighbour discovery would cost a trial its first second.
#[test]
fn neighbours_are_permanent_and_never_solicited() {
    let dir = TestDir::new();
    for (set, gateway) in [("ipv4", "100.64.1.1"), ("ipv6", "2001:db8:1::1")] {
        let family = format!("wan.family={set}");
        let script = r#"
            echo from b | eval "nsenter --net=$NET_B $PUNCH_B" > /dev/null 2>&1 &
            echo from a | eval "$PUNCH_A" > /dev/null
            wait
            ip neighbour > neighbours
            grep OutNeighborSolicits /proc/net/snmp6 > questions
        "#;
        start(&dir, &["a", "--set", &family, "--command", script])
            .wait()
            .assert_code(0);
        let neighbours = fs::read_to_string(dir.path("neighbours")).unwrap();
        let expected = format!("{gateway} dev eth0 lladdr 02:00:00:00:00:01 PERMANENT");
        let lines: Vec<&str> = neighbours.lines().map(str::trim).collect();
        assert_eq!(lines, [expected]);
        let questions = fs::read_to_string(dir.path("questions")).unwrap();
        assert!(questions.trim_end().ends_with("\t0"), "{questions}");
    }
}
