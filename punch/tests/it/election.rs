//! Exhaustive exploration of the [`Election`]: every order of events, for few connections.
//!
//! At each step an adversary decides which connection is established at which end, which frame
//! arrives next, which end notices that a connection has ended, and whose clock passes its deadline
//! or its grace. A connection that fails silently is one on which nothing more arrives, in one
//! direction or in both. The adversary causes this by never choosing it again, so that every silent
//! failure is among the states explored.
//!
//! From each state an honest pair must still be able to elect a connection: if all connections of
//! the two end and new ones come up, they elect one of these, at the latest when the limits of the
//! election have passed. No former run of the peer and no third party can block them.
//!
//! `PUNCH_EXPLORE=full` raises the bounds on the number of faults, and removes that of three
//! connections.

use std::{
    collections::{BTreeSet, HashSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use punch::proto::{
    connection::{Role, SocketId},
    election::{Election, Output, Scheme},
    time::MonoTime,
    wire::{Nonce, SessionTag},
};

const DEADLINE: MonoTime = MonoTime::from_nanos(60_000_000_000);

/// Bytes that the user of an elected connection sends when it is handed over.
const USER: &[u8] = b"$ PNCH, said the user";

/// Sixth byte of a COMMIT.
const COMMIT: u8 = 2;

/// Reading of a party's clock by phase: the start, a time at which limits of connections and
/// answers have passed, the deadline, and its two grace periods.
const CLOCK_S: [u64; 5] = [0, 10, 60, 62, 64];

/// More connections than any setting has.
const MAX_CONNECTIONS: usize = 8;

/// A number of faults that is no bound: fewer things can fail.
const UNBOUNDED: u8 = u8::MAX;

/// The parties, and the connections between them.
#[derive(Debug, Clone)]
struct Setting {
    schemes: Vec<Scheme>,
    /// The two parties of each connection.
    ends: Vec<[usize; 2]>,
    /// Maximum number of faults: ends of connections that are noticed, and clocks that advance.
    faults: u8,
    /// Whether clocks stop at the second reading of [`CLOCK_S`], or go on to the deadline at once.
    limits: bool,
}

/// A step of the adversary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// A connection is established at one of its ends.
    Up { connection: usize, end: usize },
    /// The oldest frame on its way to this end arrives.
    Arrive { connection: usize, end: usize },
    /// This end notices that the connection has ended. What it has sent may still arrive.
    Down { connection: usize, end: usize },
    /// A party's clock goes on to the next of [`CLOCK_S`].
    Clock { party: usize },
    /// A party looks at its clock.
    Timeout { party: usize },
}

#[derive(Debug, Clone, Hash)]
enum Party {
    Running { election: Election, phase: usize, committed: bool },
    Over(End),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum End {
    Elected { connection: usize, leads: bool },
    Lost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Standing {
    NotYet,
    Up,
    Gone,
}

#[derive(Debug, Clone, Hash)]
struct Connection {
    standing: [Standing; 2],
    /// Frames on their way to each end.
    towards: [VecDeque<Vec<u8>>; 2],
}

#[derive(Debug, Clone, Hash)]
struct World {
    parties: Vec<Party>,
    connections: Vec<Connection>,
    faults: u8,
}

/// A party's number for a connection. Two parties give the same numbers to different connections,
/// so that a mix-up of own and peer's numbers is noticed.
fn socket(party: usize, connection: usize) -> SocketId {
    let number = 1 + (connection + party) % MAX_CONNECTIONS;
    SocketId(u32::try_from(number).unwrap())
}

fn time(phase: usize) -> MonoTime {
    MonoTime::default() + Duration::from_secs(CLOCK_S[phase])
}

impl World {
    fn new(setting: &Setting) -> Self {
        let election = |&scheme| Election::new(scheme, DEADLINE);
        let connection =
            Connection { standing: [Standing::NotYet; 2], towards: Default::default() };
        Self {
            parties: (setting.schemes.iter().map(election))
                .map(|election| Party::Running { election, phase: 0, committed: false })
                .collect(),
            connections: vec![connection; setting.ends.len()],
            faults: setting.faults,
        }
    }

    fn end_of(&self, party: usize) -> Option<End> {
        match self.parties[party] {
            Party::Running { .. } => None,
            Party::Over(end) => Some(end),
        }
    }

    fn steps(&self, setting: &Setting) -> Vec<Step> {
        let mut steps = Vec::new();
        for (connection, ends) in setting.ends.iter().enumerate() {
            for (end, &party) in ends.iter().enumerate() {
                if self.end_of(party).is_none() {
                    self.steps_at(setting, connection, end, &mut steps);
                }
            }
        }
        for (party, state) in self.parties.iter().enumerate() {
            let Party::Running { election, phase, .. } = state else { continue };
            if *phase + 1 < CLOCK_S.len() && self.faults > 0 {
                steps.push(Step::Clock { party });
            }
            if election
                .poll_timeout()
                .is_some_and(|due| due <= time(*phase))
            {
                steps.push(Step::Timeout { party });
            }
        }
        steps
    }

    fn steps_at(&self, setting: &Setting, connection: usize, end: usize, steps: &mut Vec<Step>) {
        let this = &self.connections[connection];
        match this.standing[end] {
            // Connections between the same parties are interchangeable: one order is enough.
            Standing::NotYet => {
                let untouched = |c: usize| {
                    setting.ends[c] == setting.ends[connection]
                        && self.connections[c].standing == [Standing::NotYet; 2]
                };
                if !(0..connection).any(untouched) {
                    steps.push(Step::Up { connection, end });
                }
            }
            Standing::Up => {
                if !this.towards[end].is_empty() {
                    steps.push(Step::Arrive { connection, end });
                }
                if self.faults > 0 {
                    steps.push(Step::Down { connection, end });
                }
            }
            Standing::Gone => {}
        }
    }

    fn take(&mut self, setting: &Setting, step: Step) {
        let party = match step {
            Step::Up { connection, end }
            | Step::Arrive { connection, end }
            | Step::Down { connection, end } => setting.ends[connection][end],
            Step::Clock { party } | Step::Timeout { party } => party,
        };
        let Party::Running { election, phase, .. } = &mut self.parties[party] else {
            unreachable!("{step:?} is none of a party that is over")
        };
        let now = time(*phase);
        match step {
            Step::Up { connection, end } => {
                self.connections[connection].standing[end] = Standing::Up;
                let id = socket(party, connection);
                election.handle_up(now, id, 4000);
            }
            Step::Arrive { connection, end } => {
                let id = socket(party, connection);
                let piece = self.connections[connection].towards[end]
                    .pop_front()
                    .unwrap();
                feed(election, now, id, &piece);
            }
            Step::Down { connection, end } => {
                self.faults -= 1;
                let id = socket(party, connection);
                election.handle_down(now, id);
                self.gone(connection, end);
            }
            Step::Clock { .. } => {
                self.faults -= 1;
                *phase += if *phase == 0 && !setting.limits { 2 } else { 1 };
            }
            Step::Timeout { .. } => election.handle_timeout(now),
        }
        self.heed(setting, party);
    }

    /// Performs the outputs of the party's election.
    fn heed(&mut self, setting: &Setting, party: usize) {
        let find = |id| {
            let connection = (0..setting.ends.len())
                .find(|&c| setting.ends[c].contains(&party) && socket(party, c) == id);
            let connection = connection.expect("an election names its own connections only");
            (connection, usize::from(setting.ends[connection][1] == party))
        };
        while let Party::Running { election, phase, committed } = &mut self.parties[party]
            && let Some(output) = election.poll_output()
        {
            match output {
                Output::Send(id, bytes) => {
                    let (connection, end) = find(id);
                    assert_eq!(self.connections[connection].standing[end], Standing::Up);
                    // A repetition of one decision may come later, on a further connection.
                    if bytes.get(5) == Some(&COMMIT) && !std::mem::replace(committed, true) {
                        assert!(time(*phase) < DEADLINE, "a decision after the deadline");
                    }
                    self.connections[connection].towards[1 - end].push_back(bytes);
                }
                Output::Reject(id, _) => {
                    let (connection, end) = find(id);
                    self.gone(connection, end);
                }
                Output::Hello(id, _, role) | Output::Decided(id, role) => {
                    let (connection, end) = find(id);
                    assert_eq!(self.connections[connection].standing[end], Standing::Up);
                    assert_role(setting, connection, end, role);
                }
                Output::Elected(id, role) => {
                    assert_eq!(election.wants(id), 0, "what follows belongs to the user");
                    assert_eq!(election.poll_output(), None, "nothing follows the election");
                    let (connection, end) = find(id);
                    self.elect(setting, connection, end, role);
                }
                Output::Lost => {
                    assert_eq!(election.poll_output(), None, "nothing follows the end");
                    self.over(setting, party, End::Lost);
                }
                unknown => panic!("{unknown:?} is not explored"),
            }
        }
    }

    fn elect(&mut self, setting: &Setting, connection: usize, end: usize, role: Role) {
        assert_role(setting, connection, end, role);
        let this = &mut self.connections[connection];
        assert_eq!(this.standing[end], Standing::Up, "the chosen connection stands");
        let leads = role == Role::Leader;
        // Where both lead, the user of each reads the other's `$`.
        let mut frames = this.towards[end]
            .iter()
            .filter(|piece| !(leads && *piece == b"$"));
        assert!(
            frames.all(|piece| piece == USER),
            "the chosen connection is handed over with frames on it"
        );
        this.towards[1 - end].push_back(USER.to_vec());
        let [party, peer] = [end, 1 - end].map(|end| setting.ends[connection][end]);
        match self.end_of(peer) {
            Some(End::Elected { connection: other, leads: leading }) => {
                let both_lead = leads && leading;
                // A leader that was not answered in time is free for a third: the connection of
                // its first follower ends at once.
                let left = !leads && setting.schemes.len() > 2;
                assert!(connection == other || both_lead || left, "each keeps another connection");
            }
            Some(End::Lost) | None => {
                let promised = leads && matches!(setting.schemes[party], Scheme::Nonce { .. });
                assert!(!promised, "the leader succeeds and the follower has not");
            }
        }
        self.over(setting, party, End::Elected { connection, leads });
    }

    /// Ends a party, which closes its ends of all connections: nothing that arrives there matters.
    fn over(&mut self, setting: &Setting, party: usize, end: End) {
        self.parties[party] = Party::Over(end);
        for (connection, ends) in setting.ends.iter().enumerate() {
            for (end, _) in ends
                .iter()
                .enumerate()
                .filter(|(_, owner)| **owner == party)
            {
                self.gone(connection, end);
            }
        }
    }

    fn gone(&mut self, connection: usize, end: usize) {
        self.connections[connection].standing[end] = Standing::Gone;
        self.connections[connection].towards[end].clear();
    }

    /// Asserts that parties 0 and 1 elect a new connection if all of theirs end.
    fn assert_alive(&self, setting: &Setting) {
        let (mut world, mut setting) = (self.clone(), setting.clone());
        world.faults = UNBOUNDED;
        setting.limits = true;
        for connection in 0..setting.ends.len() {
            for end in 0..2 {
                let is_pair = setting.ends[connection].iter().all(|&party| party < 2);
                if is_pair && world.connections[connection].standing[end] == Standing::Up {
                    world.take(&setting, Step::Down { connection, end });
                }
            }
        }
        for _ in 0..3 {
            let connection = setting.ends.len();
            setting.ends.push([0, 1]);
            world
                .connections
                .push(Connection { standing: [Standing::NotYet; 2], towards: Default::default() });
            for end in 0..2 {
                world.take(&setting, Step::Up { connection, end });
            }
            if world.deliver(&setting, connection) {
                return;
            }
            for party in 0..2 {
                world.take(&setting, Step::Clock { party });
                world.take(&setting, Step::Timeout { party });
            }
        }
        panic!("an honest pair does not come together: {world:#?}");
    }

    /// Delivers everything on a connection; whether both of its ends have then elected it.
    fn deliver(&mut self, setting: &Setting, connection: usize) -> bool {
        let is_running = |world: &Self, end: usize| {
            world.end_of(setting.ends[connection][end]).is_none()
                && world.connections[connection].standing[end] == Standing::Up
        };
        while let Some(end) = (0..2).find(|&end| {
            is_running(self, end) && !self.connections[connection].towards[end].is_empty()
        }) {
            self.take(setting, Step::Arrive { connection, end });
        }
        (0..2).all(|party| match self.end_of(party) {
            Some(End::Elected { connection: elected, .. }) => elected == connection,
            Some(End::Lost) | None => false,
        })
    }

    /// Whether parties 0 and 1 still run, with time for all limits before their deadlines.
    fn has_time(&self) -> bool {
        let in_time = |party: &Party| match party {
            Party::Running { phase: 0, election, .. } => election
                .poll_timeout()
                .is_some_and(|due| due > MonoTime::default()),
            Party::Running { .. } | Party::Over(_) => false,
        };
        self.parties[..2].iter().all(in_time)
    }

    /// Two hashes of 64 bits: enough to tell 10⁹ states apart.
    fn fingerprint(&self) -> u128 {
        let hash = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            salt.hash(&mut hasher);
            self.hash(&mut hasher);
            u128::from(hasher.finish())
        };
        hash(0) << 64 | hash(1)
    }
}

/// Reads as the driver does: never more than the election wants.
fn feed(election: &mut Election, now: MonoTime, id: SocketId, mut piece: &[u8]) {
    while !piece.is_empty() {
        let wanted = election.wants(id).min(piece.len());
        if wanted == 0 {
            // A leader expects no `$` of another leader.
            return assert!([USER, b"$"].contains(&piece), "a frame that nobody reads");
        }
        assert_ne!(piece, USER, "the user's bytes are read as a frame");
        election.handle_data(now, id, &piece[..wanted]);
        piece = &piece[wanted..];
    }
}

/// Asserts the role of a party: exactly one end of a connection leads, unless the setting differs.
fn assert_role(setting: &Setting, connection: usize, end: usize, role: Role) {
    let [own, peer] = [end, 1 - end].map(|end| setting.schemes[setting.ends[connection][end]]);
    let leads = match (own, peer) {
        (Scheme::Nonce { own, .. }, Scheme::Nonce { own: peer, .. }) => own > peer,
        (Scheme::WanIp { leads }, _) => leads,
        other => unreachable!("schemes are not mixed: {other:?}"),
    };
    assert_eq!(role == Role::Leader, leads);
}

/// Result of an exploration.
#[derive(Debug, Default)]
struct Explored {
    visited: HashSet<u128>,
    /// Ends of the parties in all final states; `None` for a party that waits.
    ends: BTreeSet<Vec<Option<End>>>,
}

/// A state, the step that led to it, and the steps that remain to be tried.
struct Branch {
    step: Option<Step>,
    world: World,
    left: Vec<Step>,
}

/// The steps to the current state, and the step that is being tried: shown if an assertion fails.
struct Path {
    branches: Vec<Branch>,
    trying: Option<Step>,
}

impl Drop for Path {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let steps = self
                .branches
                .iter()
                .filter_map(|branch| branch.step)
                .chain(self.trying);
            println!("it happens after {:#?}", steps.collect::<Vec<_>>());
        }
    }
}

