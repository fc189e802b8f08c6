//! Keepalive of the connection that is handed over.

use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

/// How a connection is kept alive, and when a silent peer is given up.
///
/// NATs forget a connection on which nothing is sent. RFC 5382 REQ-5 asks for 2 hours and 4
/// minutes; there are NATs that keep 40 s, and 20 s after one side has ended its direction. Without
/// keepalive neither side learns of that, nor of a peer that has lost its power: a side that only
/// reads waits for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Keepalive {
    /// Time without any packet after which a probe is sent, in whole seconds.
    pub idle: Duration,
    /// Time between two probes, in whole seconds.
    pub interval: Duration,
    /// Time without an answer, to probes or to data, after which the connection fails with
    /// `ETIMEDOUT` (`TCP_USER_TIMEOUT`, RFC 5482). Only Linux and FreeBSD have this option; other
    /// systems count probes.
    pub user_timeout: Duration,
}

impl Default for Keepalive {
    /// A probe after 15 s, then every 5 s; the connection fails after 100 s without an answer.
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(15),
            interval: Duration::from_secs(5),
            user_timeout: Duration::from_secs(100),
        }
    }
}

impl Keepalive {
    /// Sets the time without any packet after which a probe is sent.
    #[must_use]
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// Sets the time between two probes.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Sets the time without an answer after which the connection fails.
    #[must_use]
    pub fn user_timeout(mut self, user_timeout: Duration) -> Self {
        self.user_timeout = user_timeout;
        self
    }

    /// Applies the options to a connection. An option that the system lacks is left out.
    pub(crate) fn apply(&self, socket: &SockRef<'_>) {
        let second = Duration::from_secs(1);
        let probes = TcpKeepalive::new()
            .with_time(self.idle.max(second))
            .with_interval(self.interval.max(second));
        let _ = socket.set_tcp_keepalive(&probes);
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            let _ = socket.set_tcp_user_timeout(Some(self.user_timeout.max(second)));
        }
    }
}
