//! TCP of one host, as far as hole punching needs it.
//!
//! Modelled: SYN_SENT, simultaneous open, SYN_RECV, listeners, the kernel's own repeats (a SYN
//! leaves at 0, 1, 2, 3, 4, 5, 7 and 11 s), RST to a closed port and to an ACK of something never
//! sent, one socket for each 4-tuple, a reliable byte stream with FIN. An initial sequence number
//! identifies the incarnation of a socket, so that segments of a former one are recognised.
//!
//! Left out: windows, congestion, SACK, TIME_WAIT, options.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use punch::proto::time::MonoTime;

/// Pauses in seconds between the repeats of a SYN, and of a SYN-ACK of a simultaneous open.
const SYN_PAUSES_S: [u64; 8] = [1, 1, 1, 1, 1, 2, 4, 8];

/// Number of repeats without an answer after which a connection is given up.
const MAX_REPEATS: usize = 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Handle(u32);

/// A segment on the wire, with the ports that its receiver sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) from: u16,
    pub(super) to: u16,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Syn {
        isn: u32,
    },
    SynAck {
        isn: u32,
        ack: u32,
    },
    /// Everything after the handshake. `offset` and `received` count bytes, and the FIN as one.
    Data {
        isn: u32,
        ack: u32,
        offset: usize,
        bytes: Vec<u8>,
        fin: bool,
        received: usize,
    },
    /// RST in answer to a SYN.
    RefusesSyn {
        isn: u32,
    },
    /// RST in answer to a segment that acknowledged this incarnation.
    RefusesAck {
        isn: u32,
    },
    /// An ICMP error about a SYN.
    Unreachable {
        isn: u32,
    },
}

