//! Requirements on the machine: ordinary users, and messages about what is missing.
//!
//! Each test hides or replaces files in a mount namespace of its own.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
};

use nix::unistd::Uid;

use crate::test_dir::{FinishedRun, HARNESS, TestDir};

/// User id of `nobody` on every distribution.
const NOBODY: u32 = 65_534;

const HELLO: &str = "trials = 4\nseed = 1\n[wan]\ndelay_ms = 5\n[[expect]]\nsuccess = \">= 0.5\"\n";

/// Script that makes a TUN device with the given permissions.
fn tun(mode: &str) -> String {
    format!(
        "mount -t tmpfs tmpfs /dev/net
         mknod -m {mode} /dev/net/tun c 10 200"
    )
}

const NO_TUN: &str = "mount -t tmpfs tmpfs /dev/net";

const NO_IPTABLES: &str = "
    mkdir -p empty
    for folder in /usr/sbin /sbin /usr/local/sbin /usr/local/bin; do
        [ ! -d $folder ] || mount --bind empty $folder
    done
    export PATH=$PWD/empty";

/// Runs a shell script and then the harness in a new mount namespace, as `user` if given.
fn run_after(dir: &TestDir, script: &str, user: Option<u32>, arguments: &[&str]) -> FinishedRun {
    assert!(
        Uid::effective().is_root(),
        "THIS TEST NEEDS ROOT, to change what there is in a mount namespace of its own; \
         as an ordinary user leave it out: cargo nextest run -E 'not test(/^machine::/)'"
    );
    let own = dir.path("bin");
    fs::create_dir_all(&own).unwrap();
    let harness = own.join("harness");
    fs::copy(HARNESS, &harness).unwrap();
    if let Some(user) = user {
        for path in [dir.path(""), dir.path("tmp")] {
            chown(path, Some(user), Some(user)).unwrap();
        }
        readable_for_all(&own);
    }
    // The path is resolved before the script, which may hide the program.
    let setpriv = match user {
        Some(user) => format!("$setpriv --reuid {user} --regid {user} --clear-groups"),
        None => String::new(),
    };
    let script = format!(
        "set -eu; setpriv=$(command -v setpriv); {script}\nexec {setpriv} ./bin/harness \"$@\""
    );
    let mut command = dir.command("unshare");
    command.args(["--mount", "--propagation", "private", "/bin/sh", "-c", &script, "sh"]);
    dir.spawn(with(command, arguments), dir.path("out")).wait()
}

fn with(mut command: std::process::Command, arguments: &[&str]) -> std::process::Command {
    command.args(arguments);
    command
}

fn readable_for_all(folder: &Path) {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
}

fn run_hello(dir: &TestDir, script: &str, user: Option<u32>) -> FinishedRun {
    dir.write("hello.toml", HELLO);
    run_after(dir, script, user, &["hello.toml", "--out", "out"])
}

