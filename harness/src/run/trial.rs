//! One trial: a lab, two peers, an outcome.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener},
    os::unix::process::ExitStatusExt,
    time::Duration,
};

use punch::{
    ClockOffset,
    driver::clock::{monotonic_now, wall_now},
    proto::{
        attempt::scheduled_ports, bucket::Buckets, election::GRACE, schedule::Schedule,
        time::MonoTime, wire::SessionTag,
    },
};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::{
    context::Bench,
    draws::Draws,
    observation::{Seen, Trial, skew},
    peer::{self, EventSink, Exit},
    refused::refusal,
    standing::{BenchError, During, Standing},
    subject::{self, Order},
};
use crate::{
    diagnose::{
        cause::{self, Case, Evidence},
        flow::Place,
        oracle::{self, Running},
        times::{self, Syns, milliseconds},
    },
    event::{BenchLateness, Cause, Outcome, PeerReport, Theory, TrialFinished},
    lab::Host,
    peers::Side,
    scenario::{Nat, PunchSetup, Setup},
};

/// A trial whose bench was later than this is marked as disturbed.
const DISTURBED: Duration = Duration::from_millis(10);

/// What a peer may need beyond its own deadline and grace before it is killed: 4 s to close its
/// connections in order, and some more where the machine is busy.
const SLACK: Duration = Duration::from_secs(8);

/// A trial's result, and how often its lab had to be built again.
pub(crate) type Finished = (TrialFinished, u32);

/// Runs one trial. `permit` is dropped when the lab is gone.
pub(crate) async fn run(bench: &Bench, trial: &Trial, permit: impl Send + 'static) -> Finished {
    let draws = Draws::new(trial.seed, &trial.setup);
    let trial = &Trial { setup: draws.put_into(&trial.setup), ..trial.clone() };
    if let Some(reason) = refusal(&bench.refused, &trial.setup) {
        let cause = Cause { kind: "nat".to_owned(), evidence: reason };
        return (not_measured(trial, &draws, cause), 0);
    }
    let mut retries = 0;
    let finished = match observe(bench, trial, &draws, permit, &mut retries).await {
        Ok(seen) => {
            let finished = judge(trial, &draws, &seen);
            let captures = bench.captures.as_ref();
            let written = captures.map(|it| it.write(trial, draws.epoch, &seen, &finished));
            match written {
                Some(Err(error)) => {
                    failed_bench(trial, &draws, &format!("writing the capture: {error}"))
                }
                Some(Ok(())) | None => finished,
            }
        }
        Err(error) => failed_bench(trial, &draws, &error.to_string()),
    };
    (finished, retries)
}

async fn observe(
    bench: &Bench,
    trial: &Trial,
    draws: &Draws,
    permit: impl Send + 'static,
    retries: &mut u32,
) -> Result<Seen, BenchError> {
    let setup = &trial.setup;
    let lab = Standing::start(bench, setup, draws.wan_seed, permit, retries).await?;
    let Standing { peers, addresses, .. } = &lab;

    let begin = monotonic_now();
    let began = Instant::now();
    let starts = draws.start_s.map(Duration::from_secs_f64);
    let timeout = Duration::from_secs_f64(setup.punch.timeout_s);
    let limit = began + starts[0].max(starts[1]) + timeout + GRACE * 2 + SLACK;
    let (progress, _) = watch::channel([false; 2]);
    let act = async |side: Side| {
        let index = side.index();
        sleep((began + starts[index]).saturating_duration_since(Instant::now())).await;
        let sink = EventSink::new(&bench.process).during("event file")?;
        let offset = peer_clock(draws, begin, setup.peers[index].clock_offset_s);
        let order = Order {
            side,
            own: peers[index].address,
            peer: peers[side.other().index()].address,
            clock_offset: offset,
            seed: draws.peer_seeds[index],
            events: sink.path(),
            hosts: addresses,
        };
        let _taken =
            take_ports(&peers[index], &setup.punch, setup.peers[index].taken_ports, offset)
                .during("taking ports on a peer's host")?;
        let command = subject::command(setup.subject.as_ref(), &setup.punch, &order);
        let task = peer::Task {
            namespace: &peers[index].namespace,
            command: &command,
            index,
            sends: &draws.tokens[index],
            expects: &draws.tokens[side.other().index()],
            limit,
        };
        let ended = peer::run(task, &progress).await.during("starting a peer")?;
        let events = sink.read().during("events of a peer")?;
        Ok::<_, BenchError>((ended, events))
    };
    let (a, b) = tokio::join!(act(Side::A), act(Side::B));
    let stall = bench.stalls.longest_since(begin);
    let (traffic, peers) = lab.finish().await?;
    let ((a, a_events), (b, b_events)) = (a?, b?);
    let places = Side::BOTH.map(|side| place(setup, side, &peers[side.index()]));
    let events = [a_events, b_events];
    Ok(Seen { begin, traffic, peers: [a, b], events, starts, stall, places })
}

