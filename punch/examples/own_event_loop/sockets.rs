//! The sockets of an attempt: listeners and connections, and the actions on them.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    iter,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};
use punch::{
    driver::clock::monotonic_now,
    proto::{
        attempt::{Action, Attempt, RefusedBy},
        connection::SocketId,
    },
};
use socket2::{Domain, Protocol, Socket, Type};

/// Error code of a connect that has begun.
#[cfg(unix)]
const IN_PROGRESS: i32 = libc::EINPROGRESS;
#[cfg(not(unix))]
const IN_PROGRESS: i32 = 10_035; // WSAEWOULDBLOCK

/// A socket, and whether it is connecting.
pub(crate) type Link = (TcpStream, bool);

pub(crate) struct Sockets {
    own: IpAddr,
    peer: IpAddr,
    poll: Poll,
    listeners: BTreeMap<u16, TcpListener>,
    pub(crate) links: BTreeMap<SocketId, Link>,
}

impl Sockets {
    pub(crate) fn new(own: IpAddr, peer: IpAddr) -> io::Result<Self> {
        let (listeners, links) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { own, peer, poll: Poll::new()?, listeners, links })
    }

    /// Waits for any socket, or for the time-out.
    pub(crate) fn wait(
        &mut self,
        events: &mut Events,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        self.poll.poll(events, timeout)
    }

    pub(crate) fn perform(&mut self, action: Action, attempt: &mut Attempt) -> io::Result<()> {
        match action {
            Action::Connect { socket, port } => return self.connect(socket, port, attempt),
            Action::Listen { port } => return self.listen(port, attempt),
            Action::Unlisten { port } => drop(self.listeners.remove(&port)),
            Action::Send { socket, bytes } => {
                let Some((stream, _)) = self.links.get_mut(&socket) else { return Ok(()) };
                if stream.write_all(&bytes).is_err() {
                    attempt.handle_closed(monotonic_now(), socket);
                }
            }
            Action::Close { socket } => drop(self.links.remove(&socket)),
            // Left out, since they need the TCP state: the kernel alone repeats SYNs.
            Action::Abandon { .. } | Action::Inspect { .. } | Action::Reset { .. } => {}
            action => return Err(io::Error::other(format!("unknown to this loop: {action:?}"))),
        }
        Ok(())
    }

    fn listen(&mut self, port: u16, attempt: &mut Attempt) -> io::Result<()> {
        let bound = bound(self.own, port);
        match bound.and_then(|socket| socket.listen(16).map(|()| socket)) {
            Ok(socket) => {
                let mut listener = TcpListener::from_std(socket.into());
                let registry = self.poll.registry();
                registry.register(&mut listener, Token(0), Interest::READABLE)?;
                self.listeners.insert(port, listener);
            }
            Err(error) => attempt.handle_no_listener(monotonic_now(), port, &error.to_string()),
        }
        Ok(())
    }

    fn connect(&mut self, id: SocketId, port: u16, attempt: &mut Attempt) -> io::Result<()> {
        let now = monotonic_now();
        let socket = match bound(self.own, port) {
            Ok(socket) => socket,
            Err(error) => {
                attempt.handle_unavailable(now, id, &error.to_string());
                return Ok(());
            }
        };
        match socket.connect(&SocketAddr::new(self.peer, port).into()) {
            Err(error) if error.raw_os_error() != Some(IN_PROGRESS) => {
                attempt.handle_refused(now, id, RefusedBy::Host, &error.to_string());
                Ok(())
            }
            Ok(()) | Err(_) => self.add(id, TcpStream::from_std(socket.into()), true),
        }
    }

    pub(crate) fn accept(&mut self, attempt: &mut Attempt) -> io::Result<()> {
        let listeners = self.listeners.values();
        let accepted = listeners.flat_map(|listener| iter::from_fn(|| listener.accept().ok()));
        for (stream, remote) in accepted.collect::<Vec<_>>() {
            let local = stream.local_addr()?;
            if let Some(id) = attempt.handle_accepted(monotonic_now(), local, remote) {
                self.add(id, stream, false)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, id: SocketId, mut stream: TcpStream, is_connecting: bool) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut stream, Token(0), interest)?;
        self.links.insert(id, (stream, is_connecting));
        Ok(())
    }
}

fn bound(own: IpAddr, port: u16) -> io::Result<Socket> {
    let own = SocketAddr::new(own, port);
    let socket = Socket::new(Domain::for_address(own), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // The listener and the connect share the port. On Windows the option would let other programs
    // take the port over.
    #[cfg(unix)]
    {
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
    }
    socket.bind(&own.into())?;
    Ok(socket)
}
