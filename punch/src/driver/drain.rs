//! Closing the losers of an election without a RST.
//!
//! `close()` with unread bytes sends a RST, and a RST sent by both ends of an established
//! connection makes NATs refuse the 4-tuple for 10 s. So a loser is read to its end and closed
//! with FIN. The leader sends the first FIN and the follower answers it, so that TIME_WAIT is left
//! on one side only and the same ports can be punched again at once from the other.
//!
//! The follower's last frame may still be on its way on the connection that was handed over. Until
//! the peer's kernel has it, for [`BOUND`] at most, that connection keeps its steady [`Pace`]; where
//! its user closes it meanwhile, its FIN leaves after that.

use std::{collections::BTreeMap, io, thread, thread::JoinHandle, time::Duration};

use polling::{Events, Poller};
use socket2::Socket;

use super::{
    clock::monotonic_now,
    pace::Pace,
    socket::{self, TcpState},
};
use crate::proto::election::Role;

/// How long the follower waits for the leader's FIN, and both for the end of a connection.
const BOUND: Duration = Duration::from_secs(2);

/// How long a failed attempt, whose time is over, waits for the ends of its connections: for what is
/// under way to arrive, and not for a peer that stalls.
const BRIEFLY: Duration = Duration::from_secs(1);

/// How often a loser is read at a time, so that a peer that floods keeps nobody waiting.
const READS_AT_ONCE: usize = 64;

/// How often the connection that was handed over is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Losers being closed in the background.
#[derive(Debug)]
pub(crate) struct Draining(Option<JoinHandle<()>>);

impl Draining {
    /// Closes `losers` on a thread of its own, within some seconds. What can be done at once is done
    /// at once: where the process ends before the thread, its kernel has nothing to reset.
    pub(crate) fn start(
        losers: Vec<Socket>,
        role: Role,
        unfinished: Option<(Socket, Pace)>,
    ) -> Self {
        let losers = begin(losers, role);
        if losers.is_empty() && unfinished.is_none() {
            return Self(None);
        }
        let work = move || {
            // Without a poller the sockets are closed as they are.
            let _ = drain(losers, role, unfinished, BOUND * 2);
        };
        Self(
            thread::Builder::new()
                .name("punch-drain".into())
                .spawn(work)
                .ok(),
        )
    }

    /// Waits until the losers are closed.
    pub(crate) fn wait(self) {
        if let Some(thread) = self.0 {
            let _ = thread.join();
        }
    }
}

/// Closes `losers` before it returns, within [`BRIEFLY`].
pub(crate) fn close_briefly(losers: Vec<Socket>, role: Role) {
    let _ = drain(begin(losers, role), role, None, BRIEFLY);
}

/// Does what can be done at once; what is left has not ended yet.
fn begin(losers: Vec<Socket>, role: Role) -> Vec<Loser> {
    // A socket that has only sent SYNs is closed silently: nothing is known of it elsewhere.
    let losers = losers
        .into_iter()
        .filter(|s| socket::state(s) != TcpState::SynSent);
    let mut losers: Vec<Loser> = losers.map(Loser::new).collect();
    losers.retain_mut(|loser| !loser.advance(role));
    losers
}

/// Closes `losers` within `most`.
fn drain(
    losers: Vec<Loser>,
    role: Role,
    mut unfinished: Option<(Socket, Pace)>,
    most: Duration,
) -> io::Result<()> {
    let poller = Poller::new()?;
    let mut open: BTreeMap<usize, Loser> = BTreeMap::new();
    for (key, loser) in losers.into_iter().enumerate() {
        // SAFETY: every socket is deleted from the poller before it is dropped, below; after an
        // error both end together.
        unsafe { poller.add(&loser.socket, polling::Event::all(key))? };
        open.insert(key, loser);
    }
    let started = monotonic_now();
    let mut events = Events::new();
    while !open.is_empty() || unfinished.is_some() {
        let now = monotonic_now();
        let settled = |(socket, _): &mut (Socket, Pace)| {
            now.since(started) >= BOUND || !socket::awaits_acknowledgment(socket)
        };
        if let Some((socket, pace)) = unfinished.take_if(settled) {
            pace.finish(&socket);
            continue;
        }
        let Some(mut left) = time_left(now.since(started), most, &mut open) else { break };
        if unfinished.is_some() {
            left = left.min(LOOK);
        }
        events.clear();
        poller.wait(&mut events, Some(left))?;
        for event in events.iter() {
            let Some(loser) = open.get_mut(&event.key) else { continue };
            if loser.advance(role) {
                poller.delete(&loser.socket)?;
                open.remove(&event.key);
            } else {
                poller.modify(&loser.socket, polling::Event::readable(event.key))?;
            }
        }
    }
    for loser in open.values() {
        poller.delete(&loser.socket)?;
    }
    Ok(())
}