/// Notification to the owner of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Note {
    Connected(Handle),
    Accepted(Handle),
    Refused(Handle),
    /// There are bytes or an end to read.
    Readable(Handle),
    Reset(Handle),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Read {
    Bytes(Vec<u8>),
    End,
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OpenError {
    Bind,
    Connect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    SynSent,
    SynRecv,
    Established,
}

#[derive(Debug)]
struct Tcp {
    local: u16,
    remote: u16,
    isn: u32,
    peer: Option<u32>,
    state: State,
    passive: bool,
    /// Whether the program has closed it.
    orphan: bool,
    sent: Vec<u8>,
    fin: bool,
    acked: usize,
    inbox: VecDeque<u8>,
    received: usize,
    ended: bool,
    repeat: Option<MonoTime>,
    repeats: usize,
}

#[derive(Debug)]
pub(super) struct Kernel {
    sockets: BTreeMap<Handle, Tcp>,
    tuples: BTreeMap<(u16, u16), Handle>,
    listeners: BTreeSet<u16>,
    unbindable: BTreeSet<u16>,
    /// Pause before unacknowledged segments of a connection are repeated.
    rto: Duration,
    next: u32,
    segments: VecDeque<Segment>,
    notes: VecDeque<Note>,
}

impl Kernel {
    /// TCP of a host whose sequence numbers begin at `first`. Hosts must not share any number.
    pub(super) fn new(first: u32, rto: Duration, unbindable: BTreeSet<u16>) -> Self {
        Self {
            sockets: BTreeMap::new(),
            tuples: BTreeMap::new(),
            listeners: BTreeSet::new(),
            unbindable,
            rto,
            next: first,
            segments: VecDeque::new(),
            notes: VecDeque::new(),
        }
    }

    pub(super) fn poll_segment(&mut self) -> Option<Segment> {
        self.segments.pop_front()
    }

    pub(super) fn poll_note(&mut self) -> Option<Note> {
        self.notes.pop_front()
    }

    pub(super) fn poll_timeout(&self) -> Option<MonoTime> {
        self.sockets
            .values()
            .filter_map(|socket| socket.repeat)
            .min()
    }

    pub(super) fn connect(&mut self, now: MonoTime, port: u16) -> Result<Handle, OpenError> {
        if self.unbindable.contains(&port) {
            return Err(OpenError::Bind);
        }
        if self.tuples.contains_key(&(port, port)) {
            return Err(OpenError::Connect);
        }
        let handle = self.open(port, port, State::SynSent, None);
        self.transmit(handle);
        self.arm(now, handle);
        Ok(handle)
    }

    pub(super) fn listen(&mut self, port: u16) -> Result<(), OpenError> {
        if self.unbindable.contains(&port) {
            return Err(OpenError::Bind);
        }
        self.listeners.insert(port);
        Ok(())
    }

    pub(super) fn unlisten(&mut self, port: u16) {
        self.listeners.remove(&port);
        let half_open = |socket: &Tcp| socket.passive && socket.state == State::SynRecv;
        let left: Vec<Handle> = (self.sockets.iter())
            .filter(|(_, socket)| socket.local == port && half_open(socket))
            .map(|(&handle, _)| handle)
            .collect();
        left.into_iter().for_each(|handle| self.remove(handle));
    }

    pub(super) fn unlisten_all(&mut self) {
        while let Some(&port) = self.listeners.first() {
            self.unlisten(port);
        }
    }

    pub(super) fn is_syn_sent(&self, handle: Handle) -> bool {
        self.sockets
            .get(&handle)
            .is_some_and(|socket| socket.state == State::SynSent)
    }

    /// Local and remote port.
    pub(super) fn ports(&self, handle: Handle) -> Option<(u16, u16)> {
        self.sockets
            .get(&handle)
            .map(|socket| (socket.local, socket.remote))
    }

    pub(super) fn send(&mut self, now: MonoTime, handle: Handle, bytes: &[u8]) {
        let Some(socket) = self.sockets.get_mut(&handle) else { return };
        let from = socket.length();
        socket.sent.extend_from_slice(bytes);
        self.transmit_from(handle, from);
        self.arm(now, handle);
    }

    pub(super) fn read(&mut self, handle: Handle, most: usize) -> Read {
        let Some(socket) = self.sockets.get_mut(&handle) else { return Read::Nothing };
        let taken: Vec<u8> = (0..most).map_while(|_| socket.inbox.pop_front()).collect();
        match taken.is_empty() {
            true if socket.ended => Read::End,
            true => Read::Nothing,
            false => Read::Bytes(taken),
        }
    }

    /// Closes a socket: silently in SYN_SENT, with FIN in other states.
    pub(super) fn close(&mut self, now: MonoTime, handle: Handle) {
        let Some(socket) = self.sockets.get_mut(&handle) else { return };
        if socket.state == State::SynSent {
            return self.remove(handle);
        }
        let from = socket.length();
        socket.orphan = true;
        if !std::mem::replace(&mut socket.fin, true) && socket.state == State::Established {
            self.transmit_from(handle, from);
            self.arm(now, handle);
        }
        self.reap(handle);
    }

    /// Ends a connection as a forged RST would, at this end only.
    pub(super) fn reset(&mut self, handle: Handle) {
        if self.sockets.contains_key(&handle) {
            self.notes.push_back(Note::Reset(handle));
            self.remove(handle);
        }
    }

    pub(super) fn established(&self) -> impl Iterator<Item = (Handle, (u16, u16))> {
        let up = self
            .sockets
            .iter()
            .filter(|(_, socket)| socket.state == State::Established);
        up.map(|(&handle, socket)| (handle, (socket.local, socket.remote)))
    }

    pub(super) fn handle_timeout(&mut self, now: MonoTime) {
        let due: Vec<Handle> = (self.sockets.iter())
            .filter(|(_, socket)| socket.repeat.is_some_and(|due| now >= due))
            .map(|(&handle, _)| handle)
            .collect();
        for handle in due {
            let Some(socket) = self.sockets.get_mut(&handle) else { continue };
            socket.repeats += 1;
            socket.repeat = None;
            if socket.repeats > MAX_REPEATS {
                self.reset(handle);
            } else {
                self.transmit(handle);
                self.arm(now, handle);
            }
        }
    }

    pub(super) fn handle_segment(&mut self, now: MonoTime, segment: Segment) {
        let tuple = (segment.to, segment.from);
        let Some(&handle) = self.tuples.get(&tuple) else { return self.stray(now, segment) };
        let Some(socket) = self.sockets.get(&handle) else { return };
        match socket.state {
            State::SynSent => self.in_syn_sent(now, handle, segment.kind),
            State::SynRecv => self.in_syn_recv(now, handle, segment.kind),
            State::Established => self.in_established(now, handle, segment.kind),
        }
    }

    /// Handles a segment that belongs to no socket.
    fn stray(&mut self, now: MonoTime, segment: Segment) {
        let (local, remote) = (segment.to, segment.from);
        let answer = match segment.kind {
            Kind::Syn { isn } if self.listeners.contains(&local) => {
                let handle = self.open(local, remote, State::SynRecv, Some(isn));
                self.transmit(handle);
                return self.arm(now, handle);
            }
            Kind::Syn { isn } => Kind::RefusesSyn { isn },
            Kind::SynAck { ack, .. } | Kind::Data { ack, .. } => Kind::RefusesAck { isn: ack },
            Kind::RefusesSyn { .. } | Kind::RefusesAck { .. } | Kind::Unreachable { .. } => return,
        };
        self.segments
            .push_back(Segment { from: local, to: remote, kind: answer });
    }

    fn in_syn_sent(&mut self, now: MonoTime, handle: Handle, kind: Kind) {
        let Some(socket) = self.sockets.get_mut(&handle) else { return };
        let own = socket.isn;
        match kind {
            Kind::Syn { isn } => {
                socket.state = State::SynRecv;
                socket.peer = Some(isn);
                self.transmit(handle);
            }
            Kind::SynAck { isn, ack } if ack == own => {
                socket.peer = Some(isn);
                self.establish(now, handle);
                self.acknowledge(handle);
            }
            Kind::Data { ack, .. } if ack == own => {}
            Kind::SynAck { ack, .. } | Kind::Data { ack, .. } => {
                self.push(handle, Kind::RefusesAck { isn: ack });
            }
            Kind::RefusesSyn { isn } | Kind::Unreachable { isn } if isn == own => {
                self.refuse(handle);
            }
            Kind::RefusesSyn { .. } | Kind::RefusesAck { .. } | Kind::Unreachable { .. } => {}
        }
    }

    fn in_syn_recv(&mut self, now: MonoTime, handle: Handle, kind: Kind) {
        let Some(socket) = self.sockets.get(&handle) else { return };
        let (own, peer) = (socket.isn, socket.peer);
        match kind {
            Kind::Syn { isn } if socket.passive && peer == Some(isn) => self.transmit(handle),
            Kind::Syn { .. } => self.acknowledge(handle),
            Kind::SynAck { ack, .. } | Kind::Data { ack, .. } if ack != own => {
                self.push(handle, Kind::RefusesAck { isn: ack });
            }
            Kind::SynAck { isn, .. } if peer == Some(isn) => {
                self.establish(now, handle);
                self.acknowledge(handle);
            }
            Kind::Data { isn, .. } if peer == Some(isn) => {
                self.establish(now, handle);
                self.in_established(now, handle, kind);
            }
            Kind::SynAck { .. } | Kind::Data { .. } => self.acknowledge(handle),
            Kind::RefusesAck { isn } if peer == Some(isn) => self.refuse(handle),
            Kind::Unreachable { isn } if isn == own => self.refuse(handle),
            Kind::RefusesSyn { .. } | Kind::RefusesAck { .. } | Kind::Unreachable { .. } => {}
        }
    }

    fn in_established(&mut self, now: MonoTime, handle: Handle, kind: Kind) {
        let Some(socket) = self.sockets.get_mut(&handle) else { return };
        match kind {
            Kind::Data { isn, offset, bytes, fin, received, .. } if socket.peer == Some(isn) => {
                if received > socket.acked {
                    (socket.acked, socket.repeats, socket.repeat) = (received, 0, None);
                }
                let news = !bytes.is_empty() || fin;
                if news && offset <= socket.received && !socket.ended {
                    let known = (socket.received - offset).min(bytes.len());
                    socket.received += bytes.len() - known;
                    socket.inbox.extend(&bytes[known..]);
                    if fin {
                        socket.received += 1;
                        socket.ended = true;
                    }
                    self.notes.push_back(Note::Readable(handle));
                }
                if news {
                    self.acknowledge(handle);
                }
                self.arm(now, handle);
                self.reap(handle);
            }
            Kind::Syn { .. } | Kind::SynAck { .. } | Kind::Data { .. } => self.acknowledge(handle),
            Kind::RefusesAck { isn } if socket.peer == Some(isn) => self.reset(handle),
            Kind::RefusesAck { .. } | Kind::RefusesSyn { .. } | Kind::Unreachable { .. } => {}
        }
    }

    fn open(&mut self, local: u16, remote: u16, state: State, peer: Option<u32>) -> Handle {
        self.next += 1;
        let handle = Handle(self.next);
        let socket = Tcp {
            local,
            remote,
            isn: self.next,
            peer,
            state,
            passive: state == State::SynRecv,
            orphan: false,
            sent: Vec::new(),
            fin: false,
            acked: 0,
            inbox: VecDeque::new(),
            received: 0,
            ended: false,
            repeat: None,
            repeats: 0,
        };
        self.sockets.insert(handle, socket);
        self.tuples.insert((local, remote), handle);
        handle
    }

    fn establish(&mut self, now: MonoTime, handle: Handle) {
        let Some(socket) = self.sockets.get_mut(&handle) else { return };
        socket.state = State::Established;
        (socket.repeat, socket.repeats) = (None, 0);
        if !socket.orphan {
            let note = if socket.passive { Note::Accepted } else { Note::Connected };
            self.notes.push_back(note(handle));
        } else if socket.fin {
            self.transmit(handle);
            self.arm(now, handle);
        }
    }

    fn refuse(&mut self, handle: Handle) {
        let told = self
            .sockets
            .get(&handle)
            .is_some_and(|s| !s.passive && !s.orphan);
        if told {
            self.notes.push_back(Note::Refused(handle));
        }
        self.remove(handle);
    }

    fn remove(&mut self, handle: Handle) {
        if let Some(socket) = self.sockets.remove(&handle) {
            self.tuples.remove(&(socket.local, socket.remote));
        }
    }

    /// Forgets a connection that both ends have closed.
    fn reap(&mut self, handle: Handle) {
        let over = |s: &Tcp| s.orphan && s.fin && s.ended && s.acked == s.length();
        if self.sockets.get(&handle).is_some_and(over) {
            self.remove(handle);
        }
    }

    /// Starts the timer if something is unanswered and the timer does not run.
    fn arm(&mut self, now: MonoTime, handle: Handle) {
        let rto = self.rto;
        let Some(socket) = self.sockets.get_mut(&handle) else { return };
        let pause = match socket.state {
            State::SynRecv if socket.passive => Duration::from_secs(1 << socket.repeats.min(5)),
            State::SynSent | State::SynRecv => {
                let last = SYN_PAUSES_S.len() - 1;
                Duration::from_secs(SYN_PAUSES_S[socket.repeats.min(last)])
            }
            State::Established if socket.acked == socket.length() => return,
            State::Established => rto,
        };
        socket.repeat.get_or_insert(now + pause);
    }

    /// Sends what the state requires: SYN, SYN-ACK, or all unacknowledged bytes.
    fn transmit(&mut self, handle: Handle) {
        let Some(socket) = self.sockets.get(&handle) else { return };
        let isn = socket.isn;
        match (socket.state, socket.peer) {
            (State::Established, _) => self.transmit_from(handle, socket.acked),
            (State::SynRecv, Some(ack)) => self.push(handle, Kind::SynAck { isn, ack }),
            (State::SynSent | State::SynRecv, _) => self.push(handle, Kind::Syn { isn }),
        }
    }

    fn transmit_from(&mut self, handle: Handle, offset: usize) {
        let Some(socket) = self.sockets.get(&handle) else { return };
        let Some(ack) = socket.peer else { return };
        let (isn, fin, received) = (socket.isn, socket.fin, socket.received);
        let bytes = socket.sent[offset.min(socket.sent.len())..].to_vec();
        self.push(handle, Kind::Data { isn, ack, offset, bytes, fin, received });
    }

    fn acknowledge(&mut self, handle: Handle) {
        let Some(socket) = self.sockets.get(&handle) else { return };
        let Some(ack) = socket.peer else { return };
        let (isn, offset, received) = (socket.isn, socket.length(), socket.received);
        self.push(handle, Kind::Data { isn, ack, offset, bytes: vec![], fin: false, received });
    }

    fn push(&mut self, handle: Handle, kind: Kind) {
        let Some(socket) = self.sockets.get(&handle) else { return };
        self.segments
            .push_back(Segment { from: socket.local, to: socket.remote, kind });
    }
}

impl Tcp {
    /// Length of the outgoing stream, the FIN counted.
    fn length(&self) -> usize {
        self.sent.len() + usize::from(self.fin)
    }
}
