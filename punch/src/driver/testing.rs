//! Connections over loopback whose packets can be withheld, for the tests of this folder.

#![expect(
    clippy::unwrap_used,
    reason = "all of this is test code, which clippy knows of functions marked as tests only"
)]

use std::{net::Ipv4Addr, sync::mpsc, time::Duration};

use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::pace;

/// Both ends of a connection, prepared as those of an attempt are, under this congestion control;
/// `None` where this user may not choose it.
pub(crate) fn pair(congestion: &str) -> Option<[Socket; 2]> {
    let new = || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
        pace::prepare(&socket);
        socket
    };
    let (listener, near) = (new(), new());
    near.set_tcp_congestion(congestion.as_bytes()).ok()?;
    listener
        .bind(&std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
        .unwrap();
    listener.listen(1).unwrap();
    near.connect(&listener.local_addr().unwrap()).unwrap();
    near.set_tcp_nodelay(true).unwrap();
    let (far, _) = listener.accept().unwrap();
    Some([near, far])
}

/// From here on nothing reaches this end, as if every packet were lost.
pub(crate) fn deaf(socket: &Socket) {
    const RETURN: u16 = 0x06;
    socket
        .attach_filter(&[SockFilter::new(RETURN, 0, 0, 0)])
        .unwrap();
}

/// Lets time pass.
pub(crate) fn wait(duration: Duration) {
    let (_never, told) = mpsc::channel::<()>();
    let _ = told.recv_timeout(duration);
}
