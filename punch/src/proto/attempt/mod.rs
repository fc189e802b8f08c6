//! One attempt to reach one peer, as a state machine.
//!
//! Order of calls, after [`Attempt::new`] and after every `handle_*`:
//!
//! 1. Call [`Attempt::poll_action`] until it returns `None`, and perform each action.
//! 2. Call [`Attempt::poll_event`] until it returns `None`.
//! 3. Look at [`Attempt::outcome`].
//! 4. Wait for a socket or for [`Attempt::poll_timeout`], whichever comes first, and report it by
//!    the `handle_*` that belongs to it.
//!
//! Every call that may change something takes the monotonic time. Time never goes back.
//!
//! Invariants: each port has at most one connecting socket. A socket in SYN_RECV is kept for the
//! time of a handshake (the caller looks, see [`Action::Inspect`]). No decision is taken after the
//! deadline.
//!
//! Known limit: local port and remote port of a connect are the same, since the peers share nothing
//! but the ports. To search the ports of a NAT that maps every destination to a new port, another
//! source of [`Action::Connect`] would be needed.

mod interface;
mod port;
mod scheduling;

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    time::Duration,
};

use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};

pub use self::interface::{Action, Config, MAX_FIXED_PORTS, Outcome, PortSource, RefusedBy};
use self::port::{BIND_PAUSE, Slot, SlotState};
use super::{
    connection::{Failure, Reject, SocketId},
    election::{Election, Output},
    event::{Event, EventKind},
    statistics::Statistics,
    time::{MonoTime, WallTime},
};

/// Time that a SYN has to be answered: two round trips of a second each.
const HANDSHAKE: Duration = Duration::from_secs(2);

/// Interval at which connecting sockets are inspected for SYN_RECV.
const INSPECTION_INTERVAL: Duration = Duration::from_millis(500);

/// Maximum number of accepted connections beside the attempt's own. A peer needs one for each port.
/// Other hosts that share its address must not use up the descriptors of this process.
const MAX_ACCEPTED: usize = 64;

/// One attempt. The [module](self) states the order of calls.
#[derive(Debug)]
pub struct Attempt {
    config: Config,
    /// The choice among the connections that are established.
    election: Election,
    /// Source of the random pauses.
    rng: ChaCha20Rng,
    /// Start of the attempt by the monotonic clock.
    started: MonoTime,
    /// The first bucket in use of each lane; empty with fixed ports.
    lanes: Vec<i64>,
    /// The ports in use, and those that are out of use but still have a socket.
    slots: BTreeMap<u16, Slot>,
    /// The local port of each socket, accepted ones included.
    sockets: BTreeMap<SocketId, u16>,
    /// Number of the next socket.
    next_socket: u32,
    /// Time at which a lane changes to another bucket, by the latest reading of the wall clock.
    next_ports: Option<MonoTime>,
    /// When the connecting sockets are inspected next.
    next_inspection: MonoTime,
    /// What was sent and received, from which the reason of a failure follows.
    statistics: Statistics,
    /// Actions that the caller has not taken yet.
    actions: VecDeque<Action>,
    /// Events that the caller has not taken yet.
    events: VecDeque<Event>,
    /// The result, once the attempt has ended.
    outcome: Option<Outcome>,
}

impl Attempt {
    /// Begins an attempt at `now`, when the wall clock (offset included) reads `wall`.
    pub fn new(config: Config, now: MonoTime, wall: WallTime) -> Self {
        let mut attempt = Self {
            election: Election::new(config.scheme, now + config.timeout),
            rng: ChaCha20Rng::from_seed(config.seed),
            config,
            started: now,
            lanes: Vec::new(),
            slots: BTreeMap::new(),
            sockets: BTreeMap::new(),
            next_socket: 1,
            next_ports: None,
            next_inspection: now + INSPECTION_INTERVAL,
            statistics: Statistics::default(),
            actions: VecDeque::new(),
            events: VecDeque::new(),
            outcome: None,
        };
        let rule = match &attempt.config.ports {
            PortSource::Clock { buckets, .. } => Some(buckets.rule()),
            PortSource::Fixed(_) => None,
        };
        let peer = attempt.config.peer.to_string();
        attempt.report(now, EventKind::Started { peer, rule, wall_ns: wall.as_nanos() });
        attempt.schedule_ports(now, wall);
        attempt
    }

