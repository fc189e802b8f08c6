//! The library on real sockets: two peers on loopback addresses.
//!
//! Each test has its own addresses and its own session, so that tests can run at the same time.
//! Every wait is bounded by a time-out.

use std::{
    error::Error as _,
    io::{ErrorKind, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
    thread,
    time::Duration,
};

use punch::{
    Connection, ElectionKind, Error, Event, Failure, MAX_FIXED_PORTS, Puncher, Role,
    driver::clock::monotonic_now,
    proto::{
        event::EventKind,
        time::MonoTime,
        wire::{Frame, Hello, MAX_FRAME, Nonce, SessionTag},
    },
};
use socket2::{Domain, SockRef, Socket, Type};

/// A time that nothing here exceeds, unless the machine is stuck.
const LONG: Duration = Duration::from_secs(20);

/// Maximum time of what should happen at once, on a busy machine.
const PROMPT: Duration = Duration::from_secs(4);

/// Addresses and session of one test.
#[derive(Debug, Clone, Copy)]
struct Net(u8);

impl Net {
    fn address(self, side: u8) -> IpAddr {
        Ipv4Addr::new(127, 91, self.0, 1 + side).into()
    }

    fn session(self) -> String {
        format!("api test {}", self.0)
    }

    fn puncher(self, side: u8) -> Puncher {
        Puncher::new()
            .bind(self.address(side))
            .session(self.session())
            .timeout(LONG)
    }

    /// Connects both sides at the same time, each with these options.
    fn connect(self, options: impl Fn(Puncher, IpAddr) -> Puncher + Sync) -> [Connection; 2] {
        let connect = |side: u8| {
            let (own, peer) = (self.address(side), self.address(1 - side));
            options(self.puncher(side), own).connect(peer).unwrap()
        };
        thread::scope(|scope| {
            let other = scope.spawn(|| connect(1));
            [connect(0), other.join().unwrap()]
        })
    }
}

/// Asserts that both sides have the same connection, and that it carries bytes in both directions.
fn assert_joined(ends: [Connection; 2]) {
    assert_eq!(ends[0].local_addr(), ends[1].peer_addr());
    assert_eq!(ends[1].local_addr(), ends[0].peer_addr());
    assert_ne!(ends[0].role(), ends[1].role());
    let [a, b] = &ends;
    thread::scope(|scope| {
        scope.spawn(|| converse(a, 1));
        converse(b, 2);
    });
}

/// Sends more bytes than the buffers of a connection hold, and expects the same number.
fn converse(connection: &Connection, own: u8) {
    const LENGTH: usize = 8 << 20;
    connection.stream().set_read_timeout(Some(LONG)).unwrap();
    let (mut reader, mut writer) = (connection, connection);
    thread::scope(|scope| {
        scope.spawn(move || {
            writer.write_all(&vec![own; LENGTH]).unwrap();
            writer.flush().unwrap();
            writer.stream().shutdown(Shutdown::Write).unwrap();
        });
        let mut heard = Vec::new();
        reader.read_to_end(&mut heard).unwrap();
        assert_eq!(heard.len(), LENGTH, "every byte, and nothing else");
        assert!(heard.iter().all(|byte| *byte == 3 - own));
    });
}

#[test]
fn a_connection_implements_read_and_write() {
    let [mut a, mut b] = Net(18).connect(|puncher, _| puncher);
    b.stream().set_read_timeout(Some(LONG)).unwrap();
    writeln!(a, "hello").unwrap();
    drop(a);
    let mut heard = String::new();
    b.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "hello\n");
}

#[test]
fn two_peers_get_the_same_connection() {
    assert_joined(Net(1).connect(|puncher, _| puncher));
}

#[test]
fn a_peer_that_only_connects_gets_the_same_connection_as_one_that_listens() {
    let net = Net(2);
    assert_joined(net.connect(|puncher, own| puncher.listen(own == net.address(0))));
}

#[test]
fn the_articles_election_gives_both_the_same_connection_and_every_byte() {
    let ends = Net(3).connect(|puncher, own| puncher.election(ElectionKind::WanIp { own }));
    assert_eq!(ends[1].role(), Role::Leader, "the greater address leads");
    assert_joined(ends);
}

#[test]
fn the_same_addresses_punch_again_at_once() {
    for _ in 0..4 {
        assert_joined(Net(4).connect(|puncher, _| puncher));
    }
}

