//! Extreme arguments: no public function of the protocol panics.

use std::{net::IpAddr, time::Duration};

use proptest::prelude::*;
use punch::{
    ClockOffset, Puncher, Rule, Schedule,
    proto::{
        attempt::{Attempt, Config, PortSource, RefusedBy},
        bucket::Buckets,
        connection::SocketId,
        election::{Election, Scheme},
        schedule::{self, PortSpace, bucket_ports, scheduled_ports},
        time::{MonoTime, WallTime},
        wire::{Decoder, Nonce, SessionTag},
    },
};

const RULES: [Rule; 2] = [Rule::Rolling, Rule::Article];

fn schedules() -> Vec<Schedule> {
    vec![
        Schedule::ChaCha20,
        #[cfg(feature = "mt19937")]
        Schedule::Mt19937,
    ]
}

/// Any duration; extreme ones are more frequent.
fn durations() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::from_nanos(1)),
        Just(Duration::MAX),
        any::<u64>().prop_map(Duration::from_secs),
        any::<u64>().prop_map(Duration::from_nanos),
    ]
}

/// Any number of nanoseconds; extreme ones are more frequent.
fn nanos() -> impl Strategy<Value = i64> {
    prop_oneof![Just(i64::MIN), Just(-1), Just(0), Just(i64::MAX), any::<i64>()]
}

#[test]
fn a_count_above_the_size_of_the_space_gives_all_its_ports() {
    let session = SessionTag::default();
    for space in [PortSpace::rolling(), PortSpace::article()] {
        let all = schedule::ports(7, session, &space, usize::MAX).len();
        assert!([20_741, 20_000].contains(&all), "{all}");
        for schedule in schedules() {
            assert!(schedule.ports(i64::MIN, session, &space, usize::MAX).len() >= 20_000);
        }
    }
}

proptest! {
    #[test]
    fn clocks_and_buckets_take_any_argument(
        wall in nanos(), offset in nanos(), duration in durations(), error in durations(),
        mono: u64, seconds: f64,
    ) {
        let wall = WallTime::from_nanos(wall);
        let offset = ClockOffset::from_nanos(offset);
        let mono = MonoTime::from_nanos(mono);
        let _ = (wall + offset, wall + duration, wall - duration, offset.to_string());
        let _ = (WallTime::from_secs(wall.as_nanos()), ClockOffset::from_secs_f64(seconds));
        let _ = (mono + duration, mono.since(mono + duration), (mono + duration).since(mono));
        for rule in RULES {
            let buckets = Buckets::new(rule, error);
            let _ = (buckets.window(), buckets.at(wall), buckets.next_change(wall));
            for schedule in schedules() {
                let session = SessionTag::new(&seconds.to_string());
                let _ = scheduled_ports(buckets, schedule, wall, session);
                let _ = bucket_ports(rule, schedule, wall.as_nanos(), session);
            }
        }
    }

    #[test]
    fn an_attempt_takes_any_configuration_and_any_time(
        wall in nanos(), error in durations(), timeout in durations(), start: u64,
        ports in prop::option::of(prop::collection::vec(any::<u16>(), 0..100)),
        article: bool, listen: bool, leads in prop::option::of(any::<bool>()),
        waits in prop::collection::vec(durations(), 0..4), peer: [u8; 16],
    ) {
        let buckets = Buckets::new(RULES[usize::from(article)], error);
        let clock = PortSource::Clock { buckets, schedule: Schedule::ChaCha20 };
        let (peer, session) = (IpAddr::from(peer), SessionTag::default());
        let scheme = match leads {
            Some(leads) => Scheme::WanIp { leads },
            None => Scheme::Nonce { own: Nonce([1; 16]), session },
        };
        let ports = ports.map_or(clock, PortSource::Fixed);
        let config = Config::new(peer, scheme, [2; 32])
            .ports(ports)
            .session(session)
            .listen(listen)
            .timeout(timeout);
        let mut now = MonoTime::from_nanos(start);
        let mut attempt = Attempt::new(config, now, WallTime::from_nanos(wall));
        for wait in waits {
            for (number, by) in [(0, RefusedBy::Host), (1, RefusedBy::Network), (u32::MAX, RefusedBy::Host)] {
                let socket = SocketId(number);
                let _ = attempt.wants(socket);
                attempt.handle_refused(now, socket, by, "");
                attempt.handle_abandoned(now, socket);
                attempt.handle_data(now, socket, &[0; 100]);
                attempt.handle_closed(now, socket);
                attempt.handle_unavailable(now, socket, "");
            }
            for port in [0, u16::MAX] {
                attempt.handle_no_listener(now, port, "");
                let ends = ((peer, port).into(), (peer, port).into());
                let _ = attempt.handle_accepted(now, ends.0, ends.1);
                attempt.handle_connected(now, SocketId(port.into()), ends.0, ends.1);
            }
            now = now + wait;
            attempt.handle_timeout(now);
            let _ = (attempt.poll_timeout(), attempt.poll_action(), attempt.poll_event());
        }
    }

    #[test]
    fn an_election_and_a_decoder_take_any_bytes_and_any_deadline(
        deadline: u64, now: u64, number: u32, pieces in prop::collection::vec(any::<Vec<u8>>(), 0..5),
    ) {
        let session = SessionTag::default();
        let scheme = Scheme::Nonce { own: Nonce([1; 16]), session };
        let mut election = Election::new(scheme, MonoTime::from_nanos(deadline));
        let (now, id) = (MonoTime::from_nanos(now), SocketId(number));
        election.handle_up(now, id, u16::MAX);
        let mut decoder = Decoder::default();
        for piece in pieces {
            let _ = (election.wants(id), election.poll_timeout(), decoder.wants());
            election.handle_data(now, id, &piece);
            // Repeated after an error, too.
            let _ = decoder.push(&piece);
            election.handle_timeout(now);
        }
    }
}

#[test]
fn a_puncher_takes_any_duration() {
    for extreme in [Duration::ZERO, Duration::MAX] {
        for offset in [i64::MIN, i64::MAX] {
            let puncher = Puncher::new()
                .bind("127.91.17.1".parse().unwrap())
                .max_clock_error(extreme)
                .clock_offset(ClockOffset::from_nanos(offset))
                .timeout(extreme);
            let canceller = puncher.canceller();
            let result =
                puncher.connect_observed("127.91.17.2".parse().unwrap(), |_| canceller.cancel());
            assert!(result.is_err());
        }
    }
}
