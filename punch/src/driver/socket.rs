//! Sockets for punching: the options that the article names, and what the kernel tells of them.

use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::pace;

/// Which step of opening a socket failed.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// The port cannot be used here.
    Bind(io::Error),
    /// This machine has no socket left, or knows no way: it may later.
    Connect(io::Error),
}

/// What has become of a connect.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The connection stands; local and remote address.
    Connected(SocketAddr, SocketAddr),
    /// A RST or an ICMP error came back.
    Refused(io::Error),
    /// Nothing came back, however often the kernel has repeated the SYN.
    Silence,
    /// There is none yet.
    Pending,
}

/// A non-blocking socket connecting from `local` to `remote`, both concrete.
pub(crate) fn connect(local: SocketAddr, remote: SocketAddr) -> Result<Socket, OpenError> {
    let socket = unbound(local).map_err(OpenError::Connect)?;
    socket.bind(&local.into()).map_err(OpenError::Bind)?;
    match socket.connect(&remote.into()) {
        Ok(()) => Ok(socket),
        Err(error) if is_in_progress(&error) => Ok(socket),
        Err(error) => Err(OpenError::Connect(error)),
    }
}

/// A non-blocking listener on `local`.
pub(crate) fn listen(local: SocketAddr) -> io::Result<Socket> {
    let socket = unbound(local)?;
    socket.bind(&local.into())?;
    socket.listen(16)?;
    Ok(socket)
}

/// Asks a socket that was connecting what became of it.
pub(crate) fn answer(socket: &Socket) -> io::Result<Answer> {
    Ok(match socket.take_error()? {
        Some(error) if error.kind() == io::ErrorKind::TimedOut => Answer::Silence,
        Some(error) => Answer::Refused(error),
        None => match endpoints(socket) {
            Ok((local, remote)) => Answer::Connected(local, remote),
            Err(_) => Answer::Pending,
        },
    })
}

/// The address that this machine would send from to reach `peer`. Sends nothing: a UDP connect
/// only looks up the route.
pub(crate) fn source_address(peer: SocketAddr) -> io::Result<IpAddr> {
    let any: SocketAddr = match peer {
        SocketAddr::V4(_) => ([0; 4], 0).into(),
        SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    let mut target = peer;
    target.set_port(DISCARD);
    socket.connect(target)?;
    Ok(socket.local_addr()?.ip())
}

/// Any port will do to look up a route.
const DISCARD: u16 = 9;

/// Whether `address` belongs to this machine. Sends nothing.
pub(crate) fn is_local(address: SocketAddr) -> bool {
    UdpSocket::bind(address).is_ok()
}

/// State of a TCP connection as far as punching cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TcpState {
    /// A SYN was sent and nothing has come back.
    SynSent,
    /// A handshake is under way, or beyond.
    Further,
    /// This system does not say.
    Unknown,
}

/// Asks the kernel (`TCP_INFO`) for the state of a connecting socket.
#[cfg(target_os = "linux")]
pub(crate) fn state(socket: &Socket) -> TcpState {
    const TCP_SYN_SENT: u8 = 2;
    match info(socket).map(|info| info.tcpi_state) {
        Some(TCP_SYN_SENT) => TcpState::SynSent,
        Some(_) => TcpState::Further,
        None => TcpState::Unknown,
    }
}

/// How often something was sent again on a connection.
#[cfg(all(test, target_os = "linux"))]
pub(crate) fn repeats(socket: &Socket) -> u32 {
    info(socket).map_or(0, |info| info.tcpi_total_retrans)
}

/// Whether something that was sent on a connection has not been acknowledged by the peer's kernel.
#[cfg(target_os = "linux")]
pub(crate) fn awaits_acknowledgment(socket: &Socket) -> bool {
    info(socket).is_some_and(|info| info.tcpi_unacked > 0)
}

/// This system does not say; nothing waits for it.
#[cfg(not(target_os = "linux"))]
pub(crate) fn awaits_acknowledgment(_: &Socket) -> bool {
    false
}

#[cfg(target_os = "linux")]
#[expect(clippy::cast_possible_truncation, reason = "the size of tcp_info fits in 32 bits")]
fn info(socket: &Socket) -> Option<libc::tcp_info> {
    // SAFETY: all zeroes is a valid tcp_info.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the descriptor is open, and `info` has room for `length` bytes.
    let result = unsafe {
        libc::getsockopt(
            std::os::fd::AsRawFd::as_raw_fd(socket),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    (result == 0).then_some(info)
}

/// This system does not tell the state of a connecting socket: repeats are left to its kernel.
#[cfg(not(target_os = "linux"))]
pub(crate) fn state(_: &Socket) -> TcpState {
    TcpState::Unknown
}

/// Local and remote address of a connected socket.
pub(crate) fn endpoints(socket: &Socket) -> io::Result<(SocketAddr, SocketAddr)> {
    let address = |address: socket2::SockAddr| {
        address
            .as_socket()
            .ok_or_else(|| io::Error::other("not an internet address"))
    };
    Ok((address(socket.local_addr()?)?, address(socket.peer_addr()?)?))
}

/// Whether `connect()` has begun; a non-blocking one reports that as an error.
fn is_in_progress(error: &io::Error) -> bool {
    #[cfg(unix)]
    let in_progress = error.raw_os_error() == Some(libc::EINPROGRESS);
    #[cfg(not(unix))]
    let in_progress = false;
    in_progress || error.kind() == io::ErrorKind::WouldBlock
}

/// A socket with the options for punching from `local`, to be bound there.
fn unbound(local: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(local), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if local.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // On Windows SO_REUSEADDR would let another program take the port over.
    #[cfg(unix)]
    {
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
    }
    pace::prepare(&socket);
    Ok(socket)
}

/// Reads at most `buffer.len()` bytes without blocking.
pub(crate) fn read(socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
    io::Read::read(&mut &*socket, buffer)
}

/// Sends a frame whole. It always fits into an empty send buffer; anything else is an error.
pub(crate) fn send(socket: &Socket, bytes: &[u8]) -> io::Result<()> {
    match SockRef::from(socket).send_with_flags(bytes, NO_SIGNAL)? {
        sent if sent == bytes.len() => Ok(()),
        _ => Err(io::ErrorKind::WriteZero.into()),
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
const NO_SIGNAL: std::ffi::c_int = libc::MSG_NOSIGNAL;
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
const NO_SIGNAL: std::ffi::c_int = 0;

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use super::*;
    use crate::driver::testing::wait;

    /// Or a peer that was never there would pass for one whose NAT refuses.
    #[test]
    fn a_syn_that_nobody_answers_is_not_taken_for_refused() {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let full = unbound(local).unwrap();
        full.bind(&local.into()).unwrap();
        full.listen(0).unwrap();
        let full_at = full.local_addr().unwrap().as_socket().unwrap();
        // A queue for none holds one; the kernel drops what comes after.
        let _first = connect(local, full_at).unwrap();
        let socket = connect(local, full_at).unwrap();
        assert!(matches!(answer(&socket).unwrap(), Answer::Pending));
        socket
            .set_tcp_user_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        for _ in 0..100 {
            wait(Duration::from_millis(100));
            match answer(&socket).unwrap() {
                Answer::Pending => {}
                Answer::Silence => return,
                other @ (Answer::Connected(..) | Answer::Refused(_)) => panic!("{other:?}"),
            }
        }
        panic!("the kernel goes on for ten seconds");
    }
}