fn assert_incapable(ran: &FinishedRun, words: &[&str]) {
    ran.assert_code(5);
    for words in words {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
    assert!(
        ran.stderr
            .starts_with("harness: this machine cannot run it:"),
        "{}",
        ran.stderr
    );
    assert_eq!(ran.stdout, "");
    assert!(!ran.out.exists(), "a run that cannot start makes no folder");
}

#[test]
fn an_ordinary_user_runs_scenarios_where_tun_devices_are_for_all() {
    let dir = TestDir::new();
    let ran = run_hello(&dir, &tun("666"), Some(NOBODY));
    ran.assert_code(0);
    assert!(ran.stdout.contains("4/4 100 %"), "{}", ran.stdout);
    assert_eq!(ran.trials().len(), 4);
}

#[test]
fn without_access_to_tun_devices_the_message_names_the_device_and_the_remedy() {
    let dir = TestDir::new();
    let ran = run_hello(&dir, &tun("600"), Some(NOBODY));
    let remedy = "sudo chmod 666 /dev/net/tun";
    assert_incapable(&ran, &["/dev/net/tun cannot be opened: Permission denied", remedy]);
}

#[test]
fn without_tun_devices_the_message_names_the_module() {
    let dir = TestDir::new();
    let ran = run_hello(&dir, NO_TUN, None);
    assert_incapable(&ran, &["/dev/net/tun cannot be opened: No such file", "modprobe tun"]);
}

#[test]
fn without_iptables_the_message_names_the_package() {
    let dir = TestDir::new();
    let ran = run_hello(&dir, NO_IPTABLES, None);
    assert_incapable(&ran, &["iptables-restore is not installed", "install the package iptables"]);
    assert!(!ran.stderr.contains("/dev/net/tun"), "nothing is wrong with it: {}", ran.stderr);
}

const NO_NFT: &str = "
    for file in /usr/sbin/nft /sbin/nft /usr/local/sbin/nft /usr/bin/nft; do
        [ ! -e $file ] || mount --bind /dev/null $file
    done";

/// A file named `nft` that cannot be executed counts as a missing program.
#[test]
fn an_nft_without_permission_to_execute_is_reported_as_missing() {
    let dir = TestDir::new();
    dir.write("cone.toml", "trials = 1\n[peer.a]\nnat = \"full-cone\"\n");
    let plain = NO_NFT.replace("/dev/null", "/etc/passwd");
    let ran = run_after(&dir, &plain, None, &["cone.toml", "--out", "out"]);
    assert_incapable(&ran, &["nft is not installed", "install the package nftables"]);
}

const TWO_NATS: &str = "trials = 2\nseed = 1\n[wan]\ndelay_ms = 5\n\
    [sweep]\n\"peer.a.nat\" = [\"home\", \"full-cone\"]\n";

#[test]
fn without_nft_only_the_nats_that_need_it_are_errors() {
    let dir = TestDir::new();
    dir.write("two.toml", TWO_NATS);
    let ran = run_after(&dir, NO_NFT, None, &["two.toml", "--out", "out"]);
    for words in ["nft is not installed", "install the package nftables", "NAT full-cone"] {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
    let mut verdicts: Vec<String> = ran
        .trials()
        .iter()
        .map(|trial| trial["verdict"].as_str().unwrap().to_owned())
        .collect();
    verdicts.sort();
    assert_eq!(verdicts, ["error", "error", "success", "success"]);

    let doctor = run_after(&dir, NO_NFT, None, &["doctor"]);
    doctor.assert_code(0);
    assert!(doctor.stdout.contains("except the NATs full-cone, "), "{}", doctor.stdout);

    fs::remove_dir_all(dir.path("out")).unwrap();
    dir.write("cone.toml", "trials = 1\n[peer.a]\nnat = \"full-cone\"\n");
    let ran = run_after(&dir, NO_NFT, None, &["cone.toml", "--out", "out"]);
    assert_incapable(&ran, &["nft is not installed", "install the package nftables"]);
}

#[test]
fn without_nft_the_nats_that_need_it_are_not_verified_and_the_others_are() {
    let dir = TestDir::new();
    let verify = ["nats", "verify", "home", "full-cone", "icmp-reject"];
    let ran = run_after(&dir, NO_NFT, None, &verify);
    ran.assert_code(5);
    let remedy = "warning: nft is not installed\n    install the package nftables\n";
    assert_eq!(ran.stderr, remedy, "{}", ran.stdout);
    let error = "full-cone\n  error: it cannot be built: rules of NAT a: nft is not installed\n";
    assert!(ran.stdout.contains(error), "{}", ran.stdout);
    assert!(ran.stdout.contains("\nicmp-reject\n    property "), "{}", ran.stdout);
    let summary = "3 NATs, 37 properties: 1 NAT could not be verified\n";
    assert!(ran.stdout.ends_with(summary), "{}", ran.stdout);

    let ran =
        run_after(&dir, NO_NFT, None, &["nats", "verify", "full-cone", "symmetric-sequential"]);
    assert_incapable(&ran, &["nft is not installed", "install the package nftables"]);
}

#[test]
fn one_message_names_everything_that_is_missing() {
    let dir = TestDir::new();
    let both = format!("{}\n{NO_IPTABLES}", tun("600"));
    let all = ["/dev/net/tun cannot be opened", "iptables-restore is not installed"];
    assert_incapable(&run_hello(&dir, &both, Some(NOBODY)), &all);
    let doctor = run_after(&dir, &both, Some(NOBODY), &["doctor"]);
    assert_incapable(&doctor, &all);
}

#[test]
fn doctor_finds_nothing_missing_where_these_tests_run() {
    let dir = TestDir::new();
    let ran = dir.harness(&["doctor"]);
    ran.assert_code(0);
    assert!(ran.stdout.starts_with("this machine can run scenarios"), "{}", ran.stdout);
}

/// What a container without `--privileged` has.
const READ_ONLY_SYSCTLS: &str = "
    mount --bind /proc/sys /proc/sys
    mount -o remount,bind,ro /proc/sys";

#[test]
fn where_proc_sys_is_read_only_the_advice_is_about_that_and_helps() {
    let dir = TestDir::new();
    dir.write("hello.toml", HELLO);
    for arguments in [&["doctor"][..], &["hello.toml", "--out", "out"]] {
        let ran = run_after(&dir, READ_ONLY_SYSCTLS, None, arguments);
        assert_incapable(&ran, &["Read-only file system", "systempaths=unconfined"]);
        assert!(!ran.stderr.contains("modprobe"), "{}", ran.stderr);
    }
    let remedy = "mount -o remount,bind,rw /proc/sys";
    let ran = run_after(&dir, READ_ONLY_SYSCTLS, None, &["doctor"]);
    assert!(ran.stderr.contains(remedy), "{}", ran.stderr);
    let mended = format!("{READ_ONLY_SYSCTLS}\n{remedy}");
    run_after(&dir, &mended, None, &["doctor"]).assert_code(0);
}

#[test]
fn a_missing_capability_is_named() {
    let dir = TestDir::new();
    dir.write("hello.toml", HELLO);
    for (dropped, option) in
        [("net_admin", "--cap-add NET_ADMIN"), ("sys_admin", "--cap-add SYS_ADMIN")]
    {
        let script = format!(
            "exec $setpriv --bounding-set -{dropped} --inh-caps -{dropped} ./bin/harness \"$@\""
        );
        let ran = run_after(&dir, &script, None, &["hello.toml", "--out", "out"]);
        assert_incapable(&ran, &["this process lacks CAP_", option]);
        assert!(!ran.stderr.contains("modprobe"), "{}", ran.stderr);
    }
}
