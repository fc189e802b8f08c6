//! Times of a connection, and many labs at once, on a machine that does nothing else.

use serde_json::Value;

use crate::test_dir::TestDir;

/// Number of measurements. Other processes only add to a time, so that the best median is nearest
/// to the time that punching itself takes.
const ATTEMPTS: usize = 3;

#[test]
fn peers_are_connected_after_one_round_trip_and_have_the_connection_after_three() {
    const RTT_MS: f64 = 50.0;
    let dir = TestDir::alone();
    // One peer starts some time before the other.
    let scenario = r#"
        trials = 20
        seed = 1
        [wan]
        delay_ms = 25
        [peer.b]
        start_s = { uniform = [0.15, 0.4] }
        [[expect]]
        success = ">= 0.8"
    "#;
    let mut measured = Vec::new();
    for _ in 0..ATTEMPTS {
        let ran = dir.run(scenario, &["--jobs", "1"]);
        ran.assert_code(0);
        let cell = ran.summary()["scenarios"][0]["cells"][0].clone();
        let p50 = |name: &str| cell["times"][name]["p50"].as_f64().unwrap();
        let (connected, returned) = (p50("connected_ms"), p50("returned_ms"));
        assert!(connected >= RTT_MS, "a handshake takes a round trip: {cell}");
        if connected <= 1.05 * RTT_MS + 2.0 && returned <= 3.0 * RTT_MS + 5.0 {
            return;
        }
        measured.push((connected, returned));
    }
    panic!("medians of connected and returned, in milliseconds: {measured:?}");
}

#[test]
fn forty_labs_at_once_lose_no_packet_and_no_trial() {
    let dir = TestDir::alone();
    let ran = dir.run(
        "trials = 40\nseed = 1\n[punch]\ntimeout_s = 5\n[[expect]]\nsuccess = \">= 0.9\"\n",
        &["--jobs", "40"],
    );
    ran.assert_code(0);
    let cell = &ran.summary()["scenarios"][0]["cells"][0];
    let counts = ["trials", "successes", "errors"].map(|name| cell[name].clone());
    assert_eq!(counts, [40, 40, 0].map(Value::from), "{cell}");
    assert_eq!(ran.summary()["lab_retries"], 0);
    for trial in ran.trials() {
        for peer in trial["peers"].as_array().unwrap() {
            let first_syn = peer["spawn_to_syn_ms"].as_f64().unwrap();
            assert!(first_syn < 900.0, "a first SYN was lost on its way to the WAN: {trial}");
        }
    }
}
