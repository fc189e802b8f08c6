//! `punch --ntp` against a real chrony on the lab's public host.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::test_dir::{HARNESS, TestDir};

/// Where scripts/setup unpacks chrony on machines whose own time service it would displace.
const UNPACKED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/usr/sbin/chronyd");

fn chronyd() -> PathBuf {
    let places = ["/usr/sbin/chronyd", "/usr/bin/chronyd", "/usr/local/sbin/chronyd", UNPACKED];
    let found = places.iter().map(Path::new).find(|path| path.exists());
    found
        .expect("chronyd is not installed: scripts/setup --test does that")
        .to_owned()
}

#[test]
fn punch_corrects_its_clock_by_what_a_time_server_says() {
    let dir = TestDir::new();
    let (chronyd, said) = (chronyd(), dir.path("said"));
    let ran = dir.run(
        &format!(
            r#"
            trials = 1
            [wan]
            delay_ms = 5
            [host.time]
            command = [
                "{}", "-d", "-x", "-u", "root",
                "local stratum 8", "allow all", "cmdport 0", "bindcmdaddress /", "pidfile {}",
            ]
            [subject]
            # A second for the server to be up; it serves the first question.
            command = ["/bin/sh", "-c", """
                sleep 1
                exec {HARNESS} peer --ntp {{host.time}} --timeout 8 {{peer}} 2> {}-{{side}}
            """]
            "#,
            chronyd.display(),
            dir.path("chronyd.pid").display(),
            said.display(),
        ),
        &[],
    );
    ran.assert_code(0);
    let trial = &ran.trials()[0];
    assert_eq!(trial["verdict"], "success", "{trial}");
    for side in ["a", "b"] {
        let said = fs::read_to_string(format!("{}-{side}", said.display())).unwrap();
        // The server reads the same clock, so that the offset is what the network's noise makes it.
        let offset = said.split("clock corrected by ").nth(1).expect(&said);
        let offset: f64 = offset.split(' ').next().unwrap().parse().unwrap();
        assert!(offset.abs() < 0.1, "{said}");
    }
}
