//! Two hosts and the WAN between them, under a clock that jumps to the next event.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use punch::proto::{
    attempt::{Config, Outcome, PortSource},
    bucket::Rule,
    connection::{Failure, Role},
    election::Scheme,
    event::{Event, EventKind},
    schedule::Schedule,
    time::{MonoTime, WallTime},
    wire::{Nonce, SessionTag},
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

use super::{
    check,
    host::{Host, peer_of},
    kernel::{Kernel, Kind, Segment},
    nat::{Nat, Unsolicited, Verdict},
};
use crate::schedule::buckets;

/// Length of the simulation after the last deadline: the election's 2 G and some more.
const AFTERMATH: Duration = Duration::from_secs(6);

/// Number of wake-ups that only an endless loop reaches.
const MAX_WAKEUPS: u32 = 1_000_000;

/// Parameters of a trial.
#[derive(Debug, Clone)]
pub(super) struct Trial {
    pub(super) seed: u64,
    pub(super) rtt: Duration,
    /// Probability that a packet is lost on the WAN.
    pub(super) loss: f64,
    pub(super) unsolicited: [Unsolicited; 2],
    /// External ports minus inside ports.
    pub(super) shift: [u16; 2],
    /// Start of each side, from the origin of the monotonic clock.
    pub(super) start: [Duration; 2],
    /// Reading of each wall clock at that origin, in nanoseconds.
    pub(super) wall: [i64; 2],
    pub(super) ports: [PortSource; 2],
    pub(super) listen: bool,
    /// Whether the article's election is held; side A leads.
    pub(super) wan_ip: bool,
    pub(super) timeout: Duration,
    pub(super) unbindable: [BTreeSet<u16>; 2],
    /// Probability that a connection dies early, in one direction or both, with or without RST.
    pub(super) deaths: f64,
}

/// Observations of a trial.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) later_start: MonoTime,
    /// Time at which the first connection was established at both ends.
    pub(super) connected: Option<MonoTime>,
    pub(super) ends: [Option<End>; 2],
    pub(super) events: [Vec<Event>; 2],
    /// Times of all SYNs, repeats by the kernel included.
    pub(super) syns: [Vec<MonoTime>; 2],
    /// Whether each user has read exactly what the other has sent.
    pub(super) greeted: [bool; 2],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    pub(super) at: MonoTime,
    pub(super) result: Result<(Link, Role), Failure>,
}

/// External ports of A and of B.
pub(super) type Link = (u16, u16);

impl Trial {
    /// A trial with equal clocks, NATs that drop, an RTT of 50 ms, no loss and equal starts.
    pub(super) fn new(seed: u64) -> Self {
        let (buckets, schedule) = (buckets(Rule::Rolling), Schedule::ChaCha20);
        Self {
            seed,
            rtt: Duration::from_millis(50),
            loss: 0.0,
            unsolicited: [Unsolicited::Drop; 2],
            shift: [0; 2],
            start: [Duration::ZERO; 2],
            wall: [1_700_000_000_000_000_000; 2],
            ports: [0, 1].map(|_| PortSource::Clock { buckets, schedule }),
            listen: true,
            wan_ip: false,
            timeout: Duration::from_secs(30),
            unbindable: Default::default(),
            deaths: 0.0,
        }
    }

    /// Reading of the wall clock of `side` when its attempt begins.
    pub(super) fn wall_at_start(&self, side: usize) -> WallTime {
        WallTime::from_nanos(self.wall[side]) + self.start[side]
    }

    fn host(&self, side: usize, rng: &mut ChaCha8Rng) -> Host {
        let session = SessionTag::default();
        let mut random = [0; 48];
        rng.fill_bytes(&mut random);
        let (nonce, seed) = random.split_at(16);
        let own = Nonce(nonce.try_into().unwrap());
        let scheme = match self.wan_ip {
            true => Scheme::WanIp { leads: side == 0 },
            false => Scheme::Nonce { own, session },
        };
        let config = Config::new(peer_of(side), scheme, seed.try_into().unwrap())
            .ports(self.ports[side].clone())
            .session(session)
            .listen(self.listen)
            .timeout(self.timeout);
        // Linux: smoothed RTT plus 200 ms or four deviations, the first of which is RTT / 2.
        let rto = self.rtt + (self.rtt * 2).max(Duration::from_millis(200));
        let first = if side == 0 { 0 } else { 1 << 31 };
        let kernel = Kernel::new(first, rto, self.unbindable[side].clone());
        let nat = Nat::new(self.unsolicited[side], self.shift[side]);
        let start = MonoTime::default() + self.start[side];
        Host::new(side, start, (config, self.wall_at_start(side)), (kernel, nat))
    }

