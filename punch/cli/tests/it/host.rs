//! A host that changes while an attempt runs, in network namespaces of their own: they have no way
//! to any other host.

use std::process::Command;

/// Runs a shell script in a new network namespace, in which `$punch` is the command; what it prints
/// on both outputs.
fn in_namespace(script: &str) -> String {
    let program = env!("CARGO_BIN_EXE_punch");
    let script = format!("exec 2>&1\nip link set lo up\npunch={program}\n{script}");
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "sh", "-ec", &script])
        .output()
        .expect("unshare runs; scripts/setup --test installs it");
    String::from_utf8(output.stdout).unwrap()
}

/// A cable whose other end answers nothing.
const CABLE: &str = "ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up";

/// The addresses from which an attempt has connected, in order.
fn local_addresses(said: &str) -> Vec<String> {
    let events = said
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    events
        .filter(|event| event["event"] == "local-address")
        .map(|event| event["address"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn an_attempt_waits_for_the_network_to_come_up() {
    let said = in_namespace(&format!(
        "$punch --json --timeout 4 192.0.2.1 </dev/null & sleep 1
         {CABLE}; ip addr add 192.0.2.9/24 dev v0; wait"
    ));
    assert_eq!(local_addresses(&said), ["192.0.2.9"], "{said}");
    let up = said.split("local-address").nth(1).unwrap();
    assert!(up.contains("\"event\":\"connect\""), "{said}");
}

#[test]
fn an_attempt_goes_on_from_a_new_address() {
    let said = in_namespace(&format!(
        "{CABLE}; ip addr add 192.0.2.9/24 dev v0
         $punch --json --timeout 6 192.0.2.1 </dev/null & sleep 1
         ip addr del 192.0.2.9/24 dev v0; sleep 1; ip addr add 192.0.2.77/24 dev v0; wait"
    ));
    assert_eq!(local_addresses(&said), ["192.0.2.9", "192.0.2.77"], "{said}");
    assert!(!said.contains("\"event\":\"unavailable\""), "{said}");
}

#[test]
fn an_address_that_is_gone_for_a_moment_costs_no_port() {
    let said = in_namespace(&format!(
        "{CABLE}; ip addr add 192.0.2.9/24 dev v0
         $punch --json --bind 192.0.2.9 --timeout 4 192.0.2.1 </dev/null & sleep 1
         ip addr del 192.0.2.9/24 dev v0; sleep 1.2; ip addr add 192.0.2.9/24 dev v0; wait"
    ));
    assert!(!said.contains("\"event\":\"unavailable\""), "{said}");
    assert!(said.contains("nothing came back"), "{said}");
}

#[test]
fn without_any_network_the_failure_names_what_the_system_says() {
    let said = in_namespace("$punch --timeout 1 192.0.2.1 </dev/null");
    assert!(said.contains("no packet could leave this machine"), "{said}");
    assert!(said.contains("nreachable"), "{said}");
}

#[test]
fn packets_leave_by_the_interface_that_is_named() {
    let said = in_namespace(&format!(
        "{CABLE}; ip addr add 192.0.2.9/24 dev v0; ip route add 198.51.100.0/24 dev v0
         ip link add vpn0 type veth peer name vpn1; ip link set vpn0 up; ip link set vpn1 up
         ip addr add 10.8.0.2/24 dev vpn0; ip route add 198.51.100.7/32 dev vpn0
         for options in '' '--bind 192.0.2.9' '--interface v0'; do
             $punch --json --timeout 0.5 $options 198.51.100.7 </dev/null || true
         done"
    ));
    assert_eq!(local_addresses(&said), ["10.8.0.2", "192.0.2.9", "192.0.2.9"], "{said}");
    // The second one is told that its packets leave by the VPN.
    assert_eq!(said.matches("\"usual\":\"10.8.0.2\"").count(), 1, "{said}");
}

#[test]
fn an_interface_that_is_not_there_is_named() {
    let said = in_namespace("$punch --interface wlan7 192.0.2.1 </dev/null || echo \"exit $?\"");
    assert!(said.contains("interface wlan7") && said.contains("exit 2"), "{said}");
}
