//! Right scenarios: the cells and expectations that are read from them.

use super::*;
use crate::nat::{Filtering, Hairpin, NatSpec, PortBlock, Timeouts};
use crate::peers::Side;

#[test]
fn the_shortest_scenario_has_one_cell_with_all_defaults() {
    let scenario = parse("trials = 1");
    assert_eq!(scenario.name, "test");
    assert_eq!(scenario.file, "test.toml");
    assert_eq!((scenario.question, scenario.seed), (None, None));
    assert!(scenario.expectations.is_empty());
    let [cell] = scenario.cells.as_slice() else { panic!("one cell") };
    assert_eq!(cell.label(), "");
    let peer = PeerSetup {
        nat: Nat::home(),
        clock_offset_s: 0.0,
        start: Distribution::Fixed(0.0),
        taken_ports: 0,
    };
    let punch = PunchSetup {
        rule: Rule::Rolling,
        election: ElectionScheme::Nonce,
        timeout_s: 10.0,
        max_clock_error_s: 20.0,
        listen: true,
    };
    let setup = Setup {
        wan: WanSetup { family: Family::V4, delay: Duration::from_millis(25), loss: 0.0 },
        peers: Pair::new(peer.clone(), peer),
        punch,
        subject: None,
        hosts: vec![],
        random: vec![],
    };
    assert_eq!(cell.setup, setup);
    assert_eq!(cell.setup.wan.rtt(), Duration::from_millis(50));
}

#[test]
fn every_key_is_read() {
    let scenario = parse(EVERYTHING);
    assert_eq!((scenario.name.as_str(), scenario.file.as_str()), ("all-keys", "test.toml"));
    assert_eq!(scenario.question.as_deref(), Some("Is every key read?"));
    assert_eq!((scenario.trials, scenario.seed), (7, Some(u64::MAX)));
    assert_eq!(scenario.precision, Some(Precision { half_width: 0.1, trials_max: 90 }));
    let labels: Vec<String> = scenario.cells.iter().map(Cell::label).collect();
    assert_eq!(
        labels,
        [
            "wan.loss=0, wan.delay_ms=5, punch.timeout_s=1",
            "wan.loss=0, wan.delay_ms=10, punch.timeout_s=2",
            "wan.loss=0.5, wan.delay_ms=5, punch.timeout_s=1",
            "wan.loss=0.5, wan.delay_ms=10, punch.timeout_s=2",
        ]
    );
    let swept = [(0.0, 5, 1.0), (0.0, 10, 2.0), (0.5, 5, 1.0), (0.5, 10, 2.0)];
    for (cell, (loss, delay_ms, timeout_s)) in scenario.cells.iter().zip(swept) {
        assert_eq!(cell.setup, all_keys_setup(loss, delay_ms, timeout_s));
    }
    assert_eq!(expected_of(&scenario), ALL_EXPECTATIONS);
}

/// The setup of [`EVERYTHING`] with its swept values.
fn all_keys_setup(loss: f64, delay_ms: u64, timeout_s: f64) -> Setup {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let normal = Distribution::Normal { mean: -3.0, sd: 1.5, low: -10.0, high: 4.0 };
    let peer_a = PeerSetup {
        nat: Nat::Behind(NatSpec { name: "home-reject", ..NatSpec::home(Unsolicited::IcmpAdmin) }),
        clock_offset_s: -3.0,
        start: Distribution::Uniform(0.0, 2.0),
        taken_ports: 3,
    };
    let peer_b = PeerSetup {
        nat: Nat::Public,
        clock_offset_s: 2.5,
        start: Distribution::Exponential { mean: 2.0, low: 1.0, high: 9.0 },
        taken_ports: 0,
    };
    Setup {
        wan: WanSetup { family: Family::V4, delay: Duration::from_millis(delay_ms), loss },
        peers: Pair::new(peer_a, peer_b),
        punch: PunchSetup {
            rule: Rule::Article,
            election: ElectionScheme::WanIp,
            timeout_s,
            max_clock_error_s: 5.0,
            listen: false,
        },
        subject: Some(Subject {
            command: words(&["python3", "their.py", "{peer}", "--stun={host.stun}", "{{}}"]),
        }),
        hosts: vec![
            HostSetup { name: "stun".to_owned(), command: words(&["stun-server", "{self}"]) },
            HostSetup { name: "silent".to_owned(), command: vec![] },
        ],
        random: vec![
            (RandomKey::ClockOffset(Side::A), normal),
            (RandomKey::ClockOffset(Side::B), Distribution::Choice(vec![-1.0, 2.5])),
        ],
    }
}