/// Where a peer is, as far as the analysis of packets needs to know.
fn place(setup: &Setup, side: Side, host: &Host) -> Place {
    let place = Place { address: host.address, nats: 0, forgets_after: None, drops_syns: false };
    match &setup.peers[side.index()].nat {
        Nat::Public => place,
        Nat::Behind(nat) => Place {
            nats: 1,
            forgets_after: nat.timeouts.syn_s.map(|s| Duration::from_secs(s.into())),
            drops_syns: !nat.simultaneous_open,
            ..place
        },
    }
}

/// Listens on the lowest ports that the peer is about to use, as another program would.
fn take_ports(
    host: &Host,
    punch: &PunchSetup,
    count: usize,
    offset: ClockOffset,
) -> io::Result<Vec<TcpListener>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let buckets = Buckets::new(punch.rule, Duration::from_secs_f64(punch.max_clock_error_s));
    let clock = wall_now() + offset;
    let ports = scheduled_ports(buckets, Schedule::ChaCha20, clock, SessionTag::default());
    let any = match host.address {
        IpAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
    };
    let listen = |port| TcpListener::bind((any, port));
    host.namespace
        .run(|| ports.into_iter().take(count).map(listen).collect())
}

/// What a peer adds to the system's clock so that it reads the trial's: epoch, time since the
/// begin, and its skew.
fn peer_clock(draws: &Draws, begin: MonoTime, skew_s: f64) -> ClockOffset {
    let exact = draws.epoch + monotonic_now().since(begin);
    let skewed = exact + skew(skew_s);
    ClockOffset::from_nanos(skewed.as_nanos() - wall_now().as_nanos())
}

/// From what was seen to an outcome: a pure function.
fn judge(trial: &Trial, draws: &Draws, seen: &Seen) -> TrialFinished {
    let events = seen.events.each_ref().map(Vec::as_slice);
    let syns = [0, 1].map(|peer| times::syns(&seen.traffic, peer));
    let first_syns = syns.each_ref().map(|syns| syns.first);
    let exits = seen.peers.each_ref().map(|peer| exit_words(peer.exit));
    let peers = evidence(trial, draws, seen, &exits, &syns);
    let success = peers.iter().all(|peer| peer.received && !peer.failed);
    let case = Case {
        peers,
        places: seen.places,
        traffic: &seen.traffic,
        begin: seen.begin,
        delay: trial.setup.wan.delay,
        timeout: Duration::from_secs_f64(trial.setup.punch.timeout_s),
    };
    let (outcome, cause) = if success {
        (Outcome::Success, None)
    } else {
        (Outcome::Failure, Some(cause::find(&case)))
    };
    let started = seen
        .peers
        .each_ref()
        .map(|peer| peer.started.since(seen.begin));
    let running = Side::BOTH.map(|side| Running {
        start: started[side.index()],
        skew: skew(trial.setup.peers[side.index()].clock_offset_s),
    });
    let bench = lateness(seen, started);
    let peers = Side::BOTH.map(|side| {
        let index = side.index();
        PeerReport {
            clock_offset_s: trial.setup.peers[index].clock_offset_s,
            start_s: started[index].as_secs_f64(),
            spawn_to_syn_ms: first_syns[index]
                .map(|syn| milliseconds(syn.since(seen.peers[index].started))),
            exit: exits[index].clone(),
            ports: cause::ports(&case.peers[index]).into_iter().collect(),
            syns: syns[index].count,
            cpu_ms: seen.peers[index].spent.map(milliseconds),
        }
    });
    TrialFinished {
        outcome,
        cause,
        theory: oracle::predict(&trial.setup, draws.epoch, running),
        times: success
            .then(|| times::times(events, first_syns, &seen.traffic))
            .flatten(),
        disturbed: disturbed(bench, seen.traffic.not_kept),
        bench,
        peers,
        ..empty(trial, draws)
    }
}

