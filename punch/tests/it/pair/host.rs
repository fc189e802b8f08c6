//! One host: an [`Attempt`], the kernel and NAT below it, and a driver that performs the same steps
//! as the real one, in the same order.

use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use punch::proto::{
    attempt::{Action, Attempt, Config, Outcome, RefusedBy},
    connection::SocketId,
    event::Event,
    time::{MonoTime, WallTime},
    wire::MAX_FRAME,
};

use super::{
    kernel::{Handle, Kernel, Note, OpenError, Read, Segment},
    nat::Nat,
};

/// Inside address of both hosts.
const INSIDE: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 168, 1, 2), Ipv4Addr::new(10, 0, 0, 2)];

/// Addresses on the WAN.
const WAN: [Ipv4Addr; 2] = [Ipv4Addr::new(203, 0, 113, 1), Ipv4Addr::new(198, 51, 100, 1)];

/// The peer's address as host `side` sees it.
pub(super) fn peer_of(side: usize) -> IpAddr {
    WAN[1 - side].into()
}

#[derive(Debug)]
pub(super) struct Host {
    side: usize,
    pub(super) start: MonoTime,
    plan: Option<(Config, WallTime)>,
    attempt: Option<Attempt>,
    pub(super) kernel: Kernel,
    pub(super) nat: Nat,
    sockets: BTreeMap<SocketId, Handle>,
    owners: BTreeMap<Handle, SocketId>,
    pub(super) events: Vec<Event>,
    pub(super) outcome: Option<(MonoTime, Outcome)>,
    pub(super) chosen: Option<Handle>,
    /// Local and remote port of the chosen connection.
    pub(super) elected: Option<(u16, u16)>,
    /// Bytes that the user of the chosen connection has read.
    pub(super) heard: VecDeque<u8>,
}

impl Host {
    /// A host whose attempt begins at `start`, when its wall clock reads `wall`.
    pub(super) fn new(
        side: usize,
        start: MonoTime,
        (config, wall): (Config, WallTime),
        (kernel, nat): (Kernel, Nat),
    ) -> Self {
        Self {
            side,
            start,
            plan: Some((config, wall)),
            attempt: None,
            kernel,
            nat,
            sockets: BTreeMap::new(),
            owners: BTreeMap::new(),
            events: Vec::new(),
            outcome: None,
            chosen: None,
            elected: None,
            heard: VecDeque::new(),
        }
    }