#[test]
fn a_peer_that_starts_after_many_refusals_is_met() {
    let net = Net(5);
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        let early = scope.spawn(|| {
            let tell_refusals = |event: &Event| {
                if matches!(event.kind, EventKind::Refused { .. }) {
                    let _ = tell.send(());
                }
            };
            net.puncher(0)
                .connect_observed(net.address(1), tell_refusals)
                .unwrap()
        });
        for _ in 0..100 {
            told.recv_timeout(LONG).unwrap();
        }
        let late = net.puncher(1).connect(net.address(0)).unwrap();
        assert_joined([early.join().unwrap(), late]);
    });
}

#[test]
fn an_absent_peer_is_reported_as_refused_at_the_deadline() {
    let net = Net(6);
    let timeout = Duration::from_millis(1500);
    let started = monotonic_now();
    let mut syns = Vec::new();
    let note_connects = |event: &Event| {
        if matches!(event.kind, EventKind::Connect { .. }) {
            syns.push(event.at);
        }
    };
    let result = net
        .puncher(0)
        .timeout(timeout)
        .connect_observed(net.address(1), note_connects);
    let elapsed = monotonic_now().since(started);
    assert!(matches!(result, Err(Error::Failed(Failure::Refused))), "{result:?}");
    assert!((timeout..timeout + PROMPT).contains(&elapsed), "{elapsed:?}");
    for (index, first) in syns.iter().enumerate() {
        let is_within = |at: &&MonoTime| at.since(*first) < Duration::from_secs(1);
        let count = syns[index..].iter().filter(is_within).count();
        assert!(count <= 250, "{count} SYNs in a second");
    }
}

#[test]
fn an_attempt_is_cancelled_from_another_thread_at_once() {
    let net = Net(7);
    let puncher = net.puncher(0);
    let canceller = puncher.canceller();
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        let punching = scope.spawn(move || {
            let tell_start = |event: &Event| {
                if matches!(event.kind, EventKind::Started { .. }) {
                    tell.send(()).unwrap();
                }
            };
            (puncher.connect_observed(net.address(1), tell_start), monotonic_now(), puncher)
        });
        told.recv_timeout(LONG).unwrap();
        let cancelled = monotonic_now();
        canceller.cancel();
        let (result, ended, puncher) = punching.join().unwrap();
        assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
        let delay = ended.since(cancelled);
        assert!(delay < PROMPT, "{delay:?}");
        let again = puncher.connect_observed(net.address(1), |event| panic!("{event:?}"));
        assert!(matches!(again, Err(Error::Cancelled)), "{again:?}");
    });
}

#[test]
fn an_observer_that_panics_leaves_no_listener_and_no_connection_behind() {
    let net = Net(16);
    let puncher = net.puncher(0);
    let mut ports_in_use = Vec::new();
    let mut held = None;
    let connect = || {
        puncher.connect_observed(net.address(1), |event| {
            if let EventKind::Ports { ports, .. } = &event.kind
                && held.is_none()
            {
                ports_in_use.clone_from(ports);
                held = Some(stranger(net.address(1), SocketAddr::new(net.address(0), ports[0])));
            }
            assert!(!matches!(event.kind, EventKind::Connected { .. }), "the panic of this test");
        })
    };
    assert!(catch_unwind(AssertUnwindSafe(connect)).is_err());
    let mut held = held.unwrap();
    held.set_read_timeout(Some(LONG)).unwrap();
    let end = held.read_to_end(&mut Vec::new());
    assert!(end.is_ok() || end.unwrap_err().kind() == ErrorKind::ConnectionReset);
    for port in ports_in_use {
        let to = SocketAddr::new(net.address(0), port);
        let refused = TcpStream::connect(to).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{to}");
    }
}

/// What another program at the peer's address does with a connection that was accepted.
type Prank = fn(Socket) -> Option<Socket>;

fn stall(socket: Socket) -> Option<Socket> {
    Some(socket)
}

fn close(_: Socket) -> Option<Socket> {
    None
}

fn reset(socket: Socket) -> Option<Socket> {
    socket.set_linger(Some(Duration::ZERO)).unwrap();
    None
}