/// Each expectation of [`EVERYTHING`]: the cells that it selects, and its demand.
const ALL_EXPECTATIONS: [&str; 14] = [
    "wan.loss among [Number(0)]: >= 0.9",
    "wan.loss among [Number(0)]: theory",
    "wan.loss among [Number(0)]: theory >= 0.99",
    "wan.loss among [Number(0)]: up_ms p50 <= 28",
    "wan.loss among [Number(0)]: up_rtt p90 < 1.5",
    "wan.loss among [Number(0)]: connected_ms p50 <= 54.5",
    "wan.loss among [Number(0)]: connected_ms p99.9 < 90",
    "wan.loss among [Number(0)]: connected_rtt p50 <= 1.1",
    "wan.loss among [Number(0)]: chosen_ms p90 > 5",
    "wan.loss among [Number(0)]: chosen_rtt p90 >= 0.5",
    "wan.loss among [Number(0)]: returned_ms p50 <= 200",
    "wan.loss among [Number(0)]: returned_rtt p50 <= 4",
    "wan.loss among [Number(0)]: cause syn-lost >= 0.5",
    "wan.loss among [Number(0)]: causes syn-lost, unknown",
];

/// Each expectation in a line: its conditions, and its demand.
fn expected_of(scenario: &Scenario) -> Vec<String> {
    let line = |plan: &ExpectationPlan| {
        let conditions: String = plan
            .filter
            .iter()
            .map(|filter| format!("{} among {:?}: ", filter.path, filter.values))
            .collect();
        conditions + &plan.expected
    };
    scenario.expectations.iter().map(line).collect()
}

#[test]
fn a_sweep_combines_all_values_with_the_first_path_varying_slowest() {
    let scenario = parse(
        "trials = 1\n[sweep]\n\"punch.rule\" = [\"article\", \"rolling\"]\n\
         \"peer.b.clock_offset_s\" = [0, 2.5, -5]",
    );
    let labels: Vec<String> = scenario.cells.iter().map(Cell::label).collect();
    insta::assert_snapshot!(labels.join("\n"));
    let offsets: Vec<f64> = scenario
        .cells
        .iter()
        .map(|cell| cell.setup.peers[Side::B].clock_offset_s)
        .collect();
    assert_eq!(offsets, [0.0, 2.5, -5.0, 0.0, 2.5, -5.0]);
    assert_eq!(scenario.cells[2].setup.punch.rule, Rule::Article);
    assert_eq!(scenario.cells[3].setup.punch.rule, Rule::Rolling);
}

#[test]
fn a_swept_path_without_quotes_means_the_same() {
    let quoted = "trials = 1\n[sweep]\n\"peer.a.nat\" = [\"none\", \"home\"]\n\
        [[expect]]\nwhere = { \"peer.a.nat\" = \"home\" }\nsuccess = \"> 0\"";
    let unquoted = parse(&quoted.replace("\"peer.a.nat\"", "peer.a.nat"));
    let quoted = parse(quoted);
    assert_eq!(unquoted.cells, quoted.cells);
    assert_eq!(unquoted.expectations, quoted.expectations);
}

#[test]
fn the_answer_of_a_nat_can_be_swept_however_the_nat_is_written() {
    for nat in ["", "nat = \"home\"", "nat = { name = \"home\", unsolicited = \"icmp-port\" }"] {
        let scenario = parse(&format!(
            "trials = 1\n[peer.a]\n{nat}\n[sweep]\n\
             \"peer.a.nat.unsolicited\" = [\"drop\", \"reset\"]"
        ));
        let nats: Vec<&Nat> = scenario
            .cells
            .iter()
            .map(|cell| &cell.setup.peers[Side::A].nat)
            .collect();
        let home = |unsolicited| Nat::Behind(NatSpec::home(unsolicited));
        assert_eq!(nats, [&home(Unsolicited::Drop), &home(Unsolicited::Reset)], "{nat}");
    }
}

