//! The algorithm alone, [`Attempt`], in an event loop of its own, with mio.
//!
//! ```sh
//! cargo run -p punch --example own_event_loop -- 127.0.0.2 127.0.0.1   # in one terminal
//! cargo run -p punch --example own_event_loop -- 127.0.0.1 127.0.0.2   # in another
//! ```
//!
//! An attempt does no I/O. The loop reports what happens (`handle_*`), performs the actions
//! (`poll_action`) and wakes at the time of `poll_timeout`. It leaves out two things that
//! `punch::driver` has: fresh SYNs in place of unanswered ones, and the orderly end of the
//! connections that were not chosen.

mod sockets;

use std::{
    error::Error,
    io::{self, Read, Write},
    net::{IpAddr, Shutdown, TcpStream},
};

use mio::Events;
use punch::{
    driver::clock::{monotonic_now, wall_now},
    proto::{
        attempt::{Attempt, Config, Outcome, RefusedBy},
        connection::SocketId,
        election::Scheme,
        wire::{MAX_FRAME, Nonce, SessionTag},
    },
};

use sockets::{Link, Sockets};

fn main() -> Result<(), Box<dyn Error>> {
    let addresses: Result<Vec<IpAddr>, _> = std::env::args().skip(1).map(|a| a.parse()).collect();
    let [peer, own] = addresses?[..] else { return Err("usage: own_event_loop PEER OWN".into()) };
    let attempt = Attempt::new(config(peer)?, monotonic_now(), wall_now());
    let mut sockets = Sockets::new(own, peer)?;
    let mut stream = run(attempt, &mut sockets)?;
    stream.set_nonblocking(false)?;
    println!("connected: {} to {}", stream.local_addr()?, stream.peer_addr()?);
    writeln!(stream, "hello from {own}")?;
    stream.shutdown(Shutdown::Write)?;
    io::copy(&mut stream, &mut io::stdout())?;
    Ok(())
}

fn config(peer: IpAddr) -> Result<Config, getrandom::Error> {
    let (mut nonce, mut seed) = ([0; 16], [0; 32]);
    getrandom::fill(&mut nonce)?;
    getrandom::fill(&mut seed)?;
    let session = SessionTag::new("example own_event_loop");
    let scheme = Scheme::Nonce { own: Nonce(nonce), session };
    Ok(Config::new(peer, scheme, seed).session(session))
}

/// Runs the attempt to its end.
fn run(mut attempt: Attempt, sockets: &mut Sockets) -> Result<TcpStream, Box<dyn Error>> {
    let mut events = Events::with_capacity(64);
    loop {
        while let Some(action) = attempt.poll_action() {
            sockets.perform(action, &mut attempt)?;
        }
        while let Some(event) = attempt.poll_event() {
            eprintln!("{event:?}");
        }
        match attempt.outcome() {
            Some(Outcome::Elected { socket, .. }) => {
                let (stream, _) = sockets.links.remove(&socket).ok_or("it is closed")?;
                return Ok(stream.into());
            }
            Some(Outcome::Failed(failure)) => return Err(failure.into()),
            Some(outcome) => return Err(format!("unknown to this loop: {outcome:?}").into()),
            None => {}
        }
        let timeout = attempt.poll_timeout().map(|due| due.since(monotonic_now()));
        sockets.wait(&mut events, timeout)?;
        sockets.accept(&mut attempt)?;
        // All sockets, not only those with an event: what the attempt wants to read from one socket
        // may depend on what it has read from another.
        let look_at = |&id: &SocketId, link: &mut Link| look_at(id, link, &mut attempt);
        sockets.links.retain(look_at);
        attempt.handle_timeout(monotonic_now(), wall_now());
    }
}

/// Reports the state of a socket to the attempt. `false` if the socket must be closed.
fn look_at(id: SocketId, (stream, is_connecting): &mut Link, attempt: &mut Attempt) -> bool {
    let now = monotonic_now();
    match (stream.take_error(), stream.local_addr(), stream.peer_addr()) {
        _ if !*is_connecting => {}
        (Ok(None), Ok(own), Ok(peer)) => {
            *is_connecting = false;
            attempt.handle_connected(now, id, own, peer);
        }
        (Ok(Some(error)), ..) => {
            attempt.handle_refused(now, id, RefusedBy::Network, &error.to_string());
            return false;
        }
        _ => return true,
    }
    // No more than the attempt wants: the next byte may belong to the user.
    let mut buffer = [0; MAX_FRAME];
    while let wanted @ 1.. = attempt.wants(id).min(MAX_FRAME) {
        match stream.read(&mut buffer[..wanted]) {
            Ok(0) => attempt.handle_closed(now, id),
            Ok(length) => attempt.handle_data(now, id, &buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(_) => attempt.handle_closed(now, id),
        }
    }
    true
}
