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
//! Invariants: each port has at most one connecting socket. A socket that may be in SYN_RECV is
//! never closed (the caller checks, see [`Action::Abandon`]). No decision is taken after the
//! deadline.
//!
//! Known limit: local port and remote port of a connect are the same, since the peers share nothing
//! but the ports. To search the ports of a NAT that maps every destination to a new port, another
//! source of [`Action::Connect`] would be needed.

mod interface;
mod port;
mod tally;

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
use self::{
    port::{
        LOCAL_PAUSE, PortPolicy, RESYN, RESYN_SPREAD, ROTATION_TIME, Rotation, Slot, SlotState,
        SynRetry,
    },
    tally::Tally,
};
use super::{
    bucket::Rule,
    connection::{Failure, Reject, SocketId},
    election::{Election, Output},
    event::{Event, EventKind},
    schedule::bucket_ports,
    time::{MonoTime, WallTime},
};

/// Time that a SYN has to be answered: two round trips of a second each.
const HANDSHAKE: Duration = Duration::from_secs(2);

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
    /// The wall clock's reading at the start; the monotonic clock advances it.
    wall_at_start: WallTime,
    /// The ports in use, and those that are out of use but still have a socket.
    slots: BTreeMap<u16, Slot>,
    /// The local port of each socket, accepted ones included.
    sockets: BTreeMap<SocketId, u16>,
    /// Number of the next socket.
    next_socket: u32,
    /// Time at which the buckets in use change.
    next_ports: Option<MonoTime>,
    /// Counts from which the reason of a failure follows.
    tally: Tally,
    /// Actions that the caller has not taken yet.
    actions: VecDeque<Action>,
    /// Events that the caller has not taken yet.
    events: VecDeque<Event>,
    /// The result, once the attempt has ended.
    outcome: Option<Outcome>,
}

impl Attempt {
    /// Begins an attempt at `now`, when the wall clock (offset included) reads `wall`. The wall
    /// clock is read only once, and advanced by the monotonic clock, so that a step of the wall
    /// clock changes nothing.
    pub fn new(config: Config, now: MonoTime, wall: WallTime) -> Self {
        let mut attempt = Self {
            election: Election::new(config.scheme, now + config.timeout),
            rng: ChaCha20Rng::from_seed(config.seed),
            config,
            started: now,
            wall_at_start: wall,
            slots: BTreeMap::new(),
            sockets: BTreeMap::new(),
            next_socket: 1,
            next_ports: None,
            tally: Tally::default(),
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
        attempt.schedule_ports(now);
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
            SlotState::Connecting { resyn, .. } => resyn,
            SlotState::Paused { until } => Some(until),
            SlotState::Up { .. } | SlotState::Unavailable => None,
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
            return self.drop_socket(now, socket, LOCAL_PAUSE);
        }
        if let Some(slot) = self.slots.get_mut(&local.port()) {
            slot.state = SlotState::Up { socket };
        }
        self.connection_up(now, socket, local, remote, false);
    }

