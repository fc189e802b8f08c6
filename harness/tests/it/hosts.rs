//! Further public hosts on the WAN.

use crate::test_dir::{TestDir, program, python};

#[test]
fn a_public_host_is_reached_through_the_nat_and_sees_its_address() {
    let dir = TestDir::new();
    let [python, rendezvous] = [python(), program("rendezvous.py")];
    let ran = dir.run(
        &format!(
            r#"
            trials = 2
            [wan]
            delay_ms = 5
            [peer.b]
            nat = "none"
            [subject]
            command = ["{python}", "{rendezvous}", "visit", "{{host.rendezvous}}", "{{self}}"]
            [host.rendezvous]
            command = ["{python}", "{rendezvous}", "serve", "{{self}}"]
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
fn a_host_where_nothing_runs_refuses() {
    let dir = TestDir::new();
    let [python, rendezvous] = [python(), program("rendezvous.py")];
    let ran = dir.run(
        &format!(
            r#"
            trials = 1
            [wan]
            delay_ms = 1
            [subject]
            command = ["{python}", "{rendezvous}", "visit", "{{host.empty}}", "{{self}}"]
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
fn a_host_that_ends_before_its_trial_is_the_benchs_fault() {
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
