//! What the system tells about a connection: bytes, and whether the peer's system has them.

use std::{io, net::TcpStream, time::Duration};

use socket2::SockRef;

/// Makes the close of a connection a RST, also that of a process which is killed: the peer must not
/// take what it has for everything.
pub(crate) fn reset_on_close(stream: &TcpStream) {
    // Fails where the connection is gone already.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Takes [`reset_on_close`] back, once everything has arrived.
pub(crate) fn close_in_order(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(None);
}

/// Number of bytes that the peer's system has not acknowledged; an error where it never will.
#[cfg(target_os = "linux")]
pub(crate) fn unacknowledged(stream: &TcpStream) -> io::Result<usize> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    let left = queued(stream, libc::TIOCOUTQ)?;
    // After a RST the number stays as it was. The error may have been told to another descriptor.
    if left > 0 && tcp_info(stream)?.tcpi_state == TCP_CLOSE {
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    Ok(left)
}

#[cfg(target_os = "linux")]
const TCP_CLOSE: u8 = 7;

/// Number of bytes that the peer's system has not acknowledged; an error where it never will.
#[cfg(target_vendor = "apple")]
pub(crate) fn unacknowledged(stream: &TcpStream) -> io::Result<usize> {
    use std::os::fd::AsRawFd;
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    let mut left: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the descriptor is open, and `left` has room for `length` bytes.
    let result = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NWRITE,
            (&raw mut left).cast(),
            &raw mut length,
        )
    };
    if result == 0 {
        Ok(usize::try_from(left).unwrap_or(0))
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Always 0: this system does not tell. An error that is known by now is told.
#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
pub(crate) fn unacknowledged(stream: &TcpStream) -> io::Result<usize> {
    stream.take_error()?.map_or(Ok(0), Err)
}

/// Bytes that a connection has carried for its user so far, each way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Carried {
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

/// Counter of the bytes of a connection that another process uses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counter {
    start: Option<Carried>,
}

impl Counter {
    /// Starts at a connection that was just handed over: what has arrived and waits belongs to the
    /// user, what has not been acknowledged yet does not.
    pub(crate) fn start(stream: &TcpStream) -> Self {
        let start = totals(stream).map(|(totals, unread, unacknowledged)| Carried {
            sent: totals.sent + unacknowledged,
            received: totals.received.saturating_sub(unread),
        });
        Self { start }
    }

    /// The bytes since the start, where the system tells. Each direction that has ended counts one
    /// byte for its FIN, which is taken off.
    pub(crate) fn carried(self, stream: &TcpStream, ended: [bool; 2]) -> Option<Carried> {
        let (start, (now, ..)) = (self.start?, totals(stream)?);
        let [sent, received] = ended.map(u64::from);
        Some(Carried {
            sent: now.sent.saturating_sub(start.sent + sent),
            received: now.received.saturating_sub(start.received + received),
        })
    }
}

/// All bytes acknowledged and received, and those that are unread and unacknowledged.
#[cfg(target_os = "linux")]
fn totals(stream: &TcpStream) -> Option<(Carried, u64, u64)> {
    let info = tcp_info(stream).ok()?;
    let totals = Carried { sent: info.tcpi_bytes_acked, received: info.tcpi_bytes_received };
    let unread = queued(stream, libc::FIONREAD).ok()?;
    let unacknowledged = queued(stream, libc::TIOCOUTQ).ok()?;
    Some((totals, u64::try_from(unread).ok()?, u64::try_from(unacknowledged).ok()?))
}

/// Nothing: this system does not tell.
#[cfg(not(target_os = "linux"))]
fn totals(_: &TcpStream) -> Option<(Carried, u64, u64)> {
    None
}

/// Whether full segments are repeated without an acknowledgment, for some seconds.
#[cfg(target_os = "linux")]
pub(crate) fn is_stalled(stream: &TcpStream) -> bool {
    /// Time-outs in a row after which this is more than a lost packet.
    const MANY: u8 = 4;
    tcp_info(stream).is_ok_and(|info| info.tcpi_unacked > 0 && info.tcpi_retransmits >= MANY)
}

/// Always false: this system does not tell.
#[cfg(not(target_os = "linux"))]
pub(crate) fn is_stalled(_: &TcpStream) -> bool {
    false
}

/// Number of bytes in a queue of a socket.
#[cfg(target_os = "linux")]
fn queued(stream: &TcpStream, which: libc::Ioctl) -> io::Result<usize> {
    use std::os::fd::AsRawFd;
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is open, and both requests write one int.
    let result = unsafe { libc::ioctl(stream.as_raw_fd(), which, &raw mut bytes) };
    if result == 0 {
        Ok(usize::try_from(bytes).unwrap_or(0))
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(target_os = "linux")]
#[expect(clippy::cast_possible_truncation, reason = "the size of tcp_info fits in 32 bits")]
fn tcp_info(stream: &TcpStream) -> io::Result<libc::tcp_info> {
    use std::os::fd::AsRawFd;
    // SAFETY: all zeroes is a valid tcp_info.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the descriptor is open, and `info` has room for `length` bytes.
    let result = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    if result == 0 { Ok(info) } else { Err(io::Error::last_os_error()) }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{
        io::{Read, Write},
        net::{Shutdown, TcpListener},
    };

    use super::*;

    fn pair() -> io::Result<(TcpStream, TcpStream)> {
        let listener = TcpListener::bind("127.90.70.1:0")?;
        let near = TcpStream::connect(listener.local_addr()?)?;
        Ok((near, listener.accept()?.0))
    }

    #[test]
    fn bytes_are_counted_from_the_handover_on_without_the_fin() {
        let (mut near, mut far) = pair().unwrap();
        near.write_all(b"a frame").unwrap();
        far.read_exact(&mut [0; 7]).unwrap();
        far.write_all(b"early").unwrap();
        near.peek(&mut [0; 1]).unwrap();
        let counter = Counter::start(&near);
        near.write_all(b"user").unwrap();
        near.shutdown(Shutdown::Write).unwrap();
        far.read_to_end(&mut Vec::new()).unwrap();
        drop(far);
        near.read_to_end(&mut Vec::new()).unwrap();
        assert_eq!(unacknowledged(&near).unwrap(), 0);
        let carried = counter.carried(&near, [true, true]).unwrap();
        assert_eq!(carried, Carried { sent: 4, received: 5 });
    }

    #[test]
    fn a_reset_over_unacknowledged_bytes_is_an_error_even_if_its_error_was_told_elsewhere() {
        let (mut near, far) = pair().unwrap();
        let enough = vec![0; 16 << 20];
        near.set_nonblocking(true).unwrap();
        assert!(near.write(&enough).unwrap() < enough.len());
        assert!(unacknowledged(&near).unwrap() > 0);
        reset_on_close(&far);
        drop(far);
        near.set_nonblocking(false).unwrap();
        assert!(near.read(&mut [0; 1]).is_err());
        assert!(unacknowledged(&near).is_err());
    }
}
