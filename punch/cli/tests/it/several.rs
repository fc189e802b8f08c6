//! Several processes that connect at the same time from one address. They share all ports, and must
//! not take each other's connections.

use std::{
    io::Write,
    net::{IpAddr, Ipv4Addr},
    process::{Command, Stdio},
};

const PAIRS: u8 = 8;

/// The address of all near ends.
fn near(test: u8) -> IpAddr {
    Ipv4Addr::new(127, test, 0, 1).into()
}

fn far(test: u8, pair: u8) -> IpAddr {
    Ipv4Addr::new(127, test, 1, pair).into()
}

#[test]
fn eight_processes_punching_from_one_address_all_succeed() {
    const TEST: u8 = 82;
    let start = |own: IpAddr, peer: IpAddr| {
        Command::new(env!("CARGO_BIN_EXE_punch"))
            .args(["--quiet", "--timeout", "20", "--bind", &own.to_string(), &peer.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let mut running = Vec::new();
    for pair in 1..=PAIRS {
        let mut ends = [start(near(TEST), far(TEST, pair)), start(far(TEST, pair), near(TEST))];
        for (end, name) in ends.iter_mut().zip(["near", "far"]) {
            let mut input = end.stdin.take().unwrap();
            input
                .write_all(format!("{name} {pair}").as_bytes())
                .unwrap();
        }
        running.push((pair, ends));
    }
    for (pair, ends) in running {
        for (end, other) in ends.into_iter().zip(["far", "near"]) {
            let output = end.wait_with_output().unwrap();
            assert!(output.status.success(), "pair {pair}: {}", output.status);
            assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{other} {pair}"));
        }
    }
}