    /// The next action. Actions must be performed in order.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next event, in order.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The result; `None` while the attempt runs. After the end no `handle_*` does anything.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// Time at which [`Self::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<MonoTime> {
        if self.outcome.is_some() {
            return None;
        }
        let slots = self.slots.values().filter_map(|slot| match slot.state {
            SlotState::Connecting { resyn, .. } => Some(match resyn {
                Some(resyn) => resyn.min(self.next_inspection),
                None => self.next_inspection,
            }),
            SlotState::Paused { until } | SlotState::Unavailable { until } => Some(until),
            SlotState::Up { .. } => None,
        });
        slots
            .chain(self.next_ports)
            .chain(self.election.poll_timeout())
            .min()
    }

    /// Number of bytes that may be read from a connection; 0 if it must not be read.
    pub fn wants(&self, socket: SocketId) -> usize {
        self.election.wants(socket)
    }

    /// Handles a connect that succeeded.
    pub fn handle_connected(
        &mut self,
        now: MonoTime,
        socket: SocketId,
        local: SocketAddr,
        remote: SocketAddr,
    ) {
        if self.outcome.is_some() {
            return;
        }
        if local == remote {
            // The socket has connected to itself.
            self.report(
                now,
                EventKind::Rejected { port: local.port(), reason: Reject::SelfConnection },
            );
            self.actions.push_back(Action::Close { socket });
            return self.drop_failed(now, socket);
        }
        if let Some(slot) = self.slots.get_mut(&local.port()) {
            slot.state = SlotState::Up { socket };
        }
        self.connection_up(now, socket, local, remote, false);
    }

    /// Handles a connection that a listener has accepted. Returns its number, or `None` if the
    /// caller must close it: it is not from the peer's address, or there are too many. If there are
    /// too many, the oldest one without a HELLO is closed first.
    pub fn handle_accepted(
        &mut self,
        now: MonoTime,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Option<SocketId> {
        if self.outcome.is_some() || remote.ip().to_canonical() != self.config.peer {
            return None;
        }
        if self.sockets.len() >= self.slots.len() + MAX_ACCEPTED {
            self.election.make_room(now);
            self.drain_election(now);
            if self.sockets.len() >= self.slots.len() + MAX_ACCEPTED {
                return None;
            }
        }
        let socket = self.new_socket(local.port());
        self.connection_up(now, socket, local, remote, true);
        Some(socket)
    }

    /// Handles a connect that was refused.
    pub fn handle_refused(&mut self, now: MonoTime, socket: SocketId, by: RefusedBy, error: &str) {
        if self.outcome.is_some() {
            return;
        }
        let Some(&port) = self.sockets.get(&socket) else { return };
        self.report(now, EventKind::Refused { port, error: error.to_owned() });
        if by == RefusedBy::Host {
            self.statistics.local_errors += 1;
            return self.drop_failed(now, socket);
        }
        let began = self.slots.get(&port).and_then(|slot| slot.connected_at);
        self.statistics
            .count_refusal(began.map_or(Duration::MAX, |began| now.since(began)));
        let in_use = self.ports_in_use();
        let slot = self.slots.get_mut(&port);
        let pause = slot.map_or(Duration::ZERO, |slot| slot.refused(in_use));
        self.drop_socket(now, socket, pause);
    }

    /// Handles a port that could not be bound, since another program holds it. It is tried again
    /// after some seconds. An error that passes sooner, such as a local address that is gone, is a
    /// refusal by this host.
    pub fn handle_unavailable(&mut self, now: MonoTime, socket: SocketId, error: &str) {
        if self.outcome.is_some() {
            return;
        }
        let Some(port) = self.sockets.remove(&socket) else { return };
        self.report(now, EventKind::Unavailable { port, error: error.to_owned() });
        self.statistics.unavailable += 1;
        let Some(slot) = self.slots.get_mut(&port) else { return };
        slot.state = SlotState::Unavailable { until: now + BIND_PAUSE };
        if std::mem::take(&mut slot.listening) {
            self.actions.push_back(Action::Unlisten { port });
        }
    }

    /// Handles a port that could not be listened on. It still connects.
    pub fn handle_no_listener(&mut self, now: MonoTime, port: u16, error: &str) {
        if self.outcome.is_some() {
            return;
        }
        self.report(now, EventKind::NoListener { port, error: error.to_owned() });
        if let Some(slot) = self.slots.get_mut(&port) {
            slot.listening = false;
        }
    }

    /// Handles the end of a connecting socket without a connection: it was closed as
    /// [`Action::Abandon`] or [`Action::Reset`] asked, or the system has given up.
    pub fn handle_abandoned(&mut self, now: MonoTime, socket: SocketId) {
        if self.outcome.is_none() {
            self.drop_socket(now, socket, Duration::ZERO);
        }
    }

    /// Handles a connecting socket that is in SYN_RECV: a SYN has arrived, and the ACK that
    /// completes the handshake has not.
    pub fn handle_half_open(&mut self, now: MonoTime, socket: SocketId) {
        let Some(&port) = self.sockets.get(&socket) else { return };
        let Some(slot) = self.slots.get_mut(&port) else { return };
        let limit = slot.policy.half_open_limit;
        if let SlotState::Connecting { socket: own, half_open, .. } = &mut slot.state
            && *own == socket
            && self.outcome.is_none()
            && now.since(*half_open.get_or_insert(now)) >= limit
        {
            self.statistics.half_open += 1;
            self.actions.push_back(Action::Reset { socket });
        }
    }

    /// Handles a change of the local address: listeners and connecting sockets are opened again.
    /// Established connections are left alone.
    pub fn handle_new_local_address(&mut self, now: MonoTime) {
        if self.outcome.is_some() {
            return;
        }
        for (&port, slot) in &mut self.slots {
            if std::mem::take(&mut slot.listening) {
                self.actions.push_back(Action::Unlisten { port });
            }
            match slot.state {
                SlotState::Connecting { socket, .. } => {
                    self.actions.push_back(Action::Reset { socket });
                }
                SlotState::Paused { .. } | SlotState::Unavailable { .. } => {
                    slot.state = SlotState::Paused { until: now };
                }
                SlotState::Up { .. } => {}
            }
        }
        let scheduled: Vec<u16> = self
            .slots
            .iter()
            .filter(|(_, slot)| slot.scheduled)
            .map(|(&port, _)| port)
            .collect();
        for port in scheduled {
            self.listen(port);
        }
    }

    /// Handles bytes that were read from a connection, at most [`Self::wants`].
    pub fn handle_data(&mut self, now: MonoTime, socket: SocketId, bytes: &[u8]) {
        if self.outcome.is_none() {
            self.election.handle_data(now, socket, bytes);
            self.drain_election(now);
        }
    }

    /// Handles a connection that ended or failed.
    pub fn handle_closed(&mut self, now: MonoTime, socket: SocketId) {
        if self.outcome.is_some() {
            return;
        }
        if let Some(&port) = self.sockets.get(&socket) {
            self.report(now, EventKind::Disconnected { port });
        }
        self.actions.push_back(Action::Close { socket });
        self.drop_failed(now, socket);
        self.election.handle_down(now, socket);
        self.drain_election(now);
    }

    /// Does what is due at `now`, when the wall clock (offset included) reads `wall`. The ports
    /// follow this reading, also after a step of the wall clock.
    pub fn handle_timeout(&mut self, now: MonoTime, wall: WallTime) {
        if self.outcome.is_some() {
            return;
        }
        self.election.handle_timeout(now);
        self.drain_election(now);
        if self.outcome.is_some() {
            return;
        }
        self.look_at_clock(now, wall);
        if now >= self.next_inspection {
            self.next_inspection = now + INSPECTION_INTERVAL;
            self.inspect();
        }
        let due: Vec<u16> = self.slots.keys().copied().collect();
        for port in due {
            self.slot_timeout(now, port);
        }
    }

    fn connection_up(
        &mut self,
        now: MonoTime,
        socket: SocketId,
        local: SocketAddr,
        remote: SocketAddr,
        accepted: bool,
    ) {
        self.statistics.connections += 1;
        let port = local.port();
        self.report(now, EventKind::Connected { port, local, remote, accepted });
        self.election.handle_up(now, socket, port);
        self.drain_election(now);
    }

    fn drain_election(&mut self, now: MonoTime) {
        while let Some(output) = self.election.poll_output() {
            match output {
                Output::Send(socket, bytes) => {
                    self.actions.push_back(Action::Send { socket, bytes });
                }
                Output::Reject(socket, reason) => {
                    let port = self.port_of(socket);
                    self.statistics.count_rejection(reason);
                    self.report(now, EventKind::Rejected { port, reason });
                    self.actions.push_back(Action::Close { socket });
                    self.drop_failed(now, socket);
                }
                Output::Hello(socket, hello, role) => {
                    self.statistics.hellos += 1;
                    let port = self.port_of(socket);
                    self.report(now, EventKind::Hello { port, peer_port: hello.port, role });
                }
                Output::Decided(socket, role) => {
                    let port = self.port_of(socket);
                    self.report(now, EventKind::Decided { port, role });
                }
                Output::Elected(socket, role) => {
                    self.outcome = Some(Outcome::Elected { socket, role });
                }
                Output::Lost => {
                    let reason = self.statistics.failure();
                    self.fail(now, reason);
                }
            }
        }
    }

    fn fail(&mut self, now: MonoTime, reason: Failure) {
        self.report(now, EventKind::Statistics(self.statistics));
        self.report(now, EventKind::Failed { reason });
        self.outcome = Some(Outcome::Failed(reason));
    }

    fn port_of(&self, socket: SocketId) -> u16 {
        self.sockets.get(&socket).copied().unwrap_or_default()
    }

    fn new_socket(&mut self, port: u16) -> SocketId {
        // The numbers wrap after 2³² sockets.
        while self.sockets.contains_key(&SocketId(self.next_socket)) {
            self.next_socket = self.next_socket.wrapping_add(1);
        }
        let socket = SocketId(self.next_socket);
        self.next_socket = self.next_socket.wrapping_add(1);
        self.sockets.insert(socket, port);
        socket
    }

    /// A random time, uniform in [0, `end`), in nanoseconds.
    fn uniform(&mut self, end: Duration) -> Duration {
        let nanos = (u128::from(self.rng.next_u64()) * end.as_nanos()) >> 64;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn report(&mut self, at: MonoTime, kind: EventKind) {
        self.events.push_back(Event { at, kind });
    }
}
