//! One attempt, whose inputs the test gives one by one.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use punch::proto::{
    attempt::{Action, Attempt, Config, Outcome, PortSource, RefusedBy},
    bucket::Rule,
    connection::{Failure, Role, SocketId},
    election::Scheme,
    schedule::Schedule,
    time::{MonoTime, WallTime},
    wire::{Frame, Hello, Nonce, SessionTag},
};

use crate::schedule::{ROLLING_TWINS, WINDOW_S, buckets, ports_at, ports_of};

const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 2));
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));

fn at(ms: u64) -> MonoTime {
    MonoTime::default() + Duration::from_millis(ms)
}

/// An attempt that leads, under the `rolling` rule or with fixed ports.
fn attempt(ports: Option<Vec<u16>>, wall: WallTime) -> Attempt {
    attempt_by(Scheme::WanIp { leads: true }, ports, wall)
}

fn nonce_attempt() -> Attempt {
    let scheme = Scheme::Nonce { own: Nonce([5; 16]), session: SessionTag::default() };
    attempt_by(scheme, Some(vec![4000]), WallTime::from_secs(0))
}

fn attempt_by(scheme: Scheme, ports: Option<Vec<u16>>, wall: WallTime) -> Attempt {
    let (buckets, schedule) = (buckets(Rule::Rolling), Schedule::ChaCha20);
    let clock = PortSource::Clock { buckets, schedule };
    let config = Config::new(PEER, scheme, [7; 32])
        .ports(ports.map_or(clock, PortSource::Fixed))
        .timeout(Duration::from_secs(120));
    Attempt::new(config, at(0), wall)
}

/// Lets time pass up to `now`, by a wall clock that read `wall` at the start.
fn pass(attempt: &mut Attempt, wall: WallTime, now: MonoTime) {
    attempt.handle_timeout(now, wall + now.since(at(0)));
}

fn actions(attempt: &mut Attempt) -> Vec<Action> {
    std::iter::from_fn(|| attempt.poll_action()).collect()
}

fn ends(port: u16) -> (SocketAddr, SocketAddr) {
    (SocketAddr::new(OWN, port), SocketAddr::new(PEER, port))
}

/// The actions that concern a port, on which `socket` connects.
fn touching(actions: &[Action], port: u16, socket: Option<SocketId>) -> Vec<&Action> {
    let touches = |action: &&Action| match **action {
        Action::Listen { port: of } | Action::Unlisten { port: of } => of == port,
        Action::Connect { port: of, .. } => of == port,
        Action::Abandon { socket: of } | Action::Reset { socket: of } => Some(of) == socket,
        Action::Inspect { .. } | Action::Send { .. } | Action::Close { .. } | _ => false,
    };
    actions.iter().filter(touches).collect()
}

fn connecting(actions: &[Action], port: u16) -> Option<SocketId> {
    actions.iter().find_map(|action| {
        let Action::Connect { socket, port: of } = action else { return None };
        (*of == port).then_some(*socket)
    })
}

#[test]
fn a_port_of_two_buckets_survives_leaving_one() {
    for (left, _, shared) in ROLLING_TWINS {
        // Just before bucket `left` goes out of use, so that no port has to send its SYN again.
        let wall = WallTime::from_secs((left + 1) * WINDOW_S) - Duration::from_millis(10);
        let mut attempt = attempt(None, wall);
        let [before, after] =
            [wall, wall + Duration::from_millis(10)].map(|wall| ports_at(Rule::Rolling, wall));
        assert!(before.contains(&shared) && after.contains(&shared));
        let opened = actions(&mut attempt);
        pass(&mut attempt, wall, at(10));
        let mut changes = actions(&mut attempt);
        assert!(
            after
                .difference(&before)
                .all(|port| connecting(&changes, *port).is_none())
        );
        // New ports come a little later, for the sake of another account that has none.
        pass(&mut attempt, wall, at(60));
        changes.extend(actions(&mut attempt));
        for &port in before.union(&after) {
            let socket = connecting(&opened, port);
            let touched = touching(&changes, port, socket);
            match (before.contains(&port), socket) {
                (true, _) if after.contains(&port) => assert!(touched.is_empty(), "{touched:?}"),
                // Its SYN may still be answered: the socket stays for the time of a handshake.
                (true, Some(_)) => assert!(touched.is_empty(), "{touched:?}"),
                _ => {
                    assert!(matches!(touched[..], [Action::Listen { .. }, Action::Connect { .. }]))
                }
            }
        }
    }
}

