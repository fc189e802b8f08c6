//! Choosing one connection among several, so that both peers choose the same.
//!
//! `nonce` (default): the side with the larger nonce leads. The leader decides once, for the first
//! connection with a valid HELLO, and sends the same COMMIT on every connection; the follower
//! answers ACK on every one, on the chosen one once it has read the COMMIT there. Never do the two
//! end with different connections, and if the leader succeeds so does the follower. A lost ACK can
//! leave the follower with a connection that closes at once: two generals, unavoidable.
//!
//! `wan-ip`: the article's: the peer with the greater WAN address sends one `$` on its first
//! connection; there is no answer.
//!
//! Order of calls: any `handle_*`, then [`Election::poll_output`] until it returns `None`.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::{
    attempt::SocketId,
    time::MonoTime,
    wire::{Choice, Decoder, Frame, Hello, Nonce, SessionTag},
};

/// G: how much longer than the deadline a leader that has decided waits for the ACK. A follower
/// that has exchanged HELLOs waits 2 G.
pub const GRACE: Duration = Duration::from_secs(2);

/// The article's success byte.
const DOLLAR: u8 = b'$';

/// How the connection is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// HELLO / COMMIT / ACK; the larger nonce leads.
    Nonce {
        /// Nonce of this run.
        own: Nonce,
        /// Only peers with the same tag are talked to.
        session: SessionTag,
    },
    /// The article's single `$`.
    WanIp {
        /// Whether this side's WAN address is the greater one.
        leads: bool,
    },
}

/// Who decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Role {
    /// This side chooses.
    Leader,
    /// The peer chooses.
    Follower,
}

/// What the election wants done, or has found.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Output {
    /// Send these bytes on this connection.
    Send(SocketId, Vec<u8>),
    /// This connection is not with the peer: close it.
    Reject(SocketId, Reject),
    /// The peer said HELLO.
    Hello(SocketId, Hello, Role),
    /// This side has decided, or has accepted the leader's decision.
    Decided(SocketId, Role),
    /// The leader knows that the follower has accepted.
    Acknowledged,
    /// The connection is free of frames and may be handed over.
    Elected(SocketId, Role),
    /// No connection will be chosen any more.
    Lost,
}

/// Why a connection is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Reject {
    /// The other end is this very process.
    Oneself,
    /// Bytes of another protocol, or of another version of this one.
    Garbage,
    /// Another session, or a frame that this run has no use for.
    Stranger,
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
    /// Nobody has decided.
    Undecided,
    /// This side leads and has decided; waits for the ACK on the chosen connection.
    /// `acknowledged`: there was one on another.
    AwaitAck { chosen: SocketId, choice: Choice, acknowledged: bool },
    /// This side follows and has accepted; waits to read the COMMIT on the chosen connection.
    AwaitCommit { chosen: SocketId, choice: Choice },
    /// Over, well or not.
    Over,
}

