//! Several attempts at the same time from one address. They share all ports, and must not take each
//! other's connections.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Shutdown},
    thread,
    time::Duration,
};

use punch::Puncher;

const PAIRS: u8 = 8;

/// The address of all near ends.
fn near(test: u8) -> IpAddr {
    Ipv4Addr::new(127, test, 0, 1).into()
}

fn far(test: u8, pair: u8) -> IpAddr {
    Ipv4Addr::new(127, test, 1, pair).into()
}

/// Connects, sends its name and returns that of the other end.
fn greet(own: IpAddr, peer: IpAddr, name: &str) -> String {
    let puncher = Puncher::new().bind(own).timeout(Duration::from_secs(20));
    let connection = puncher
        .connect(peer)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let (mut stream, closing) = connection.into_parts();
    stream.write_all(name.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).unwrap();
    closing.wait();
    heard
}

#[test]
fn eight_punches_of_one_process_from_one_address_all_succeed() {
    const TEST: u8 = 81;
    thread::scope(|scope| {
        for pair in 1..=PAIRS {
            let inner = format!("near {pair}");
            let outer = format!("far {pair}");
            let (expect_outer, expect_inner) = (outer.clone(), inner.clone());
            scope.spawn(move || {
                assert_eq!(greet(near(TEST), far(TEST, pair), &inner), expect_outer);
            });
            scope.spawn(move || {
                assert_eq!(greet(far(TEST, pair), near(TEST), &outer), expect_inner);
            });
        }
    });
}