fn babble(mut socket: Socket) -> Option<Socket> {
    socket
        .write_all(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        .unwrap();
    Some(socket)
}

fn begin_a_frame(mut socket: Socket) -> Option<Socket> {
    socket.write_all(b"PNCH\x01\x01").unwrap();
    Some(socket)
}

fn speak_another_version(mut socket: Socket) -> Option<Socket> {
    socket.write_all(b"PNCH\xff\x01").unwrap();
    Some(socket)
}

fn greet_another_session(mut socket: Socket) -> Option<Socket> {
    let session = SessionTag::new("another");
    let hello = Hello { session, nonce: Nonce([9; 16]), connection: 1, port: 1 };
    socket.write_all(&Frame::Hello(hello).encode()).unwrap();
    Some(socket)
}

fn commit_without_hello(mut socket: Socket) -> Option<Socket> {
    socket
        .write_all(&Frame::Commit(Nonce([9; 16])).encode())
        .unwrap();
    Some(socket)
}

const PRANKS: [Prank; 8] = [
    stall,
    close,
    reset,
    babble,
    begin_a_frame,
    speak_another_version,
    greet_another_session,
    commit_without_hello,
];

/// Connects from any port of `from`.
fn stranger(from: IpAddr, to: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(from, 0).into()).unwrap();
    socket.connect_timeout(&to.into(), LONG).unwrap();
    socket
}

#[test]
fn other_programs_at_the_peers_address_do_not_prevent_success() {
    let net = Net(8);
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        let first = scope.spawn(|| {
            let tell_ports = |event: &Event| {
                if let EventKind::Ports { ports, .. } = &event.kind {
                    let _ = tell.send(ports.clone());
                }
            };
            net.puncher(0)
                .connect_observed(net.address(1), tell_ports)
                .unwrap()
        });
        // The ports are reported after their listeners were opened.
        let mut held = Vec::new();
        for port in told.recv_timeout(LONG).unwrap() {
            for prank in PRANKS {
                let to = SocketAddr::new(net.address(0), port);
                held.extend(prank(stranger(net.address(1), to)));
            }
        }
        let second = net.puncher(1).connect(net.address(0)).unwrap();
        assert_joined([first.join().unwrap(), second]);
    });
}

#[test]
fn an_error_has_a_source_and_does_not_repeat_its_text() {
    let io = || std::io::Error::other("the innermost reason");
    for (error, reason) in [
        (Error::NoRoute(io()), io().to_string()),
        (Error::Io(io()), io().to_string()),
        (Error::Failed(Failure::NoAnswer), Failure::NoAnswer.to_string()),
    ] {
        assert_eq!(error.source().unwrap().to_string(), reason);
        assert!(!error.to_string().contains(&reason), "{error}");
    }
}

#[test]
fn an_error_as_an_error_of_io_keeps_kind_text_and_source() {
    let in_use = || std::io::Error::from(ErrorKind::AddrInUse);
    for (error, kind) in [
        (Error::Io(in_use()), ErrorKind::AddrInUse),
        (Error::Failed(Failure::Refused), ErrorKind::ConnectionRefused),
        (Error::FixedPorts, ErrorKind::InvalidInput),
        (Error::Cancelled, ErrorKind::Other),
    ] {
        let (text, has_source) = (error.to_string(), error.source().is_some());
        let error = std::io::Error::from(error);
        assert_eq!(error.kind(), kind, "{text}");
        assert_eq!(error.to_string(), text);
        assert_eq!(error.source().is_some(), has_source, "{text}");
        assert!(error.downcast::<Error>().is_ok(), "{text}");
    }
}

/// The nonces of a peer that leads, and of one that follows.
const LEADER: Nonce = Nonce([0xff; 16]);
const FOLLOWER: Nonce = Nonce([0; 16]);

/// Answers a HELLO with HELLO, and returns the nonce that it read.
fn greet(mut socket: &Socket, net: Net, nonce: Nonce) -> Nonce {
    let mut hello = [0; MAX_FRAME];
    socket.read_exact(&mut hello).unwrap();
    let session = SessionTag::new(&net.session());
    let own = Hello { session, nonce, connection: 1, port: 1 };
    socket.write_all(&Frame::Hello(own).encode()).unwrap();
    let mut read = Nonce([0; 16]);
    read.0.copy_from_slice(&hello[14..30]);
    read
}

/// Answers a HELLO as a leader, with HELLO and COMMIT.
fn lead(mut socket: &Socket, net: Net) {
    let follower = greet(socket, net, LEADER);
    socket.write_all(&Frame::Commit(follower).encode()).unwrap();
}

/// Answers a HELLO, but no COMMIT.
fn follow(socket: &Socket, net: Net) {
    greet(socket, net, FOLLOWER);
}

/// Answers a HELLO, but sends no COMMIT.
fn lead_nowhere(socket: &Socket, net: Net) {
    greet(socket, net, LEADER);
}

