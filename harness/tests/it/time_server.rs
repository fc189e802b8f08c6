//! `punch --ntp` with a real chrony on a public host of the lab.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::test_dir::{HARNESS, TestDir};

/// Place where scripts/setup unpacks chrony if its package would displace another time service.
const UNPACKED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/usr/sbin/chronyd");

fn chronyd() -> PathBuf {
    let places = ["/usr/sbin/chronyd", "/usr/bin/chronyd", "/usr/local/sbin/chronyd", UNPACKED];
    let mut paths = places.iter().map(Path::new);
    paths
        .find(|path| path.exists())
        .expect("chronyd is not installed: scripts/setup --test does that")
        .to_owned()
}

#[test]
fn punch_corrects_its_clock_by_a_time_server() {
    let dir = TestDir::new();
    let (chronyd, stderr_of) = (chronyd(), dir.path("stderr-of"));
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
            # The server is up within a second, in time for the first question.
            command = ["/bin/sh", "-c", """
                sleep 1
                exec {HARNESS} peer --ntp {{host.time}} --timeout 8 {{peer}} 2> {}-{{side}}
            """]
            "#,
            chronyd.display(),
            dir.path("chronyd.pid").display(),
            stderr_of.display(),
        ),
        &[],
    );
    ran.assert_code(0);
    let trial = &ran.trials()[0];
    assert_eq!(trial["verdict"], "success", "{trial}");
    for side in ["a", "b"] {
        let stderr = fs::read_to_string(format!("{}-{side}", stderr_of.display())).unwrap();
        // Server and peer read the same clock: the offset is the noise of the network.
        let message = stderr.split("clock corrected by ").nth(1).expect(&stderr);
        let offset: f64 = message.split(' ').next().unwrap().parse().unwrap();
        assert!(offset.abs() < 0.1, "{stderr}");
    }
}