#[test]
fn every_behaviour_of_a_nat_can_be_written() {
    let scenario = parse(NATS);
    let peers = &scenario.cells[0].setup.peers;
    let spec_a = NatSpec {
        filtering: Filtering::AddressDependent,
        allocation: Allocation::Block(PortBlock { first: 2000, last: 2999 }),
        hairpin: Hairpin::Internal,
        timeouts: Timeouts { syn_s: Some(5), established_s: Some(7440), close_s: Some(240) },
        icmp_limit: false,
        ..NatSpec::home(Unsolicited::IcmpHost)
    };
    assert_eq!(peers[Side::A].nat, Nat::Behind(spec_a));
    let spec_b = NatSpec {
        name: "symmetric",
        allocation: Allocation::FixedDelta(7),
        simultaneous_open: false,
        ..NatSpec::home(Unsolicited::Drop)
    };
    assert_eq!(peers[Side::B].nat, Nat::Behind(spec_b));
}

#[test]
fn a_limit_of_icmp_errors_may_be_without_effect_in_some_cells() {
    let answers = "[sweep]\n\"peer.b.nat.unsolicited\" = [\"drop\", \"icmp-admin\"]";
    let scenario = parse(&format!("trials = 1\n[peer.b.nat]\nicmp_limit = false\n{answers}"));
    assert_eq!(scenario.cells.len(), 2);
}

#[test]
fn a_nat_table_with_only_an_allocation_selects_the_nats_that_have_it() {
    let scenario = parse(
        "trials = 1\n[sweep]\n\"peer.a.nat.allocation\" = \
         [\"random\", \"sequential\", \"block\", \"preserving\", \"fixed-delta\"]",
    );
    let mappings = scenario
        .cells
        .iter()
        .map(|cell| cell.setup.peers[Side::A].nat.spec().unwrap().mapping.name());
    let (each, all) = ("address-and-port-dependent", "endpoint-independent");
    assert_eq!(mappings.collect::<Vec<_>>(), [each, each, all, all, all]);
}

#[test]
fn a_swept_nat_does_not_undo_its_swept_answer_whichever_comes_first() {
    let scenario = parse(
        "trials = 1\n[sweep]\n\"peer.a.nat.unsolicited\" = [\"drop\", \"reset\"]\n\
         \"peer.a.nat\" = [\"home\", \"icmp-reject\"]",
    );
    let answers: Vec<String> = scenario
        .cells
        .iter()
        .map(|cell| match &cell.setup.peers[Side::A].nat {
            Nat::Behind(spec) => format!("{} {:?}", spec.name, spec.unsolicited),
            Nat::Public => "none".to_owned(),
        })
        .collect();
    assert_eq!(answers, ["home Drop", "icmp-reject Drop", "home Reset", "icmp-reject Reset"]);
}

#[test]
fn lists_and_tables_can_be_swept_and_expected() {
    let scenario = parse(
        "trials = 1\n[sweep]\n\"subject.command\" = [[\"one\"], [\"two\", \"{peer}\"]]\n\
         \"peer.a.start_s\" = [1, { uniform = [0, 2] }]\n\
         [[expect]]\nwhere = { \"subject.command\" = [\"one\"] }\nsuccess = \"> 0\"\n\
         [[expect]]\nwhere = { \"subject.command\" = [[\"one\"], [\"two\", \"{peer}\"]] }\n\
         success = \"> 0\"",
    );
    assert_eq!(scenario.cells[3].setup.peers[Side::A].start, Distribution::Uniform(0.0, 2.0));
    assert_eq!(
        scenario.cells[3].label(),
        "subject.command=[\"two\",\"{peer}\"], peer.a.start_s={\"uniform\":[0,2]}"
    );
    assert_eq!(scenario.expectations[0].filter[0].values.len(), 1);
    assert_eq!(scenario.expectations[1].filter[0].values.len(), 2);
}