/// Reads until the other side ends the connection.
fn flood(mut socket: &Socket, _: Net) {
    while socket.write_all(&[0; 1 << 16]).is_ok() {}
}

/// The peer keeps its connection open all the time.
#[test]
fn a_peer_that_stalls_delays_the_end_by_its_grace_and_a_second() {
    let timeout = Duration::from_millis(500);
    let ends_after = |net: Net, stall: fn(&Socket, Net)| {
        let started = monotonic_now();
        let mut stalling = None;
        let result = net
            .puncher(0)
            .timeout(timeout)
            .connect_observed(net.address(1), |event| {
                // The ports may change in the meantime.
                if let EventKind::Ports { ports, .. } = &event.kind
                    && stalling.is_none()
                {
                    let socket =
                        stranger(net.address(1), SocketAddr::new(net.address(0), ports[0]));
                    stalling = Some(thread::spawn(move || {
                        stall(&socket, net);
                        socket
                    }));
                }
            });
        let elapsed = monotonic_now().since(started);
        drop(stalling);
        (result.unwrap_err(), elapsed)
    };
    thread::scope(|scope| {
        for (net, stall, grace_s, failure) in [
            (Net(11), (|_, _| {}) as fn(&Socket, Net), 0, Failure::NoPeer),
            (Net(12), follow, 2, Failure::ElectionLost),
            (Net(13), lead_nowhere, 4, Failure::ElectionLost),
            (Net(15), flood, 0, Failure::NoPeer),
        ] {
            scope.spawn(move || {
                let (error, elapsed) = ends_after(net, stall);
                assert!(matches!(error, Error::Failed(reason) if reason == failure), "{error:?}");
                let least = timeout + Duration::from_secs(grace_s);
                let most = least + PROMPT * 3 / 4;
                assert!((least..most).contains(&elapsed), "{net:?}: {elapsed:?}");
            });
        }
    });
}

/// The connection must end with FIN: a RST of both sides would make NATs refuse the 4-tuple.
#[test]
fn a_connection_that_nobody_has_accepted_at_the_end_is_not_reset() {
    let net = Net(14);
    let mut listening = Vec::new();
    let (mut leader, mut late) = (None, None);
    let result = net.puncher(0).connect_observed(net.address(1), |event| {
        if let EventKind::Ports { ports, .. } = &event.kind
            && leader.is_none()
        {
            listening = ports
                .iter()
                .map(|port| SocketAddr::new(net.address(0), *port))
                .collect();
            let socket = stranger(net.address(1), listening[0]);
            leader = Some(thread::spawn(move || {
                lead(&socket, net);
                socket
            }));
        }
        if let EventKind::Decided { .. } = &event.kind {
            let mut socket = stranger(net.address(1), listening[1]);
            socket.write_all(b"a HELLO").unwrap();
            late = Some(socket);
        }
    });
    let mut late = late.unwrap();
    late.shutdown(Shutdown::Write).unwrap();
    late.set_read_timeout(Some(LONG)).unwrap();
    assert_eq!(late.read(&mut [0; 1]).unwrap(), 0, "FIN");
    drop((result.unwrap(), leader.unwrap().join().unwrap()));
}

#[test]
fn a_connection_reset_before_the_handover_is_reported_as_lost() {
    let net = Net(10);
    let (mut leader, mut seen) = (None, Vec::new());
    let mut leads = |event: &Event| {
        if let EventKind::Ports { ports, .. } = &event.kind
            && leader.is_none()
        {
            // The ports are reported after their listeners were opened.
            let socket = stranger(net.address(1), SocketAddr::new(net.address(0), ports[0]));
            leader = Some(thread::spawn(move || {
                lead(&socket, net);
                socket
            }));
        }
        if let EventKind::Decided { .. } = &event.kind {
            reset(leader.take().unwrap().join().unwrap());
        }
        seen.push(event.kind.clone());
    };
    let result = net.puncher(0).connect_observed(net.address(1), &mut leads);
    assert!(matches!(result, Err(Error::Failed(Failure::ConnectionLost))), "{result:?}");
    let reason = Failure::ConnectionLost;
    assert_eq!(seen.last(), Some(&EventKind::Failed { reason }));
}

