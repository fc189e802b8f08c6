//! Groups of mistakes, and the report that a user reads about each of them.

use super::*;

/// Defines a test for each group of mistakes: its snapshot shows what a user reads about each.
macro_rules! mistakes {
    ($($group:ident { $($mistake:ident: $report:expr;)* })*) => {
        $(
            #[test]
            fn $group() {
                let named_reports = [$((stringify!($mistake), $report)),*];
                let sections =
                    named_reports.map(|(name, report)| format!("# {name}\n{report}"));
                insta::assert_snapshot!(stringify!($group), sections.join("\n"));
            }
        )*
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
