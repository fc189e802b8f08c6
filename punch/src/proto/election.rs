//! The choice of one connection among several, the same on both sides.
//!
//! The election `nonce` (default): the side with the larger nonce leads.
//!
//! 1. The leader decides with whom it connects, with one peer at a time: first with the peer whose
//!    HELLO it reads first. It sends the same COMMIT on every connection with that peer.
//! 2. The follower takes the connection on which the first COMMIT arrives, so that a lost COMMIT
//!    costs no time. It sends the same ACK on every connection.
//! 3. The leader takes the connection that the ACK names, once it has read the ACK there.
//!
//! The two never end with different connections, and if the leader succeeds, the follower has
//! succeeded. If the ACK is lost, the follower may have a connection that closes at once. No
//! protocol can exclude this (two generals' problem).
//!
//! The leader is free for another peer when no connection to its follower is left. The leader
//! closes these connections itself if the follower does not answer within [`ANSWER_LIMIT`], or has
//! taken a connection that has ended. So a follower that was stopped, or that only pretends to be
//! one, blocks nobody.
//!
//! The election `wan-ip`, which is the article's: the peer with the greater WAN address sends one
//! `$` on its first connection. There is no answer.
//!
//! Order of calls: any `handle_*`, then [`Election::poll_output`] until it returns `None`.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::{
    connection::{Reject, Role, SocketId},
    time::MonoTime,
    wire::{Choice, Decoder, Frame, Hello, Nonce, SessionTag},
};

/// G: time after the deadline for which a leader that has sent COMMIT waits for the ACK. A follower
/// that has read the leader's HELLO waits for 2 G.
pub const GRACE: Duration = Duration::from_secs(2);

/// Time from a connection's begin in which its peer has to say HELLO. A HELLO takes half a round
/// trip, and with each loss some tens of milliseconds and a round trip more.
pub const HELLO_LIMIT: Duration = Duration::from_secs(3);

/// Time from COMMIT in which the follower has to answer, and from its first ACK in which the ACK on
/// the chosen connection has to arrive.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// Time from HELLO after which a connection that has not been chosen is closed. Its peer may have
/// been gone for long; one that waits for its turn connects anew.
pub const WAIT_LIMIT: Duration = Duration::from_secs(30);

/// The article's success byte.
const DOLLAR: u8 = b'$';

/// The election, with what this side needs for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// HELLO / COMMIT / ACK. The side with the larger nonce leads.
    Nonce {
        /// Nonce of this run.
        own: Nonce,
        /// Session of this side. A peer with another tag is rejected.
        session: SessionTag,
    },
    /// The article's single `$`.
    WanIp {
        /// Whether this side's WAN address is the greater one.
        leads: bool,
    },
}

/// An action that the election asks for, or a result.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Output {
    /// Asks to send these bytes on this connection.
    Send(SocketId, Vec<u8>),
    /// Asks to close this connection, which is of no use.
    Reject(SocketId, Reject),
    /// The HELLO of the peer has arrived. The role is that of this side.
    Hello(SocketId, Hello, Role),
    /// This connection is chosen: the follower takes it, or the leader has read an ACK that names
    /// it.
    Decided(SocketId, Role),
    /// All frames on the chosen connection are read: it may be handed over.
    Elected(SocketId, Role),
    /// The election has ended without a connection.
    Lost,
}

/// State of the election of one peer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Election {
    scheme: Scheme,
    deadline: MonoTime,
    state: State,
    links: BTreeMap<SocketId, Link>,
    outputs: VecDeque<Output>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum State {
    /// This side has neither sent COMMIT nor taken a connection.
    Undecided,
    /// This side leads, has sent COMMIT to `follower`, and waits until `limit` for the ACK on the
    /// chosen connection. `chosen` is that connection, once an ACK on another one has named it.
    AwaitAck { follower: Nonce, chosen: Option<SocketId>, limit: MonoTime },
    /// The election has ended.
    Over,
}

/// An established connection. Each direction carries HELLO, then COMMIT or ACK, then user data.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Link {
    decoder: Decoder,
    awaited: Awaited,
    /// When the connection is closed, if it has not been of use by then.
    limit: MonoTime,
}

