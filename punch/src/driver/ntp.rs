//! The offset of this machine's clock, measured with an SNTP server (RFC 4330). Feature `ntp`.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    time::Duration,
};

use rsntp::SntpClient;

use crate::proto::time::ClockOffset;

/// The default port of a server.
const PORT: u16 = 123;

/// Maximum time until the answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// One measurement of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reading {
    /// The offset that, added to this machine's clock, gives the server's time.
    pub offset: ClockOffset,
    /// Time from the question to the answer. The error of the offset is at most half of it.
    pub round_trip: Duration,
}

/// Asks a time server, and waits for its answer for 3 s at most.
///
/// `server` is a name or an address, with a port if that is not 123: `name:port`, `[address]:port`.
///
/// # Errors
/// The name does not resolve, the server does not answer, or its clock is not synchronised.
pub fn ask(server: &str) -> io::Result<Reading> {
    let server = resolve(server)?;
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let mut client = SntpClient::new();
    client.set_timeout(ANSWER_TIMEOUT);
    client.set_bind_address((any, 0).into());
    let result = client.synchronize(server).map_err(io::Error::other)?;
    let seconds = result.clock_offset().as_secs_f64();
    let offset = ClockOffset::from_secs_f64(seconds)
        .ok_or_else(|| io::Error::other(format!("an offset of {seconds} s is not a clock's")))?;
    let delay_s = result.round_trip_delay().as_secs_f64();
    // Negative if the server claims to have taken longer than the whole exchange.
    let round_trip = Duration::try_from_secs_f64(delay_s).unwrap_or_default();
    Ok(Reading { offset, round_trip })
}

/// The address of a server, the first one of a name.
fn resolve(server: &str) -> io::Result<SocketAddr> {
    let bare = server
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(server);
    let mut found = match bare.parse::<IpAddr>() {
        Ok(address) => return Ok((address, PORT).into()),
        Err(_) if server.contains(':') => server.to_socket_addrs()?,
        Err(_) => (server, PORT).to_socket_addrs()?,
    };
    found
        .next()
        .ok_or_else(|| io::Error::other("it has no address"))
}

#[cfg(test)]
mod tests {
    use std::{net::UdpSocket, thread};

    use super::*;
    use crate::driver::clock::wall_now;

    /// Seconds from the start of the NTP era (1900) to the Unix epoch.
    const ERA: i128 = 2_208_988_800;

    /// Answers one question with the time of a clock that is `ahead_s` ahead of this machine's.
    fn server(address: &str, ahead_s: i64) -> String {
        let socket = UdpSocket::bind((address, 0)).unwrap();
        let address = socket.local_addr().unwrap().to_string();
        thread::spawn(move || {
            let mut packet = [0; 48];
            let (_, client) = socket.recv_from(&mut packet).unwrap();
            let nanos = i128::from(wall_now().as_nanos()) + i128::from(ahead_s) * 1_000_000_000;
            let fixed_point = ((ERA * 1_000_000_000 + nanos) << 32) / 1_000_000_000;
            let stamp = u64::try_from(fixed_point).unwrap().to_be_bytes();
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
    fn the_offset_is_positive_for_a_clock_that_is_behind() {
        for (address, ahead_s) in [("127.0.0.1", 37), ("127.0.0.1", -37), ("::1", 37)] {
            let reading = ask(&server(address, ahead_s)).unwrap();
            let error = reading.offset.as_nanos() - ahead_s * 1_000_000_000;
            assert!(error.abs() < 500_000_000, "{ahead_s}: {}", reading.offset);
        }
    }

    #[test]
    fn a_server_is_given_with_or_without_its_port() {
        for (given, address) in [
            ("192.0.2.1", "192.0.2.1:123"),
            ("192.0.2.1:9", "192.0.2.1:9"),
            ("2001:db8::1", "[2001:db8::1]:123"),
            ("[2001:db8::1]", "[2001:db8::1]:123"),
            ("[2001:db8::1]:9", "[2001:db8::1]:9"),
        ] {
            assert_eq!(resolve(given).unwrap(), address.parse().unwrap(), "{given}");
        }
    }

    #[test]
    fn a_server_that_does_not_answer_is_an_error() {
        let nobody = UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        assert!(ask(&nobody.to_string()).is_err());
    }
}