    pub(super) fn run(&self) -> Report {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let hosts = [self.host(0, &mut rng), self.host(1, &mut rng)];
        let pair = Pair {
            trial: self.clone(),
            now: MonoTime::default(),
            hosts,
            wire: BTreeMap::new(),
            sent: 0,
            rng,
            fates: BTreeMap::new(),
            syns: Default::default(),
        };
        let report = pair.run();
        check::sane(&report);
        report
    }
}

/// Failure of a connection.
#[derive(Debug, Clone, Copy)]
struct Fate {
    at: MonoTime,
    /// Sides at which nothing more arrives.
    silent: [bool; 2],
    /// Sides at which a RST arrives.
    told: [bool; 2],
}

#[derive(Debug)]
struct Pair {
    trial: Trial,
    now: MonoTime,
    hosts: [Host; 2],
    /// Segments on their way, by time of arrival.
    wire: BTreeMap<(MonoTime, u64), (usize, Segment)>,
    sent: u64,
    rng: ChaCha8Rng,
    fates: BTreeMap<Link, Option<Fate>>,
    syns: [Vec<MonoTime>; 2],
}

impl Pair {
    fn run(mut self) -> Report {
        let later_start = self.hosts[0].start.max(self.hosts[1].start);
        let end = later_start + self.trial.timeout + AFTERMATH;
        for wakeups in 0.. {
            assert!(wakeups < MAX_WAKEUPS, "the trial spins: {:?}", self.trial);
            let due = self.hosts.iter().filter_map(Host::poll_timeout);
            let fates = self.fates.values().flatten().map(|fate| fate.at);
            let soonest = due
                .chain(fates.filter(|at| *at > self.now))
                .chain(self.wire.keys().map(|(at, _)| *at))
                .min();
            let Some(next) = soonest.filter(|next| *next <= end && !self.is_over()) else { break };
            assert!(next >= self.now, "time goes back");
            self.now = next;
            self.step();
        }
        self.report(later_start)
    }

    /// Whether the rest of the trial can be left out.
    fn is_over(&self) -> bool {
        let greeted = |side: usize| {
            self.hosts[side].chosen.is_none() || self.hosts[side].heard == Host::greeting(1 - side)
        };
        let over = self.hosts.iter().all(|host| host.outcome.is_some());
        over && greeted(0) && greeted(1)
    }

    fn step(&mut self) {
        while let Some(entry) = self.wire.first_entry()
            && entry.key().0 <= self.now
        {
            let (side, segment) = entry.remove();
            self.arrive(side, segment);
        }
        self.die();
        for side in 0..2 {
            self.hosts[side].wake(self.now);
            while let Some(segment) = self.hosts[side].poll_transmit() {
                self.leave(side, segment);
            }
        }
    }

    /// Handles a segment that reaches the NAT of a side.
    fn arrive(&mut self, side: usize, segment: Segment) {
        match self.hosts[side].nat.inbound(segment) {
            Verdict::Pass(segment) => {
                self.hosts[side].kernel.handle_segment(self.now, segment);
                // Done at once, so that the program hears of one segment before the next arrives.
                self.hosts[side].wake(self.now);
                while let Some(segment) = self.hosts[side].poll_transmit() {
                    self.leave(side, segment);
                }
                self.draw_fate(side);
            }
            Verdict::Answer(segment) => self.leave(side, segment),
            Verdict::Drop => {}
        }
    }

    /// Handles a segment that leaves the NAT of a side.
    fn leave(&mut self, side: usize, segment: Segment) {
        if matches!(segment.kind, Kind::Syn { .. }) {
            self.syns[side].push(self.now);
        }
        let link = if side == 0 { (segment.from, segment.to) } else { (segment.to, segment.from) };
        let silences = |fate: Fate| fate.at <= self.now && fate.silent[1 - side];
        let is_silent = self
            .fates
            .get(&link)
            .copied()
            .flatten()
            .is_some_and(silences);
        if !chance(&mut self.rng, self.trial.loss) && !is_silent {
            let at = self.now + self.trial.rtt / 2;
            self.sent += 1;
            self.wire.insert((at, self.sent), (1 - side, segment));
        }
    }