/// The frame that a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Awaited {
    Hello,
    /// COMMIT or ACK. The peer has given this name to the connection.
    Choice(Choice),
    /// None: the bytes that follow belong to the user of this follower.
    Nothing(Nonce),
}

impl Link {
    /// Whether this nonce has said HELLO on the connection.
    fn is_with(&self, peer: Nonce) -> bool {
        match self.awaited {
            Awaited::Hello => false,
            Awaited::Choice(Choice { nonce, .. }) | Awaited::Nothing(nonce) => nonce == peer,
        }
    }
}

impl Election {
    /// An election that takes no new decision at or after `deadline`.
    pub fn new(scheme: Scheme, deadline: MonoTime) -> Self {
        Self {
            scheme,
            deadline,
            state: State::Undecided,
            links: BTreeMap::new(),
            outputs: VecDeque::new(),
        }
    }

    /// The next output. To be called after each `handle_*`, until it returns `None`.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Time at which to call [`Self::handle_timeout`]; `None` once the election has ended.
    pub fn poll_timeout(&self) -> Option<MonoTime> {
        let links = match self.scheme {
            Scheme::Nonce { .. } => self.links.values().map(|link| link.limit).min(),
            Scheme::WanIp { .. } => None,
        };
        let answer = match self.state {
            State::AwaitAck { limit, .. } => Some(limit),
            State::Undecided | State::Over => None,
        };
        self.end().map(|end| {
            [links, answer]
                .into_iter()
                .flatten()
                .fold(end, MonoTime::min)
        })
    }

    /// A limit that passes `after` from now, or with the election at the latest. The election
    /// `wan-ip` has no limits.
    fn limit(&self, now: MonoTime, after: Duration) -> MonoTime {
        let end = self.deadline + GRACE * 2;
        match self.scheme {
            Scheme::Nonce { .. } => end.min(now + after),
            Scheme::WanIp { .. } => end,
        }
    }

    /// When the election fails; `None` once over.
    fn end(&self) -> Option<MonoTime> {
        match self.state {
            State::Undecided if self.has_leader() => Some(self.deadline + GRACE * 2),
            State::Undecided => Some(self.deadline),
            State::AwaitAck { .. } => Some(self.deadline + GRACE),
            State::Over => None,
        }
    }

    /// Number of bytes that may be read from a connection: never beyond the expected frame, and 0
    /// if the next byte belongs to the user.
    pub fn wants(&self, id: SocketId) -> usize {
        if self.state == State::Over {
            return 0;
        }
        let Some(link) = self.links.get(&id) else { return 0 };
        match (self.scheme, link.awaited) {
            (Scheme::WanIp { leads }, _) => usize::from(!leads),
            (Scheme::Nonce { .. }, Awaited::Nothing(_)) => 0,
            (Scheme::Nonce { .. }, _) => link.decoder.wants(),
        }
    }

    /// Handles a connection that is established. `port` is its local port.
    pub fn handle_up(&mut self, now: MonoTime, id: SocketId, port: u16) {
        let (awaited, limit) = (Awaited::Hello, self.limit(now, HELLO_LIMIT));
        self.links
            .insert(id, Link { decoder: Decoder::default(), awaited, limit });
        match self.scheme {
            Scheme::Nonce { own, session } => {
                let hello = Hello { session, nonce: own, connection: id.0, port };
                self.send(id, Frame::Hello(hello));
            }
            Scheme::WanIp { leads: true } if now < self.deadline => {
                if self.state == State::Undecided {
                    self.outputs.push_back(Output::Send(id, vec![DOLLAR]));
                    self.outputs.push_back(Output::Decided(id, Role::Leader));
                    self.conclude(Output::Elected(id, Role::Leader));
                }
            }
            Scheme::WanIp { .. } => {}
        }
    }

