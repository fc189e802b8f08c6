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

#[cfg(test)]
mod tests {
    use std::{net::UdpSocket, thread};

    use super::*;
    use crate::io::clock::wall_now;

    /// Seconds from the NTP era's begin (1900) to the Unix epoch.
    const ERA: i128 = 2_208_988_800;

    /// Answers one question with the time of a clock that is `ahead_s` ahead of this machine's.
    fn server(ahead_s: i64) -> String {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap().to_string();
        thread::spawn(move || {
            let mut packet = [0; 48];
            let (_, client) = socket.recv_from(&mut packet).unwrap();
            let nanos = i128::from(wall_now().as_nanos()) + i128::from(ahead_s) * 1_000_000_000;
            let stamp = ((ERA * 1_000_000_000 + nanos) << 32) / 1_000_000_000;
            let stamp = u64::try_from(stamp).unwrap().to_be_bytes();
            let originate: [u8; 8] = packet[40..48].try_into().unwrap();
            packet[0] = 0b00_100_100; // no leap second, version 4, server
            packet[1] = 2; // stratum
            packet[24..32].copy_from_slice(&originate);
            packet[32..40].copy_from_slice(&stamp);
            packet[40..48].copy_from_slice(&stamp);
            socket.send_to(&packet, client).unwrap();
        });
        address
    }

    #[test]
    fn a_clock_that_is_behind_is_put_forward_and_one_ahead_back() {
        for ahead_s in [37, -37] {
            let reading = ask(&server(ahead_s)).unwrap();
            let error = reading.offset.as_nanos() - ahead_s * 1_000_000_000;
            assert!(error.abs() < 500_000_000, "{ahead_s}: {}", reading.offset);
        }
    }

    #[test]
    fn a_server_that_is_not_there_is_an_error() {
        let nobody = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(ask(&nobody.to_string()).is_err());
    }
}
