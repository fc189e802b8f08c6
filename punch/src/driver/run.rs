//! One thread, non-blocking sockets, one poller: does what the core says and tells it what happens.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use polling::{Events, Poller};
use socket2::{SockAddr, Socket};

use super::{
    clock::monotonic_now,
    drain::{self, Draining},
    pace::Pace,
    socket::{self, Answer, OpenError, TcpState},
};
use crate::proto::{
    attempt::{Action, Attempt, Failure, Outcome, SocketId},
    election::Role,
    event::{Event, What},
    wire::MAX_FRAME,
};

/// Connections taken from one listener at a time, so that a flood cannot keep the loop.
const ACCEPTS_AT_ONCE: usize = 16;

/// Rejected connections kept open for their end to come; older ones are closed as they are.
const RETIRED: usize = 32;

/// A connection that was chosen.
#[derive(Debug)]
pub(crate) struct Elected {
    pub(crate) socket: Socket,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) role: Role,
    pub(crate) draining: Draining,
}

/// Why there is none.
#[derive(Debug)]
pub(crate) enum RunError {
    Failed(Failure),
    Cancelled,
    Io(io::Error),
}

impl From<io::Error> for RunError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The loop's state.
pub(crate) struct Shell<'a> {
    attempt: Attempt,
    poller: Arc<Poller>,
    cancelled: &'a AtomicBool,
    local: SocketAddr,
    peer: SocketAddr,
    open: BTreeMap<SocketId, Open>,
    listeners: BTreeMap<u16, Socket>,
    retired: VecDeque<Socket>,
    observer: &'a mut dyn FnMut(&Event),
}

/// A socket of the attempt.
struct Open {
    socket: Socket,
    connecting: bool,
    pace: Pace,
}

/// What a poller key stands for: even keys are sockets, odd ones listeners.
enum Source {
    Socket(SocketId),
    Listener(u16),
}