    /// Handles bytes that were read from a connection, at most [`Self::wants`].
    pub fn handle_data(&mut self, now: MonoTime, id: SocketId, bytes: &[u8]) {
        let Some(link) = self.links.get_mut(&id) else { return };
        match self.scheme {
            Scheme::WanIp { leads: true } => {}
            Scheme::WanIp { leads: false } => match bytes.first() {
                Some(&DOLLAR) if self.state == State::Undecided => {
                    self.outputs.push_back(Output::Decided(id, Role::Follower));
                    self.conclude(Output::Elected(id, Role::Follower));
                }
                Some(_) => self.reject(now, id, Reject::Garbage),
                None => {}
            },
            Scheme::Nonce { own, session } => match link.decoder.push(bytes) {
                Ok(None) => {}
                Ok(Some(Frame::Hello(hello))) => self.on_hello(now, id, own, session, hello),
                Ok(Some(Frame::Commit(follower))) => self.on_commit(now, id, own, follower),
                Ok(Some(Frame::Ack(choice))) => self.on_ack(now, id, choice),
                Err(_) => self.reject(now, id, Reject::Garbage),
            },
        }
    }

    /// Handles the end of a connection.
    pub fn handle_down(&mut self, now: MonoTime, id: SocketId) {
        self.links.remove(&id);
        let State::AwaitAck { follower, chosen, .. } = self.state else { return };
        if chosen == Some(id) {
            // The follower has taken this connection, and chooses no other.
            self.give_up(now, follower);
        } else if !self.links.values().any(|link| link.is_with(follower)) {
            self.commit_to_next(now);
        }
    }

    /// Ends the election if its time is over at `now`.
    pub fn handle_timeout(&mut self, now: MonoTime) {
        if matches!(self.scheme, Scheme::Nonce { .. }) {
            self.end_late_connections(now);
        }
        if self.end().is_some_and(|end| now >= end) {
            self.conclude(Output::Lost);
        }
    }

    fn end_late_connections(&mut self, now: MonoTime) {
        match self.state {
            State::AwaitAck { follower, limit, .. } if now >= limit => self.give_up(now, follower),
            State::Over => return,
            State::AwaitAck { .. } | State::Undecided => {}
        }
        let late: Vec<SocketId> = self
            .links
            .iter()
            .filter(|(_, link)| now >= link.limit)
            .map(|(&id, _)| id)
            .collect();
        for id in late {
            self.reject(now, id, Reject::Silent);
        }
    }

    /// Closes the oldest connection on which nobody has said HELLO, if there is one.
    pub fn make_room(&mut self, now: MonoTime) {
        if matches!(self.scheme, Scheme::WanIp { .. }) || self.state == State::Over {
            return;
        }
        let silent = self
            .links
            .iter()
            .filter(|(_, link)| link.awaited == Awaited::Hello)
            .min_by_key(|(id, link)| (link.limit, **id));
        if let Some((&id, _)) = silent {
            self.reject(now, id, Reject::Silent);
        }
    }

    /// Ends all connections with a follower, and commits this side to the next one.
    fn give_up(&mut self, now: MonoTime, follower: Nonce) {
        self.state = State::Undecided;
        let links = self.links.iter().filter(|(_, link)| link.is_with(follower));
        let links: Vec<SocketId> = links.map(|(&id, _)| id).collect();
        for id in links {
            self.reject(now, id, Reject::Silent);
        }
        self.commit_to_next(now);
    }

    /// Commits this side to the follower that has waited longest, if there is one.
    fn commit_to_next(&mut self, now: MonoTime) {
        self.state = State::Undecided;
        let Scheme::Nonce { own, .. } = self.scheme else { return };
        let waiting = self
            .links
            .iter()
            .filter_map(|(&id, link)| match link.awaited {
                Awaited::Choice(Choice { nonce, .. }) if nonce < own => {
                    Some((link.limit, id, nonce))
                }
                Awaited::Choice(_) | Awaited::Hello | Awaited::Nothing(_) => None,
            });
        if let Some((_, _, follower)) = waiting.min().filter(|_| now < self.deadline) {
            self.commit_to(now, follower);
        }
    }

    /// Commits this side to a follower, and says so on all connections with it.
    fn commit_to(&mut self, now: MonoTime, follower: Nonce) {
        let limit = self.limit(now, ANSWER_LIMIT);
        self.state = State::AwaitAck { follower, chosen: None, limit };
        let links = self.links.iter().filter(|(_, link)| link.is_with(follower));
        let links: Vec<SocketId> = links.map(|(&id, _)| id).collect();
        for id in links {
            self.send(id, Frame::Commit(follower));
        }
    }

