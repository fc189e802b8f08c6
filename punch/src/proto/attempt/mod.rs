//! One attempt to reach one peer, as a state machine.
//!
//! Order of calls: after [`Attempt::new`] and after every `handle_*`, drain
//! [`Attempt::poll_action`] (do what it says, in order) and [`Attempt::poll_event`]; then look at
//! [`Attempt::outcome`]; then wait for a socket or for [`Attempt::poll_timeout`], whichever is
//! first. Every call that may change something takes the monotonic time; time never goes back.
//!
//! What always holds: at most one connecting socket a port; a socket that may be in SYN_RECV is
//! never closed (the shell looks, see [`Action::Abandon`]); no new decision after the deadline.
//!
//! Known limit: local port and remote port of a connect are the same, since the ports are the only
//! thing the peers share. A search for a NAT that gives every destination a new port needs another
//! source of [`Action::Connect`].

mod interface;
mod tally;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    time::Duration,
};

use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};

pub use self::interface::{
    Action, Config, Failure, MAX_FIXED_PORTS, Outcome, PortSource, SocketId,
};
use self::tally::Tally;
use super::{
    bucket::{Buckets, Rule},
    election::{Election, Output, Reject},
    event::{Event, EventKind},
    schedule::{PortSpace, Schedule},
    time::{MonoTime, WallTime},
    wire::SessionTag,
};

/// Ports of one bucket under the `rolling` rule: with loss of 30 % the first of 8 is up as early
/// as without, and two buckets make the article's 16.
const ROLLING_PORTS: usize = 8;

/// Ports of the one bucket under the `article` rule.
const ARTICLE_PORTS: usize = 16;

/// Ports at the head of each bucket's list that are eager. Where both NATs answer with RST, two
/// SYNs must cross on their way, and on one port they do so in proportion to the product of the
/// peers' rates: most of the SYNs that a peer may send belong on few ports, the same on both sides.
/// Two, since one of them may be in use already.
const EAGER_PORTS: usize = 2;

/// Refusals on an eager port that are answered by a fresh socket at once; later ones, and all
/// others, after a pause.
const PROMPT_REFUSALS: u32 = 5;

/// Mean pause after a refusal on an eager port, and on any other: together with
/// [`PROMPT_REFUSALS`] 16 ports send at most 250 SYNs in any second. Where there are more (fixed
/// ones), the pause of the others grows with their number.
const EAGER_PAUSE: Duration = Duration::from_millis(34);
const PAUSE: Duration = Duration::from_millis(140);

/// How many ports these pauses are made for: those of two buckets.
const USUAL_PORTS: usize = 2 * ROLLING_PORTS;

/// Refusals after which a port pauses for longer, and by how much. Eager ports do so after some six
/// seconds: by then the peer has most likely not been started. The others do after one second, since
/// where both NATs refuse, they are only for the case that the eager ones cannot be used.
const EAGER_HASTE: (u32, u32) = (175, 2);
const HASTE: (u32, u32) = (7, 4);

/// Mean pause after an error of this machine (a 4-tuple in use, no route): nothing left it.
const LOCAL_PAUSE: Duration = Duration::from_millis(100);

/// A fresh SYN sooner than one round trip after the last destroys the handshake under way, so that
/// half of the ports never send one and others wait this long and up to 0.14 s more: until shortly
/// before the kernel would repeat theirs, since a fresh one just after that would be too soon again.
const RESYN: Duration = Duration::from_millis(850);
const RESYN_SPREAD: Duration = Duration::from_millis(140);

/// For so long the hurried ports send fresh SYNs sooner, in turn, one every [`TURN`] in all. Whoever
/// started first is then up one round trip after the other's start, and not half of one later: what
/// completes its handshake is the answer to a SYN that met the other just after its start.
const HURRY: Duration = Duration::from_secs(5);
const TURN: Duration = Duration::from_millis(20);

