//! Loopback connections whose packets can be dropped, for the unit tests of this folder.

#![expect(
    clippy::unwrap_used,
    reason = "all of this is test code, which clippy knows of functions marked as tests only"
)]

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::mpsc,
    time::Duration,
};

use socket2::{Domain, Protocol, SockFilter, Socket, Type};

/// A TCP socket over IPv4, neither bound nor connected.
pub(crate) fn tcp_socket() -> Socket {
    Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap()
}

/// Both ends of a connection under this congestion control; `None` where this user may not choose
/// it. `prepare` is applied to the sockets before they listen and connect.
pub(crate) fn pair(congestion: &str, prepare: fn(&Socket) -> bool) -> Option<[Socket; 2]> {
    let (listener, near) = (tcp_socket(), tcp_socket());
    let _ = (prepare(&listener), prepare(&near));
    near.set_tcp_congestion(congestion.as_bytes()).ok()?;
    listener
        .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
        .unwrap();
    listener.listen(1).unwrap();
    near.connect(&listener.local_addr().unwrap()).unwrap();
    near.set_tcp_nodelay(true).unwrap();
    let (far, _) = listener.accept().unwrap();
    Some([near, far])
}

/// Drops every packet for this end, until the filter is detached.
pub(crate) fn drop_incoming(socket: &Socket) {
    const RETURN: u16 = 0x06;
    socket
        .attach_filter(&[SockFilter::new(RETURN, 0, 0, 0)])
        .unwrap();
}

/// Lets time pass.
pub(crate) fn wait(duration: Duration) {
    let (_never, receiver) = mpsc::channel::<()>();
    let _ = receiver.recv_timeout(duration);
}
