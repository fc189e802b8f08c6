//! Frames that reach an election at the wrong time, or from the wrong peer.

use punch::proto::{
    connection::{Reject, Role, SocketId},
    election::{Election, GRACE, Output, Scheme},
    time::MonoTime,
    wire::{Choice, Frame, Hello, Nonce, SessionTag},
};

const DEADLINE: MonoTime = MonoTime::from_nanos(30_000_000_000);
const EARLY: MonoTime = MonoTime::from_nanos(1);

/// Nonces of the side under test, of peers that follow it, and of a peer that leads it.
const OWN: Nonce = Nonce([5; 16]);
const FOLLOWER: Nonce = Nonce([4; 16]);
const OTHER: Nonce = Nonce([3; 16]);
const LEADER: Nonce = Nonce([9; 16]);

/// The side under test.
struct Side(Election);

/// The side's own number for a connection; its peers' numbers are 100 higher.
fn link(index: u32) -> SocketId {
    SocketId(7 + index)
}

fn named(nonce: Nonce, index: u32) -> Choice {
    Choice { nonce, connection: link(index).0 + 100 }
}

impl Side {
    /// A side with this number of connections, from [`link`] 0 on.
    fn with(links: u32) -> Self {
        let scheme = Scheme::Nonce { own: OWN, session: SessionTag::default() };
        let mut side = Self(Election::new(scheme, DEADLINE));
        for index in 0..links {
            side.0.handle_up(EARLY, link(index), 4000);
        }
        while side.0.poll_output().is_some() {}
        side
    }

    /// Delivers a frame, which is read as the driver reads it.
    fn hear(&mut self, index: u32, frame: Frame) -> Vec<Output> {
        let bytes = frame.encode();
        let mut rest = &bytes[..];
        while !rest.is_empty() && self.0.wants(link(index)) > 0 {
            let (piece, left) = rest.split_at(self.0.wants(link(index)).min(rest.len()));
            self.0.handle_data(EARLY, link(index), piece);
            rest = left;
        }
        self.outputs()
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.0.poll_output()).collect()
    }

    /// Delivers a HELLO with this nonce, and returns the outputs except the event.
    fn meet(&mut self, index: u32, nonce: Nonce) -> Vec<Output> {
        let connection = named(nonce, index).connection;
        let session = SessionTag::default();
        let mut outputs =
            self.hear(index, Frame::Hello(Hello { session, nonce, connection, port: 4000 }));
        outputs.retain(|output| !matches!(output, Output::Hello(..)));
        outputs
    }

    /// A leader that has sent COMMIT to [`FOLLOWER`] on this many connections.
    fn committed(links: u32) -> Self {
        let mut side = Self::with(links + 1);
        for index in 0..links {
            let commit = Output::Send(link(index), Frame::Commit(FOLLOWER).encode());
            assert_eq!(side.meet(index, FOLLOWER), [commit]);
        }
        side
    }

    fn is_still_waiting(&self) -> bool {
        self.0.poll_timeout() == Some(DEADLINE + GRACE)
    }
}

fn closed(index: u32) -> Vec<Output> {
    vec![Output::Reject(link(index), Reject::Stranger)]
}

fn chosen(index: u32) -> Vec<Output> {
    vec![Output::Decided(link(index), Role::Leader), Output::Elected(link(index), Role::Leader)]
}

#[test]
fn an_ack_before_any_commit_closes_only_its_connection() {
    let mut side = Side::with(2);
    assert_eq!(side.hear(0, Frame::Ack(named(FOLLOWER, 0))), closed(0));
    let commit = Output::Send(link(1), Frame::Commit(FOLLOWER).encode());
    assert_eq!(side.meet(1, FOLLOWER), [commit]);
    assert_eq!(side.hear(1, Frame::Ack(named(FOLLOWER, 1))), chosen(1));
}

#[test]
fn an_ack_from_another_run_closes_only_its_connection() {
    let mut side = Side::committed(2);
    assert_eq!(side.meet(2, OTHER), [], "a second peer is not committed to");
    // With its own nonce, and with that of the peer to which COMMIT was sent.
    let mut twin = Side(side.0.clone());
    assert_eq!(side.hear(2, Frame::Ack(named(OTHER, 2))), closed(2));
    assert_eq!(twin.hear(2, Frame::Ack(named(FOLLOWER, 0))), closed(2));
    // From the right peer, with the nonce of a former run of that peer.
    assert_eq!(side.hear(0, Frame::Ack(named(OTHER, 0))), closed(0));
    for mut side in [side, twin] {
        assert!(side.is_still_waiting());
        assert_eq!(side.hear(1, Frame::Ack(named(FOLLOWER, 1))), chosen(1));
    }
}

#[test]
fn an_ack_before_hello_closes_only_its_connection() {
    let mut side = Side::committed(1);
    assert_eq!(side.hear(1, Frame::Ack(named(FOLLOWER, 0))), closed(1));
    assert!(side.is_still_waiting());
}

