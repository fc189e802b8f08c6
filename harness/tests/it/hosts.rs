//! Public hosts on the WAN beside the peers.

use crate::test_dir::{TestDir, python_command};

#[test]
fn a_public_host_is_reached_through_the_nat_and_sees_its_address() {
    let dir = TestDir::new();
    let visit = python_command("rendezvous.py", &["visit", "{host.rendezvous}", "{self}"]);
    let serve = python_command("rendezvous.py", &["serve", "{self}"]);
    let ran = dir.run(
        &format!(
            r#"
            trials = 2
            [wan]
            delay_ms = 5
            [peer.b]
            nat = "none"
            [subject]
            command = {visit}
            [host.rendezvous]
            command = {serve}
            "#
        ),
        &[],
    );
    ran.assert_code(0);
    for trial in ran.trials() {
        assert_eq!(trial["verdict"], "success", "{trial}");
        assert_eq!(trial["theory"]["prediction"], "depends", "{trial}");
    }
}

#[test]
fn a_host_where_nothing_runs_refuses_connections() {
    let dir = TestDir::new();
    let visit = python_command("rendezvous.py", &["visit", "{host.empty}", "{self}"]);
    let ran = dir.run(
        &format!(
            r#"
            trials = 1
            [wan]
            delay_ms = 1
            [subject]
            command = {visit}
            [host.empty]
            command = []
            "#
        ),
        &["--capture"],
    );
    let trial = &ran.trials()[0];
    assert_eq!(trial["verdict"], "failure", "{trial}");
    let evidence = trial["cause"]["evidence"].as_str().unwrap();
    assert!(evidence.contains("192.0.2.10 does not serve"), "{trial}");
}

#[test]
fn a_host_that_ends_before_its_trial_is_an_error_of_the_bench() {
    let dir = TestDir::new();
    let scenario = "trials = 1\n[wan]\ndelay_ms = 1\n[host.gone]\ncommand = [\"false\"]\n";
    let ran = dir.run(scenario, &[]);
    let trial = &ran.trials()[0];
    assert_eq!(trial["verdict"], "error", "{trial}");
    assert!(
        trial["cause"]["evidence"]
            .as_str()
            .unwrap()
            .contains("\"gone\" ended"),
        "{trial}"
    );
}