    /// Handles a connection that a listener has accepted. Returns its number, or `None` if the
    /// caller must close it: it is not from the peer's address, or there are too many.
    pub fn handle_accepted(
        &mut self,
        now: MonoTime,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Option<SocketId> {
        let crowded = self.sockets.len() >= self.slots.len() + MAX_ACCEPTED;
        if self.outcome.is_some() || crowded || remote.ip().to_canonical() != self.config.peer {
            return None;
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
            self.tally.local_errors += 1;
            return self.drop_socket(now, socket, LOCAL_PAUSE);
        }
        self.tally.refusals += 1;
        let in_use = self.slots.values().filter(|slot| slot.scheduled).count();
        let slot = self.slots.get_mut(&port);
        let pause = slot.map_or(LOCAL_PAUSE, |slot| slot.refused(in_use));
        self.drop_socket(now, socket, pause);
    }

    /// Handles a port that could not be bound. It is left out until its bucket comes into use
    /// again.
    pub fn handle_unavailable(&mut self, now: MonoTime, socket: SocketId, error: &str) {
        if self.outcome.is_some() {
            return;
        }
        let Some(port) = self.sockets.remove(&socket) else { return };
        self.report(now, EventKind::Unavailable { port, error: error.to_owned() });
        if let Some(slot) = self.slots.get_mut(&port) {
            slot.state = SlotState::Unavailable;
        }
        if self.config.listen {
            self.actions.push_back(Action::Unlisten { port });
        }
        if self
            .slots
            .values()
            .all(|slot| slot.state == SlotState::Unavailable)
        {
            self.fail(now, Failure::NothingBound);
        }
    }

    /// Handles a port that could not be listened on. It still connects.
    pub fn handle_no_listener(&mut self, now: MonoTime, port: u16, error: &str) {
        if self.outcome.is_none() {
            self.report(now, EventKind::NoListener { port, error: error.to_owned() });
        }
    }

    /// Handles the end of a connecting socket whose SYN was not answered: it was closed as
    /// [`Action::Abandon`] asked, or the system has given up.
    pub fn handle_abandoned(&mut self, now: MonoTime, socket: SocketId) {
        if self.outcome.is_none() {
            self.drop_socket(now, socket, Duration::ZERO);
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
        self.drop_socket(now, socket, LOCAL_PAUSE);
        self.election.handle_down(socket);
        self.drain_election(now);
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: MonoTime) {
        if self.outcome.is_some() {
            return;
        }
        if self.next_ports.is_some_and(|due| now >= due) {
            self.schedule_ports(now);
        }
        let due: Vec<u16> = self.slots.keys().copied().collect();
        for port in due {
            self.slot_timeout(now, port);
        }
        self.election.handle_timeout(now);
        self.drain_election(now);
    }

    /// Changes the ports in use to those of the clock.
    fn schedule_ports(&mut self, now: MonoTime) {
        let wall = self.wall_at_start + now.since(self.started);
        let (buckets, ports) = self.ports_at(wall);
        self.next_ports = match &self.config.ports {
            PortSource::Clock { buckets, .. } => buckets
                .next_change(wall)
                .map(|change| now + change.since(wall)),
            PortSource::Fixed(_) => None,
        };
        self.report(now, EventKind::Ports { buckets, ports: ports.keys().copied().collect() });

        let left: Vec<u16> = self
            .slots
            .keys()
            .copied()
            .filter(|port| !ports.contains_key(port))
            .collect();
        for port in left {
            self.leave_port(now, port);
        }
        let mut new = Vec::new();
        for (port, policy) in ports {
            if let Some(slot) = self.slots.get_mut(&port) {
                (slot.scheduled, slot.policy) = (true, policy);
            } else {
                self.slots.insert(port, Slot::new(policy, now));
                new.push(port);
            }
        }
        for port in new {
            if self.config.listen {
                self.actions.push_back(Action::Listen { port });
            }
            self.connect(now, port);
        }
    }

    /// Buckets in use and the policies of their ports.
    fn ports_at(&self, wall: WallTime) -> (Vec<i64>, BTreeMap<u16, PortPolicy>) {
        let mut policies: BTreeMap<u16, PortPolicy> = BTreeMap::new();
        let mut add = |ports: &[u16], rule: Option<Rule>| {
            for (index, &port) in ports.iter().enumerate() {
                let policy = PortPolicy::new(rule, index);
                policies
                    .entry(port)
                    .and_modify(|other| *other = other.merge(policy))
                    .or_insert(policy);
            }
        };
        let used = match &self.config.ports {
            PortSource::Fixed(ports) => {
                add(ports, None);
                Vec::new()
            }
            PortSource::Clock { buckets, schedule } => {
                let (rule, session) = (buckets.rule(), self.config.session);
                let used: Vec<i64> = buckets.at(wall).collect();
                for &bucket in &used {
                    add(&bucket_ports(rule, *schedule, bucket, session), Some(rule));
                }
                used
            }
        };
        (used, policies)
    }

    /// Takes a port out of use that no bucket in use has. A SYN in flight gets [`HANDSHAKE`] to be
    /// answered. If the socket were closed first, the answer would meet no socket, and the RST of
    /// this side would abort the peer's attempt too.
    fn leave_port(&mut self, now: MonoTime, port: u16) {
        let Some(slot) = self.slots.get_mut(&port) else { return };
        if !slot.scheduled {
            return;
        }
        slot.scheduled = false;
        match slot.state {
            SlotState::Connecting { socket, .. } => {
                slot.state = SlotState::Connecting { socket, resyn: Some(now + HANDSHAKE) };
            }
            SlotState::Up { .. } => {}
            SlotState::Paused { .. } | SlotState::Unavailable => self.forget_port(port),
        }
    }

    fn forget_port(&mut self, port: u16) {
        let Some(slot) = self.slots.remove(&port) else { return };
        if self.config.listen && slot.state != SlotState::Unavailable {
            self.actions.push_back(Action::Unlisten { port });
        }
    }

    fn connect(&mut self, now: MonoTime, port: u16) {
        self.tally.connects += 1;
        let socket = self.new_socket(port);
        let resyn = self.resyn(now, port);
        let Some(slot) = self.slots.get_mut(&port) else { return };
        slot.state = SlotState::Connecting { socket, resyn };
        self.actions.push_back(Action::Connect { socket, port });
        self.report(now, EventKind::Connect { port });
    }

    /// Time at which the SYN that a port sends at `now` is followed by a fresh one.
    fn resyn(&mut self, now: MonoTime, port: u16) -> Option<MonoTime> {
        let since = now.since(self.started);
        match self.slots.get(&port)?.policy.retry {
            SynRetry::Kernel => None,
            SynRetry::Rotating if since < ROTATION_TIME => {
                Some(self.started + self.rotation(port).turn_after(since))
            }
            SynRetry::Rotating | SynRetry::Fresh => Some(now + RESYN + self.uniform(RESYN_SPREAD)),
        }
    }

    /// Place of a port among the rotating ones.
    fn rotation(&self, port: u16) -> Rotation {
        let mut rotation = Rotation { rank: 0, count: 0 };
        for (&other, _) in self.slots.iter().filter(|(_, slot)| slot.is_rotating()) {
            rotation.count += 1;
            rotation.rank += u32::from(other < port);
        }
        rotation
    }

    fn slot_timeout(&mut self, now: MonoTime, port: u16) {
        let Some(slot) = self.slots.get_mut(&port) else { return };
        match slot.state {
            SlotState::Paused { until } if now >= until => self.connect(now, port),
            SlotState::Connecting { socket, resyn: Some(due) } if now >= due => {
                // If the socket has to stay, the action is repeated after another interval.
                let next = Some(now + RESYN);
                slot.state = SlotState::Connecting { socket, resyn: next };
                self.actions.push_back(Action::Abandon { socket });
            }
            SlotState::Paused { .. }
            | SlotState::Connecting { .. }
            | SlotState::Up { .. }
            | SlotState::Unavailable => {}
        }
    }

    /// Forgets a socket, and connects its port again after a random pause, which is uniform between
    /// half and one and a half times `mean`.
    fn drop_socket(&mut self, now: MonoTime, socket: SocketId, mean: Duration) {
        let Some(port) = self.sockets.remove(&socket) else { return };
        let pause = mean / 2 + self.uniform(mean);
        let Some(slot) = self.slots.get_mut(&port) else { return };
        let own = match slot.state {
            SlotState::Connecting { socket: own, .. } | SlotState::Up { socket: own } => own,
            SlotState::Paused { .. } | SlotState::Unavailable => return,
        };
        if own != socket {
            return;
        }
        if !slot.scheduled {
            self.forget_port(port);
        } else if pause.is_zero() {
            self.connect(now, port);
        } else {
            slot.state = SlotState::Paused { until: now + pause };
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
        self.tally.connections += 1;
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
                    self.report(now, EventKind::Rejected { port, reason });
                    self.actions.push_back(Action::Close { socket });
                    self.drop_socket(now, socket, LOCAL_PAUSE);
                }
                Output::Hello(socket, hello, role) => {
                    self.tally.hellos += 1;
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
                    let reason = self.tally.failure();
                    self.fail(now, reason);
                }
            }
        }
    }

    fn fail(&mut self, now: MonoTime, reason: Failure) {
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
