//! How far this machine's clock is off, by an SNTP server (RFC 4330). Feature `ntp`.

use std::{io, time::Duration};

use rsntp::SntpClient;

use crate::core::time::ClockOffset;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a server said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// What to add to this machine's clock so that it agrees with the server's.
    pub offset: ClockOffset,
    /// Round trip of the question in seconds; the offset is right within half of it.
    pub round_trip_s: f64,
}

/// Asks a server, `name` or `name:port` (port 123 by default). Blocks for 3 s at most.
///
/// # Errors
/// The name does not resolve, the server does not answer, or it says that it does not know.
pub fn ask(server: &str) -> io::Result<Reading> {
    let mut client = SntpClient::new();
    client.set_timeout(PATIENCE);
    let result = client.synchronize(server).map_err(io::Error::other)?;
    let seconds = result.clock_offset().as_secs_f64();
    let offset = ClockOffset::from_secs_f64(seconds)
        .ok_or_else(|| io::Error::other(format!("an offset of {seconds} s is not a clock's")))?;
    Ok(Reading { offset, round_trip_s: result.round_trip_delay().as_secs_f64() })
}