/// A round of turns takes so long at least: on paths with a shorter round trip no handshake is
/// destroyed, and on longer ones there are the other ports.
const ROUND: Duration = Duration::from_millis(120);

/// A turn that comes so much too late does not cost the next one.
const TURN_LATE: Duration = Duration::from_millis(10);

/// How long a SYN may take to be answered: two round trips of a second each.
const HANDSHAKE: Duration = Duration::from_secs(2);

/// Accepted connections that are kept beside the attempt's own: a peer needs one a port, and whoever
/// else shares its address must not take all descriptors of this process.
const MAX_ACCEPTED: usize = 64;

/// The attempt. See the module for the order of calls.
#[derive(Debug)]
pub struct Attempt {
    config: Config,
    election: Election,
    rng: ChaCha20Rng,
    started: (MonoTime, WallTime),
    slots: BTreeMap<u16, Slot>,
    sockets: BTreeMap<SocketId, u16>,
    next_socket: u32,
    next_ports: Option<MonoTime>,
    tally: Tally,
    actions: VecDeque<Action>,
    events: VecDeque<Event>,
    outcome: Option<Outcome>,
}

/// A port in use.
#[derive(Debug)]
struct Slot {
    manner: Manner,
    /// Whether a bucket in use has this port.
    scheduled: bool,
    refusals: u32,
    state: SlotState,
}

/// How a port goes about it. Both peers draw the same list, and so agree on it.
#[derive(Debug, Clone, Copy, Default)]
struct Manner {
    repeats: Repeats,
    /// Refusals are soon followed by another SYN.
    eager: bool,
}

/// Who repeats a SYN that was not answered; a port of two buckets has the later of its two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Repeats {
    /// Fresh SYNs, in the first seconds soon after each other.
    #[default]
    Hurried,
    /// Fresh SYNs.
    Fresh,
    /// The kernel.
    Kernel,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SlotState {
    /// A socket is connecting; `resyn` is when it is to be replaced by a fresh one, or given up
    /// where no bucket has the port any more.
    Connecting { socket: SocketId, resyn: Option<MonoTime> },
    /// The next connect is due at this time.
    Paused { until: MonoTime },
    /// A connection of this slot's own stands.
    Up { socket: SocketId },
    /// The port cannot be bound.
    Unavailable,
}

