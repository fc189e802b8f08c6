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
        BIND_PAUSE, PortPolicy, RESYN, RESYN_SPREAD, ROTATION_TIME, Rotation, Slot, SlotState,
        SynRetry,
    },
    tally::Tally,
};
use super::{
    bucket::Buckets,
    connection::{Failure, Reject, SocketId},
    election::{Election, Output},
    event::{Event, EventKind},
    schedule::numbered_ports,
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
            self.tally.local_errors += 1;
            return self.drop_failed(now, socket);
        }
        self.tally.refusals += 1;
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
        self.tally.unavailable += 1;
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

    /// Handles a connecting socket that is in SYN_RECV: a SYN has arrived, and the ACK that completes
    /// the handshake has not.
    pub fn handle_half_open(&mut self, now: MonoTime, socket: SocketId) {
        let Some(&port) = self.sockets.get(&socket) else { return };
        let Some(slot) = self.slots.get_mut(&port) else { return };
        let limit = slot.policy.half_open_limit;
        if let SlotState::Connecting { socket: own, half_open, .. } = &mut slot.state
            && *own == socket
            && self.outcome.is_none()
            && now.since(*half_open.get_or_insert(now)) >= limit
        {
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

    /// Changes the ports in use to those of the clock, if these are others.
    fn look_at_clock(&mut self, now: MonoTime, wall: WallTime) {
        let PortSource::Clock { buckets, .. } = &self.config.ports else { return };
        let Some(change) = buckets.next_change(wall) else { return };
        self.next_ports = Some(now + change.since(wall));
        if self.lanes != first_buckets(*buckets, wall) {
            self.schedule_ports(now, wall);
        }
    }

    /// Has the connecting sockets inspected.
    fn inspect(&mut self) {
        for slot in self.slots.values() {
            if let SlotState::Connecting { socket, .. } = slot.state {
                self.actions.push_back(Action::Inspect { socket });
            }
        }
    }

    /// Puts the ports of this reading of the clock into use, and takes the others out of use.
    fn schedule_ports(&mut self, now: MonoTime, wall: WallTime) {
        let (buckets, ports) = self.ports_at(wall);
        if let PortSource::Clock { buckets, .. } = &self.config.ports {
            self.lanes = first_buckets(*buckets, wall);
            self.next_ports = buckets
                .next_change(wall)
                .map(|change| now + change.since(wall));
        }
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
            self.listen(port);
            self.connect(now, port);
        }
    }

    /// Buckets in use and the policies of their ports.
    fn ports_at(&self, wall: WallTime) -> (Vec<i64>, BTreeMap<u16, PortPolicy>) {
        let (buckets, rule, numbered) = match &self.config.ports {
            PortSource::Fixed(ports) => {
                (Vec::new(), None, ports.iter().copied().enumerate().collect())
            }
            PortSource::Clock { buckets, schedule } => {
                let numbered = numbered_ports(*buckets, *schedule, wall, self.config.session);
                (buckets.in_use(wall).collect(), Some(buckets.rule()), numbered)
            }
        };
        let mut policies: BTreeMap<u16, PortPolicy> = BTreeMap::new();
        for (number, port) in numbered {
            let policy = PortPolicy::new(rule, number);
            policies
                .entry(port)
                .and_modify(|other| *other = other.merge(policy))
                .or_insert(policy);
        }
        (buckets, policies)
    }

    fn ports_in_use(&self) -> usize {
        self.slots.values().filter(|slot| slot.scheduled).count()
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
            SlotState::Connecting { socket, half_open, .. } => {
                let resyn = Some(now + HANDSHAKE);
                slot.state = SlotState::Connecting { socket, resyn, half_open };
            }
            SlotState::Up { .. } => self.unlisten(port),
            SlotState::Paused { .. } | SlotState::Unavailable { .. } => self.forget_port(port),
        }
    }

    fn listen(&mut self, port: u16) {
        if let Some(slot) = self.slots.get_mut(&port).filter(|_| self.config.listen) {
            slot.listening = true;
            self.actions.push_back(Action::Listen { port });
        }
    }

    fn unlisten(&mut self, port: u16) {
        let slot = self.slots.get_mut(&port);
        if slot.is_some_and(|slot| std::mem::take(&mut slot.listening)) {
            self.actions.push_back(Action::Unlisten { port });
        }
    }

    fn forget_port(&mut self, port: u16) {
        self.unlisten(port);
        self.slots.remove(&port);
    }

    fn connect(&mut self, now: MonoTime, port: u16) {
        self.tally.connects += 1;
        let socket = self.new_socket(port);
        let resyn = self.resyn(now, port);
        let Some(slot) = self.slots.get_mut(&port) else { return };
        slot.state = SlotState::Connecting { socket, resyn, half_open: None };
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
            SlotState::Unavailable { until } if now >= until => {
                self.listen(port);
                self.connect(now, port);
            }
            SlotState::Connecting { socket, resyn: Some(due), half_open } if now >= due => {
                // If the socket has to stay, the action is repeated after another interval.
                let resyn = Some(now + RESYN);
                slot.state = SlotState::Connecting { socket, resyn, half_open };
                self.actions.push_back(Action::Abandon { socket });
            }
            SlotState::Paused { .. }
            | SlotState::Connecting { .. }
            | SlotState::Up { .. }
            | SlotState::Unavailable { .. } => {}
        }
    }

    /// Forgets a socket that failed on this machine or whose connection ended, and connects its port
    /// anew after a pause.
    fn drop_failed(&mut self, now: MonoTime, socket: SocketId) {
        let in_use = self.ports_in_use();
        let port = self.sockets.get(&socket).copied();
        let slot = port.and_then(|port| self.slots.get_mut(&port));
        let pause = slot.map_or(Duration::ZERO, |slot| slot.failed_locally(in_use));
        self.drop_socket(now, socket, pause);
    }

    /// Forgets a socket, and connects its port again after a random pause, which is uniform between
    /// half and one and a half times `mean`.
    fn drop_socket(&mut self, now: MonoTime, socket: SocketId, mean: Duration) {
        let Some(port) = self.sockets.remove(&socket) else { return };
        let pause = mean / 2 + self.uniform(mean);
        let Some(slot) = self.slots.get_mut(&port) else { return };
        let own = match slot.state {
            SlotState::Connecting { socket: own, .. } | SlotState::Up { socket: own } => own,
            SlotState::Paused { .. } | SlotState::Unavailable { .. } => return,
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
                    self.drop_failed(now, socket);
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

/// The first bucket in use of each lane.
fn first_buckets(buckets: Buckets, wall: WallTime) -> Vec<i64> {
    (0..buckets.lanes())
        .map(|lane| *buckets.at(wall, lane).start())
        .collect()
}