fn explore(setting: &Setting) -> Explored {
    let mut found = Explored::default();
    let is_nonce = matches!(setting.schemes[0], Scheme::Nonce { .. });
    let world = World::new(setting);
    let left = world.steps(setting);
    let mut path = Path { branches: vec![Branch { step: None, world, left }], trying: None };
    while let Some(branch) = path.branches.last_mut() {
        path.trying = branch.left.pop();
        let Some(step) = path.trying else {
            path.branches.pop();
            continue;
        };
        let mut world = branch.world.clone();
        world.take(setting, step);
        let fingerprint = world.fingerprint();
        if found.visited.insert(fingerprint) {
            // A sample of the states, since each takes as long as ten steps.
            let is_sampled =
                fingerprint.is_multiple_of(if setting.faults == UNBOUNDED { 1 } else { 8 });
            if is_nonce && is_sampled && world.has_time() {
                world.assert_alive(setting);
            }
            let left = world.steps(setting);
            if left.is_empty() {
                found
                    .ends
                    .insert((0..world.parties.len()).map(|p| world.end_of(p)).collect());
            }
            path.branches.push(Branch { step: Some(step), world, left });
        }
    }
    println!(
        "{} parties, {} connections, {} faults: {} states",
        setting.schemes.len(),
        setting.ends.len(),
        setting.faults,
        found.visited.len(),
    );
    found
}

