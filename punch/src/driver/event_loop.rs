//! The event loop of an attempt: one thread, non-blocking sockets, one poller.
//!
//! It performs the actions of an [`Attempt`] and reports to it what happens on the sockets.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::{Shutdown, SocketAddr},
    time::Duration,
};

use polling::{Events, Poller};
use socket2::{SockAddr, SockRef, Socket};

use super::{
    canceller::Canceller,
    clock::{monotonic_now, wall_now},
    closing::{self, ClosingSockets, UnacknowledgedAck},
    error::Error,
    keepalive::Keepalive,
    local_address::LocalAddress,
    retransmit::RetransmitTuning,
    socket::{self, ConnectResult, OpenError, SocketOptions, TcpState},
};
use crate::proto::{
    attempt::{Action, Attempt, Outcome, RefusedBy},
    connection::{Failure, Role, SocketId},
    event::{Event, EventKind},
    time::{ClockOffset, MonoTime},
    wire::MAX_FRAME,
};

/// Maximum number of connections accepted from one listener at a time, so that a flood does not
/// occupy the loop.
const MAX_ACCEPTS: usize = 16;

/// Maximum number of rejected connections that are kept open until their peers close them; beyond
/// it the oldest is closed as it is.
const MAX_REJECTED: usize = 32;

/// Maximum time for which the loop waits.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// Pause before a listener whose `accept` failed is asked again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The chosen connection.
#[derive(Debug)]
pub(crate) struct Elected {
    pub(crate) socket: Socket,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) role: Role,
    pub(crate) closing: ClosingSockets,
}

/// The state of the loop.
pub(crate) struct EventLoop<'a> {
    attempt: Attempt,
    poller: &'a Poller,
    cancel: &'a Canceller,
    settings: Settings<'a>,
    local: LocalAddress,
    /// Listeners whose `accept` failed, and the times at which they are asked again.
    failed_listeners: BTreeMap<u16, MonoTime>,
    open: BTreeMap<SocketId, Open>,
    listeners: BTreeMap<u16, Socket>,
    /// Connections that were rejected, oldest first: their FIN is sent, their end is awaited.
    rejected: VecDeque<Socket>,
    observer: &'a mut dyn FnMut(&Event),
}

/// What the loop needs to know of the user's options.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings<'a> {
    /// The peer's address, whose port is not used.
    pub(crate) peer: SocketAddr,
    /// What is added to the system's wall clock.
    pub(crate) clock_offset: ClockOffset,
    /// Options of all sockets.
    pub(crate) socket: SocketOptions<'a>,
    /// Keepalive of the chosen connection.
    pub(crate) keepalive: Option<Keepalive>,
}

/// A socket of the attempt.
struct Open {
    socket: Socket,
    connecting: bool,
    tuning: RetransmitTuning,
}

/// Owner of a poller key: even keys belong to sockets, odd ones to listeners.
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

impl<'a> EventLoop<'a> {
    /// An event loop for `attempt`.
    pub(crate) fn new(
        attempt: Attempt,
        local: LocalAddress,
        settings: Settings<'a>,
        poller: &'a Poller,
        cancel: &'a Canceller,
        observer: &'a mut dyn FnMut(&Event),
    ) -> Self {
        Self {
            attempt,
            poller,
            cancel,
            settings,
            local,
            failed_listeners: BTreeMap::new(),
            open: BTreeMap::new(),
            listeners: BTreeMap::new(),
            rejected: VecDeque::new(),
            observer,
        }
    }

    /// Runs the attempt to its end.
    pub(crate) fn run(mut self) -> Result<Elected, Error> {
        let mut events = Events::new();
        let mut has_reported_address = false;
        loop {
            while let Some(action) = self.attempt.poll_action() {
                self.perform(action).map_err(Error::Io)?;
            }
            self.report();
            if !std::mem::replace(&mut has_reported_address, true) {
                self.report_local_address();
            }
            match self.attempt.outcome() {
                Some(Outcome::Elected { socket, role }) => return self.hand_over(socket, role),
                Some(Outcome::Failed(failure)) => return Err(self.fail(failure, Role::Leader)),
                None => {}
            }
            if self.cancel.is_cancelled() {
                ClosingSockets::start(self.take_sockets(), Role::Leader, None, None);
                return Err(Error::Cancelled);
            }
            events.clear();
            let timeout = Some(self.time_to_wait());
            self.poller.wait(&mut events, timeout).map_err(Error::Io)?;
            for event in events.iter() {
                let handled = match Source::of(event.key) {
                    Source::Socket(id) => self.socket_event(id),
                    Source::Listener(port) => self.accept(port),
                };
                handled.map_err(Error::Io)?;
            }
            self.handle_timeout().map_err(Error::Io)?;
        }
    }

