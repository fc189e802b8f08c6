//! `--loopback`: a demonstration with both sides in one process.
//!
//! 127.0.0.1 and 127.0.0.2 punch towards each other, as two hosts do, but without NATs.

use std::{
    io::{Read, Write},
    net::{IpAddr, Shutdown},
    thread,
};

use punch::{Puncher, driver::clock::monotonic_now, proto::time::MonoTime};

use crate::{args::Args, exit::Problem, progress::Progress};

/// Name, own address and peer's address of the two sides.
const SIDES: [(&str, [u8; 4], [u8; 4]); 2] =
    [("a", [127, 0, 0, 1], [127, 0, 0, 2]), ("b", [127, 0, 0, 2], [127, 0, 0, 1])];

pub(crate) fn run(args: &Args, progress: &Progress) -> Result<(), Problem> {
    // The process id keeps two demonstrations at the same time apart.
    let session = format!("loopback {}", std::process::id());
    let puncher = args.puncher().map_err(Problem::usage)?.session(session);
    let started = monotonic_now();
    let results = thread::scope(|scope| {
        let sides = SIDES.map(|side| {
            let puncher = puncher.clone();
            scope.spawn(move || one_side(side, puncher, started, progress))
        });
        sides.map(|side| {
            side.join()
                .unwrap_or_else(|_| Err(Problem::failed("a side panicked")))
        })
    });
    let [a, b] = results;
    a.and(b)
}

fn one_side(
    (name, own, peer): (&str, [u8; 4], [u8; 4]),
    puncher: Puncher,
    started: MonoTime,
    progress: &Progress,
) -> Result<(), Problem> {
    let connection = puncher
        .bind(IpAddr::from(own))
        .connect_observed(IpAddr::from(peer), |event| progress.event(event))?;
    let took = monotonic_now().since(started);
    let (local, remote, role) =
        (connection.local_addr(), connection.peer_addr(), connection.role());
    let (mut stream, closing) = connection.into_parts();
    let mut greeting = String::new();
    let exchanged = stream
        .write_all(format!("hello from {name}").as_bytes())
        .and_then(|()| stream.shutdown(Shutdown::Write))
        .and_then(|()| stream.read_to_string(&mut greeting));
    exchanged.map_err(|error| Problem::failed(format!("side {name}: {error}")))?;
    closing.wait();
    progress.remark(&format!(
        "side {name}: {local} to {remote} as {role:?} after {:.1} ms, received {greeting:?}",
        took.as_secs_f64() * 1000.0
    ));
    Ok(())
}