    fn on_hello(
        &mut self,
        now: MonoTime,
        id: SocketId,
        own: Nonce,
        session: SessionTag,
        hello: Hello,
    ) {
        let limit = self.limit(now, WAIT_LIMIT);
        let Some(link) = self.links.get_mut(&id) else { return };
        if hello.nonce == own {
            return self.reject(now, id, Reject::SelfConnection);
        }
        let peer = hello.nonce;
        if link.awaited != Awaited::Hello || hello.session != session {
            return self.reject(now, id, Reject::Stranger);
        }
        let choice = Choice { nonce: peer, connection: hello.connection };
        link.awaited = Awaited::Choice(choice);
        link.limit = limit;
        let role = if own > peer { Role::Leader } else { Role::Follower };
        self.outputs.push_back(Output::Hello(id, hello, role));
        if role == Role::Follower {
            return;
        }
        match self.state {
            State::Undecided if now < self.deadline => self.commit_to(now, peer),
            State::AwaitAck { follower, .. } if follower == peer => {
                self.send(id, Frame::Commit(peer));
            }
            State::Undecided | State::AwaitAck { .. } | State::Over => {}
        }
    }

    fn on_commit(&mut self, now: MonoTime, id: SocketId, own: Nonce, follower: Nonce) {
        match self.links.get(&id).map(|link| link.awaited) {
            Some(Awaited::Choice(Choice { nonce: peer, .. }))
                if self.state == State::Undecided && peer > own && follower == own => {}
            // One of the reasons: this side leads, and has sent COMMIT to another peer.
            _ => return self.reject(now, id, Reject::Stranger),
        }
        self.outputs.push_back(Output::Decided(id, Role::Follower));
        let ack = Frame::Ack(Choice { nonce: own, connection: id.0 }).encode();
        for &link in self.links.keys() {
            self.outputs.push_back(Output::Send(link, ack.clone()));
        }
        self.conclude(Output::Elected(id, Role::Follower));
    }

    fn on_ack(&mut self, now: MonoTime, id: SocketId, answer: Choice) {
        let State::AwaitAck { follower, chosen, .. } = self.state else {
            return self.reject(now, id, Reject::Stranger);
        };
        let from_follower = matches!(self.links.get(&id).map(|link| link.awaited),
            Some(Awaited::Choice(peer)) if peer.nonce == follower);
        let named = self.link_named(answer);
        if !from_follower || answer.nonce != follower || (chosen.is_some() && named != chosen) {
            return self.reject(now, id, Reject::Stranger);
        }
        let Some(named) = named else {
            // The follower has taken a connection that is gone here.
            return self.give_up(now, follower);
        };
        if chosen.is_none() {
            self.outputs.push_back(Output::Decided(named, Role::Leader));
        }
        if named == id {
            return self.conclude(Output::Elected(id, Role::Leader));
        }
        let limit = match chosen {
            Some(_) => None,
            None => Some(self.limit(now, ANSWER_LIMIT)),
        };
        if let State::AwaitAck { chosen, limit: until, .. } = &mut self.state {
            (*chosen, *until) = (Some(named), limit.unwrap_or(*until));
        }
        if let Some(link) = self.links.get_mut(&id) {
            link.awaited = Awaited::Nothing(follower);
        }
    }

    /// The connection to which the peer's HELLO has given this name, if no further frame has
    /// arrived on it.
    fn link_named(&self, choice: Choice) -> Option<SocketId> {
        let mut links = self.links.iter();
        links
            .find(|(_, link)| link.awaited == Awaited::Choice(choice))
            .map(|(&id, _)| id)
    }

    /// Whether the HELLO of a peer that leads has arrived on an established connection.
    fn has_leader(&self) -> bool {
        let Scheme::Nonce { own, .. } = self.scheme else { return false };
        self.links.values().any(|link| match link.awaited {
            Awaited::Choice(Choice { nonce: peer, .. }) => peer > own,
            Awaited::Hello | Awaited::Nothing(_) => false,
        })
    }

    fn send(&mut self, id: SocketId, frame: Frame) {
        self.outputs.push_back(Output::Send(id, frame.encode()));
    }

    fn reject(&mut self, now: MonoTime, id: SocketId, reason: Reject) {
        self.outputs.push_back(Output::Reject(id, reason));
        self.handle_down(now, id);
    }

    fn conclude(&mut self, result: Output) {
        self.state = State::Over;
        self.outputs.push_back(result);
    }
}
