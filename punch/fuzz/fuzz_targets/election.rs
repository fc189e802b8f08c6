//! Two elections and the connections between them, whose bytes an adversary delays, drops or
//! replaces: they never choose different connections, and a leader never succeeds alone.
#![no_main]

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use punch::proto::{
    connection::{Role, SocketId},
    election::{Election, Output, Scheme},
    time::MonoTime,
    wire::{Nonce, SessionTag},
};

#[derive(Debug, Arbitrary)]
enum Step {
    Up { side: bool, link: u8 },
    Deliver { side: bool, link: u8, bytes: u8 },
    Down { side: bool, link: u8 },
    Garbage { link: u8, bytes: [u8; 8] },
    Wait { side: bool, tenths: u8 },
}

struct Side {
    election: Election,
    now: MonoTime,
    /// Bytes on their way to this side, for each connection.
    incoming: BTreeMap<u8, VecDeque<u8>>,
    elected: Option<(SocketId, Role)>,
}

impl Side {
    fn new(nonce: u8) -> Self {
        let scheme = Scheme::Nonce { own: Nonce([nonce; 16]), session: SessionTag::new("fuzz") };
        let deadline = MonoTime::default() + Duration::from_secs(10);
        Self {
            election: Election::new(scheme, deadline),
            now: MonoTime::default(),
            incoming: BTreeMap::new(),
            elected: None,
        }
    }
}

/// Performs the outputs of a side. After garbage the sides need not agree, and only must not panic:
/// agreement is checked while everything was `honest`.
fn drain(sides: &mut [Side; 2], speaker: usize, honest: bool) {
    while let Some(output) = sides[speaker].election.poll_output() {
        match output {
            Output::Send(socket, bytes) => {
                let link = u8::try_from(socket.0 % 8).unwrap();
                sides[1 - speaker]
                    .incoming
                    .entry(link)
                    .or_default()
                    .extend(bytes);
            }
            Output::Elected(socket, role) if honest => {
                assert!(sides[speaker].elected.is_none(), "chosen twice");
                sides[speaker].elected = Some((socket, role));
                if role == Role::Leader {
                    let follower = sides[1 - speaker].elected;
                    assert!(follower.is_some(), "the leader succeeded before the follower");
                }
            }
            _ => {}
        }
    }
    if let (true, Some((a, leads)), Some((b, follows))) =
        (honest, sides[0].elected, sides[1].elected)
    {
        assert_eq!(a.0 % 8, b.0 % 8, "two different connections");
        assert_ne!(leads, follows, "the same role twice");
    }
}

fuzz_target!(|steps: Vec<Step>| {
    let mut sides = [Side::new(1), Side::new(2)];
    let mut up = [[false; 4]; 2];
    // The two sides have different numbers for a connection.
    let id = |side: usize, link: u8| SocketId(u32::from(link % 4) + 8 * (1 + side as u32));
    let mut honest = true;
    for step in steps.into_iter().take(400) {
        match step {
            Step::Up { side, link } => {
                let (side, link) = (usize::from(side), link % 4);
                if !up[side][usize::from(link)] {
                    up[side][usize::from(link)] = true;
                    let now = sides[side].now;
                    sides[side]
                        .election
                        .handle_up(now, id(side, link), 1000 + u16::from(link));
                    drain(&mut sides, side, honest);
                }
            }
            Step::Deliver { side, link, bytes } => {
                let (side, link) = (usize::from(side), link % 4);
                let wanted = sides[side].election.wants(id(side, link));
                let waiting = sides[side].incoming.entry(link).or_default();
                let count = wanted.min(usize::from(bytes).max(1)).min(waiting.len());
                let bytes: Vec<u8> = waiting.drain(..count).collect();
                if !bytes.is_empty() {
                    let now = sides[side].now;
                    sides[side]
                        .election
                        .handle_data(now, id(side, link), &bytes);
                    drain(&mut sides, side, honest);
                }
            }
            Step::Down { side, link } => {
                let side = usize::from(side);
                sides[side].election.handle_down(id(side, link));
                drain(&mut sides, side, honest);
            }
            Step::Garbage { link, bytes } => {
                honest = false;
                sides[0].incoming.entry(link % 4).or_default().extend(bytes);
            }
            Step::Wait { side, tenths } => {
                let side = usize::from(side);
                sides[side].now = sides[side].now + Duration::from_millis(100) * tenths.into();
                let now = sides[side].now;
                sides[side].election.handle_timeout(now);
                drain(&mut sides, side, honest);
            }
        }
    }
});
