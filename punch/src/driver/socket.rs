//! Sockets for punching: their options, and the kernel's view of their state.

use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::OnceLock,
    time::Duration,
};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// Lower bound on the retransmission timeout during the election, in microseconds.
const ELECTION_RTO_MIN_US: i32 = 20_000;

/// Linux's usual lower bound on the retransmission timeout (`TCP_RTO_MIN`), in microseconds.
const DEFAULT_RTO_MIN_US: i32 = 200_000;

/// Socket option with the lower bound on the retransmission timeout, since Linux 6.15.
#[cfg(target_os = "linux")]
const TCP_RTO_MIN_US: libc::c_int = 45;

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
    /// A SYN was sent and one has come in, and the handshake is not complete.
    SynReceived,
    /// Any later state: ESTABLISHED, and those that end a connection.
    Later,
    /// This system does not tell.
    Unknown,
}

/// Options of the user for all sockets of an attempt.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SocketOptions<'a> {
    /// Name of the interface through which all packets leave.
    pub(crate) interface: Option<&'a str>,
    /// Maximum segment size in bytes.
    pub(crate) mss: Option<u16>,
}

/// A non-blocking socket that connects from `local` to `remote`; both have an address and a port.
pub(crate) fn connect(
    local: SocketAddr,
    remote: SocketAddr,
    options: SocketOptions<'_>,
) -> Result<Socket, OpenError> {
    let socket = unbound(local, options).map_err(OpenError::Connect)?;
    socket.bind(&local.into()).map_err(bind_error)?;
    match socket.connect(&remote.into()) {
        Ok(()) => Ok(socket),
        Err(error) if is_in_progress(&error) => Ok(socket),
        Err(error) => Err(OpenError::Connect(error)),
    }
}

/// Tells a port that another program holds from an error that passes, such as a local address that
/// is gone.
fn bind_error(error: io::Error) -> OpenError {
    use io::ErrorKind::{AddrInUse, PermissionDenied};
    if matches!(error.kind(), AddrInUse | PermissionDenied) {
        OpenError::Bind(error)
    } else {
        OpenError::Connect(error)
    }
}

