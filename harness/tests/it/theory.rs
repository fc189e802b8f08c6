//! Predictions and results agree: the two bucket rules, and loss.

use serde_json::Value;

use crate::test_dir::TestDir;

#[test]
fn at_40_s_of_skew_each_trial_ends_as_predicted() {
    let dir = TestDir::new();
    let ran = dir.run(
        r#"
        trials = 24
        seed = 4
        [wan]
        delay_ms = 10
        [punch]
        timeout_s = 1.5
        [peer.b]
        clock_offset_s = 40
        [sweep]
        "punch.rule" = ["article", "rolling"]
        [[expect]]
        success = "theory"
        [[expect]]
        where = { "punch.rule" = "rolling" }
        success = ">= 0.85"
        "#,
        &[],
    );
    ran.assert_code(0);
    let trials = ran.trials();
    assert_eq!(trials.len(), 48);
    for trial in &trials {
        let expected = match trial["theory"]["prediction"].as_str().unwrap() {
            "should" => "success",
            "should-not" => "failure",
            // At the edge of a bucket, the start-up time of the process decides.
            "depends" => continue,
            other => panic!("{other}"),
        };
        assert_eq!(trial["verdict"], expected, "{trial}");
    }
    let of_cell = |cell: u64, verdict: &str| {
        let counted = |trial: &&Value| trial["cell"] == cell && trial["verdict"] == verdict;
        trials.iter().filter(counted).count()
    };
    assert_eq!(of_cell(1, "success"), 24, "rolling");
    let decided = trials
        .iter()
        .filter(|trial| trial["theory"]["prediction"] != "depends")
        .count();
    assert!(decided >= 44, "{decided} of 48");
    assert!((1..=8).contains(&of_cell(0, "success")), "article: 1 of 21 in the mean");
    for trial in trials.iter().filter(|trial| trial["verdict"] == "failure") {
        assert_eq!(trial["cause"]["kind"], "buckets-disjoint", "{trial}");
    }
}

#[test]
fn with_all_packets_lost_no_trial_succeeds_and_with_three_in_ten_most_do() {
    let dir = TestDir::new();
    let ran = dir.run(
        r#"
        trials = 12
        seed = 1
        [wan]
        delay_ms = 5
        [punch]
        timeout_s = 3
        [sweep]
        "wan.loss" = [0.3, 1.0]
        [[expect]]
        where = { "wan.loss" = 1.0 }
        success = "<= 0"
        [[expect]]
        where = { "wan.loss" = 0.3 }
        success = "> 0.5"
        "#,
        &[],
    );
    ran.assert_code(0);
    for trial in ran.trials().iter().filter(|trial| trial["cell"] == 1) {
        assert_eq!(trial["cause"]["kind"], "syn-lost", "{trial}");
        assert!(trial["peers"][0]["syns"].as_u64().unwrap() >= 8, "{trial}");
    }
}