/// Time until the next bound; when the first has passed, every FIN still owed is sent.
fn time_left(
    elapsed: Duration,
    most: Duration,
    open: &mut BTreeMap<usize, Loser>,
) -> Option<Duration> {
    if elapsed >= most {
        return None;
    }
    if elapsed < BOUND {
        return Some(BOUND.min(most) - elapsed);
    }
    open.values_mut().for_each(Loser::send_fin);
    Some(most - elapsed)
}

#[derive(Debug)]
struct Loser {
    socket: Socket,
    fin_sent: bool,
}

impl Loser {
    fn new(socket: Socket) -> Self {
        Self { socket, fin_sent: false }
    }

    /// Reads what is there, or some of it; true once the connection is at its end.
    fn advance(&mut self, role: Role) -> bool {
        // Its handshake may only now have ended; the FIN could not be sent before.
        if role == Role::Leader {
            self.send_fin();
        }
        let mut buffer = [0; 512];
        for _ in 0..READS_AT_ONCE {
            match socket::read(&self.socket, &mut buffer) {
                Ok(0) => {
                    self.send_fin();
                    return true;
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return true,
            }
        }
        false
    }

    fn send_fin(&mut self) {
        if !self.fin_sent {
            self.fin_sent = self.socket.shutdown(std::net::Shutdown::Write).is_ok();
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::driver::testing::{deaf, pair, wait};

    /// The last frame is lost for a while, or for good: meanwhile the steady pace stays, and then
    /// the connection is as the system makes them.
    #[test]
    fn the_chosen_connection_keeps_its_pace_until_the_peer_has_the_last_frame() {
        for comes_through in [true, false] {
            // Where nobody may choose BBR, there is nothing to put back.
            let Some([near, far]) = pair("bbr") else { return };
            let is = |name: &[u8]| near.tcp_congestion().unwrap().starts_with(name);
            let pace = Pace::steady(&near)
                .release(&near)
                .expect("BBR was replaced");
            deaf(&far);
            socket::send(&near, b"an ACK").unwrap();
            let started = monotonic_now();
            let unfinished = Some((near.try_clone().unwrap(), pace));
            let draining = Draining::start(Vec::new(), Role::Follower, unfinished);
            wait(Duration::from_millis(300));
            assert!(is(b"reno"), "the frame is still in doubt");
            if comes_through {
                far.detach_filter().unwrap();
            }
            draining.wait();
            assert!(is(b"bbr"));
            let elapsed = monotonic_now().since(started);
            assert_eq!(elapsed < BOUND, comes_through, "{elapsed:?}");
        }
    }

    /// The dup of a connection must not outlive its use: its user's FIN waits for it.
    #[test]
    fn a_connection_whose_last_frame_has_arrived_is_let_go_at_once() {
        let Some([near, far]) = pair("bbr") else { return };
        let pace = Pace::steady(&near)
            .release(&near)
            .expect("BBR was replaced");
        let unfinished = Some((near.try_clone().unwrap(), pace));
        let _draining = Draining::start(Vec::new(), Role::Follower, unfinished);
        drop(near);
        far.set_read_timeout(Some(BOUND / 2)).unwrap();
        assert_eq!(socket::read(&far, &mut [0; 1]).unwrap(), 0, "the user's FIN");
    }
}
