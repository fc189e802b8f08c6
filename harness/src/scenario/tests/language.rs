//! Tests of ranges, zips, distributions, criteria and precision.

use super::*;
use crate::peers::Side;

#[test]
fn a_range_has_the_values_that_its_steps_meet() {
    let values = |range: &str| {
        let scenario = parse(&format!("trials = 1\n[sweep]\n\"peer.a.start_s\" = {range}"));
        let values = scenario
            .cells
            .iter()
            .map(|cell| cell.values[0].value.to_string());
        values.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(values("{ from = 0, to = 20, step = 5 }"), "0 5 10 15 20");
    assert_eq!(values("{ from = 0, to = 19, step = 5 }"), "0 5 10 15");
    assert_eq!(values("{ from = 20, to = 0, step = -10 }"), "20 10 0");
    assert_eq!(values("{ from = 7, to = 7, step = 1 }"), "7");
    assert_eq!(values("{ from = 0, to = 0.3, step = 0.1 }"), "0.0 0.1 0.2 0.3");
    assert_eq!(values("{ from = 1, to = 2, step = 0.25 }"), "1.0 1.25 1.5 1.75 2.0");
    assert_eq!(values("{ from = 0.0, to = 2, step = 1 }"), "0.0 1.0 2.0");
    assert_eq!(values("{ from = 0x10, to = 1_8, step = 1e0 }"), "16.0 17.0 18.0");
}

#[test]
fn zipped_paths_vary_together_and_combine_with_all_else() {
    let scenario = parse(
        "trials = 1\n[sweep]\n\"punch.listen\" = [true, false]\n\
         [[sweep.zip]]\n\"wan.delay_ms\" = [5, 25]\n\"punch.timeout_s\" = { from = 3, to = 4, step = 1 }\n\
         [[sweep.zip]]\n\"peer.a.nat\" = [\"home\", \"home\"]\npeer.b.nat = [\"home\", \"none\"]\n\
         [[expect]]\nwhere = { \"wan.delay_ms\" = 25, \"punch.timeout_s\" = 4 }\nsuccess = \"> 0\"",
    );
    let labels: Vec<String> = scenario.cells.iter().map(Cell::label).collect();
    insta::assert_snapshot!(labels.join("\n"));
    assert_eq!(scenario.cells_of(&scenario.expectations[0]).count(), 4);
    let single = "trials = 1\n[sweep.zip]\n\"wan.delay_ms\" = [5, 25]\n\"wan.loss\" = [0, 1]";
    assert_eq!(parse(single).cells.len(), 2);
}

#[test]
fn each_demand_of_an_expectation_is_one_of_its_own() {
    let scenario = parse(
        "trials = 1\n[sweep]\n\"punch.rule\" = [\"article\", \"rolling\"]\n\
         [[expect]]\nwhere = { \"punch.rule\" = \"rolling\" }\nsuccess = \">=0.5\"\n\
         connected_ms = { p50 = \"<= 54.5\", \"p99.9\" = \"< 65\" }\nreturned_rtt.p90 = \"<= 3\"\n\
         theory = \">= 0.99\"\ncause.syn-lost = \"<= 0.1\"\ncauses = [\"syn-lost\", \"no-peer\"]",
    );
    let demands: Vec<&str> = scenario
        .expectations
        .iter()
        .map(|expectation| expectation.expected.as_str())
        .collect();
    assert_eq!(
        demands,
        [
            ">= 0.5",
            "connected_ms p50 <= 54.5",
            "connected_ms p99.9 < 65",
            "returned_rtt p90 <= 3",
            "theory >= 0.99",
            "cause syn-lost <= 0.1",
            "causes syn-lost, no-peer",
        ]
    );
    assert!(
        scenario
            .expectations
            .iter()
            .all(|expectation| expectation.filter.len() == 1)
    );
}

#[test]
fn a_precision_has_limits_that_follow_from_it() {
    let read = |text: &str| {
        let scenario = parse(text);
        let precision = scenario.precision.unwrap();
        (scenario.trials, precision.half_width, precision.trials_max)
    };
    assert_eq!(read("precision = 0.02"), (93, 0.02, 2398));
    assert_eq!(read("precision = 0.02\ntrials = 10\ntrials_max = 50"), (10, 0.02, 50));
    assert_eq!(read("precision = 0.02\ntrials_max = 50"), (50, 0.02, 50));
    assert_eq!(read("precision = 0.1\ntrials = 190"), (190, 0.1, 190));
    let mut fixed = parse("precision = 0.02");
    fixed.fix_trials(7);
    assert_eq!((fixed.trials, fixed.precision), (7, None));
}

#[test]
fn a_drawn_value_is_its_median_until_a_trial_draws_it() {
    let scenario = parse(
        "trials = 1\n[wan]\ndelay_ms = { uniform = [10, 30] }\n\
         [peer.b]\nclock_offset_s = { normal = { mean = 3, sd = 2 } }",
    );
    let setup = &scenario.cells[0].setup;
    assert_eq!(setup.wan.rtt(), Duration::from_millis(40));
    assert!((setup.peers[Side::B].clock_offset_s - 3.0).abs() < 1e-9);
    let normal = Distribution::Normal { mean: 3.0, sd: 2.0, low: -1e6, high: 1e6 };
    let drawn = [
        (RandomKey::Delay, Distribution::Uniform(10.0, 30.0)),
        (RandomKey::ClockOffset(Side::B), normal),
    ];
    assert_eq!(setup.random, drawn);
}

#[test]
fn a_million_cells_are_made_only_if_they_are_meant() {
    let text = "trials = 1\n[sweep]\n\
        \"wan.delay_ms\" = { from = 1, to = 101, step = 1 }\n\
        \"peer.a.start_s\" = { from = 1, to = 100, step = 1 }";
    let read = |many_cells| {
        let overrides = Overrides { many_cells, ..Overrides::default() };
        Scenario::parse_with("test.toml", text, &overrides)
    };
    assert!(rendered(&read(false).unwrap_err()).contains("the sweep has 10100 cells"));
    assert_eq!(read(true).unwrap().cells.len(), 10_100);
}