    /// Bytes that each user sends as soon as there is a connection.
    pub(super) fn greeting(side: usize) -> &'static [u8] {
        [b"PNCH, says the user of A".as_slice(), b"$, says the user of B"][side]
    }

    pub(super) fn poll_timeout(&self) -> Option<MonoTime> {
        let begin = self.plan.is_some().then_some(self.start);
        let attempt = self.attempt.as_ref().and_then(Attempt::poll_timeout);
        [begin, attempt, self.kernel.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does everything that is due at `now`.
    pub(super) fn wake(&mut self, now: MonoTime) {
        if now >= self.start
            && let Some((config, wall)) = self.plan.take()
        {
            self.attempt = Some(Attempt::new(config, now, wall));
            self.settle(now);
        }
        self.kernel.handle_timeout(now);
        while let Some(note) = self.kernel.poll_note() {
            self.notice(now, note);
            self.settle(now);
        }
        if let Some(attempt) = &mut self.attempt {
            attempt.handle_timeout(now);
        }
        self.settle(now);
        let due = self.attempt.as_ref().and_then(Attempt::poll_timeout);
        assert!(due.is_none_or(|due| due > now), "the attempt spins: {due:?} is due at {now:?}");
    }

    fn notice(&mut self, now: MonoTime, note: Note) {
        let (Note::Connected(handle)
        | Note::Accepted(handle)
        | Note::Refused(handle)
        | Note::Readable(handle)
        | Note::Reset(handle)) = note;
        if Some(handle) == self.chosen {
            return self.listen_to_user();
        }
        let addresses = self.addresses(handle);
        let Some(attempt) = &mut self.attempt else { return };
        match (note, self.owners.get(&handle).copied()) {
            (Note::Connected(_), Some(id)) => {
                let (local, remote) = addresses.expect("a connection has two ends");
                attempt.handle_connected(now, id, local, remote);
            }
            (Note::Accepted(_), _) => {
                let (local, remote) = addresses.expect("a connection has two ends");
                match attempt.handle_accepted(now, local, remote) {
                    Some(id) => self.own(id, handle),
                    None => self.kernel.close(now, handle),
                }
            }
            (Note::Refused(_), Some(id)) => {
                attempt.handle_refused(now, id, RefusedBy::Network, "refused");
                self.disown(id);
            }
            (Note::Readable(_), Some(id)) => self.read(now, id, handle),
            (Note::Reset(_), Some(id)) => attempt.handle_closed(now, id),
            (_, None) => {}
        }
    }

    /// Reads no more than the attempt wants.
    fn read(&mut self, now: MonoTime, id: SocketId, handle: Handle) {
        let Some(attempt) = &mut self.attempt else { return };
        loop {
            let wanted = attempt.wants(id).min(MAX_FRAME);
            match self.kernel.read(handle, wanted) {
                _ if wanted == 0 => return,
                Read::Bytes(bytes) => attempt.handle_data(now, id, &bytes),
                Read::End => return attempt.handle_closed(now, id),
                Read::Nothing => return,
            }
        }
    }

    /// Performs the actions of the attempt until there are none.
    fn settle(&mut self, now: MonoTime) {
        let Some(mut attempt) = self.attempt.take() else { return };
        while let Some(action) = attempt.poll_action() {
            self.perform(now, &mut attempt, action);
        }
        self.events
            .extend(std::iter::from_fn(|| attempt.poll_event()));
        if let (None, Some(outcome)) = (self.outcome, attempt.outcome()) {
            self.outcome = Some((now, outcome));
            self.finish(now, outcome);
        }
        self.attempt = Some(attempt);
    }

    fn perform(&mut self, now: MonoTime, attempt: &mut Attempt, action: Action) {
        match action {
            Action::Listen { port } => {
                if self.kernel.listen(port).is_err() {
                    attempt.handle_no_listener(now, port, "in use");
                }
            }
            Action::Unlisten { port } => self.kernel.unlisten(port),
            Action::Connect { socket, port } => match self.kernel.connect(now, port) {
                Ok(handle) => self.own(socket, handle),
                Err(OpenError::Bind) => attempt.handle_unavailable(now, socket, "in use"),
                Err(OpenError::Connect) => {
                    attempt.handle_refused(now, socket, RefusedBy::Host, "in use")
                }
            },
            Action::Abandon { socket } => {
                let handle = self.sockets.get(&socket).copied();
                if let Some(handle) = handle.filter(|&handle| self.kernel.is_syn_sent(handle)) {
                    self.kernel.close(now, handle);
                    self.disown(socket);
                    attempt.handle_abandoned(now, socket);
                }
            }
            Action::Send { socket, bytes } => {
                if let Some(&handle) = self.sockets.get(&socket) {
                    self.kernel.send(now, handle, &bytes);
                }
            }
            Action::Close { socket } => {
                if let Some(handle) = self.disown(socket) {
                    self.kernel.close(now, handle);
                }
            }
            unknown => panic!("{unknown:?} is not simulated"),
        }
    }

    /// Hands the chosen connection over and closes everything else.
    fn finish(&mut self, now: MonoTime, outcome: Outcome) {
        self.kernel.unlisten_all();
        if let Outcome::Elected { socket, .. } = outcome {
            self.chosen = self.disown(socket);
            let chosen = self.chosen.expect("the chosen connection is open");
            self.elected = self.kernel.ports(chosen);
            self.kernel.send(now, chosen, Self::greeting(self.side));
            self.listen_to_user();
        }
        for (_, handle) in std::mem::take(&mut self.sockets) {
            self.kernel.close(now, handle);
        }
        self.owners.clear();
    }

    fn listen_to_user(&mut self) {
        let Some(chosen) = self.chosen else { return };
        while let Read::Bytes(bytes) = self.kernel.read(chosen, 4096) {
            self.heard.extend(bytes);
        }
    }

    fn own(&mut self, id: SocketId, handle: Handle) {
        self.sockets.insert(id, handle);
        self.owners.insert(handle, id);
    }

    fn disown(&mut self, id: SocketId) -> Option<Handle> {
        let handle = self.sockets.remove(&id)?;
        self.owners.remove(&handle);
        Some(handle)
    }

    fn addresses(&self, handle: Handle) -> Option<(SocketAddr, SocketAddr)> {
        let (local, remote) = self.kernel.ports(handle)?;
        let address = |ip: Ipv4Addr, port| SocketAddr::new(ip.into(), port);
        Some((address(INSIDE[self.side], local), address(WAN[1 - self.side], remote)))
    }

    /// Sends the segments of the kernel through the NAT.
    pub(super) fn poll_transmit(&mut self) -> Option<Segment> {
        self.kernel
            .poll_segment()
            .map(|segment| self.nat.outbound(segment))
    }
}