    /// Time until something is due. It is short, since the wall clock may be stepped, and the
    /// machine may have been suspended: the poller does not count that time.
    fn time_to_wait(&self) -> Duration {
        let due = self.attempt.poll_timeout().into_iter();
        let listeners = self.failed_listeners.values().copied();
        let first = due.chain(listeners).chain(self.local.poll_timeout()).min();
        let now = monotonic_now();
        first.map_or(MAX_WAIT, |first| first.since(now).min(MAX_WAIT))
    }

    /// Does what is due.
    fn handle_timeout(&mut self) -> io::Result<()> {
        let now = monotonic_now();
        let is_due = |(&port, &due): (&u16, &MonoTime)| (now >= due).then_some(port);
        let ports: Vec<u16> = self.failed_listeners.iter().filter_map(is_due).collect();
        for port in ports {
            self.failed_listeners.remove(&port);
            self.accept(port)?;
        }
        if self.local.has_changed(now) {
            self.report_local_address();
            self.attempt.handle_new_local_address(now);
        }
        let wall = wall_now() + self.settings.clock_offset;
        self.attempt.handle_timeout(now, wall);
        Ok(())
    }

    fn report_local_address(&mut self) {
        let Some(address) = self.local.current() else { return };
        let kind = EventKind::LocalAddress { address, usual: self.local.other_route() };
        (self.observer)(&Event { at: monotonic_now(), kind });
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
            Action::Inspect { socket } => self.inspect(socket),
            Action::Reset { socket } => self.reset(socket)?,
            Action::Send { socket, bytes } => {
                let Some(open) = self.open.get(&socket) else { return Ok(()) };
                if socket::send(&open.socket, &bytes).is_err() {
                    self.attempt.handle_closed(monotonic_now(), socket);
                }
            }
            Action::Close { socket } => {
                if let Some(open) = self.open.remove(&socket) {
                    self.poller.delete(&open.socket)?;
                    self.keep_rejected(open.socket);
                }
            }
        }
        Ok(())
    }

    fn listen(&mut self, port: u16) -> io::Result<()> {
        let listener = self
            .local
            .with_port(port)
            .and_then(|local| socket::listen(local, self.settings.socket));
        match listener {
            Ok(listener) => {
                let event = polling::Event::readable(Source::Listener(port).key());
                // SAFETY: the listener is deleted from the poller before it is closed, in `drop` at
                // the latest.
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
        // Closing a listener resets the connections in its queue.
        self.accept(port)?;
        if let Some(listener) = self.listeners.remove(&port) {
            self.poller.delete(&listener)?;
        }
        Ok(())
    }

    fn connect(&mut self, id: SocketId, port: u16) -> io::Result<()> {
        let mut peer = self.settings.peer;
        peer.set_port(port);
        let socket = self
            .local
            .with_port(port)
            .map_err(OpenError::Connect)
            .and_then(|local| socket::connect(local, peer, self.settings.socket));
        match socket {
            Ok(socket) => {
                // Registered after its connect: before it the poller would report a socket as
                // ready without end.
                let event = polling::Event::writable(Source::Socket(id).key());
                // SAFETY: the socket is deleted from the poller before it is closed, in `drop` at
                // the latest.
                unsafe { self.poller.add(&socket, event)? };
                self.open.insert(
                    id,
                    Open { socket, connecting: true, tuning: RetransmitTuning::default() },
                );
            }
            Err(OpenError::Bind(error)) => {
                self.attempt
                    .handle_unavailable(monotonic_now(), id, &error.to_string());
            }
            Err(OpenError::Connect(error)) => {
                self.attempt.handle_refused(
                    monotonic_now(),
                    id,
                    RefusedBy::Host,
                    &error.to_string(),
                );
            }
        }
        Ok(())
    }

    fn abandon(&mut self, id: SocketId) -> io::Result<()> {
        let is_syn_sent =
            |open: &Open| open.connecting && socket::state(&open.socket) == TcpState::SynSent;
        if self.open.get(&id).is_some_and(is_syn_sent) {
            self.close_connecting(id)?;
            self.attempt.handle_abandoned(monotonic_now(), id);
        }
        Ok(())
    }

    fn inspect(&mut self, id: SocketId) {
        let is_half_open =
            |open: &Open| open.connecting && socket::state(&open.socket) == TcpState::SynReceived;
        if self.open.get(&id).is_some_and(is_half_open) {
            self.attempt.handle_half_open(monotonic_now(), id);
        }
    }

    fn reset(&mut self, id: SocketId) -> io::Result<()> {
        let Some(open) = self.open.get(&id) else { return Ok(()) };
        let is_connecting = match socket::state(&open.socket) {
            TcpState::SynSent | TcpState::SynReceived => true,
            TcpState::Later => false,
            TcpState::Unknown => open.connecting,
        };
        if is_connecting {
            // The kernel sends a RST if it closes a socket in SYN_RECV with this option.
            let _ = open.socket.set_linger(Some(Duration::ZERO));
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

    /// Handles the result of a connect.
    fn connect_event(&mut self, id: SocketId) -> io::Result<()> {
        let Some(open) = self.open.get_mut(&id) else { return Ok(()) };
        let now = monotonic_now();
        match socket::connect_result(&open.socket)? {
            ConnectResult::Connected(local, remote) => {
                open.connecting = false;
                open.tuning = set_election_options(&open.socket);
                self.attempt.handle_connected(now, id, local, remote);
                self.rearm(id)?;
            }
            ConnectResult::Refused(error) => {
                self.close_connecting(id)?;
                self.attempt
                    .handle_refused(now, id, RefusedBy::Network, &error.to_string());
            }
            ConnectResult::TimedOut => {
                self.close_connecting(id)?;
                self.attempt.handle_abandoned(now, id);
            }
            // A spurious wake-up.
            ConnectResult::Pending => {
                let event = polling::Event::writable(Source::Socket(id).key());
                self.poller.modify(&open.socket, event)?;
            }
        }
        Ok(())
    }

    /// Closes a socket for which the peer has no state.
    fn close_connecting(&mut self, id: SocketId) -> io::Result<()> {
        match self.open.remove(&id) {
            Some(open) => self.poller.delete(&open.socket),
            None => Ok(()),
        }
    }

    /// Reads no more than the attempt wants: the bytes after it belong to the user.
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

    /// Asks the poller for the next readiness, which it reports once.
    fn rearm(&mut self, id: SocketId) -> io::Result<()> {
        let Some(open) = self.open.get(&id) else { return Ok(()) };
        if self.attempt.wants(id) > 0 {
            let event = polling::Event::readable(Source::Socket(id).key());
            self.poller.modify(&open.socket, event)?;
        }
        Ok(())
    }

    fn accept(&mut self, port: u16) -> io::Result<()> {
        for _ in 0..MAX_ACCEPTS {
            let Some(listener) = self.listeners.get(&port) else { return Ok(()) };
            let socket = match listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if is_transient(&error) => break,
                // An error such as no descriptor left: it would be reported without end if the
                // listener were asked again at once.
                Err(_) => {
                    self.failed_listeners
                        .insert(port, monotonic_now() + ACCEPT_PAUSE);
                    return Ok(());
                }
            };
            let Ok((local, remote)) = socket::endpoints(&socket) else { continue };
            socket.set_nonblocking(true)?;
            let tuning = set_election_options(&socket);
            let now = monotonic_now();
            let Some(id) = self.attempt.handle_accepted(now, local, remote) else { continue };
            let event = polling::Event::readable(Source::Socket(id).key());
            // SAFETY: the socket is deleted from the poller before it is closed, in `drop` at
            // the latest.
            unsafe { self.poller.add(&socket, event)? };
            self.open
                .insert(id, Open { socket, connecting: false, tuning });
        }
        let Some(listener) = self.listeners.get(&port) else { return Ok(()) };
        self.poller
            .modify(listener, polling::Event::readable(Source::Listener(port).key()))
    }

    /// Sends FIN on a connection and keeps it open until the attempt ends.
    fn keep_rejected(&mut self, socket: Socket) {
        let _ = socket.shutdown(Shutdown::Write);
        self.rejected.push_back(socket);
        if self.rejected.len() > MAX_REJECTED {
            self.rejected.pop_front();
        }
    }

    /// Closes everything before it returns: the process may be about to end.
    fn fail(mut self, failure: Failure, role: Role) -> Error {
        closing::close_now(self.take_sockets(), role);
        Error::Failed(failure)
    }

    fn hand_over(mut self, id: SocketId, role: Role) -> Result<Elected, Error> {
        let Some(Chosen { socket, tuning, local, remote }) = self.take_chosen(id) else {
            let reason = Failure::ConnectionLost;
            let kind = EventKind::Failed { reason };
            (self.observer)(&Event { at: monotonic_now(), kind });
            return Err(self.fail(reason, role));
        };
        let _ = socket.set_tcp_nodelay(false);
        if let Some(keepalive) = &self.settings.keepalive {
            keepalive.apply(&SockRef::from(&socket));
        }
        let unacknowledged = undo_tuning(tuning, &socket, role);
        socket.set_nonblocking(false).map_err(Error::Io)?;
        let kind = EventKind::Returned { local, remote, role };
        (self.observer)(&Event { at: monotonic_now(), kind });
        let round_trip = socket::round_trip(&socket);
        let closing = ClosingSockets::start(self.take_sockets(), role, unacknowledged, round_trip);
        Ok(Elected { socket, local, remote, role, closing })
    }

    /// The chosen connection, unless it was reset meanwhile.
    fn take_chosen(&mut self, id: SocketId) -> Option<Chosen> {
        let Open { socket, tuning, .. } = self.open.remove(&id)?;
        self.poller.delete(&socket).ok()?;
        let (local, remote) = socket::endpoints(&socket).ok()?;
        Some(Chosen { socket, tuning, local, remote })
    }

    /// All sockets that are still open, deleted from the poller. Listeners are closed; the
    /// connections in their queues are among the sockets, since closing a listener would reset
    /// them.
    fn take_sockets(&mut self) -> Vec<Socket> {
        let mut sockets: Vec<Socket> = self.rejected.drain(..).collect();
        for listener in std::mem::take(&mut self.listeners).into_values() {
            let _ = self.poller.delete(&listener);
            sockets.extend(self.queued_at(&listener));
        }
        for open in std::mem::take(&mut self.open).into_values() {
            let _ = self.poller.delete(&open.socket);
            sockets.push(open.socket);
        }
        sockets
    }

    /// The peer's connections in a listener's queue.
    fn queued_at(&self, listener: &Socket) -> Vec<Socket> {
        let is_peer = |from: &SockAddr| {
            from.as_socket()
                .is_some_and(|from| from.ip().to_canonical() == self.settings.peer.ip())
        };
        std::iter::from_fn(|| listener.accept().ok())
            .take(MAX_ACCEPTS)
            .filter(|(_, from)| is_peer(from))
            .map(|(socket, _)| socket)
            .filter(|socket| socket.set_nonblocking(true).is_ok())
            .collect()
    }
}

impl Drop for EventLoop<'_> {
    /// Deletes the sockets that are left from the poller, which outlives them: after an error of
    /// the system, or a panic of the observer.
    fn drop(&mut self) {
        let connections = self.open.values().map(|open| &open.socket);
        for socket in connections.chain(self.listeners.values()) {
            let _ = self.poller.delete(socket);
        }
    }
}

/// The connection that the attempt has chosen, and its ends.
struct Chosen {
    socket: Socket,
    tuning: RetransmitTuning,
    local: SocketAddr,
    remote: SocketAddr,
}

/// Undoes the retransmission options of the chosen connection. If some of them cannot be restored
/// yet, returns a duplicate of the connection on which that remains to be done.
fn undo_tuning(tuning: RetransmitTuning, socket: &Socket, role: Role) -> Option<UnacknowledgedAck> {
    let tuning = tuning.remove(socket)?;
    match role {
        // The ACK frame is in flight, and the leader waits for it.
        Role::Follower => match socket.try_clone() {
            Ok(socket) => Some(UnacknowledgedAck { socket, tuning }),
            // No descriptor is left: if the ACK frame is lost, its repeat comes late.
            Err(_) => {
                tuning.restore(socket);
                None
            }
        },
        Role::Leader => {
            tuning.restore(socket);
            None
        }
    }
}

/// Sets the options for the election: small frames leave at once, and lost ones are repeated at a
/// constant interval.
fn set_election_options(socket: &Socket) -> RetransmitTuning {
    let _ = socket.set_tcp_nodelay(true);
    RetransmitTuning::apply(socket)
}

/// Whether the next `accept` may succeed after this error.
fn is_transient(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, Interrupted, WouldBlock};
    matches!(error.kind(), ConnectionAborted | Interrupted | WouldBlock)
}
