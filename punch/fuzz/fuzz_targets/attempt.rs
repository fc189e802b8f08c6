//! The state machine of an attempt, with events in any order and frames of several peers.
//!
//! It never panics, never connects on a port that is connecting, hands over only an established
//! connection, and does nothing after its end.
#![no_main]

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use punch::proto::{
    attempt::{Action, Attempt, Config, Outcome, PortSource, RefusedBy},
    bucket::{Buckets, Rule},
    connection::SocketId,
    election::Scheme,
    schedule::Schedule,
    time::{MonoTime, WallTime},
    wire::{Choice, Frame, Hello, MAX_FRAME, Nonce, SessionTag},
};

#[derive(Debug, Arbitrary)]
struct Input {
    article: bool,
    listen: bool,
    fixed: Option<Vec<u16>>,
    wan_ip: Option<bool>,
    wall_s: i32,
    steps: Vec<Step>,
}

#[derive(Debug, Arbitrary)]
enum Step {
    Connected(u8),
    Accepted { port: u16, remote_port: u16, stranger: bool },
    Refused { socket: u8, by_network: bool },
    Unavailable(u8),
    NoListener(u16),
    Abandoned(u8),
    Closed(u8),
    Data(u8, Vec<u8>),
    Frame(u8, Said),
    Wait { milliseconds: u16 },
    WaitAsTold,
}

/// A frame, which bytes at random hardly ever are.
#[derive(Debug, Arbitrary)]
enum Said {
    Hello { nonce: u8, connection: u8, stranger: bool },
    Commit { nonce: u8 },
    Ack { nonce: u8, connection: u8 },
}

impl Said {
    fn frame(&self) -> Frame {
        match *self {
            Self::Hello { nonce, connection, stranger } => {
                let session =
                    if stranger { SessionTag::new("other") } else { SessionTag::default() };
                let (nonce, connection) = (some_nonce(nonce), connection.into());
                Frame::Hello(Hello { session, nonce, connection, port: 1 })
            }
            Self::Commit { nonce } => Frame::Commit(some_nonce(nonce)),
            Self::Ack { nonce, connection } => {
                let (nonce, connection) = (some_nonce(nonce), connection.into());
                Frame::Ack(Choice { nonce, connection })
            }
        }
    }
}

/// The nonce of this side, or one of four others, of which two follow and two lead.
fn some_nonce(index: u8) -> Nonce {
    Nonce([OWN.0[0] - 2 + index % 5; 16])
}

const OWN: Nonce = Nonce([7; 16]);
const PEER: [u8; 4] = [203, 0, 113, 1];

