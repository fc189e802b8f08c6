//! Closing of the connections that were not chosen, without a RST.
//!
//! `close()` with unread bytes sends a RST, and a RST sent by both ends of an established
//! connection makes NATs refuse the 4-tuple for 10 s. Each connection is therefore read to its end
//! and closed with FIN. The leader sends the first FIN and the follower answers it, so that
//! TIME_WAIT is left on one side only, and the same ports can be punched again at once from the
//! other side.
//!
//! On the chosen connection the follower's ACK frame may be unacknowledged when the connection is
//! handed over. That connection keeps its [`RetransmitTuning`] until the peer's kernel has
//! acknowledged the frame, for [`FIN_TIMEOUT`] at most. If the user closes the connection in that
//! time, its FIN leaves afterwards.

use std::{collections::BTreeMap, io, net::Shutdown, thread, thread::JoinHandle, time::Duration};

use polling::{Events, Poller};
use socket2::Socket;

use super::{
    clock::monotonic_now,
    retransmit::RetransmitTuning,
    socket::{self, TcpState},
};
use crate::proto::connection::Role;

/// Maximum time for which the follower waits for the leader's FIN, and then both for the end of a
/// connection.
const FIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Minimum of this time, and the number of round trips that it lasts otherwise: an orderly end
/// takes two, and each loss some more. What has not ended by then is left to the kernel, which
/// repeats the FIN alone: a process that has nothing else to do does not wait for a handshake that
/// hangs.
const MIN_FIN_TIMEOUT: Duration = Duration::from_millis(250);
const FIN_ROUND_TRIPS: u32 = 4;

/// Time for which a failed attempt, whose deadline has passed, waits in all for the ends of its
/// connections: enough for segments in flight, and a bound for a peer that stalls.
const FAILED_TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum number of reads from one connection at a time, so that a peer that floods delays no
/// other connection.
const MAX_READS: usize = 64;

/// Interval at which the chosen connection is checked for unacknowledged bytes.
const ACK_CHECK_INTERVAL: Duration = Duration::from_millis(10);

/// The connections that were not chosen, which are being closed in the background.
#[derive(Debug)]
pub struct ClosingSockets(Option<JoinHandle<()>>);

/// A duplicate of the chosen connection, whose last frame the peer has not acknowledged.
#[derive(Debug)]
pub(crate) struct UnacknowledgedAck {
    pub(crate) socket: Socket,
    pub(crate) tuning: RetransmitTuning,
}

impl ClosingSockets {
    /// Closes `sockets` on a new thread, within 4 s, or some round trips if `round_trip` is known.
    /// Everything that needs no waiting is done
    /// before this function returns: if the process ends before the thread, the kernel has nothing
    /// to reset.
    pub(crate) fn start(
        sockets: Vec<Socket>,
        role: Role,
        unacknowledged: Option<UnacknowledgedAck>,
        round_trip: Option<Duration>,
    ) -> Self {
        let open = begin(sockets, role);
        if open.is_empty() && unacknowledged.is_none() {
            return Self(None);
        }
        let fin_timeout = round_trip.map_or(FIN_TIMEOUT, |round_trip| {
            (round_trip * FIN_ROUND_TRIPS).clamp(MIN_FIN_TIMEOUT, FIN_TIMEOUT)
        });
        let work = move || {
            // Without a poller the sockets are closed as they are.
            let _ = close(open, role, unacknowledged, fin_timeout);
        };
        Self(
            thread::Builder::new()
                .name("punch-close".into())
                .spawn(work)
                .ok(),
        )
    }

    /// Waits until all connections are closed, 4 s at most.
    pub fn wait(self) {
        if let Some(thread) = self.0 {
            let _ = thread.join();
        }
    }
}

/// Closes `sockets` on the calling thread, within [`FAILED_TIMEOUT`].
pub(crate) fn close_now(sockets: Vec<Socket>, role: Role) {
    let _ = close(begin(sockets, role), role, None, FAILED_TIMEOUT / 2);
}

/// Does what needs no waiting, and returns the connections that have not ended yet.
fn begin(sockets: Vec<Socket>, role: Role) -> Vec<ClosingSocket> {
    // A socket in SYN_SENT is dropped: it sends nothing when it is closed.
    let connected = sockets
        .into_iter()
        .filter(|socket| socket::state(socket) != TcpState::SynSent);
    let mut open: Vec<ClosingSocket> = connected.map(ClosingSocket::new).collect();
    open.retain_mut(|socket| !socket.advance(role));
    open
}

