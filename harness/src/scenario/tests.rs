//! Whole files: what is read from them, and what a user is told about a mistake.

use std::path::{Path, PathBuf};

use miette::{GraphicalReportHandler, GraphicalTheme};

use super::{error::Error, *};
use crate::{
    named::Named,
    nat::{Allocation, Unsolicited, catalogue::CATALOGUE},
};

mod broken;
mod language;
mod layers;
mod never_panics;

/// The scenario of a text that must be right.
fn parse(text: &str) -> Scenario {
    match Scenario::parse("test.toml", text) {
        Ok(scenario) => scenario,
        Err(error) => panic!("{}", rendered(&error)),
    }
}

fn rendered(error: &Error) -> String {
    let mut report = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::none())
        .with_width(100)
        .render_report(&mut report, error)
        .unwrap();
    report
}

/// What a user reads about a text that must be wrong.
fn report(text: &str) -> String {
    rendered(&Scenario::parse("test.toml", text).expect_err("this is no scenario"))
}

/// What a user reads about lines that are wrong in an otherwise right file.
fn report_of(lines: &str) -> String {
    report(&format!("trials = 10\n{lines}\n"))
}

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

mod right {
    use super::*;

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
            start: Draw::Fixed(0.0),
            taken_ports: 0,
        };
        let punch = PunchSetup {
            rule: Rule::Rolling,
            election: Election::Nonce,
            timeout_s: 10.0,
            max_clock_error_s: 20.0,
            listen: true,
        };
        let setup = Setup {
            wan: WanSetup { family: Family::V4, delay: Duration::from_millis(25), loss: 0.0 },
            peers: [peer.clone(), peer],
            punch,
            subject: None,
            hosts: vec![],
            drawn: vec![],
        };
        assert_eq!(cell.setup, setup);
        assert_eq!(cell.setup.wan.rtt(), Duration::from_millis(50));
    }

    #[test]
    fn every_key_is_read() {
        let scenario = parse(EVERYTHING);
        assert_eq!(scenario.name, "all-keys");
        assert_eq!(scenario.seed, Some(u64::MAX));
        insta::assert_debug_snapshot!(scenario);
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
            .map(|cell| cell.setup.peers[1].clock_offset_s)
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
        for nat in ["", "nat = \"home\"", "nat = { name = \"home\", unsolicited = \"icmp-port\" }"]
        {
            let scenario = parse(&format!(
                "trials = 1\n[peer.a]\n{nat}\n[sweep]\n\
                 \"peer.a.nat.unsolicited\" = [\"drop\", \"reset\"]"
            ));
            let nats: Vec<&Nat> = scenario
                .cells
                .iter()
                .map(|cell| &cell.setup.peers[0].nat)
                .collect();
            let home = |unsolicited| Nat::Behind(NatSpec::home(unsolicited));
            assert_eq!(nats, [&home(Unsolicited::Drop), &home(Unsolicited::Reset)], "{nat}");
        }
    }

    #[test]
    fn every_behaviour_of_a_nat_can_be_written() {
        let scenario = parse(
            "trials = 1\n[peer.a.nat]\nmapping = \"endpoint-independent\"\n\
             filtering = \"address-dependent\"\nallocation = \"block\"\nblock = [2000, 2999]\n\
             unsolicited = \"icmp-host\"\nhairpin = \"internal\"\nsyn_timeout_s = 5\n\
             established_timeout_s = 7440\nclose_timeout_s = 240\nicmp_limit = false\n\
             [peer.b.nat]\nname = \"symmetric\"\nallocation = \"fixed-delta\"\ndelta = 7\n\
             simultaneous_open = false",
        );
        insta::assert_debug_snapshot!(scenario.cells[0].setup.peers.clone().map(|peer| peer.nat));
    }

    #[test]
    fn a_limit_of_icmp_errors_may_be_without_effect_in_some_cells() {
        let answers = "[sweep]\n\"peer.b.nat.unsolicited\" = [\"drop\", \"icmp-admin\"]";
        let scenario = parse(&format!("trials = 1\n[peer.b.nat]\nicmp_limit = false\n{answers}"));
        assert_eq!(scenario.cells.len(), 2);
    }

    #[test]
    fn who_names_only_the_allocation_means_the_nats_that_have_it() {
        let scenario = parse(
            "trials = 1\n[sweep]\n\"peer.a.nat.allocation\" = \
             [\"random\", \"sequential\", \"block\", \"preserving\", \"fixed-delta\"]",
        );
        let mappings = scenario
            .cells
            .iter()
            .map(|cell| cell.setup.peers[0].nat.spec().unwrap().mapping.name());
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
            .map(|cell| match &cell.setup.peers[0].nat {
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
        assert_eq!(scenario.cells[3].setup.peers[0].start, Draw::Uniform(0.0, 2.0));
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
        assert_eq!(names::<Election>(), ["nonce", "wan-ip"]);
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

    #[test]
    fn the_description_of_the_language_names_every_key_range_and_nat() {
        let readme = std::fs::read_to_string(project().join("scenarios/README.md")).unwrap();
        let sections = [
            keys::ROOT,
            keys::WAN,
            keys::PUNCH,
            keys::PEER,
            keys::NAT,
            keys::DRAW,
            keys::NORMAL,
            keys::EXPONENTIAL,
            keys::COMMAND,
            sweep::RANGE,
            keys::EXPECT,
        ];
        for key in sections.concat() {
            assert!(readme.contains(key), "{key}");
        }
        for (number, default) in [
            (keys::PRECISION, "none".to_owned()),
            (keys::DELAY, keys::DELAY.default.to_string()),
            (keys::LOSS, keys::LOSS.default.to_string()),
            (keys::TIMEOUT, keys::TIMEOUT.default.to_string()),
            (keys::MAX_CLOCK_ERROR, keys::MAX_CLOCK_ERROR.default.to_string()),
            (keys::CLOCK_OFFSET, keys::CLOCK_OFFSET.default.to_string()),
            (keys::START, keys::START.default.to_string()),
        ] {
            let row = readme
                .lines()
                .find(|line| line.starts_with(&format!("| `{}`", number.key)));
            let row = row.unwrap_or_else(|| panic!("no row for {}", number.key));
            let rest = format!("| {} to {} | {default} |", number.min, number.max);
            assert!(row.contains(&rest), "{row} should have {rest}");
        }
        for entry in CATALOGUE {
            assert!(readme.contains(&format!("| `{}` | {}", entry.name, entry.summary)));
        }
    }
}

/// A file that uses all of the language.
const EVERYTHING: &str = r#"
name = "all-keys"
question = "Is every key read?"
trials = 7
precision = 0.1
trials_max = 90
seed = 18446744073709551615

[wan]
delay_ms = 12.5
loss = 0.1

[punch]
rule = "article"
election = "wan-ip"
timeout_s = 30
max_clock_error_s = 5
listen = false

[peer.a]
nat = { name = "home-reject", unsolicited = "icmp-admin" }
clock_offset_s = { normal = { mean = -3, sd = 1.5, min = -10, max = 4 } }
start_s = { uniform = [0, 2] }

[peer.b]
nat = "none"
clock_offset_s = { choice = [-1, 2.5] }
start_s = { exponential = { mean = 2, min = 1, max = 9 } }

[subject]
command = ["python3", "their.py", "{peer}", "--stun={host.stun}", "{{}}"]

[host.stun]
command = ["stun-server", "{self}"]

[host.silent]
command = []

[sweep]
"wan.loss" = [0, 0.5]

[[sweep.zip]]
"wan.delay_ms" = { from = 5, to = 10, step = 5 }
punch.timeout_s = [1, 2]

[[expect]]
where = { "wan.loss" = 0.0 }
success = ">= 0.9"

[[expect]]
success = "theory"
theory = ">= 0.99"
connected_ms = { p50 = "<= 54.5", "p99.9" = "< 90" }
connected_rtt = { p50 = "<= 1.1" }
chosen_ms = { p90 = "> 5" }
chosen_rtt = { p90 = ">= 0.5" }
returned_ms = { p50 = "<= 200" }
returned_rtt = { p50 = "<= 4" }
cause = { syn-lost = ">= 0.5" }
causes = ["syn-lost", "unknown"]
"#;

/// Defines a test for each group of mistakes: its snapshot shows what a user reads about each.
macro_rules! mistakes {
    ($($group:ident { $($mistake:ident: $report:expr;)* })*) => {
        mod wrong {
            use super::*;
            $(
                #[test]
                fn $group() {
                    let reports = [$((stringify!($mistake), $report)),*];
                    let reports = reports.map(|(name, report)| format!("# {name}\n{report}"));
                    insta::assert_snapshot!(stringify!($group), reports.join("\n"));
                }
            )*
        }
    };
}

mistakes! {
    the_file_as_a_whole {
        empty_file: report("");
        only_comments: report("# trials = 10\n");
        no_trials: report("question = \"?\"\n[wan]\nloss = 0\n");
        no_name: rendered(&Scenario::parse("a/My Test.toml", "trials = 1").unwrap_err());
        syntax_no_value: report_of("[wan]\ndelay_ms =\n");
        syntax_open_string: report_of("question = \"why?\n[wan]\n");
        syntax_no_quotes: report_of("[peer.a]\nnat = home\n");
        syntax_unit: report_of("[wan]\ndelay_ms = 25ms\n");
        syntax_open_bracket: report_of("[wan\ndelay_ms = 25\n");
        syntax_key_twice: report_of("seed = 1\nseed = 2\n");
        syntax_section_twice: report_of("[wan]\nloss = 0\n[wan]\ndelay_ms = 1\n");
        syntax_array: report_of("[sweep]\n\"wan.loss\" = [0, 0.1\n\n[peer.a]\n");
        syntax_inline_table: report_of("[peer.a]\nstart_s = { uniform = [0, 1]\n");
        syntax_colon: report_of("[wan]\ndelay_ms: 25\n");
        syntax_control_character: report_of("question = \"a\u{1}b\"\n");
        syntax_not_toml: report("{\"trials\": 10}\n");
    }
    keys {
        misspelt_top_level_key: report("trails = 10\n");
        misspelt_section: report_of("[pear.a]\nnat = \"home\"\n");
        misspelt_nested_key: report_of("[peer.a]\nclock_ofset_s = 5\n");
        key_without_unit: report_of("[wan]\ndelay = 25\n");
        key_of_another_section: report_of("[wan]\ntimeout_s = 5\n");
        top_level_key_in_a_section: report("[wan]\nloss = 0\ntrials = 10\n");
        top_level_key_in_the_sweep: report("[sweep]\n\"wan.loss\" = [0, 1]\ntrials = 10\n");
        section_in_a_section: report_of("[peer.a.wan]\ndelay_ms = 1\n");
        nat_key_of_the_peer: report_of("[peer.a]\nunsolicited = \"drop\"\n");
        key_unlike_any: report_of("[wan]\nbandwidth = 5\n");
        third_peer: report_of("[peer.c]\nnat = \"home\"\n");
        peer_without_side: report_of("[peer]\nnat = \"home\"\n");
    }
    types {
        string_for_a_number: report_of("[wan]\ndelay_ms = \"25\"\n");
        flag_for_a_number: report_of("[punch]\ntimeout_s = true\n");
        list_for_a_number: report_of("[peer.a]\nclock_offset_s = [0, 5]\n");
        number_for_a_string: report_of("question = 42\n");
        string_for_a_flag: report_of("[punch]\nlisten = \"no\"\n");
        number_for_a_section: report_of("wan = 25\n");
        float_for_trials: report("trials = 10.0\n");
    }
    values {
        trials_zero: report("trials = 0\n");
        trials_too_many: report("trials = 1_000_001\n");
        seed_negative: report_of("seed = -1\n");
        seed_too_large: report_of("seed = 99999999999999999999\n");
        name_not_usable: report_of("name = \"Skew Test\"\n");
        delay_negative: report_of("[wan]\ndelay_ms = -5\n");
        delay_absurd: report_of("[wan]\ndelay_ms = 1e400\n");
        delay_nan: report_of("[wan]\ndelay_ms = nan\n");
        offset_infinite: report_of("[peer.b]\nclock_offset_s = -inf\n");
        loss_above_one: report_of("[wan]\nloss = 1.5\n");
        timeout_absurd: report_of("[punch]\ntimeout_s = 86400\n");
        start_absurd: report_of("[peer.a]\nstart_s = 3601\n");
        unknown_rule: report_of("[punch]\nrule = \"roling\"\n");
        uniform_reversed: report_of("[peer.a]\nstart_s = { uniform = [2, 0] }\n");
        uniform_one_bound: report_of("[peer.a]\nstart_s = { uniform = [2] }\n");
        uniform_out_of_range: report_of("[peer.a]\nstart_s = { uniform = [-1, 2] }\n");
        uniform_misspelt: report_of("[peer.a]\nstart_s = { unifrom = [1, 2] }\n");
    }
    nats {
        unknown_nat: report_of("[peer.a]\nnat = \"hoem\"\n");
        unknown_nat_unlike_any: report_of("[peer.a]\nnat = { name = \"cgn\" }\n");
        unknown_answer: report_of("[peer.a]\nnat = { unsolicited = \"rst\" }\n");
        nats_that_cannot_be: [
            "mapping = \"address-dependent\"",
            "filtering = \"endpoint-independent\"",
            "hairpin = \"external\", allocation = \"fixed-delta\"",
            "simultaneous_open = false, unsolicited = \"reset\"",
            "simultaneous_open = false, allocation = \"random\", filtering = \"address-dependent\"",
            "allocation = \"fixed-delta\", delta = 0",
            "allocation = \"fixed-delta\", delta = 99999",
            "allocation = \"block\", block = [2000, 1024]",
            "allocation = \"block\", block = [1, 1024]",
            "allocation = \"block\", block = [2000]",
            "allocation = \"random\", delta = 7",
            "simultaneous_open = \"no\"",
            "close_timeout_s = 0",
        ]
        .map(|keys| report_of(&format!("[peer.a]\nnat = {{ {keys} }}\n")))
        .join("\n");
        nat_that_ipv6_cannot_have: report_of("[wan]\nfamily = \"ipv6\"\n[peer.b]\nnat = \"fixed-delta\"\n");
        nat_of_wrong_type: report_of("[peer.a]\nnat = 1\n");
        limit_of_what_is_never_sent: report_of("[peer.a]\nnat = { unsolicited = \"drop\", icmp_limit = false }\n");
        limit_swept_where_nothing_is_sent: report_of("[sweep]\n\"peer.b.nat.unsolicited\" = [\"reset\", \"open\"]\n\"peer.b.nat.icmp_limit\" = [true, false]\n");
        answer_without_nat: report_of("[peer.a]\nnat = { name = \"none\", unsolicited = \"drop\" }\n");
    }
    commands {
        subject_without_command: report_of("[subject]\n");
        subject_with_empty_command: report_of("[subject]\ncommand = []\n");
        command_as_a_string: report_of("[subject]\ncommand = \"python3 their.py {peer}\"\n");
        command_with_a_number: report_of("[subject]\ncommand = [\"nc\", \"{peer}\", 4000]\n");
        unknown_placeholder: report_of("[subject]\ncommand = [\"nc\", \"{pear}\"]\n");
        unknown_host: report_of("[subject]\ncommand = [\"x\", \"{host.stnu}\"]\n[host.stun]\ncommand = []\n");
        no_hosts: report_of("[subject]\ncommand = [\"x\", \"{host.stun}\"]\n");
        single_brace: report_of("[subject]\ncommand = [\"echo\", \"{peer\"]\n");
        host_placeholder: report_of("[host.time]\ncommand = [\"ntp\", \"{side}\"]\n");
        host_without_name: report_of("[host]\ncommand = [\"ntp\"]\n");
        host_with_bad_name: report_of("[host.\"my.host\"]\ncommand = []\n");
    }
    sweeps {
        sweep_without_values: report_of("[sweep]\n\"punch.rule\" = []\n");
        sweep_of_no_list: report_of("[sweep]\n\"punch.rule\" = \"rolling\"\n");
        sweep_is_no_table: report_of("sweep = [\"punch.rule\"]\n");
        sweep_path_misspelt: report_of("[sweep]\n\"peer.b.clock_ofset_s\" = [0, 5]\n");
        sweep_section_misspelt: report_of("[sweep]\n\"pnuch.rule\" = [\"rolling\"]\n");
        sweep_path_too_long: report_of("[sweep]\n\"wan.delay_ms.value\" = [0, 5]\n");
        sweep_of_trials: report_of("[sweep]\n\"trials\" = [1, 10]\n");
        sweep_of_a_section: report_of("[sweep]\n\"peer.a\" = [{ nat = \"home\" }]\n");
        sweep_of_all_hosts: report_of("[sweep]\n\"host\" = [{}]\n");
        sweep_of_a_third_peer: report_of("[sweep]\n\"peer.c.nat\" = [\"home\"]\n");
        sweep_of_an_unknown_host: report_of("[sweep]\n\"host.stun.command\" = [[\"x\"]]\n");
        sweep_value_of_wrong_type: report_of("[sweep]\n\"wan.delay_ms\" = [0, 5, \"10\"]\n");
        sweep_value_out_of_range: report_of("[sweep]\n\"wan.loss\" = [0, 0.5, 5]\n");
        sweep_value_twice: report_of("[sweep]\n\"wan.delay_ms\" = [5, 10, 5.0]\n");
        sweep_path_twice: report_of("[sweep]\n\"wan.delay_ms\" = [5]\nwan.delay_ms = [6]\n");
        sweep_value_overridden: report_of(
            "[sweep]\n\"peer.a.start_s\" = [0, 1]\n\"peer.a.start_s.uniform\" = [[0, 2]]\n"
        );
        sweep_value_with_two_names: report_of(
            "[sweep]\n\"peer.a.nat\" = [\"home\", { name = \"home\" }]\n"
        );
        sweep_too_large: report_of(&format!(
            "[sweep]\n\"wan.delay_ms\" = {0:?}\n\"peer.a.start_s\" = {0:?}\n",
            (0..101).collect::<Vec<_>>()
        ));
        sweep_answer_without_nat: report_of(
            "[sweep]\n\"peer.a.nat\" = [\"home\", \"none\"]\n\
             \"peer.a.nat.unsolicited\" = [\"drop\", \"reset\"]\n"
        );
        swept_value_in_place_is_checked_too: report_of(
            "[wan]\nloss = 2\n[sweep]\n\"wan.loss\" = [0, 1]\n"
        );
    }
    expectations {
        expect_path_not_swept: report_of(
            "[sweep]\n\"punch.rule\" = [\"rolling\"]\n\
             [[expect]]\nwhere = { \"punch.rul\" = \"rolling\" }\nsuccess = \"> 0.5\"\n"
        );
        expect_where_without_sweep: report_of(
            "[[expect]]\nwhere = { \"punch.rule\" = \"rolling\" }\nsuccess = \"> 0.5\"\n"
        );
        expect_value_of_no_cell: report_of(
            "[sweep]\n\"punch.rule\" = [\"rolling\", \"article\"]\n\
             [[expect]]\nwhere = { \"punch.rule\" = \"roling\" }\nsuccess = \"> 0.5\"\n"
        );
        expect_listed_value_of_no_cell: report_of(
            "[sweep]\n\"peer.b.clock_offset_s\" = [0, 5, 10]\n\
             [[expect]]\nwhere = { \"peer.b.clock_offset_s\" = [0, 7] }\nsuccess = \"> 0.5\"\n"
        );
        expect_no_values: report_of(
            "[sweep]\n\"punch.rule\" = [\"rolling\"]\n\
             [[expect]]\nwhere = { \"punch.rule\" = [] }\nsuccess = \"> 0.5\"\n"
        );
        expect_no_values_but: report_of(
            "[sweep]\n\"punch.rule\" = [\"rolling\", \"article\"]\n\
             [[expect]]\nwhere = { \"punch.rule\" = { not = [] } }\nsuccess = \"> 0.5\"\n"
        );
        expect_all_values_left_out: report_of(
            "[sweep]\n\"punch.rule\" = [\"rolling\", \"article\"]\n\
             [[expect]]\nwhere = { \"punch.rule\" = { not = [\"rolling\", \"article\"] } }\n\
             success = \"> 0.5\"\n"
        );
        expect_more_than_a_negation: report_of(
            "[sweep]\n\"punch.rule\" = [\"rolling\", \"article\"]\n\
             [[expect]]\nwhere = { \"punch.rule\" = { not = \"roling\", is = \"rolling\" } }\n\
             success = \"> 0.5\"\n"
        );
        expect_two_conditions_on_one_path: report_of(
            "[sweep]\n\"punch.rule\" = [\"rolling\"]\n[[expect]]\nsuccess = \"> 0.5\"\n\
             where = { \"punch.rule\" = \"rolling\", punch.rule = \"rolling\" }\n"
        );
        expect_percent: report_of("[[expect]]\nsuccess = \">= 95 %\"\n");
        expect_rate_above_one: report_of("[[expect]]\nsuccess = \">= 95\"\n");
        expect_without_comparison: report_of("[[expect]]\nsuccess = \"0.95\"\n");
        expect_number: report_of("[[expect]]\nsuccess = 0.95\n");
        expect_impossible: report_of("[[expect]]\nsuccess = \"> 1\"\n");
        expect_without_success: report_of("[[expect]]\nwhere = {}\n");
        expect_in_single_brackets: report_of("[expect]\nsuccess = \"theory\"\n");
        expect_misspelt: report_of("[[expect]]\nsucces = \"theory\"\n");
    }
}

mod unreadable {
    use super::*;

    fn read(path: &Path) -> String {
        let error = Scenario::read(path, &Overrides::default()).expect_err("this is no scenario");
        rendered(&error).replace(path.to_str().unwrap(), "PATH")
    }

    #[test]
    fn missing_file() {
        insta::assert_snapshot!(read(Path::new("/nowhere/at-all.toml")));
    }

    #[test]
    fn directory() {
        insta::assert_snapshot!(read(tempfile::tempdir().unwrap().path()));
    }

    #[test]
    fn not_utf8() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"trials = 10\nquestion = \"na\xefve?\"\n").unwrap();
        insta::assert_snapshot!(read(file.path()));
    }

    #[test]
    fn endless_file() {
        insta::assert_snapshot!(read(Path::new("/dev/zero")));
    }
}