/// The ends of two parties, in words.
fn outcomes(found: &Explored) -> BTreeSet<&'static str> {
    let name = |ends: &Vec<Option<End>>| match ends[..] {
        [Some(End::Elected { connection: a, .. }), Some(End::Elected { connection: b, .. })] => {
            if a == b { "both succeed" } else { "each keeps another" }
        }
        [Some(End::Elected { leads, .. }), Some(End::Lost)]
        | [Some(End::Lost), Some(End::Elected { leads, .. })] => {
            if leads {
                "the leader alone succeeds"
            } else {
                "the follower alone succeeds"
            }
        }
        [Some(End::Lost), Some(End::Lost)] => "both fail",
        _ => "somebody waits",
    };
    found.ends.iter().map(name).collect()
}

/// Whether the explorations have their full bounds.
fn is_full() -> bool {
    std::env::var("PUNCH_EXPLORE").is_ok_and(|value| value == "full")
}

fn nonce(first: u8) -> Scheme {
    Scheme::Nonce { own: Nonce([first; 16]), session: SessionTag::default() }
}

fn pair(connections: usize, faults: u8) -> Setting {
    let schemes = vec![nonce(2), nonce(1)];
    Setting { schemes, ends: vec![[0, 1]; connections], faults, limits: false }
}