/// A peer that starts in the new bucket has this policy, and both must have the same.
#[test]
fn a_port_that_stays_gets_the_policy_of_its_new_bucket() {
    let (first, second, port) = ROLLING_TWINS[0];
    assert_eq!(ports_of(Rule::Rolling, first)[3], port);
    assert_eq!(ports_of(Rule::Rolling, second)[0], port, "eager from here on");
    let wall = WallTime::from_secs(first * WINDOW_S) - Duration::from_millis(500);
    let mut attempt = attempt(None, wall);
    let mut socket = connecting(&actions(&mut attempt), port).unwrap();
    for (ms, prompt) in [(100, false), (600, true)] {
        pass(&mut attempt, wall, at(ms));
        socket = connecting(&actions(&mut attempt), port).unwrap_or(socket);
        attempt.handle_refused(at(ms), socket, RefusedBy::Network, "refused");
        assert_eq!(connecting(&actions(&mut attempt), port).is_some(), prompt, "after {ms} ms");
    }
}

#[test]
fn a_port_is_given_up_a_handshake_after_its_last_bucket() {
    let wall = WallTime::from_secs(WINDOW_S - 1);
    let mut attempt = attempt(None, wall);
    let port = ports_of(Rule::Rolling, 0)[0];
    let socket = connecting(&actions(&mut attempt), port).unwrap();
    pass(&mut attempt, wall, at(1000));
    assert!(touching(&actions(&mut attempt), port, Some(socket)).is_empty());
    pass(&mut attempt, wall, at(3000));
    assert_eq!(touching(&actions(&mut attempt), port, Some(socket)), [&Action::Abandon { socket }]);
    attempt.handle_abandoned(at(3000), socket);
    assert_eq!(
        touching(&actions(&mut attempt), port, Some(socket)),
        [&Action::Unlisten { port }],
        "no new connect"
    );
}

#[test]
fn a_handshake_in_progress_outlives_its_bucket() {
    let wall = WallTime::from_secs(WINDOW_S - 1);
    let mut attempt = attempt(None, wall);
    let port = ports_of(Rule::Rolling, 0)[0];
    let socket = connecting(&actions(&mut attempt), port).unwrap();
    pass(&mut attempt, wall, at(1000));
    pass(&mut attempt, wall, at(3000));
    // The caller finds the socket in SYN_RECV, and does nothing.
    assert!(actions(&mut attempt).contains(&Action::Abandon { socket }));
    let (local, remote) = ends(port);
    attempt.handle_connected(at(3100), socket, local, remote);
    assert_eq!(attempt.outcome(), Some(Outcome::Elected { socket, role: Role::Leader }));
}

#[test]
fn nothing_happens_after_the_end() {
    let elect = |attempt: &mut Attempt| {
        let (local, remote) = ends(4000);
        attempt.handle_connected(at(1), SocketId(1), local, remote);
    };
    let fail = |attempt: &mut Attempt| pass(attempt, WallTime::from_secs(0), at(200_000));
    for end in [&elect as &dyn Fn(&mut Attempt), &fail] {
        let mut attempt = attempt(Some(vec![4000, 4001]), WallTime::from_secs(0));
        actions(&mut attempt);
        end(&mut attempt);
        let outcome = attempt.outcome();
        assert!(outcome.is_some());
        actions(&mut attempt);
        while attempt.poll_event().is_some() {}

        let (now, (local, remote)) = (at(300_000), ends(4001));
        attempt.handle_abandoned(now, SocketId(2));
        attempt.handle_no_listener(now, 4001, "in use");
        attempt.handle_refused(now, SocketId(2), RefusedBy::Network, "refused");
        attempt.handle_connected(now, SocketId(2), local, remote);
        attempt.handle_data(now, SocketId(1), b"of the user");
        attempt.handle_closed(now, SocketId(1));
        attempt.handle_unavailable(now, SocketId(1), "in use");
        attempt.handle_unavailable(now, SocketId(2), "in use");
        attempt.handle_half_open(now, SocketId(2));
        attempt.handle_new_local_address(now);
        pass(&mut attempt, WallTime::from_secs(0), now);
        assert_eq!(attempt.handle_accepted(now, local, remote), None);
        assert_eq!(attempt.wants(SocketId(1)), 0);
        assert_eq!(attempt.poll_timeout(), None);
        assert_eq!(actions(&mut attempt), []);
        assert_eq!(attempt.poll_event(), None);
        assert_eq!(attempt.outcome(), outcome);
    }
}

