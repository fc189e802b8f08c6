//! Sockets for punching: their options, and the kernel's view of their state.

use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// Lower bound on the retransmission timeout during the election, in microseconds.
const ELECTION_RTO_MIN_US: i32 = 20_000;

/// Linux's default lower bound on the retransmission timeout (`TCP_RTO_MIN`), in microseconds.
pub(crate) const DEFAULT_RTO_MIN_US: i32 = 200_000;

/// Length of a listener's queue of connections that have not been accepted.
const BACKLOG: i32 = 16;

/// Destination port of the route lookup (RFC 863). Any port would do, since nothing is sent.
const DISCARD_PORT: u16 = 9;

/// The step at which opening a socket failed.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// The port cannot be used on this machine.
    Bind(io::Error),
    /// This machine has no socket left, or knows no route. A later try may succeed.
    Connect(io::Error),
}

/// Result of a non-blocking connect.
#[derive(Debug)]
pub(crate) enum ConnectResult {
    /// The connection is established between this local and this remote address.
    Connected(SocketAddr, SocketAddr),
    /// A RST or an ICMP error arrived.
    Refused(io::Error),
    /// Nothing arrived, and the kernel has sent its last SYN.
    TimedOut,
    /// The connect is still in progress.
    Pending,
}

/// State of a TCP connection, as far as punching tells states apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TcpState {
    /// A SYN was sent, and nothing has arrived.
    SynSent,
    /// Any later state: SYN_RECV, ESTABLISHED, and those that end a connection.
    Later,
    /// This system does not tell.
    Unknown,
}

/// A non-blocking socket that connects from `local` to `remote`; both have an address and a port.
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
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// Result of the connect of a socket that was connecting.
pub(crate) fn connect_result(socket: &Socket) -> io::Result<ConnectResult> {
    Ok(match socket.take_error()? {
        Some(error) if error.kind() == io::ErrorKind::TimedOut => ConnectResult::TimedOut,
        Some(error) => ConnectResult::Refused(error),
        None => match endpoints(socket) {
            Ok((local, remote)) => ConnectResult::Connected(local, remote),
            Err(_) => ConnectResult::Pending,
        },
    })
}

/// The address from which this machine would send to `peer`. Sends nothing: `connect` on a UDP
/// socket only looks up the route.
pub(crate) fn source_address(peer: SocketAddr) -> io::Result<IpAddr> {
    let any: SocketAddr = match peer {
        SocketAddr::V4(_) => ([0; 4], 0).into(),
        SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    let mut target = peer;
    target.set_port(DISCARD_PORT);
    socket.connect(target)?;
    Ok(socket.local_addr()?.ip())
}

/// Whether `address` belongs to this machine. Sends nothing.
pub(crate) fn is_local(address: SocketAddr) -> bool {
    UdpSocket::bind(address).is_ok()
}

/// State of a connecting socket (`TCP_INFO`).
#[cfg(target_os = "linux")]
pub(crate) fn state(socket: &Socket) -> TcpState {
    const TCP_SYN_SENT: u8 = 2;
    match tcp_info(socket).map(|info| info.tcpi_state) {
        Some(TCP_SYN_SENT) => TcpState::SynSent,
        Some(_) => TcpState::Later,
        None => TcpState::Unknown,
    }
}

/// State of a connecting socket: unknown on this system, so that repeats of SYNs are left to the
/// kernel.
#[cfg(not(target_os = "linux"))]
pub(crate) fn state(_: &Socket) -> TcpState {
    TcpState::Unknown
}

/// Number of segments that were retransmitted on a connection.
#[cfg(all(test, target_os = "linux"))]
pub(crate) fn retransmits(socket: &Socket) -> u32 {
    tcp_info(socket).map_or(0, |info| info.tcpi_total_retrans)
}

/// Whether the peer's kernel has not acknowledged everything that was sent on a connection.
#[cfg(target_os = "linux")]
pub(crate) fn awaits_acknowledgment(socket: &Socket) -> bool {
    tcp_info(socket).is_some_and(|info| info.tcpi_unacked > 0)
}

/// Always false: this system does not tell, and nothing waits for it.
#[cfg(not(target_os = "linux"))]
pub(crate) fn awaits_acknowledgment(_: &Socket) -> bool {
    false
}

#[cfg(target_os = "linux")]
#[expect(clippy::cast_possible_truncation, reason = "the size of tcp_info fits in 32 bits")]
fn tcp_info(socket: &Socket) -> Option<libc::tcp_info> {
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

/// Lowers the bound on the retransmission timeout of a socket that is about to connect or to
/// listen; false where the kernel does not know the option. The bound has to be set before the
/// first round trip is measured.
pub(crate) fn lower_rto_min(socket: &Socket) -> bool {
    set_rto_min(socket, ELECTION_RTO_MIN_US)
}

/// Sets `TCP_RTO_MIN_US`; false on kernels that do not know the option (Linux before 6.15).
#[cfg(target_os = "linux")]
#[expect(clippy::cast_possible_truncation, reason = "the size of an int fits in 32 bits")]
pub(crate) fn set_rto_min(socket: &Socket, microseconds: i32) -> bool {
    const TCP_RTO_MIN_US: libc::c_int = 45;
    // SAFETY: the descriptor is open, and the value is an int of the length that is given.
    unsafe {
        libc::setsockopt(
            std::os::fd::AsRawFd::as_raw_fd(socket),
            libc::IPPROTO_TCP,
            TCP_RTO_MIN_US,
            (&raw const microseconds).cast(),
            size_of::<i32>() as libc::socklen_t,
        ) == 0
    }
}

/// Always false: this system does not have the option.
#[cfg(not(target_os = "linux"))]
pub(crate) fn set_rto_min(_: &Socket, _: i32) -> bool {
    false
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

/// Whether an error of a non-blocking `connect` says that the connect has begun.
fn is_in_progress(error: &io::Error) -> bool {
    #[cfg(unix)]
    let in_progress = error.raw_os_error() == Some(libc::EINPROGRESS);
    #[cfg(not(unix))]
    let in_progress = false;
    in_progress || error.kind() == io::ErrorKind::WouldBlock
}

/// A socket with the options for punching, to be bound to `local`.
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
    lower_rto_min(&socket);
    Ok(socket)
}

/// Reads at most `buffer.len()` bytes without blocking.
pub(crate) fn read(socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
    io::Read::read(&mut &*socket, buffer)
}

/// Sends a whole frame. A frame always fits into an empty send buffer; if it does not, the
/// connection is of no use.
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

    /// A time-out that counted as a refusal would report an absent peer as one whose NAT refuses.
    #[test]
    fn a_syn_that_nobody_answers_times_out_and_is_not_refused() {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let full = unbound(local).unwrap();
        full.bind(&local.into()).unwrap();
        full.listen(0).unwrap();
        let full_at = full.local_addr().unwrap().as_socket().unwrap();
        // A backlog of zero holds one connection; the kernel drops further SYNs.
        let _first = connect(local, full_at).unwrap();
        let socket = connect(local, full_at).unwrap();
        assert!(matches!(connect_result(&socket).unwrap(), ConnectResult::Pending));
        socket
            .set_tcp_user_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        for _ in 0..100 {
            wait(Duration::from_millis(100));
            match connect_result(&socket).unwrap() {
                ConnectResult::Pending => {}
                ConnectResult::TimedOut => return,
                other @ (ConnectResult::Connected(..) | ConnectResult::Refused(_)) => {
                    panic!("{other:?}")
                }
            }
        }
        panic!("the kernel still repeats the SYN after ten seconds");
    }
}
