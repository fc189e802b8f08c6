//! Tests of flags and extended files.

use super::*;
use crate::peers::Side;

fn read(file: &Path, set: &[&str]) -> Result<Scenario, String> {
    let set = set.iter().map(|flag| (*flag).to_owned()).collect();
    Scenario::read(file, &Overrides { set, many_cells: false }).map_err(|error| {
        error
            .each()
            .iter()
            .map(rendered)
            .collect::<Vec<_>>()
            .join("\n")
    })
}

/// A folder with a scenario that extends another.
fn family(base: &str, child: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("bases")).unwrap();
    std::fs::write(folder.path().join("bases/base.toml"), base).unwrap();
    let file = folder.path().join("child.toml");
    std::fs::write(&file, format!("extends = \"bases/base.toml\"\n{child}")).unwrap();
    (folder, file)
}

const BASE: &str = "name = \"base\"\ntrials = 5\nquestion = \"?\"\n\
    [wan]\ndelay_ms = 10\nloss = 0.1\n\
    [peer.a]\nnat = \"home-reject\"\nstart_s = { uniform = [0, 1] }\n\
    [sweep]\n\"punch.rule\" = [\"article\", \"rolling\"]\n\"peer.b.start_s\" = [1, 2, 3]\n\
    [[expect]]\nsuccess = \">= 0.5\"\n[[expect]]\nsuccess = \">= 0.6\"";

#[test]
fn sections_are_merged_and_all_else_is_replaced() {
    let (_folder, file) = family(
        BASE,
        "trials = 7\n[wan]\ndelay_ms = 20\n\
         [peer.a]\nstart_s = { choice = [4] }\nnat = { unsolicited = \"icmp-port\" }\n\
         [sweep]\npunch.rule = [\"rolling\"]\n[[expect]]\nsuccess = \">= 0.9\"",
    );
    let scenario = read(&file, &[]).unwrap();
    assert_eq!((scenario.name.as_str(), scenario.trials), ("child", 7));
    assert_eq!(scenario.question.as_deref(), Some("?"));
    let labels: Vec<String> = scenario.cells.iter().map(Cell::label).collect();
    let expected = [1, 2, 3].map(|s| format!("punch.rule=rolling, peer.b.start_s={s}"));
    assert_eq!(labels, expected);
    let setup = &scenario.cells[0].setup;
    assert_eq!((setup.wan.delay, setup.wan.loss), (Duration::from_millis(20), 0.1));
    assert_eq!(setup.peers[Side::A].start, Distribution::Choice(vec![4.0]));
    let Nat::Behind(nat) = &setup.peers[Side::A].nat else { panic!("a NAT") };
    assert_eq!((nat.name, nat.unsolicited), ("home-reject", Unsolicited::IcmpPort));
    let expected: Vec<&str> = scenario
        .expectations
        .iter()
        .map(|expectation| expectation.expected.as_str())
        .collect();
    assert_eq!(expected, [">= 0.9"]);
    let own = std::fs::read_to_string(&file).unwrap();
    let line = own
        .lines()
        .position(|line| line.starts_with("success"))
        .unwrap()
        + 1;
    assert_eq!(scenario.expectations[0].line, Some(line));
}

/// A run keeps this text, so that its trials can be replayed when the files have changed.
#[test]
fn the_source_of_a_scenario_alone_says_all_that_its_layers_did() {
    let (_folder, file) = family(
        BASE,
        "seed = 18446744073709551615\nquestion = \"Why \\\"so\\\"? \\\\ \\u0001\\u007F\"\n\
         [host.\"x-1\"]\ncommand = [\"a\", \"{{\"]\n[wan]\ndelay_ms = 2.50\n\
         [[sweep.zip]]\n\"wan.loss\" = [0, 0.5]\nwan.family = [\"ipv4\", \"ipv6\"]",
    );
    let flags = ["punch.timeout_s=7", "sweep.punch.listen=[true, false]"];
    let scenario = read(&file, &flags).unwrap();
    assert!(!scenario.source.contains("extends"), "{}", scenario.source);
    let mut again = Scenario::parse(&file.display().to_string(), &scenario.source).unwrap();
    for expectation in &mut again.expectations {
        // All of these are in the source, which is one text, and not in the file itself.
        assert!(expectation.line.take().is_some());
    }
    assert_eq!(again, scenario);
    // A file alone is kept as it is, comments and all.
    let alone = "# Why?\ntrials = 1\n";
    assert_eq!(parse(alone).source, alone);
}

#[test]
fn a_mistake_is_told_where_it_stands() {
    let (folder, file) = family(&BASE.replace("loss = 0.1", "loss = 10"), "[wan]\ndelay = 5");
    let with_folder = read(&file, &["punch.rule=x", "wan.dealy_ms=7"]).unwrap_err();
    let report = with_folder.replace(&format!("{}/", folder.path().display()), "");
    insta::assert_snapshot!(report);
}

#[test]
fn flags_stand_above_all_files() {
    let (_folder, file) = family(BASE, "[wan]\ndelay_ms = 20");
    let scenario = read(
        &file,
        &[
            "wan.delay_ms=30",
            "wan.delay_ms = 40",
            "peer.b.nat=none",
            "sweep.punch.rule=[\"rolling\"]",
            "name=other",
            "peer.a.nat.syn_timeout_s=9",
        ],
    )
    .unwrap();
    assert_eq!((scenario.name.as_str(), scenario.cells.len()), ("other", 3));
    let setup = &scenario.cells[0].setup;
    assert_eq!(setup.wan.delay, Duration::from_millis(40));
    assert_eq!(setup.peers[Side::B].nat, Nat::Public);
    let Nat::Behind(nat) = &setup.peers[Side::A].nat else { panic!("a NAT") };
    assert_eq!((nat.name, nat.timeouts.syn_s), ("home-reject", Some(9)));
}