#[test]
fn ports_that_are_taken_are_tried_again_until_the_deadline() {
    let mut attempt = attempt(Some(vec![4000, 4001]), WallTime::from_secs(0));
    for s in (0..120).step_by(5) {
        pass(&mut attempt, WallTime::from_secs(0), at(s * 1000));
        let opened = actions(&mut attempt);
        for port in [4000, 4001] {
            assert!(opened.contains(&Action::Listen { port }), "at {s} s");
            let socket = connecting(&opened, port).expect("the port is tried again");
            attempt.handle_unavailable(at(s * 1000), socket, "in use");
        }
        assert_eq!(attempt.outcome(), None);
        let ends = [4000, 4001].map(|port| Action::Unlisten { port });
        assert_eq!(actions(&mut attempt), ends);
    }
    pass(&mut attempt, WallTime::from_secs(0), at(120_000));
    assert_eq!(attempt.outcome(), Some(Outcome::Failed(Failure::NothingBound)));
}

#[test]
fn other_addresses_are_not_accepted_and_self_connections_are_closed() {
    let mut attempt = attempt(Some(vec![4000]), WallTime::from_secs(0));
    actions(&mut attempt);
    let stranger = SocketAddr::new(Ipv4Addr::new(192, 0, 2, 1).into(), 4000);
    assert_eq!(attempt.handle_accepted(at(0), ends(4000).0, stranger), None);
    let own = ends(4000).0;
    attempt.handle_connected(at(1), SocketId(1), own, own);
    assert_eq!(actions(&mut attempt), [Action::Close { socket: SocketId(1) }]);
    assert_eq!(attempt.outcome(), None);
}

/// Other hosts at the peer's address may open any number of connections and send nothing on them.
#[test]
fn connections_beyond_any_need_are_closed() {
    let mut attempt = nonce_attempt();
    let from = |port: u16| SocketAddr::new(PEER, port);
    let accept = |attempt: &mut Attempt, port| {
        attempt.handle_accepted(at(u64::from(port)), ends(4000).0, from(port))
    };
    let hello = |nonce: u8| {
        let (session, nonce) = (SessionTag::default(), Nonce([nonce; 16]));
        Frame::Hello(Hello { session, nonce, connection: 1, port: 1 }).encode()
    };
    let greet = |attempt: &mut Attempt, socket, nonce| {
        let (head, rest) = (&hello(nonce)[..6], &hello(nonce)[6..]);
        attempt.handle_data(at(1000), socket, head);
        attempt.handle_data(at(1000), socket, rest);
    };
    let peer = accept(&mut attempt, 1).unwrap();
    greet(&mut attempt, peer, 9);
    actions(&mut attempt);
    let accepted: Vec<_> = (2..1000)
        .map(|port| accept(&mut attempt, port).unwrap())
        .collect();
    let is_close = |action: &Action| matches!(action, Action::Close { .. });
    let closed: Vec<Action> = actions(&mut attempt).into_iter().filter(is_close).collect();
    assert!((16..=128).contains(&(accepted.len() - closed.len())), "{} closed", closed.len());
    assert_eq!(closed[0], Action::Close { socket: accepted[0] }, "the oldest first");
    assert!(!closed.contains(&Action::Close { socket: peer }), "it has said HELLO");
    // Where all have said HELLO, nobody makes room.
    for socket in &accepted {
        greet(&mut attempt, *socket, 1);
    }
    actions(&mut attempt);
    assert_eq!(accept(&mut attempt, 1000), None);
    let (local, remote) = ends(4000);
    attempt.handle_connected(at(1001), SocketId(1), local, remote);
    assert!(attempt.wants(SocketId(1)) > 0, "its own connects are not hindered");
}