#[test]
fn a_condition_may_name_the_values_that_are_left_out() {
    let chosen = |swept: &str, condition: &str| {
        let scenario = parse(&format!(
            "trials = 1\n[sweep]\n{swept}\n[[expect]]\nsuccess = \"> 0\"\nwhere = {condition}"
        ));
        let cells = scenario.cells_of(&scenario.expectations[0]);
        cells.map(Cell::label).collect::<Vec<_>>()
    };
    let delays = "wan.delay_ms = [1, 5, 25]";
    assert_eq!(
        chosen(delays, "{ \"wan.delay_ms\" = { not = 5.0 } }"),
        ["wan.delay_ms=1", "wan.delay_ms=25"]
    );
    assert_eq!(chosen(delays, "{ wan.delay_ms.not = [1, 25] }"), ["wan.delay_ms=5"]);
    let nats = "peer.a.nat = [\"none\", { name = \"home\", unsolicited = \"reset\" }]";
    let reset = "{ name = \"home\", unsolicited = \"reset\" }";
    assert_eq!(
        chosen(nats, &format!("{{ \"peer.a.nat\" = {{ not = {reset} }} }}")),
        ["peer.a.nat=none"]
    );
}

#[test]
fn an_expectation_holds_the_values_as_the_cells_have_them() {
    let scenario = parse(
        "trials = 1\n[sweep]\n\"wan.delay_ms\" = [1, 5.0]\n\
         [[expect]]\nwhere = { \"wan.delay_ms\" = [1.0, 5] }\nsuccess = \" >=0.5\"",
    );
    let filter = &scenario.expectations[0].filter[0];
    let cells: Vec<_> = scenario
        .cells
        .iter()
        .map(|cell| cell.values[0].value.clone())
        .collect();
    assert_eq!(filter.values, cells);
    assert_eq!(scenario.expectations[0].expected, ">= 0.5");
}

#[test]
fn every_value_with_a_name_can_be_written_by_that_name() {
    fn names<T: Named>() -> Vec<&'static str> {
        T::NAMES.iter().map(|(_, value)| value.name()).collect()
    }
    assert_eq!(names::<Rule>(), ["rolling", "article"]);
    assert_eq!(names::<ElectionScheme>(), ["nonce", "wan-ip"]);
    let answers = ["drop", "reset", "icmp-port", "icmp-admin", "icmp-host", "open"];
    assert_eq!(names::<Unsolicited>(), answers);
    let written: Vec<_> = Allocation::NAMES.iter().map(|(name, _)| *name).collect();
    assert_eq!(names::<Allocation>(), written);
    assert_eq!(Rule::Article.name(), "article");
}

#[test]
fn ten_thousand_cells_are_read() {
    let values = (0..100)
        .map(|value| value.to_string())
        .collect::<Vec<_>>()
        .join(", ");
    let scenario = parse(&format!(
        "trials = 1\n[sweep]\n\"wan.delay_ms\" = [{values}]\n\"peer.a.start_s\" = [{values}]"
    ));
    assert_eq!(scenario.cells.len(), 10_000);
}

#[test]
fn every_scenario_of_the_project_is_right() {
    let mut count = 0;
    for entry in std::fs::read_dir(project().join("scenarios")).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            if let Err(error) = Scenario::read(&path, &Overrides::default()) {
                panic!("{}", rendered(&error));
            }
            count += 1;
        }
    }
    assert!(count >= 2);
}

#[test]
fn the_example_in_the_readme_of_the_package_is_right() {
    let readme = include_str!("../../../README.md");
    let (_, block) = readme.split_once("```toml\n").unwrap();
    let (example, _) = block.split_once("```").unwrap();
    parse(example);
}

#[test]
fn every_example_in_the_description_of_the_language_is_right() {
    let readme = std::fs::read_to_string(project().join("scenarios/README.md")).unwrap();
    let blocks = readme.split("```toml\n").skip(1);
    let examples: Vec<&str> = blocks
        .map(|block| block.split("```").next().unwrap())
        .collect();
    assert!(examples.len() >= 5);
    for example in examples {
        parse(example);
    }
}
