//! How soon the kernel repeats a lost frame of the election.
//!
//! Left to itself it waits 200 ms more than a round trip, then twice as long, and so on: where a
//! third of all packets is lost, that adds up to seconds. Three options make it steady: a lower
//! bound on the timeout (Linux 6.15), linear timeouts for thin streams, and, for the time being, a
//! congestion control that lets them work. Where a system lacks one, a lost frame comes later.

use socket2::Socket;

/// Bound below which the retransmission timeout does not go during the election, in microseconds.
#[cfg(target_os = "linux")]
const SOON_US: libc::c_int = 20_000;

/// The bound that Linux has by default (`TCP_RTO_MIN`).
#[cfg(target_os = "linux")]
const USUAL_US: libc::c_int = 200_000;

/// The congestion control in place of BBR: every Linux has it.
#[cfg(target_os = "linux")]
const MEANWHILE: &[u8] = b"reno";

/// A socket whose kernel repeats at a steady pace, and what it had before.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// The congestion control to go back to.
    congestion: Option<Vec<u8>>,
}

/// For a socket that is about to connect or to listen: the first measured round trip must already
/// find the bound.
pub(crate) fn prepare(socket: &Socket) {
    #[cfg(target_os = "linux")]
    set_minimum(socket, SOON_US);
    #[cfg(not(target_os = "linux"))]
    let _ = socket;
}

impl Pace {
    /// Makes a connection steady.
    #[cfg(target_os = "linux")]
    pub(crate) fn steady(socket: &Socket) -> Self {
        let _ = socket.set_tcp_thin_linear_timeouts(true);
        // BBR keeps the slow start threshold at infinity, and the kernel takes no stream for thin
        // before its first slow start is over.
        let congestion = socket
            .tcp_congestion()
            .ok()
            .filter(|name| name.starts_with(b"bbr"));
        let replaced = |_: &Vec<u8>| socket.set_tcp_congestion(MEANWHILE).is_ok();
        Self { congestion: congestion.filter(replaced) }
    }

    /// This system repeats as it does.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn steady(_: &Socket) -> Self {
        Self::default()
    }

    /// Gives the connection back as the system makes them, but for the linear timeouts. What is in
    /// flight keeps the bound of its timer. Where the congestion control has to be put back, it is
    /// left to the caller, by [`Self::finish`].
    pub(crate) fn release(self, socket: &Socket) -> Option<Self> {
        #[cfg(target_os = "linux")]
        set_minimum(socket, USUAL_US);
        #[cfg(not(target_os = "linux"))]
        let _ = socket;
        self.congestion.is_some().then_some(self)
    }

    /// Puts the congestion control back, as soon as nothing sent is in doubt; unless the connection's
    /// user has chosen another meanwhile.
    #[cfg(target_os = "linux")]
    pub(crate) fn finish(self, socket: &Socket) {
        let still = |name: Vec<u8>| name.starts_with(MEANWHILE);
        if let Some(name) = self.congestion
            && socket.tcp_congestion().is_ok_and(still)
        {
            let _ = socket.set_tcp_congestion(&name);
        }
    }

    /// There is nothing to put back.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn finish(self, _: &Socket) {}
}

/// Sets `TCP_RTO_MIN_US`; older kernels refuse it, which is told.
#[cfg(target_os = "linux")]
#[expect(clippy::cast_possible_truncation, reason = "the size of an int fits in 32 bits")]
fn set_minimum(socket: &Socket, microseconds: libc::c_int) -> bool {
    const TCP_RTO_MIN_US: libc::c_int = 45;
    // SAFETY: the descriptor is open, and the value is an int of the length that is said.
    unsafe {
        libc::setsockopt(
            std::os::fd::AsRawFd::as_raw_fd(socket),
            libc::IPPROTO_TCP,
            TCP_RTO_MIN_US,
            (&raw const microseconds).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        ) == 0
    }
}

/// Whether the kernel takes a bound on the timeout.
#[cfg(all(test, target_os = "linux"))]
fn knows_bound(socket: &Socket) -> bool {
    set_minimum(socket, SOON_US)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Duration;

    use socket2::{Domain, Protocol, Type};

    use super::*;
    use crate::driver::{
        socket,
        testing::{deaf, pair, wait},
    };

    #[test]
    fn a_connection_is_given_back_with_the_congestion_control_it_had() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
        let before = socket.tcp_congestion().unwrap();
        prepare(&socket);
        let pace = Pace::steady(&socket);
        assert!(!socket.tcp_congestion().unwrap().starts_with(b"bbr"));
        assert!(socket.tcp_thin_linear_timeouts().unwrap());
        if let Some(pace) = pace.release(&socket) {
            pace.finish(&socket);
        }
        assert_eq!(socket.tcp_congestion().unwrap(), before);
    }

    /// Whatever this machine has: BBR is the one that needs something done.
    fn kinds() -> Vec<String> {
        let kinds = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control");
        let kinds = kinds.expect("Linux lists them");
        kinds.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn lost_frames_are_repeated_steadily_under_every_congestion_control() {
        for kind in kinds() {
            let Some([near, far]) = pair(&kind) else { continue };
            let pace = Pace::steady(&near);
            deaf(&far);
            socket::send(&near, b"an ACK").unwrap();
            wait(Duration::from_millis(250));
            let repeats = socket::repeats(&near);
            // A timeout that doubles from 20 ms has passed three times by then, or once from 200 ms.
            // Kernels before 6.15 know no bound but that one.
            assert!(repeats >= if knows_bound(&near) { 6 } else { 1 }, "{kind}: {repeats}");
            far.detach_filter().unwrap();
            if let Some(pace) = pace.release(&near) {
                pace.finish(&near);
            }
            assert!(near.tcp_congestion().unwrap().starts_with(kind.as_bytes()));
        }
    }

    #[test]
    fn what_the_user_has_chosen_meanwhile_stays() {
        for kind in kinds() {
            let Some([near, _far]) = pair(&kind) else { continue };
            let pace = Pace::steady(&near);
            let other = if kind == "cubic" { "reno" } else { "cubic" };
            near.set_tcp_congestion(other.as_bytes()).unwrap();
            if let Some(pace) = pace.release(&near) {
                pace.finish(&near);
            }
            assert!(near.tcp_congestion().unwrap().starts_with(other.as_bytes()), "{kind}");
        }
    }
}