#[test]
fn a_socket_that_stays_in_syn_recv_is_reset() {
    let wall = WallTime::from_secs(0);
    let mut attempt = attempt(Some((4000..4008).collect()), wall);
    let opened = actions(&mut attempt);
    let sockets: Vec<SocketId> = (4000..4008)
        .map(|port| connecting(&opened, port).unwrap())
        .collect();
    let mut reset: BTreeMap<SocketId, MonoTime> = BTreeMap::new();
    let mut now = at(0);
    while now < at(15_000) {
        while let Some(action) = attempt.poll_action() {
            match action {
                // A SYN in the peer's name came right after the start.
                Action::Inspect { socket } if sockets.contains(&socket) => {
                    attempt.handle_half_open(now, socket);
                }
                Action::Reset { socket } => {
                    reset.entry(socket).or_insert(now);
                    attempt.handle_abandoned(now, socket);
                }
                Action::Listen { .. }
                | Action::Unlisten { .. }
                | Action::Connect { .. }
                | Action::Abandon { .. }
                | Action::Inspect { .. }
                | Action::Send { .. }
                | Action::Close { .. }
                | _ => {}
            }
        }
        now = attempt.poll_timeout().unwrap();
        pass(&mut attempt, wall, now);
    }
    let limits: Vec<u64> = sockets
        .iter()
        .map(|socket| reset[socket].since(at(500)).as_secs())
        .collect();
    assert_eq!(limits, [2, 1, 5, 1, 2, 1, 10, 1], "in whole seconds after the first look");
}

#[test]
fn ports_follow_a_clock_that_is_put_right() {
    let mut attempt = attempt(None, WallTime::from_secs(0));
    let opened = actions(&mut attempt);
    let right = WallTime::from_secs(1_700_000_000);
    attempt.handle_timeout(at(200), right);
    let changes = actions(&mut attempt);
    for port in ports_at(Rule::Rolling, right) {
        let known = connecting(&opened, port).is_some();
        assert!(known || connecting(&changes, port).is_some(), "{port}");
    }
    let due = attempt.poll_timeout().unwrap();
    assert!(due <= at(2_200), "the old ports are given up: {due:?}");
}

#[test]
fn a_new_local_address_makes_all_sockets_anew() {
    let mut attempt = attempt(Some(vec![4000, 4001]), WallTime::from_secs(0));
    let opened = actions(&mut attempt);
    let old = connecting(&opened, 4000).unwrap();
    attempt.handle_refused(at(1), connecting(&opened, 4001).unwrap(), RefusedBy::Host, "gone");
    attempt.handle_new_local_address(at(2));
    let expected = [
        Action::Unlisten { port: 4000 },
        Action::Reset { socket: old },
        Action::Unlisten { port: 4001 },
        Action::Listen { port: 4000 },
        Action::Listen { port: 4001 },
    ];
    assert_eq!(actions(&mut attempt), expected);
    attempt.handle_abandoned(at(2), old);
    pass(&mut attempt, WallTime::from_secs(0), at(2));
    let anew = actions(&mut attempt);
    assert!(connecting(&anew, 4000).is_some() && connecting(&anew, 4001).is_some());
}

