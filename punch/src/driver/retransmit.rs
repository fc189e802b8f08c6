//! Retransmission timeout of connections during the election.
//!
//! By default the kernel repeats a lost segment 200 ms later than a round trip, and doubles the
//! time with each repeat: where a third of all packets is lost, this adds up to seconds. Three
//! socket options make the interval short and constant: a lower bound on the timeout (Linux 6.15),
//! linear timeouts for thin streams, and, until the connection is handed over, a congestion control
//! under which linear timeouts take effect. Where a system lacks an option, a lost frame arrives
//! later.

use socket2::Socket;

use super::socket;

/// Congestion control that replaces BBR during the election: every Linux has it.
#[cfg(target_os = "linux")]
const ELECTION_CONGESTION_CONTROL: &[u8] = b"reno";

/// The options of a connection that retransmits at a constant interval, and what they were before.
#[derive(Debug, Default)]
pub(crate) struct RetransmitTuning {
    /// Whether linear timeouts were switched on.
    linear: bool,
    /// The congestion control that was replaced.
    replaced: Option<Vec<u8>>,
}

impl RetransmitTuning {
    /// Makes a connection retransmit at a constant interval.
    #[cfg(target_os = "linux")]
    pub(crate) fn apply(socket: &Socket) -> Self {
        let was_linear = socket.tcp_thin_linear_timeouts().unwrap_or(true);
        let linear = !was_linear && socket.set_tcp_thin_linear_timeouts(true).is_ok();
        // BBR keeps the slow start threshold at infinity, and the kernel considers no stream thin
        // before its first slow start is over.
        let bbr = socket
            .tcp_congestion()
            .ok()
            .filter(|name| name.starts_with(b"bbr"));
        let is_replaced = |_: &Vec<u8>| {
            socket
                .set_tcp_congestion(ELECTION_CONGESTION_CONTROL)
                .is_ok()
        };
        Self { linear, replaced: bbr.filter(is_replaced) }
    }

    /// Does nothing: this system has none of the options.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn apply(_: &Socket) -> Self {
        Self::default()
    }

    /// Restores the system's lower bound. A segment in flight keeps the bound of its timer. If more
    /// was changed, returns what [`Self::restore`] needs.
    pub(crate) fn remove(self, socket: &Socket) -> Option<Self> {
        socket::restore_rto_min(socket);
        (self.linear || self.replaced.is_some()).then_some(self)
    }

    /// Restores linear timeouts, and the congestion control unless the connection's user has chosen
    /// another one. To be called when nothing that was sent is unacknowledged.
    #[cfg(target_os = "linux")]
    pub(crate) fn restore(self, socket: &Socket) {
        if self.linear {
            let _ = socket.set_tcp_thin_linear_timeouts(false);
        }
        let is_ours = |name: Vec<u8>| name.starts_with(ELECTION_CONGESTION_CONTROL);
        if let Some(name) = self.replaced
            && socket.tcp_congestion().is_ok_and(is_ours)
        {
            let _ = socket.set_tcp_congestion(&name);
        }
    }

    /// Does nothing: nothing was changed.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn restore(self, _: &Socket) {}
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::driver::{
        socket::lower_rto_min,
        testing::{drop_incoming, pair, tcp_socket, wait},
    };

    fn undo(tuning: RetransmitTuning, socket: &Socket) {
        if let Some(tuning) = tuning.remove(socket) {
            tuning.restore(socket);
        }
    }

    #[test]
    fn a_connection_gets_its_congestion_control_back() {
        let socket = tcp_socket();
        let before = socket.tcp_congestion().unwrap();
        let _ = lower_rto_min(&socket);
        let tuning = RetransmitTuning::apply(&socket);
        assert!(!socket.tcp_congestion().unwrap().starts_with(b"bbr"));
        assert!(socket.tcp_thin_linear_timeouts().unwrap());
        undo(tuning, &socket);
        assert_eq!(socket.tcp_congestion().unwrap(), before);
        assert!(!socket.tcp_thin_linear_timeouts().unwrap());
    }

    /// The congestion controls of this machine; BBR is the one that needs replacing.
    fn congestion_controls() -> Vec<String> {
        let list = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control")
            .expect("Linux lists them");
        list.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn lost_frames_are_repeated_at_a_constant_interval_under_every_congestion_control() {
        for name in congestion_controls() {
            let Some([near, far]) = pair(&name, lower_rto_min) else { continue };
            let tuning = RetransmitTuning::apply(&near);
            drop_incoming(&far);
            socket::send(&near, b"an ACK").unwrap();
            wait(Duration::from_millis(250));
            let repeats = socket::retransmits(&near);
            // In that time a timeout that doubles from 20 ms has passed three times, and one from
            // 200 ms once. Kernels before 6.15 know no bound but 200 ms.
            assert!(repeats >= if lower_rto_min(&near) { 6 } else { 1 }, "{name}: {repeats}");
            far.detach_filter().unwrap();
            undo(tuning, &near);
            assert!(near.tcp_congestion().unwrap().starts_with(name.as_bytes()));
        }
    }

    #[test]
    fn a_congestion_control_that_the_user_has_chosen_stays() {
        for name in congestion_controls() {
            let Some([near, _far]) = pair(&name, lower_rto_min) else { continue };
            let tuning = RetransmitTuning::apply(&near);
            let other = if name == "cubic" { "reno" } else { "cubic" };
            near.set_tcp_congestion(other.as_bytes()).unwrap();
            undo(tuning, &near);
            assert!(near.tcp_congestion().unwrap().starts_with(other.as_bytes()), "{name}");
        }
    }
}