fn article(leads: [bool; 2]) -> Setting {
    let schemes = leads.map(|leads| Scheme::WanIp { leads }).to_vec();
    Setting { schemes, ends: vec![[0, 1]; 3], faults: UNBOUNDED, limits: false }
}

#[test]
fn peers_without_a_fault_succeed_in_any_order_of_events() {
    for connections in 1..=3 {
        let found = explore(&pair(connections, 0));
        assert_eq!(outcomes(&found), BTreeSet::from(["both succeed"]));
    }
}

#[test]
fn two_connections_never_split_the_peers_and_a_leader_is_never_alone() {
    let found = explore(&pair(2, UNBOUNDED));
    let reachable = ["both succeed", "both fail", "the follower alone succeeds"];
    assert_eq!(outcomes(&found), BTreeSet::from(reachable));
}

#[test]
fn connections_whose_limits_pass_never_split_the_peers() {
    let found = explore(&Setting { limits: true, ..pair(2, if is_full() { 6 } else { 3 }) });
    assert!(outcomes(&found).contains("both succeed"));
    assert!(!outcomes(&found).contains("the leader alone succeeds"));
    assert!(!outcomes(&found).contains("each keeps another"));
}

#[test]
fn three_connections_never_split_the_peers_and_a_leader_is_never_alone() {
    let found = explore(&pair(3, if is_full() { UNBOUNDED } else { 2 }));
    assert!(outcomes(&found).contains("both succeed"));
    assert!(!outcomes(&found).contains("the leader alone succeeds"));
    assert!(!outcomes(&found).contains("each keeps another"));
}

/// The third party is a former run of the peer, or another host behind the peer's address.
#[test]
fn three_parties_of_one_session_never_split() {
    let schemes = vec![nonce(3), nonce(2), nonce(1)];
    let faults = if is_full() { 2 } else { 1 };
    for ends in [vec![[0, 1], [0, 2], [1, 2]], vec![[0, 1], [0, 1], [0, 2]]] {
        explore(&Setting { schemes: schemes.clone(), ends, faults, limits: false });
    }
}

#[test]
fn the_articles_election_can_leave_a_leader_alone_and_no_more() {
    let reachable = ["both succeed", "both fail", "the leader alone succeeds"];
    assert_eq!(outcomes(&explore(&article([true, false]))), BTreeSet::from(reachable));
}

#[test]
fn the_articles_election_splits_peers_that_both_lead() {
    assert!(outcomes(&explore(&article([true, true]))).contains("each keeps another"));
}

#[test]
fn the_articles_election_never_succeeds_if_nobody_leads() {
    let found = explore(&article([false, false]));
    assert_eq!(outcomes(&found), BTreeSet::from(["both fail"]));
}