#[test]
fn impossible_options_are_refused_before_anything_is_sent() {
    let net = Net(9);
    let (own, peer) = (net.address(0), net.address(1));
    for nobody in [Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST, Ipv4Addr::new(224, 0, 0, 1)] {
        let nobody = net.puncher(0).connect(nobody.into());
        assert!(matches!(nobody, Err(Error::InvalidPeer(_))), "{nobody:?}");
    }
    let scopeless = Puncher::new().connect("fe80::1".parse().unwrap());
    assert!(matches!(scopeless, Err(Error::NoScope(_))), "{scopeless:?}");
    let oneself = net.puncher(0).connect(own);
    assert!(matches!(oneself, Err(Error::OwnAddress(_))), "{oneself:?}");
    let mixed = net.puncher(0).connect(Ipv6Addr::LOCALHOST.into());
    assert!(matches!(mixed, Err(Error::MixedFamilies { .. })), "{mixed:?}");
    for foreign in [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::UNSPECIFIED] {
        let foreign = Puncher::new().bind(foreign.into()).connect(peer);
        assert!(matches!(foreign, Err(Error::NotLocal(_))), "{foreign:?}");
    }
    let equal = net
        .puncher(0)
        .election(ElectionKind::WanIp { own: peer })
        .connect(peer);
    assert!(matches!(equal, Err(Error::EqualWanAddresses(_))), "{equal:?}");
    for ports in [vec![], vec![0], vec![4000, 0], vec![4000; MAX_FIXED_PORTS + 1]] {
        let ports = net.puncher(0).fixed_ports(ports).connect(peer);
        assert!(matches!(ports, Err(Error::FixedPorts)), "{ports:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_connection_is_kept_alive_and_has_the_options_of_the_system() {
    let fresh = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let [kept, plain] = [101, 102].map(|net| {
        let [connection, _other] = Net(net).connect(|puncher, _| match net {
            101 => puncher,
            _ => puncher.keepalive(None),
        });
        connection
    });
    let options = SockRef::from(kept.stream());
    assert!(options.keepalive().unwrap());
    assert_eq!(options.tcp_keepalive_time().unwrap(), Duration::from_secs(15));
    assert_eq!(options.tcp_user_timeout().unwrap(), Some(Duration::from_secs(100)));
    for connection in [kept, plain] {
        let options = SockRef::from(connection.stream());
        // The tuning lasts until the follower's last frame is acknowledged.
        let tuned = |of: &SockRef<'_>| {
            (of.tcp_thin_linear_timeouts().unwrap(), of.tcp_congestion().unwrap())
        };
        let untuned = tuned(&SockRef::from(&fresh));
        let deadline = monotonic_now() + PROMPT;
        while tuned(&options) != untuned && monotonic_now() < deadline {
            thread::yield_now();
        }
        assert_eq!(tuned(&options), untuned);
        assert_eq!(options.tcp_nodelay().unwrap(), fresh.tcp_nodelay().unwrap());
        let is_kept = options.keepalive().unwrap();
        assert_eq!(is_kept, options.tcp_user_timeout().unwrap().is_some());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_maximum_segment_size_holds_in_both_directions() {
    let connections = Net(103).connect(|puncher, own| match own == Net(103).address(0) {
        true => puncher.mss(600),
        false => puncher,
    });
    for connection in &connections {
        let mss = SockRef::from(connection.stream()).tcp_mss().unwrap();
        assert!((500..=600).contains(&mss), "{mss}");
    }
    let error = Net(103)
        .puncher(0)
        .mss(80)
        .connect(Net(103).address(1))
        .unwrap_err();
    assert!(matches!(error, Error::Mss) && error.is_usage(), "{error}");
}

/// A service that listens with `SO_REUSEPORT`, as web servers do, would lose clients to a second
/// listener on its port.
#[cfg(target_os = "linux")]
#[test]
fn a_port_of_another_program_is_not_listened_on() {
    let (net, port) = (Net(104), 23_104);
    let service = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    service.set_reuse_address(true).unwrap();
    service.set_reuse_port(true).unwrap();
    service
        .bind(&SocketAddr::from((net.address(0), port)).into())
        .unwrap();
    service.listen(64).unwrap();
    let puncher = net
        .puncher(0)
        .fixed_ports([port])
        .timeout(Duration::from_secs(3));
    let canceller = puncher.canceller();
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            puncher.connect_observed(net.address(1), |event| {
                if matches!(event.kind, EventKind::NoListener { .. }) {
                    tell.send(()).unwrap();
                }
            })
        });
        told.recv_timeout(LONG)
            .expect("the attempt says that it has no listener");
        for _ in 0..20 {
            let client = TcpStream::connect((net.address(0), port)).unwrap();
            let (_, from) = service.accept().unwrap();
            assert_eq!(from.as_socket(), Some(client.local_addr().unwrap()));
        }
        canceller.cancel();
    });
}