/// The pauses after refusals on the only port that can be bound, in milliseconds.
fn pauses_at(index: u16, refusals: usize) -> Vec<f64> {
    let mut attempt = attempt(Some((4000..4004).collect()), WallTime::from_secs(0));
    let opened = actions(&mut attempt);
    let of = |port: u16| connecting(&opened, port).unwrap();
    for port in (4000..4004).filter(|port| *port != 4000 + index) {
        attempt.handle_unavailable(at(0), of(port), "in use");
    }
    let (mut now, mut socket) = (at(0), of(4000 + index));
    actions(&mut attempt);
    let mut pauses = Vec::new();
    while pauses.len() < refusals {
        attempt.handle_refused(now, socket, RefusedBy::Network, "refused");
        let refused = now;
        let next = loop {
            if let Some(next) = connecting(&actions(&mut attempt), 4000 + index) {
                break next;
            }
            now = attempt.poll_timeout().expect("it goes on");
            pass(&mut attempt, WallTime::from_secs(0), now);
        };
        socket = next;
        pauses.push(now.since(refused).as_secs_f64() * 1000.0);
    }
    pauses
}

/// The figures are those of `PROTOCOL.md`.
#[test]
fn pauses_after_refusals_grow_as_the_protocol_says() {
    let assert_around = |pauses: &[f64], mean_ms: f64| {
        let within = mean_ms / 2.0..=mean_ms * 1.5;
        assert!(pauses.iter().all(|pause| within.contains(pause)), "{mean_ms}: {pauses:?}");
        #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
        let mean = pauses.iter().sum::<f64>() / pauses.len() as f64;
        assert!((mean / mean_ms - 1.0).abs() < 0.3, "{mean} instead of {mean_ms}");
    };
    // Patient ports, whose sockets are replaced after refusals only.
    let eager = pauses_at(0, 400);
    assert_eq!(eager[..5], [0.0; 5]);
    assert_around(&eager[5..175], 34.0);
    assert_around(&eager[175..], 68.0);
    let other = pauses_at(2, 100);
    assert_around(&other[..7], 140.0);
    assert_around(&other[7..], 560.0);
}

/// The times at which each port sends a SYN, in an attempt of `seconds` without an answer.
fn syns_of_silence(seconds: u64) -> BTreeMap<u16, Vec<MonoTime>> {
    let mut attempt = attempt(Some((4000..4016).collect()), WallTime::from_secs(0));
    let mut syns: BTreeMap<u16, Vec<MonoTime>> = BTreeMap::new();
    let mut now = at(0);
    while now < at(seconds * 1000) {
        while let Some(action) = attempt.poll_action() {
            match action {
                Action::Connect { port, .. } => syns.entry(port).or_default().push(now),
                Action::Abandon { socket } => attempt.handle_abandoned(now, socket),
                Action::Listen { .. }
                | Action::Unlisten { .. }
                | Action::Inspect { .. }
                | Action::Reset { .. }
                | Action::Send { .. }
                | Action::Close { .. }
                | _ => {}
            }
        }
        // A caller is never exactly on time.
        now = attempt.poll_timeout().unwrap() + Duration::from_millis(3);
        pass(&mut attempt, WallTime::from_secs(0), now);
    }
    syns
}

#[test]
fn half_of_the_ports_send_one_syn_and_no_port_two_within_a_round_trip_of_100_ms() {
    let syns = syns_of_silence(20);
    assert_eq!(syns.len(), 16);
    assert_eq!(syns.values().filter(|syns| syns.len() == 1).count(), 8);
    let early = at(5000);
    let mut all: Vec<MonoTime> = syns.values().flatten().copied().collect();
    all.sort();
    let widest_gap = |from: MonoTime, to: MonoTime| {
        let within: Vec<MonoTime> = all
            .iter()
            .copied()
            .filter(|at| (from..to).contains(at))
            .collect();
        within
            .windows(2)
            .map(|pair| pair[1].since(pair[0]))
            .max()
            .unwrap()
    };
    assert!(widest_gap(at(110), early) <= Duration::from_millis(24), "one after the other");
    assert!(widest_gap(at(8000), at(20_000)) >= Duration::from_millis(50), "less often later");
    for (port, syns) in &syns {
        for pair in syns.windows(2) {
            let gap = pair[1].since(pair[0]);
            let least = if pair[0] < early { 105 } else { 850 };
            assert!(
                gap >= Duration::from_millis(least),
                "port {port}: {gap:?} after {:?}",
                pair[0]
            );
        }
    }
}