    /// Decides for each new connection at `side` whether and when it fails.
    fn draw_fate(&mut self, side: usize) {
        if self.trial.deaths == 0.0 {
            return;
        }
        let host = &self.hosts[side];
        let links: Vec<Link> = (host.kernel.established())
            .map(|(_, ports)| link(side, host, ports))
            .filter(|link| !self.fates.contains_key(link))
            .collect();
        for link in links {
            let dies = chance(&mut self.rng, self.trial.deaths);
            let bits = self.rng.next_u32();
            let bit = |n: u32| bits >> n & 1 == 1;
            let silent = if bits & 3 == 0 { [true; 2] } else { [bit(0), bit(1)] };
            let later = self.trial.rtt.mul_f64(f64::from(bits >> 8 & 0xff) / 100.0);
            let at = self.now + Duration::from_nanos(1) + later;
            self.fates
                .insert(link, dies.then_some(Fate { at, silent, told: [bit(2), bit(3)] }));
        }
    }

    fn die(&mut self) {
        for (&dying, fate) in &self.fates {
            let Some(fate) = fate.filter(|fate| fate.at == self.now) else { continue };
            for side in (0..2).filter(|&side| fate.told[side]) {
                let host = &self.hosts[side];
                let handle = (host.kernel.established())
                    .find(|(_, ports)| link(side, host, *ports) == dying)
                    .map(|(handle, _)| handle);
                if let Some(handle) = handle {
                    self.hosts[side].kernel.reset(handle);
                }
            }
        }
    }

    fn report(self, later_start: MonoTime) -> Report {
        let ends = [0, 1].map(|side| {
            let host = &self.hosts[side];
            let (at, outcome) = host.outcome?;
            let result = match outcome {
                Outcome::Elected { role, .. } => Ok((link(side, host, host.elected?), role)),
                Outcome::Failed(failure) => Err(failure),
                unknown => panic!("{unknown:?} is not simulated"),
            };
            Some(End { at, result })
        });
        let greeted = [0, 1].map(|side| self.hosts[side].heard == Host::greeting(1 - side));
        let events = self.hosts.map(|host| host.events);
        Report {
            later_start,
            connected: connected(&events, self.trial.shift),
            ends,
            events,
            syns: self.syns,
            greeted,
        }
    }
}

impl Report {
    /// The connection with which both sides have ended.
    pub(super) fn agreed(&self) -> Option<Link> {
        match self.ends {
            [Some(End { result: Ok((a, _)), .. }), Some(End { result: Ok((b, _)), .. })] => {
                (a == b).then_some(a)
            }
            _ => None,
        }
    }

    /// Time from the later start until both sides had a connection.
    pub(super) fn elected_after(&self) -> Option<Duration> {
        self.agreed()?;
        self.ends
            .iter()
            .flatten()
            .map(|end| end.at.since(self.later_start))
            .max()
    }

    /// Time from the later start until a connection was established at both ends.
    pub(super) fn connected_after(&self) -> Option<Duration> {
        self.connected.map(|at| at.since(self.later_start))
    }
}

/// Time at which the first connection was established at both ends.
fn connected(events: &[Vec<Event>; 2], shift: [u16; 2]) -> Option<MonoTime> {
    let mut up: BTreeMap<Link, [Option<MonoTime>; 2]> = BTreeMap::new();
    for (side, events) in events.iter().enumerate() {
        for event in events {
            if let EventKind::Connected { local, remote, .. } = event.kind {
                let ports = (local.port() + shift[side], remote.port());
                let link = if side == 0 { ports } else { (ports.1, ports.0) };
                up.entry(link).or_default()[side].get_or_insert(event.at);
            }
        }
    }
    up.values()
        .filter_map(|ends| Some(ends[0]?.max(ends[1]?)))
        .min()
}

/// A connection by its ports on the WAN.
fn link(side: usize, host: &Host, (local, remote): (u16, u16)) -> Link {
    let external = host.nat.external(local);
    if side == 0 { (external, remote) } else { (remote, external) }
}

/// True with probability `p`.
pub(super) fn chance(rng: &mut ChaCha8Rng, p: f64) -> bool {
    f64::from(rng.next_u32()) < p * f64::from(u32::MAX)
}