#[test]
fn flags_that_mean_nothing_are_refused() {
    let (_folder, file) = family(BASE, "");
    let flags = [
        "wan.delay_ms",
        "wan.delay_ms=",
        "[wan]",
        "a=1\nb=2",
        "extends=other.toml",
        "peer.b.start_s=5",
        "punch.rule.x=5",
        "wan=5",
    ];
    let reports = flags.map(|flag| format!("# {flag}\n{}", read(&file, &[flag]).unwrap_err()));
    insta::assert_snapshot!(reports.join("\n"));
}

#[test]
fn a_chain_that_is_too_long_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..10 {
        let text = format!("extends = \"{}.toml\"\n", number + 1);
        std::fs::write(folder.path().join(format!("{number}.toml")), text).unwrap();
    }
    std::fs::write(folder.path().join("10.toml"), "trials = 1").unwrap();
    let report = read(&folder.path().join("0.toml"), &[]).unwrap_err();
    assert!(report.contains("more than 8 files in a row"), "{report}");
    assert!(read(&folder.path().join("3.toml"), &[]).is_ok());
}

/// A scenario in a folder of its own that extends a file beside the folder.
fn extending(outside: &str, named: &str) -> (tempfile::TempDir, PathBuf) {
    let above = tempfile::tempdir().unwrap();
    let folder = above.path().join("scenarios");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(above.path().join("outside"), outside).unwrap();
    std::os::unix::fs::symlink("../outside", folder.join("link.toml")).unwrap();
    std::fs::write(above.path().join("other"), "extends = \"outside\"").unwrap();
    let file = folder.join("child.toml");
    std::fs::write(&file, format!("trials = 1\nextends = \"{named}\"\n")).unwrap();
    (above, file)
}

#[test]
fn nothing_of_a_file_outside_of_the_folder_is_quoted() {
    let texts = [
        "root:$6$SECRET:19000:0:99999:7:::\ndaemon:SECRET:1:\n",
        "# fine\n[SECRET]\ntoken = \"SECRET\"\n",
        "[wan]\nloss = \"SECRET\"\n",
        "question = \"SECRET\"\nquestion = \"SECRET\"\n",
        "extends = \"SECRET/SECRET\"\n",
    ];
    for text in texts {
        for named in ["../outside", "link.toml", "../other"] {
            let (_above, file) = extending(text, named);
            let report = read(&file, &[]).unwrap_err();
            assert!(!report.contains("SECRET"), "{named} with {text:?}: {report}");
            assert!(report.contains("is wrong in line "), "{report}");
            assert!(report.contains("extends = \""), "{report}");
        }
    }
    let (above, file) = extending(texts[0], "../outside");
    let report = read(&file, &[]).unwrap_err();
    insta::assert_snapshot!(report.replace(&format!("{}/", above.path().display()), ""));
    // What is right may lie anywhere.
    let (_above, file) = extending("[wan]\nloss = 0.5", "../other");
    assert_eq!(read(&file, &[]).unwrap().cells[0].setup.wan.loss, 0.5);
}

/// A scenario that is a link would otherwise show what it leads to.
#[test]
fn nothing_of_a_link_out_of_the_folder_is_quoted() {
    let texts: [&[u8]; 3] =
        [b"root:SECRET:1\n", b"trials = 1\nSECRET = \"SECRET\"\n", b"SECRET\xff\n"];
    for text in texts {
        let (above, file) = extending("", "../outside");
        std::fs::write(above.path().join("outside"), text).unwrap();
        let link = file.with_file_name("link.toml");
        let report = read(&link, &[]).unwrap_err();
        assert!(!report.contains("SECRET"), "{report}");
        assert!(report.contains("link.toml is "), "{report}");
        // A link within the folder is one's own.
        std::fs::write(&file, text).unwrap();
        let own = file.with_file_name("own.toml");
        std::os::unix::fs::symlink("child.toml", &own).unwrap();
        assert!(read(&own, &[]).unwrap_err().contains("SECRET"));
    }
}

#[test]
fn what_is_no_regular_file_is_not_extended() {
    let (above, file) = extending("", "../fifo");
    nix::unistd::mkfifo(&above.path().join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for (named, what) in
        [("../fifo", "a FIFO or pipe"), (".", "a directory"), ("/dev/zero", "a device")]
    {
        std::fs::write(&file, format!("trials = 1\nextends = \"{named}\"\n")).unwrap();
        let report = read(&file, &[]).unwrap_err();
        assert!(report.contains(&format!("it is {what}, not a regular file")), "{report}");
    }
}

#[test]
fn control_characters_in_names_and_texts_are_shown_only() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a\u{1b}[31m\nb\u{202e}.toml");
    std::fs::write(&file, "name = \"x\"\ntrials = 1 # \u{1b}[31m\nwam = 1\n[peer.c]\n").unwrap();
    let report = read(&file, &["wan.\u{1b}[1m=5"]).unwrap_err();
    assert!(report.contains("wam"), "{report}");
    assert!(!report.contains(['\u{1b}', '\u{202e}']), "{report:?}");
    assert!(report.contains("a\\u{1b}[31m\\nb\\u{202e}.toml"), "{report}");
}