/// One standing connection. Each direction carries HELLO, then COMMIT or ACK, then user data.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Link {
    decoder: Decoder,
    reading: Reading,
    /// Whether COMMIT or ACK has been sent on it.
    answered: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Reading {
    ExpectHello,
    ExpectChoice { peer: Nonce },
    Complete { peer: Nonce },
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

    /// What to do next; call until `None` after each `handle_*`.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Self::handle_timeout`]; `None` once over.
    pub fn poll_timeout(&self) -> Option<MonoTime> {
        match self.state {
            State::Undecided if self.has_leader() => Some(self.deadline + GRACE * 2),
            State::Undecided => Some(self.deadline),
            State::AwaitAck { .. } => Some(self.deadline + GRACE),
            State::AwaitCommit { .. } => Some(self.deadline + GRACE * 2),
            State::Over => None,
        }
    }

    /// How many bytes may be read from a connection: never more than the frame that is expected,
    /// 0 when what follows belongs to the user.
    pub fn wants(&self, id: SocketId) -> usize {
        if self.state == State::Over {
            return 0;
        }
        let Some(link) = self.links.get(&id) else { return 0 };
        match (self.scheme, link.reading) {
            (Scheme::WanIp { leads }, _) => usize::from(!leads),
            (Scheme::Nonce { .. }, Reading::Complete { .. }) => 0,
            (Scheme::Nonce { .. }, _) => link.decoder.wants(),
        }
    }

    /// A connection stands; `port` is its local port.
    pub fn handle_up(&mut self, now: MonoTime, id: SocketId, port: u16) {
        let reading = Reading::ExpectHello;
        self.links.insert(id, Link { decoder: Decoder::default(), reading, answered: false });
        match self.scheme {
            Scheme::Nonce { own, session } => {
                let hello = Hello { session, nonce: own, connection: id.0, port };
                self.send(id, Frame::Hello(hello));
                self.spread_choice();
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

    /// Bytes came in, at most [`Self::wants`].
    pub fn handle_data(&mut self, now: MonoTime, id: SocketId, bytes: &[u8]) {
        let Some(link) = self.links.get_mut(&id) else { return };
        match self.scheme {
            Scheme::WanIp { leads: true } => {}
            Scheme::WanIp { leads: false } => match bytes.first() {
                Some(&DOLLAR) if self.state == State::Undecided => {
                    self.outputs.push_back(Output::Decided(id, Role::Follower));
                    self.conclude(Output::Elected(id, Role::Follower));
                }
                Some(_) => self.reject(id, Reject::Garbage),
                None => {}
            },
            Scheme::Nonce { own, session } => match link.decoder.push(bytes) {
                Ok(None) => {}
                Ok(Some(Frame::Hello(hello))) => self.on_hello(now, id, own, session, hello),
                Ok(Some(Frame::Commit(choice))) => self.on_commit(id, own, choice),
                Ok(Some(Frame::Ack(choice))) => self.on_ack(id, choice),
                Err(_) => self.reject(id, Reject::Garbage),
            },
        }
    }

    /// A connection is gone.
    pub fn handle_down(&mut self, id: SocketId) {
        self.links.remove(&id);
        match self.state {
            // The decision stands, and its connection is lost: there is no second decision.
            State::AwaitAck { chosen, .. } | State::AwaitCommit { chosen, .. } if chosen == id => {
                self.conclude(Output::Lost);
            }
            State::Undecided | State::AwaitAck { .. } | State::AwaitCommit { .. } | State::Over => {
            }
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: MonoTime) {
        if self.poll_timeout().is_some_and(|due| now >= due) {
            self.conclude(Output::Lost);
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
        let Some(link) = self.links.get_mut(&id) else { return };
        if hello.nonce == own {
            return self.reject(id, Reject::Oneself);
        }
        if link.reading != Reading::ExpectHello || hello.session != session {
            return self.reject(id, Reject::Stranger);
        }
        link.reading = Reading::ExpectChoice { peer: hello.nonce };
        let role = if own > hello.nonce { Role::Leader } else { Role::Follower };
        self.outputs.push_back(Output::Hello(id, hello, role));
        if role == Role::Leader && self.state == State::Undecided && now < self.deadline {
            let choice = Choice { follower: hello.nonce, connection: hello.connection };
            self.state = State::AwaitAck { chosen: id, choice, acknowledged: false };
            self.outputs.push_back(Output::Decided(id, Role::Leader));
        }
        self.spread_choice();
    }

    fn on_commit(&mut self, id: SocketId, own: Nonce, choice: Choice) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let Reading::ExpectChoice { peer } = link.reading else {
            return self.reject(id, Reject::Stranger);
        };
        if peer < own || choice.follower != own {
            return self.reject(id, Reject::Stranger);
        }
        link.reading = Reading::Complete { peer };
        let chosen = SocketId(choice.connection);
        if self.state == State::Undecided && self.links.contains_key(&chosen) {
            self.state = State::AwaitCommit { chosen, choice };
            self.outputs.push_back(Output::Decided(chosen, Role::Follower));
        }
        self.spread_choice();
        if self.state == (State::AwaitCommit { chosen: id, choice }) {
            self.conclude(Output::Elected(id, Role::Follower));
        }
    }

    fn on_ack(&mut self, id: SocketId, answer: Choice) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let (State::AwaitAck { chosen, choice, acknowledged }, Reading::ExpectChoice { peer }) =
            (self.state, link.reading)
        else {
            return self.reject(id, Reject::Stranger);
        };
        if answer != choice {
            return self.reject(id, Reject::Stranger);
        }
        link.reading = Reading::Complete { peer };
        if !acknowledged {
            self.state = State::AwaitAck { chosen, choice, acknowledged: true };
            self.outputs.push_back(Output::Acknowledged);
        }
        if id == chosen {
            self.conclude(Output::Elected(chosen, Role::Leader));
        }
    }

    /// Sends the COMMIT or ACK in force on every connection that has not carried it. The follower
    /// answers on the chosen connection only once it has read the COMMIT there, so that a leader
    /// which reads that ACK knows the follower to be done.
    fn spread_choice(&mut self) {
        let (frame, withheld) = match self.state {
            State::AwaitAck { choice, .. } => (Frame::Commit(choice), None),
            State::AwaitCommit { chosen, choice } => (Frame::Ack(choice), Some(chosen)),
            State::Undecided | State::Over => return,
        };
        for (&id, link) in &mut self.links {
            let complete = matches!(link.reading, Reading::Complete { .. });
            if !link.answered && (complete || withheld != Some(id)) {
                link.answered = true;
                self.outputs.push_back(Output::Send(id, frame.encode()));
            }
        }
    }

    /// Whether a peer that leads has said HELLO on a standing connection.
    fn has_leader(&self) -> bool {
        let Scheme::Nonce { own, .. } = self.scheme else { return false };
        self.links.values().any(|link| match link.reading {
            Reading::ExpectHello => false,
            Reading::ExpectChoice { peer } | Reading::Complete { peer } => peer > own,
        })
    }

    fn send(&mut self, id: SocketId, frame: Frame) {
        self.outputs.push_back(Output::Send(id, frame.encode()));
    }

    fn reject(&mut self, id: SocketId, reason: Reject) {
        self.outputs.push_back(Output::Reject(id, reason));
        self.handle_down(id);
    }

    fn conclude(&mut self, result: Output) {
        self.state = State::Over;
        self.outputs.push_back(result);
    }
}