impl Attempt {
    /// Begins an attempt at `now`, when the wall clock (offset included) reads `wall`. The wall
    /// clock is taken once and advanced by the monotonic one: a step meanwhile changes nothing.
    pub fn new(config: Config, now: MonoTime, wall: WallTime) -> Self {
        let mut attempt = Self {
            election: Election::new(config.scheme, now + config.timeout),
            rng: ChaCha20Rng::from_seed(config.seed),
            config,
            started: (now, wall),
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

    /// What to do next, in order.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// What happened, in order.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// How it ended; `None` while it runs. Afterwards no `handle_*` does anything.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// When [`Self::handle_timeout`] is due at the latest.
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

    /// How many bytes may be read from a connection; 0 when it is not to be read at all.
    pub fn wants(&self, socket: SocketId) -> usize {
        self.election.wants(socket)
    }

    /// A connect succeeded.
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
            // Port and address are one's own: a socket that met itself.
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

    /// A listener accepted a connection. Returns its number, or `None` if it is a stranger's, or one
    /// too many, and the shell should close it.
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

    /// A connect was answered by a refusal (`by_network`), or could not be begun on this machine.
    pub fn handle_refused(
        &mut self,
        now: MonoTime,
        socket: SocketId,
        by_network: bool,
        error: &str,
    ) {
        if self.outcome.is_some() {
            return;
        }
        let Some(&port) = self.sockets.get(&socket) else { return };
        self.report(now, EventKind::Refused { port, error: error.to_owned() });
        if !by_network {
            self.tally.local_errors += 1;
            return self.drop_socket(now, socket, LOCAL_PAUSE);
        }
        self.tally.answers += 1;
        let in_use = self.slots.values().filter(|slot| slot.scheduled).count();
        let crowd = u32::try_from(in_use.div_ceil(USUAL_PORTS).max(1)).unwrap_or(u32::MAX);
        let pause = self.slots.get_mut(&port).map_or(PAUSE, |slot| {
            slot.refusals = slot.refusals.saturating_add(1);
            slot.mean_pause(crowd)
        });
        self.drop_socket(now, socket, pause);
    }

    /// A port could not be bound: it is left out until its bucket comes anew.
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

    /// A port could not be listened on; it still connects.
    pub fn handle_no_listener(&mut self, now: MonoTime, port: u16, error: &str) {
        if self.outcome.is_none() {
            self.report(now, EventKind::NoListener { port, error: error.to_owned() });
        }
    }

    /// A connecting socket was closed as [`Action::Abandon`] asked, or given up by the system, having
    /// sent a SYN that nobody answered.
    pub fn handle_abandoned(&mut self, now: MonoTime, socket: SocketId) {
        if self.outcome.is_none() {
            self.drop_socket(now, socket, Duration::ZERO);
        }
    }

    /// Bytes came in on a connection, at most [`Self::wants`].
    pub fn handle_data(&mut self, now: MonoTime, socket: SocketId, bytes: &[u8]) {
        if self.outcome.is_none() {
            self.election.handle_data(now, socket, bytes);
            self.drain_election(now);
        }
    }

    /// A connection ended, or failed.
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

    /// Time has passed.
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

    /// Brings the ports in use in line with the clock.
    fn schedule_ports(&mut self, now: MonoTime) {
        let (started, wall) = self.started;
        let wall = wall + now.since(started);
        let (buckets, ports) = self.ports_at(wall);
        self.next_ports = match &self.config.ports {
            PortSource::Clock { buckets, .. } => buckets.next_change(wall).map(|change| {
                let ahead = u64::try_from(change.as_nanos() - wall.as_nanos()).unwrap_or(u64::MAX);
                now + Duration::from_nanos(ahead)
            }),
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
        for (port, manner) in ports {
            if let Some(slot) = self.slots.get_mut(&port) {
                (slot.scheduled, slot.manner) = (true, manner);
                continue;
            }
            let state = SlotState::Paused { until: now };
            self.slots
                .insert(port, Slot { manner, scheduled: true, refusals: 0, state });
            new.push(port);
        }
        for port in new {
            if self.config.listen {
                self.actions.push_back(Action::Listen { port });
            }
            self.connect(now, port);
        }
    }

    /// Buckets in use and their ports; a port of two buckets is eager if it is so in one.
    fn ports_at(&self, wall: WallTime) -> (Vec<i64>, BTreeMap<u16, Manner>) {
        let mut all: BTreeMap<u16, Manner> = BTreeMap::new();
        let mut add = |ports: Vec<u16>, never_again: bool| {
            for (index, port) in ports.into_iter().enumerate() {
                let manner = all.entry(port).or_default();
                manner.repeats = manner.repeats.max(match index % 8 {
                    _ if never_again || index % 2 == 0 => Repeats::Kernel,
                    1 => Repeats::Fresh,
                    _ => Repeats::Hurried,
                });
                manner.eager |= index < EAGER_PORTS;
            }
        };
        match &self.config.ports {
            PortSource::Fixed(ports) => {
                add(ports.clone(), false);
                (Vec::new(), all)
            }
            PortSource::Clock { buckets: source, schedule } => {
                let buckets: Vec<i64> = source.at(wall).collect();
                for &bucket in &buckets {
                    let rule = source.rule();
                    let ports = bucket_ports(rule, *schedule, bucket, self.config.session);
                    add(ports, rule == Rule::Article);
                }
                (buckets, all)
            }
        }
    }

    /// No bucket in use has this port any more. What may still become a connection stays: a SYN on
    /// its way has [`HANDSHAKE`] to be answered, since its answer would meet a closed socket, and
    /// that one's RST would end the peer's try as well.
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

    /// When the SYN that a port sends now is to be followed by a fresh one.
    fn resyn(&mut self, now: MonoTime, port: u16) -> Option<MonoTime> {
        let (started, _) = self.started;
        let since = now.since(started);
        match self.slots.get(&port)?.manner.repeats {
            Repeats::Kernel => None,
            Repeats::Hurried if since < HURRY => Some(started + self.turn(since, port)),
            Repeats::Hurried | Repeats::Fresh => Some(now + RESYN + self.uniform(RESYN_SPREAD)),
        }
    }

    /// The turn of a hurried port that is a round later than `since`. Both are times from the start
    /// of the attempt.
    fn turn(&self, since: Duration, port: u16) -> Duration {
        let hurried = |slot: &Slot| slot.scheduled && slot.manner.repeats == Repeats::Hurried;
        let ports = self.slots.iter().filter(|(_, slot)| hurried(slot));
        let (mut count, mut rank) = (0, 0);
        for (&other, _) in ports {
            count += 1;
            rank += u32::from(other < port);
        }
        let (round, first) = (ROUND.max(TURN * count), TURN * rank);
        let soonest = (since + round).saturating_sub(first + TURN_LATE);
        let rounds = u32::try_from(soonest.as_nanos().div_ceil(round.as_nanos()));
        first + round * rounds.unwrap_or(u32::MAX)
    }

    fn slot_timeout(&mut self, now: MonoTime, port: u16) {
        let Some(slot) = self.slots.get_mut(&port) else { return };
        match slot.state {
            SlotState::Paused { until } if now >= until => self.connect(now, port),
            SlotState::Connecting { socket, resyn: Some(due) } if now >= due => {
                // Asked again only after another interval, should the socket have to stay.
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

    /// Forgets a socket, and connects its port anew after a random pause of the given mean, half
    /// as long at least and half as long again at most.
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
                    let reason = self.tally.reason();
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
        let socket = SocketId(self.next_socket);
        self.next_socket += 1;
        self.sockets.insert(socket, port);
        socket
    }

    /// Uniform in [0, `most`), to the nanosecond.
    fn uniform(&mut self, most: Duration) -> Duration {
        let nanos = (u128::from(self.rng.next_u64()) * most.as_nanos()) >> 64;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn report(&mut self, at: MonoTime, kind: EventKind) {
        self.events.push_back(Event { at, kind });
    }
}

impl Slot {
    /// Mean of the random pause after the latest refusal, where there are `crowd` times the usual
    /// number of ports.
    fn mean_pause(&self, crowd: u32) -> Duration {
        let (prompt, haste, pause) = match self.manner.eager {
            true => (PROMPT_REFUSALS, EAGER_HASTE, EAGER_PAUSE),
            false => (0, HASTE, PAUSE * crowd),
        };
        let (until, longer) = haste;
        match self.refusals {
            refusals if refusals <= prompt => Duration::ZERO,
            refusals if refusals <= until => pause,
            _ => pause * longer,
        }
    }
}

/// The ports of one bucket, in the order they are drawn.
pub fn bucket_ports(rule: Rule, schedule: Schedule, bucket: i64, session: SessionTag) -> Vec<u16> {
    let (space, count) = match rule {
        Rule::Rolling => (PortSpace::rolling(), ROLLING_PORTS),
        Rule::Article => (PortSpace::article(), ARTICLE_PORTS),
    };
    schedule.ports(bucket, session, &space, count)
}

/// All ports in use under `buckets` when the clock reads `wall`.
pub fn scheduled_ports(
    buckets: Buckets,
    schedule: Schedule,
    wall: WallTime,
    session: SessionTag,
) -> BTreeSet<u16> {
    let ports = |bucket| bucket_ports(buckets.rule(), schedule, bucket, session);
    buckets.at(wall).flat_map(ports).collect()
}