/// Closes `sockets`: the follower waits for `fin_timeout` for the leader's FIN, and both as long
/// again for the end.
fn close(
    sockets: Vec<ClosingSocket>,
    role: Role,
    mut unacknowledged: Option<UnacknowledgedAck>,
    fin_timeout: Duration,
) -> io::Result<()> {
    let poller = Poller::new()?;
    let mut open: BTreeMap<usize, ClosingSocket> = BTreeMap::new();
    for (key, closing) in sockets.into_iter().enumerate() {
        // SAFETY: every socket is deleted from the poller before it is dropped, below; after an
        // error both end together.
        unsafe { poller.add(&closing.socket, polling::Event::all(key))? };
        open.insert(key, closing);
    }
    let started = monotonic_now();
    let mut events = Events::new();
    while !open.is_empty() || unacknowledged.is_some() {
        let elapsed = monotonic_now().since(started);
        let is_settled = |ack: &mut UnacknowledgedAck| {
            elapsed >= FIN_TIMEOUT || !socket::awaits_acknowledgment(&ack.socket)
        };
        if let Some(ack) = unacknowledged.take_if(is_settled) {
            ack.tuning.restore(&ack.socket);
            continue;
        }
        let mut left = time_left(elapsed, fin_timeout, &mut open);
        if left.is_zero() {
            for closing in std::mem::take(&mut open).into_values() {
                poller.delete(&closing.socket)?;
            }
        }
        if unacknowledged.is_some() {
            left = ACK_CHECK_INTERVAL;
        }
        events.clear();
        poller.wait(&mut events, Some(left))?;
        for event in events.iter() {
            let Some(closing) = open.get_mut(&event.key) else { continue };
            if closing.advance(role) {
                poller.delete(&closing.socket)?;
                open.remove(&event.key);
            } else {
                poller.modify(&closing.socket, polling::Event::readable(event.key))?;
            }
        }
    }
    Ok(())
}

/// Time until the next bound; zero after the last one. After the first one sends every FIN that is
/// still owed.
fn time_left(
    elapsed: Duration,
    fin_timeout: Duration,
    open: &mut BTreeMap<usize, ClosingSocket>,
) -> Duration {
    if elapsed < fin_timeout {
        return fin_timeout - elapsed;
    }
    open.values_mut().for_each(ClosingSocket::send_fin);
    (fin_timeout * 2).saturating_sub(elapsed)
}

/// One connection on its way to its end.
#[derive(Debug)]
struct ClosingSocket {
    socket: Socket,
    fin_sent: bool,
}

impl ClosingSocket {
    fn new(socket: Socket) -> Self {
        Self { socket, fin_sent: false }
    }

    /// Reads and discards what has arrived, up to [`MAX_READS`] times. True once the connection is
    /// at its end.
    fn advance(&mut self, role: Role) -> bool {
        // Tried each time: during a handshake, no FIN can be sent.
        if role == Role::Leader {
            self.send_fin();
        }
        let mut buffer = [0; 512];
        for _ in 0..MAX_READS {
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
            self.fin_sent = self.socket.shutdown(Shutdown::Write).is_ok();
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::driver::{
        socket::lower_rto_min,
        testing::{drop_incoming, pair, wait},
    };

    /// The tuning of a connection, once only the congestion control has to be put back.
    fn removed_tuning(socket: &Socket) -> RetransmitTuning {
        RetransmitTuning::apply(socket)
            .remove(socket)
            .expect("BBR was replaced")
    }

    #[test]
    fn the_chosen_connection_keeps_its_tuning_until_the_last_frame_is_acknowledged() {
        for arrives in [true, false] {
            // Where this user may not choose BBR, there is nothing to put back.
            let Some([near, far]) = pair("bbr", lower_rto_min) else { return };
            let is_under = |name: &[u8]| near.tcp_congestion().unwrap().starts_with(name);
            let tuning = removed_tuning(&near);
            drop_incoming(&far);
            socket::send(&near, b"an ACK").unwrap();
            let started = monotonic_now();
            let ack = UnacknowledgedAck { socket: near.try_clone().unwrap(), tuning };
            let closing = ClosingSockets::start(Vec::new(), Role::Follower, Some(ack), None);
            wait(Duration::from_millis(300));
            assert!(is_under(b"reno"), "the frame is still in doubt");
            if arrives {
                far.detach_filter().unwrap();
            }
            closing.wait();
            assert!(is_under(b"bbr"));
            let elapsed = monotonic_now().since(started);
            assert_eq!(elapsed < FIN_TIMEOUT, arrives, "{elapsed:?}");
        }
    }

    /// The user's FIN leaves only when the duplicate of the connection is closed.
    #[test]
    fn the_duplicate_of_the_chosen_connection_closes_once_the_last_frame_has_arrived() {
        let Some([near, far]) = pair("bbr", lower_rto_min) else { return };
        let tuning = removed_tuning(&near);
        let ack = UnacknowledgedAck { socket: near.try_clone().unwrap(), tuning };
        let _closing = ClosingSockets::start(Vec::new(), Role::Follower, Some(ack), None);
        drop(near);
        far.set_read_timeout(Some(FIN_TIMEOUT / 2)).unwrap();
        assert_eq!(socket::read(&far, &mut [0; 1]).unwrap(), 0, "the user's FIN");
    }
}