/// A non-blocking listener on `local`.
///
/// # Errors
///
/// Among others, if another program listens on the port: with SO_REUSEPORT the kernel would give
/// this listener some of that program's connections.
pub(crate) fn listen(local: SocketAddr, options: SocketOptions<'_>) -> io::Result<Socket> {
    #[cfg(target_os = "linux")]
    {
        // Linux lets a socket without SO_REUSEPORT bind beside connecting sockets that have
        // SO_REUSEADDR, and not beside a listener.
        let probe = Socket::new(Domain::for_address(local), Type::STREAM, Some(Protocol::TCP))?;
        if local.is_ipv6() {
            probe.set_only_v6(true)?;
        }
        probe.set_reuse_address(true)?;
        bind_device(&probe, options.interface)?;
        probe.bind(&local.into())?;
    }
    let socket = unbound(local, options)?;
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

/// The address from which this machine would send to `peer`, through an interface if one is given.
/// Sends nothing: `connect` on a UDP socket only looks up the route. Of several IPv6 addresses it
/// is a stable public one (RFC 5014): a temporary one may be replaced while the peer still uses it.
pub(crate) fn source_address(peer: SocketAddr, interface: Option<&str>) -> io::Result<IpAddr> {
    let socket = Socket::new(Domain::for_address(peer), Type::DGRAM, Some(Protocol::UDP))?;
    bind_device(&socket, interface)?;
    if peer.is_ipv6() {
        prefer_public_source(&socket);
    }
    let mut target = peer;
    target.set_port(DISCARD_PORT);
    socket.connect(&target.into())?;
    let local = socket.local_addr()?.as_socket();
    local
        .map(|local| local.ip())
        .ok_or_else(|| io::Error::other("not an internet address"))
}

/// Has the kernel choose a public source address rather than a temporary one (RFC 5014).
#[cfg(target_os = "linux")]
#[expect(clippy::cast_possible_truncation, reason = "the size of an int fits in 32 bits")]
fn prefer_public_source(socket: &Socket) {
    const IPV6_ADDR_PREFERENCES: libc::c_int = 72;
    let prefer_public: libc::c_int = 2;
    // A kernel without the option keeps its own choice.
    // SAFETY: the descriptor is open, and the value is an int of the length that is given.
    let _ = unsafe {
        libc::setsockopt(
            std::os::fd::AsRawFd::as_raw_fd(socket),
            libc::IPPROTO_IPV6,
            IPV6_ADDR_PREFERENCES,
            (&raw const prefer_public).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
}

/// Does nothing: this system chooses the source address alone.
#[cfg(not(target_os = "linux"))]
fn prefer_public_source(_: &Socket) {}

/// Sends all packets of a socket through an interface, if one is given (`SO_BINDTODEVICE`).
#[cfg(target_os = "linux")]
fn bind_device(socket: &Socket, interface: Option<&str>) -> io::Result<()> {
    match interface {
        Some(name) => socket.bind_device(Some(name.as_bytes())),
        None => Ok(()),
    }
}

/// Fails if an interface is given: this system binds sockets to interfaces in another way.
#[cfg(not(target_os = "linux"))]
fn bind_device(_: &Socket, interface: Option<&str>) -> io::Result<()> {
    match interface {
        Some(_) => Err(io::ErrorKind::Unsupported.into()),
        None => Ok(()),
    }
}

/// Name of the interface that has this address.
#[cfg(unix)]
pub(crate) fn interface_of(address: IpAddr) -> Option<String> {
    let mut list: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: `list` is a valid place for the head of the list.
    if unsafe { libc::getifaddrs(&raw mut list) } != 0 {
        return None;
    }
    let mut found = None;
    let mut next = list;
    while !next.is_null() && found.is_none() {
        // SAFETY: `next` is an element of the list, which is freed below. Its address has the type
        // that its family says, and its name ends with a zero byte.
        unsafe {
            let element = &*next;
            if ip_of(element.ifa_addr) == Some(address) {
                let name = std::ffi::CStr::from_ptr(element.ifa_name);
                found = Some(name.to_string_lossy().into_owned());
            }
            next = element.ifa_next;
        }
    }
    // SAFETY: the list comes from `getifaddrs`, and is not used after this.
    unsafe { libc::freeifaddrs(list) };
    // The addresses of a loopback network are not all listed.
    found.or_else(|| address.is_loopback().then(|| "lo".to_owned()))
}

/// Always `None`: all addresses count as those of one interface on this system.
#[cfg(not(unix))]
pub(crate) fn interface_of(_: IpAddr) -> Option<String> {
    None
}

/// The IP address that a socket address holds.
///
/// # Safety
///
/// `address` is null, or points to a socket address of the type that its family says.
#[cfg(unix)]
unsafe fn ip_of(address: *const libc::sockaddr) -> Option<IpAddr> {
    if address.is_null() {
        return None;
    }
    // SAFETY: the caller guarantees the type. The fields are read without regard to alignment.
    unsafe {
        match i32::from((*address).sa_family) {
            libc::AF_INET => {
                let v4 = address.cast::<libc::sockaddr_in>().read_unaligned();
                Some(IpAddr::from(u32::from_be(v4.sin_addr.s_addr).to_be_bytes()))
            }
            libc::AF_INET6 => {
                let v6 = address.cast::<libc::sockaddr_in6>().read_unaligned();
                Some(IpAddr::from(v6.sin6_addr.s6_addr))
            }
            _ => None,
        }
    }
}

/// Whether a socket can be bound to this interface.
///
/// # Errors
///
/// If there is no such interface, or this user or system cannot bind sockets to interfaces.
pub(crate) fn check_interface(peer: SocketAddr, interface: &str) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(peer), Type::STREAM, Some(Protocol::TCP))?;
    bind_device(&socket, Some(interface))
}

/// Whether `address` belongs to this machine. Sends nothing.
pub(crate) fn is_local(address: SocketAddr) -> bool {
    UdpSocket::bind(address).is_ok()
}

/// State of a connecting socket (`TCP_INFO`).
#[cfg(target_os = "linux")]
pub(crate) fn state(socket: &Socket) -> TcpState {
    const TCP_SYN_SENT: u8 = 2;
    const TCP_SYN_RECV: u8 = 3;
    match tcp_info(socket).map(|info| info.tcpi_state) {
        Some(TCP_SYN_SENT) => TcpState::SynSent,
        Some(TCP_SYN_RECV) => TcpState::SynReceived,
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

/// Restores the system's lower bound on the retransmission timeout of a socket.
pub(crate) fn restore_rto_min(socket: &Socket) {
    static SYSTEM: OnceLock<i32> = OnceLock::new();
    let usual = SYSTEM.get_or_init(|| {
        let fresh = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).ok();
        fresh
            .and_then(|fresh| rto_min(&fresh))
            .unwrap_or(DEFAULT_RTO_MIN_US)
    });
    set_rto_min(socket, *usual);
}

/// The value of `TCP_RTO_MIN_US`, in microseconds.
#[cfg(target_os = "linux")]
#[expect(clippy::cast_possible_truncation, reason = "the size of an int fits in 32 bits")]
fn rto_min(socket: &Socket) -> Option<i32> {
    let mut microseconds: i32 = 0;
    let mut length = size_of::<i32>() as libc::socklen_t;
    // SAFETY: the descriptor is open, and `microseconds` has room for `length` bytes.
    let result = unsafe {
        libc::getsockopt(
            std::os::fd::AsRawFd::as_raw_fd(socket),
            libc::IPPROTO_TCP,
            TCP_RTO_MIN_US,
            (&raw mut microseconds).cast(),
            &raw mut length,
        )
    };
    (result == 0 && microseconds > 0).then_some(microseconds)
}

/// Always `None`: this system does not have the option.
#[cfg(not(target_os = "linux"))]
fn rto_min(_: &Socket) -> Option<i32> {
    None
}

/// Round-trip time of a connection as the kernel has measured it.
#[cfg(target_os = "linux")]
pub(crate) fn round_trip(socket: &Socket) -> Option<Duration> {
    tcp_info(socket).map(|info| Duration::from_micros(info.tcpi_rtt.into()))
}

/// Always `None`: this system does not tell.
#[cfg(not(target_os = "linux"))]
pub(crate) fn round_trip(_: &Socket) -> Option<Duration> {
    None
}

/// Sets `TCP_RTO_MIN_US`; false on kernels that do not know the option (Linux before 6.15).
#[cfg(target_os = "linux")]
#[expect(clippy::cast_possible_truncation, reason = "the size of an int fits in 32 bits")]
fn set_rto_min(socket: &Socket, microseconds: i32) -> bool {
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
fn set_rto_min(_: &Socket, _: i32) -> bool {
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
fn unbound(local: SocketAddr, options: SocketOptions<'_>) -> io::Result<Socket> {
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
    bind_device(&socket, options.interface)?;
    #[cfg(unix)]
    if let Some(mss) = options.mss {
        socket.set_tcp_mss(mss.into())?;
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
    use std::net::Ipv4Addr;

    use super::*;
    use crate::driver::testing::wait;

    /// A time-out that counted as a refusal would report an absent peer as one whose NAT refuses.
    #[test]
    fn a_syn_that_nobody_answers_times_out_and_is_not_refused() {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let full = unbound(local, SocketOptions::default()).unwrap();
        full.bind(&local.into()).unwrap();
        full.listen(0).unwrap();
        let full_at = full.local_addr().unwrap().as_socket().unwrap();
        // A backlog of zero holds one connection; the kernel drops further SYNs.
        let _first = connect(local, full_at, SocketOptions::default()).unwrap();
        let socket = connect(local, full_at, SocketOptions::default()).unwrap();
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