fuzz_target!(|input: Input| {
    let ports = match input.fixed {
        Some(ports) => PortSource::Fixed(ports),
        None => {
            let rule = if input.article { Rule::Article } else { Rule::Rolling };
            let buckets = Buckets::new(rule, Duration::from_secs(20));
            PortSource::Clock { buckets, schedule: Schedule::ChaCha20 }
        }
    };
    let session = SessionTag::default();
    let scheme = match input.wan_ip {
        Some(leads) => Scheme::WanIp { leads },
        None => Scheme::Nonce { own: OWN, session },
    };
    let config = Config::new(PEER.into(), scheme, [1; 32])
        .ports(ports)
        .session(session)
        .listen(input.listen)
        .timeout(Duration::from_secs(60));
    let mut now = MonoTime::from_nanos(1);
    let mut attempt = Attempt::new(config, now, WallTime::from_secs(input.wall_s.into()));
    let mut connecting: BTreeMap<SocketId, u16> = BTreeMap::new();
    let mut known: Vec<SocketId> = Vec::new();
    let mut over = false;
    for step in input.steps.into_iter().take(300) {
        while let Some(action) = attempt.poll_action() {
            assert!(!over, "{action:?} after the end");
            match action {
                Action::Connect { socket, port } => {
                    let twice = connecting.values().any(|other| *other == port);
                    assert!(!twice, "two sockets connect on port {port}");
                    connecting.insert(socket, port);
                    known.push(socket);
                }
                Action::Close { socket } => {
                    connecting.remove(&socket);
                    known.retain(|other| *other != socket);
                }
                Action::Send { socket, bytes } => {
                    assert!(known.contains(&socket) && !connecting.contains_key(&socket));
                    assert!(bytes.len() <= MAX_FRAME);
                }
                _ => {}
            }
        }
        while let Some(event) = attempt.poll_event() {
            assert!(!over, "{event:?} after the end");
        }
        if let Some(outcome) = attempt.outcome() {
            over = true;
            assert_eq!(attempt.poll_timeout(), None);
            if let Outcome::Elected { socket, .. } = outcome {
                assert!(known.contains(&socket) && !connecting.contains_key(&socket));
                assert_eq!(attempt.wants(socket), 0, "what follows belongs to the user");
            }
        }
        let pick = |index: u8| known.get(usize::from(index) % known.len().max(1)).copied();
        let connecting_one = |index: u8| {
            connecting
                .iter()
                .nth(usize::from(index) % connecting.len().max(1))
                .map(|(s, p)| (*s, *p))
        };
        match step {
            Step::Connected(index) => {
                let Some((socket, port)) = connecting_one(index) else { continue };
                connecting.remove(&socket);
                let local = SocketAddr::new(IpAddr::from([192, 0, 2, 1]), port);
                attempt.handle_connected(now, socket, local, SocketAddr::new(PEER.into(), port));
            }
            Step::Accepted { port, remote_port, stranger } => {
                let peer = if stranger { [198, 51, 100, 9] } else { PEER };
                let local = SocketAddr::new(IpAddr::from([192, 0, 2, 1]), port);
                let remote = SocketAddr::new(peer.into(), remote_port);
                known.extend(attempt.handle_accepted(now, local, remote));
            }
            Step::Refused { socket, by_network } => {
                let Some((socket, _)) = connecting_one(socket) else { continue };
                connecting.remove(&socket);
                let by = if by_network { RefusedBy::Network } else { RefusedBy::Host };
                attempt.handle_refused(now, socket, by, "refused");
            }
            Step::Unavailable(index) => {
                let Some((socket, _)) = connecting_one(index) else { continue };
                connecting.remove(&socket);
                attempt.handle_unavailable(now, socket, "in use");
            }
            Step::NoListener(port) => attempt.handle_no_listener(now, port, "in use"),
            Step::Abandoned(index) => {
                let Some((socket, _)) = connecting_one(index) else { continue };
                connecting.remove(&socket);
                attempt.handle_abandoned(now, socket);
            }
            Step::Closed(index) => {
                let Some(socket) = pick(index) else { continue };
                if !connecting.contains_key(&socket) {
                    attempt.handle_closed(now, socket);
                }
            }
            Step::Data(index, bytes) => {
                let Some(socket) = pick(index) else { continue };
                let wanted = attempt.wants(socket).min(bytes.len());
                if wanted > 0 {
                    attempt.handle_data(now, socket, &bytes[..wanted]);
                }
            }
            Step::Frame(index, said) => {
                let Some(socket) = pick(index) else { continue };
                let bytes = said.frame().encode();
                let mut rest = &bytes[..];
                while !rest.is_empty() && attempt.wants(socket) > 0 {
                    let (piece, left) = rest.split_at(attempt.wants(socket).min(rest.len()));
                    attempt.handle_data(now, socket, piece);
                    rest = left;
                }
            }
            Step::Wait { milliseconds } => {
                now = now + Duration::from_millis(milliseconds.into());
                attempt.handle_timeout(now);
            }
            Step::WaitAsTold => {
                let Some(due) = attempt.poll_timeout() else { continue };
                now = now.max(due);
                attempt.handle_timeout(now);
                let next = attempt.poll_timeout();
                assert!(next.is_none_or(|next| next > now), "a time-out that does not pass");
            }
        }
    }
});