#[test]
fn an_ack_on_another_connection_names_the_one_to_wait_for() {
    let mut side = Side::committed(3);
    let told = side.hear(0, Frame::Ack(named(FOLLOWER, 1)));
    assert_eq!(told, [Output::Decided(link(1), Role::Leader)]);
    assert_eq!(side.0.wants(link(0)), 0, "nothing more is read there");
    assert!(side.is_still_waiting());
    // The same ACK on another connection changes nothing. An ACK with another name is a mistake.
    let mut twin = Side(side.0.clone());
    assert_eq!(side.hear(2, Frame::Ack(named(FOLLOWER, 1))), []);
    assert_eq!(twin.hear(2, Frame::Ack(named(FOLLOWER, 2))), closed(2));
    for mut side in [side, twin] {
        let elected = Output::Elected(link(1), Role::Leader);
        assert_eq!(side.hear(1, Frame::Ack(named(FOLLOWER, 1))), [elected]);
        assert_eq!(side.0.wants(link(1)), 0, "what follows is the user's");
        assert_eq!(side.hear(1, Frame::Ack(named(FOLLOWER, 1))), [], "a second ACK is not read");
    }
}

#[test]
fn a_chosen_connection_that_is_gone_ends_the_leaders_attempt() {
    // The end comes before the ACK, after it, or by something on the connection that is no ACK.
    let mut side = Side::committed(2);
    side.0.handle_down(link(1));
    assert_eq!(side.outputs(), []);
    assert_eq!(side.hear(0, Frame::Ack(named(FOLLOWER, 1))), [Output::Lost]);

    let mut side = Side::committed(2);
    side.hear(0, Frame::Ack(named(FOLLOWER, 1)));
    side.0.handle_down(link(1));
    assert_eq!(side.outputs(), [Output::Lost]);

    let mut side = Side::committed(2);
    side.hear(0, Frame::Ack(named(FOLLOWER, 1)));
    let ended = [closed(1), vec![Output::Lost]].concat();
    assert_eq!(side.hear(1, Frame::Commit(OWN)), ended);
    assert_eq!(side.0.poll_timeout(), None);
}

#[test]
fn a_follower_takes_the_first_commit_and_sends_ack_on_every_connection() {
    let mut side = Side::with(3);
    assert_eq!(side.meet(1, LEADER), []);
    assert_eq!(side.meet(2, LEADER), []);
    let ack = Frame::Ack(Choice { nonce: OWN, connection: link(2).0 }).encode();
    let mut expected = vec![Output::Decided(link(2), Role::Follower)];
    expected.extend([0, 1, 2].map(|index| Output::Send(link(index), ack.clone())));
    expected.push(Output::Elected(link(2), Role::Follower));
    assert_eq!(side.hear(2, Frame::Commit(OWN)), expected);
    assert_eq!(side.hear(1, Frame::Commit(OWN)), [], "a later one is not read");
    assert_eq!(side.0.wants(link(2)), 0, "what follows is the user's");
}

#[test]
fn a_commit_or_ack_that_is_not_for_a_follower_closes_its_connection() {
    let mut side = Side::with(5);
    assert_eq!(side.hear(0, Frame::Commit(OWN)), closed(0), "before HELLO");
    side.meet(1, LEADER);
    assert_eq!(side.hear(1, Frame::Commit(OTHER)), closed(1), "for another run");
    side.meet(2, LEADER);
    assert_eq!(side.hear(2, Frame::Ack(named(LEADER, 2))), closed(2), "from a leader");
    side.meet(3, LEADER);
    assert_eq!(side.meet(3, LEADER), closed(3), "a second HELLO");
    // The nonce is smaller: this side leads that peer, and follows nobody.
    side.meet(4, FOLLOWER);
    assert_eq!(side.hear(4, Frame::Commit(OWN)), closed(4));
    assert!(side.is_still_waiting());
}

#[test]
fn a_leader_of_one_peer_does_not_follow_another() {
    let mut side = Side::committed(1);
    assert_eq!(side.meet(1, LEADER), []);
    assert_eq!(side.hear(1, Frame::Commit(OWN)), closed(1));
    assert_eq!(side.hear(0, Frame::Ack(named(FOLLOWER, 0))), chosen(0));
}

#[test]
fn no_commit_is_sent_at_the_deadline_or_later() {
    let mut side = Side::with(1);
    let hello = Hello { session: SessionTag::default(), nonce: FOLLOWER, connection: 1, port: 1 };
    let bytes = Frame::Hello(hello).encode();
    for piece in [&bytes[..6], &bytes[6..]] {
        side.0.handle_data(DEADLINE, link(0), piece);
    }
    assert_eq!(side.outputs(), [Output::Hello(link(0), hello, Role::Leader)]);
    side.0.handle_timeout(DEADLINE);
    assert_eq!(side.outputs(), [Output::Lost]);
}

#[test]
fn a_follower_waits_longer_only_while_a_leader_is_connected() {
    let mut side = Side::with(1);
    assert_eq!(side.0.poll_timeout(), Some(DEADLINE));
    side.meet(0, LEADER);
    assert_eq!(side.0.poll_timeout(), Some(DEADLINE + GRACE * 2));
    side.0.handle_down(link(0));
    assert_eq!(side.0.poll_timeout(), Some(DEADLINE));
}