impl Source {
    fn key(&self) -> usize {
        match self {
            Self::Socket(SocketId(number)) => *number as usize * 2,
            Self::Listener(port) => usize::from(*port) * 2 + 1,
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the key was made from such a number")]
    fn of(key: usize) -> Self {
        if key.is_multiple_of(2) {
            Self::Socket(SocketId((key / 2) as u32))
        } else {
            Self::Listener((key / 2) as u16)
        }
    }
}

impl<'a> Shell<'a> {
    /// A shell for `attempt`; `local` and `peer` carry the addresses, their ports are not used.
    pub(crate) fn new(
        attempt: Attempt,
        (local, peer): (SocketAddr, SocketAddr),
        poller: Arc<Poller>,
        cancelled: &'a AtomicBool,
        observer: &'a mut dyn FnMut(&Event),
    ) -> Self {
        let (open, listeners, retired) = (BTreeMap::new(), BTreeMap::new(), VecDeque::new());
        Self { attempt, poller, cancelled, local, peer, open, listeners, retired, observer }
    }

    /// Runs the attempt to its end.
    pub(crate) fn run(mut self) -> Result<Elected, RunError> {
        let mut events = Events::new();
        loop {
            while let Some(action) = self.attempt.poll_action() {
                self.perform(action)?;
            }
            self.report();
            match self.attempt.outcome() {
                Some(Outcome::Elected { socket, role }) => return self.hand_over(socket, role),
                Some(Outcome::Failed(failure)) => return Err(self.fail(failure, Role::Leader)),
                None => {}
            }
            if self.cancelled.load(Ordering::Acquire) {
                self.close_all(Role::Leader, None);
                return Err(RunError::Cancelled);
            }
            let timeout = self
                .attempt
                .poll_timeout()
                .map(|due| due.since(monotonic_now()));
            events.clear();
            self.poller.wait(&mut events, timeout)?;
            for event in events.iter() {
                match Source::of(event.key) {
                    Source::Socket(id) => self.socket_event(id)?,
                    Source::Listener(port) => self.accept(port)?,
                }
            }
            self.attempt.handle_timeout(monotonic_now());
        }
    }

    fn report(&mut self) {
        while let Some(event) = self.attempt.poll_event() {
            (self.observer)(&event);
        }
    }

    fn perform(&mut self, action: Action) -> io::Result<()> {
        match action {
            Action::Listen { port } => self.listen(port)?,
            Action::Unlisten { port } => self.unlisten(port)?,
            Action::Connect { socket, port } => self.connect(socket, port)?,
            Action::Abandon { socket } => self.abandon(socket)?,
            Action::Send { socket, bytes } => {
                let Some(open) = self.open.get(&socket) else { return Ok(()) };
                if socket::send(&open.socket, &bytes).is_err() {
                    self.attempt.handle_closed(monotonic_now(), socket);
                }
            }
            Action::Close { socket } => {
                if let Some(open) = self.open.remove(&socket) {
                    self.poller.delete(&open.socket)?;
                    self.retire(open.socket);
                }
            }
        }
        Ok(())
    }

    fn listen(&mut self, port: u16) -> io::Result<()> {
        match socket::listen(with_port(self.local, port)) {
            Ok(listener) => {
                let event = polling::Event::readable(Source::Listener(port).key());
                // SAFETY: the listener is deleted from the poller before it is closed; after an
                // error both end together.
                unsafe { self.poller.add(&listener, event)? };
                self.listeners.insert(port, listener);
            }
            Err(error) => {
                self.attempt
                    .handle_no_listener(monotonic_now(), port, &error.to_string());
            }
        }
        Ok(())
    }

    fn unlisten(&mut self, port: u16) -> io::Result<()> {
        // What a listener holds would be reset with it.
        self.accept(port)?;
        if let Some(listener) = self.listeners.remove(&port) {
            self.poller.delete(&listener)?;
        }
        Ok(())
    }

    fn connect(&mut self, id: SocketId, port: u16) -> io::Result<()> {
        match socket::connect(with_port(self.local, port), with_port(self.peer, port)) {
            Ok(socket) => {
                // Registered only now: before its connect a socket is ready without end.
                let event = polling::Event::writable(Source::Socket(id).key());
                // SAFETY: the socket is deleted from the poller before it is closed; after an
                // error both end together.
                unsafe { self.poller.add(&socket, event)? };
                self.open
                    .insert(id, Open { socket, connecting: true, pace: Pace::default() });
            }
            Err(OpenError::Bind(error)) => {
                self.attempt
                    .handle_unavailable(monotonic_now(), id, &error.to_string());
            }
            Err(OpenError::Connect(error)) => {
                self.attempt
                    .handle_refused(monotonic_now(), id, false, &error.to_string());
            }
        }
        Ok(())
    }

    fn abandon(&mut self, id: SocketId) -> io::Result<()> {
        let silent =
            |open: &Open| open.connecting && socket::state(&open.socket) == TcpState::SynSent;
        if self.open.get(&id).is_some_and(silent) {
            self.close_connecting(id)?;
            self.attempt.handle_abandoned(monotonic_now(), id);
        }
        Ok(())
    }

    fn socket_event(&mut self, id: SocketId) -> io::Result<()> {
        match self.open.get(&id) {
            Some(open) if open.connecting => self.connect_event(id),
            Some(_) => self.read(id),
            None => Ok(()),
        }
    }

    /// A connecting socket has its answer.
    fn connect_event(&mut self, id: SocketId) -> io::Result<()> {
        let Some(open) = self.open.get_mut(&id) else { return Ok(()) };
        let now = monotonic_now();
        match socket::answer(&open.socket)? {
            Answer::Connected(local, remote) => {
                open.connecting = false;
                open.pace = tune(&open.socket);
                self.attempt.handle_connected(now, id, local, remote);
                self.rearm(id)?;
            }
            Answer::Refused(error) => {
                self.close_connecting(id)?;
                self.attempt
                    .handle_refused(now, id, true, &error.to_string());
            }
            Answer::Silence => {
                self.close_connecting(id)?;
                self.attempt.handle_abandoned(now, id);
            }
            // Woken for nothing.
            Answer::Pending => {
                let event = polling::Event::writable(Source::Socket(id).key());
                self.poller.modify(&open.socket, event)?;
            }
        }
        Ok(())
    }

    /// Closes a socket of which the peer knows nothing, or no more.
    fn close_connecting(&mut self, id: SocketId) -> io::Result<()> {
        match self.open.remove(&id) {
            Some(open) => self.poller.delete(&open.socket),
            None => Ok(()),
        }
    }

    /// Reads just what the core wants: what follows belongs to the user.
    fn read(&mut self, id: SocketId) -> io::Result<()> {
        let mut buffer = [0; MAX_FRAME];
        loop {
            let wanted = self.attempt.wants(id).min(MAX_FRAME);
            let Some(open) = self.open.get(&id) else { return Ok(()) };
            if wanted == 0 {
                return Ok(());
            }
            match socket::read(&open.socket, &mut buffer[..wanted]) {
                Ok(0) => {
                    self.attempt.handle_closed(monotonic_now(), id);
                    return Ok(());
                }
                Ok(read) => self
                    .attempt
                    .handle_data(monotonic_now(), id, &buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return self.rearm(id),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.attempt.handle_closed(monotonic_now(), id);
                    return Ok(());
                }
            }
        }
    }

    /// Asks for the next readiness: the poller tells once.
    fn rearm(&mut self, id: SocketId) -> io::Result<()> {
        let Some(open) = self.open.get(&id) else { return Ok(()) };
        if self.attempt.wants(id) > 0 {
            let event = polling::Event::readable(Source::Socket(id).key());
            self.poller.modify(&open.socket, event)?;
        }
        Ok(())
    }

    fn accept(&mut self, port: u16) -> io::Result<()> {
        for _ in 0..ACCEPTS_AT_ONCE {
            let Some(listener) = self.listeners.get(&port) else { return Ok(()) };
            let socket = match listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if is_passing(&error) => break,
                // Such as no descriptor left: asked again, it would say so without end. The port
                // goes on connecting.
                Err(_) => return Ok(()),
            };
            let Ok((local, remote)) = socket::endpoints(&socket) else { continue };
            socket.set_nonblocking(true)?;
            let pace = tune(&socket);
            let now = monotonic_now();
            let Some(id) = self.attempt.handle_accepted(now, local, remote) else { continue };
            let event = polling::Event::readable(Source::Socket(id).key());
            // SAFETY: the socket is deleted from the poller before it is closed; after an
            // error both end together.
            unsafe { self.poller.add(&socket, event)? };
            self.open
                .insert(id, Open { socket, connecting: false, pace });
        }
        let Some(listener) = self.listeners.get(&port) else { return Ok(()) };
        self.poller
            .modify(listener, polling::Event::readable(Source::Listener(port).key()))
    }

    fn retire(&mut self, socket: Socket) {
        let _ = socket.shutdown(std::net::Shutdown::Write);
        self.retired.push_back(socket);
        if self.retired.len() > RETIRED {
            self.retired.pop_front();
        }
    }

    /// Closes everything, before it returns: the process may be about to end.
    fn fail(mut self, failure: Failure, role: Role) -> RunError {
        drain::close_briefly(self.losers(), role);
        RunError::Failed(failure)
    }

    fn hand_over(mut self, id: SocketId, role: Role) -> Result<Elected, RunError> {
        let Some((chosen, (local, remote))) = self.take_standing(id) else {
            let reason = Failure::ConnectionLost;
            (self.observer)(&Event { at: monotonic_now(), what: What::Failed { reason } });
            return Err(self.fail(reason, role));
        };
        let _ = chosen.socket.set_tcp_nodelay(false);
        let mut unfinished = None;
        if let Some(pace) = chosen.pace.release(&chosen.socket) {
            match role {
                // The ACK is on its way, and the leader waits for it.
                Role::Follower => match chosen.socket.try_clone() {
                    Ok(same) => unfinished = Some((same, pace)),
                    // Out of descriptors: a lost ACK may come late.
                    Err(_) => pace.finish(&chosen.socket),
                },
                Role::Leader => pace.finish(&chosen.socket),
            }
        }
        chosen.socket.set_nonblocking(false)?;
        let what = What::Returned { local, remote, role };
        (self.observer)(&Event { at: monotonic_now(), what });
        let draining = self.close_all(role, unfinished);
        Ok(Elected { socket: chosen.socket, local, remote, role, draining })
    }

    /// The chosen connection and its ends, unless it was reset meanwhile.
    fn take_standing(&mut self, id: SocketId) -> Option<(Open, (SocketAddr, SocketAddr))> {
        let chosen = self.open.remove(&id)?;
        self.poller.delete(&chosen.socket).ok()?;
        let ends = socket::endpoints(&chosen.socket).ok()?;
        Some((chosen, ends))
    }

    /// Closes everything that is still open, in the background, and without a RST; what was chosen
    /// may have its pace to be finished.
    fn close_all(&mut self, role: Role, unfinished: Option<(Socket, Pace)>) -> Draining {
        Draining::start(self.losers(), role, unfinished)
    }

    /// Everything that is still open.
    fn losers(&mut self) -> Vec<Socket> {
        let mut losers: Vec<Socket> = self.retired.drain(..).collect();
        for listener in std::mem::take(&mut self.listeners).into_values() {
            let _ = self.poller.delete(&listener);
            // What a listener holds would be reset with it.
            losers.extend(self.held_by(&listener));
        }
        for open in std::mem::take(&mut self.open).into_values() {
            let _ = self.poller.delete(&open.socket);
            losers.push(open.socket);
        }
        losers
    }

    /// The peer's connections that wait to be accepted.
    fn held_by(&self, listener: &Socket) -> Vec<Socket> {
        let accepted = std::iter::from_fn(|| listener.accept().ok()).take(ACCEPTS_AT_ONCE);
        let of_the_peer = |from: &SockAddr| {
            from.as_socket()
                .is_some_and(|from| from.ip().to_canonical() == self.peer.ip())
        };
        let sockets = accepted
            .filter(|(_, from)| of_the_peer(from))
            .map(|(socket, _)| socket);
        sockets
            .filter(|socket| socket.set_nonblocking(true).is_ok())
            .collect()
    }
}

/// Options for the election: small frames leave at once, and lost ones are repeated steadily.
fn tune(socket: &Socket) -> Pace {
    let _ = socket.set_tcp_nodelay(true);
    Pace::steady(socket)
}

/// Whether an error of `accept` says nothing of the next call.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, Interrupted, WouldBlock};
    matches!(error.kind(), ConnectionAborted | Interrupted | WouldBlock)
}

fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}