/// What is known of each peer at its end.
fn evidence<'a>(
    trial: &Trial,
    draws: &Draws,
    seen: &'a Seen,
    exits: &'a [String; 2],
    syns: &'a [Syns; 2],
) -> [Evidence<'a>; 2] {
    let foreign = trial.setup.subject.is_some();
    Side::BOTH.map(|side| {
        let peer = &seen.peers[side.index()];
        let received = peer.output == draws.tokens[side.other().index()].as_bytes();
        Evidence {
            exit: &exits[side.index()],
            crashed: crashed(peer.exit, foreign),
            failed: failed(peer.exit),
            ran: [peer.started, peer.ended],
            complaint: &peer.complaint,
            events: &seen.events[side.index()],
            received,
            garbled: !received && !peer.output.is_empty(),
            syns: &syns[side.index()],
        }
    })
}

/// How late the bench was with the packets and with the starts of the peers, and for how long it did
/// nothing.
fn lateness(seen: &Seen, started: [Duration; 2]) -> BenchLateness {
    let late = [0, 1].map(|side| started[side].saturating_sub(seen.starts[side]));
    BenchLateness {
        wan_ms: milliseconds(seen.traffic.lateness),
        start_ms: milliseconds(late[0].max(late[1])),
        stall_ms: milliseconds(seen.stall),
    }
}

/// What disturbed a trial, if its bench was too late.
fn disturbed(bench: BenchLateness, not_kept: u64) -> Option<String> {
    let bound = milliseconds(DISTURBED);
    let mut late = Vec::new();
    if bench.wan_ms > bound {
        late.push("a packet was delivered late");
    }
    if bench.start_ms > bound {
        late.push("a peer was started late");
    }
    if bench.stall_ms > 0.0 {
        late.push("the bench stood still");
    }
    if not_kept > 0 {
        late.push("there were more packets than are kept");
    }
    (!late.is_empty()).then(|| late.join(", "))
}

fn failed_bench(trial: &Trial, draws: &Draws, evidence: &str) -> TrialFinished {
    let cause = Cause { kind: "bench".to_owned(), evidence: evidence.to_owned() };
    not_measured(trial, draws, cause)
}

fn not_measured(trial: &Trial, draws: &Draws, cause: Cause) -> TrialFinished {
    let peers = Side::BOTH.map(|side| PeerReport {
        clock_offset_s: trial.setup.peers[side.index()].clock_offset_s,
        start_s: draws.start_s[side.index()],
        exit: "not observed".to_owned(),
        ..PeerReport::default()
    });
    TrialFinished { cause: Some(cause), peers, ..empty(trial, draws) }
}

/// The fields that say which trial it is; the rest as of a trial that never ran.
fn empty(trial: &Trial, draws: &Draws) -> TrialFinished {
    TrialFinished {
        scenario: trial.scenario,
        cell: trial.cell,
        trial: trial.trial,
        seed: trial.seed.to_string(),
        outcome: Outcome::Error,
        cause: None,
        theory: Theory {
            prediction: crate::event::Prediction::Depends,
            reason: "the trial was not run".to_owned(),
        },
        times: None,
        disturbed: None,
        bench: BenchLateness::default(),
        rtt_ms: draws
            .has_own_delay()
            .then(|| milliseconds(trial.setup.wan.rtt())),
        epoch_unix_s: seconds(draws.epoch.as_nanos()),
        peers: Default::default(),
    }
}

fn exit_words(exit: Exit) -> String {
    match exit {
        Exit::Killed => "killed by the harness".to_owned(),
        Exit::Status(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "unknown status".to_owned(),
        },
    }
}

/// Whether it ended by itself, and not well.
fn failed(exit: Exit) -> bool {
    matches!(exit, Exit::Status(status) if !status.success())
}

/// Whether it ended as no puncher should. Of a foreign one only a signal, or a code by which
/// shells and Rust report worse, tells that.
fn crashed(exit: Exit, foreign: bool) -> bool {
    let Exit::Status(status) = exit else { return false };
    match status.code() {
        None => true,
        Some(code) if foreign => matches!(code, 101 | 126 | 127 | 134 | 139),
        Some(code) => !matches!(code, 0 | 1),
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people to read; the seed gives it exactly")]
fn seconds(nanos: i64) -> f64 {
    nanos as f64 / 1e9
}
