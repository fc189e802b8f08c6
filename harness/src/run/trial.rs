//! One trial: a lab, two peers, an outcome.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener},
    os::unix::process::ExitStatusExt,
    time::Duration,
};

use punch::{
    ClockOffset, Event,
    driver::clock::{monotonic_now, wall_now},
    proto::{
        bucket::Buckets, election::GRACE, schedule::Schedule, schedule::scheduled_ports,
        time::MonoTime, wire::SessionTag,
    },
};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::{
    context::{RunContext, refusal},
    interrupt::{Interruptible, SignalError},
    lab_slots::with_one_lab,
    live_lab::{BenchError, LiveLab},
    observation::{Observation, TrialSpec, skew},
    peer::{self, PeerEventFile, PeerExit, PeerRun},
    randomness::Randomness,
    subject::{self, PeerSettings},
};
use crate::{
    diagnose::{
        cause::{self, Case, Evidence},
        flow::PeerLocation,
        prediction::{self, PeerStart},
        times::{self, Syns, milliseconds},
    },
    event::{BenchLateness, Cause, Outcome, PeerReport, Prediction, Theory, TrialFinished},
    lab::Host,
    peers::{Pair, Side},
    scenario::{Nat, PunchSetup, Setup},
    wan::Traffic,
};

/// Lateness of the bench beyond which a trial is marked as disturbed.
const MAX_LATENESS: Duration = Duration::from_millis(10);

/// Time that a peer gets beyond its own deadline and grace before it is killed: 4 s to close its
/// connections in order, and some more for a busy machine.
const EXIT_TIMEOUT: Duration = Duration::from_secs(8);

/// Result of a trial.
pub(super) struct Finished {
    /// The result as an event.
    pub(super) event: TrialFinished,
    /// Number of times that building the lab was tried again.
    pub(super) lab_retries: u32,
}

/// Runs one trial that has the machine for itself, and removes the lab.
///
/// # Errors
/// See [`SignalError`].
pub(crate) async fn run_alone(
    context: &RunContext,
    spec: &TrialSpec,
) -> Result<Interruptible<TrialFinished>, SignalError> {
    with_one_lab(async |slot| run(context, spec, slot).await.event).await
}

/// Runs one trial. `slot` is dropped when the lab is gone.
pub(super) async fn run(
    context: &RunContext,
    spec: &TrialSpec,
    slot: impl Send + 'static,
) -> Finished {
    let randomness = Randomness::new(spec.seed, &spec.setup);
    let sampled = TrialSpec { setup: randomness.applied_to(&spec.setup), ..spec.clone() };
    let mut lab_retries = 0;
    let event = if let Some(evidence) = refusal(&context.refused, &sampled.setup) {
        let cause = Cause { kind: "nat".to_owned(), evidence };
        not_measured(&sampled, &randomness, cause)
    } else {
        measure(context, &sampled, &randomness, slot, &mut lab_retries)
            .await
            .unwrap_or_else(|evidence| {
                let cause = Cause { kind: "bench".to_owned(), evidence };
                not_measured(&sampled, &randomness, cause)
            })
    };
    Finished { event, lab_retries }
}

/// Observes a trial, concludes from the observation, and writes the captures.
///
/// # Errors
/// The bench failed: in words.
async fn measure(
    context: &RunContext,
    spec: &TrialSpec,
    randomness: &Randomness,
    slot: impl Send + 'static,
    lab_retries: &mut u32,
) -> Result<TrialFinished, String> {
    let observation = observe(context, spec, randomness, slot, lab_retries)
        .await
        .map_err(|error| error.to_string())?;
    let finished = conclude_trial(spec, randomness, &observation);
    if let Some(captures) = &context.captures {
        captures
            .write(spec, randomness.epoch, &observation, &finished)
            .map_err(|error| format!("the capture: {error}"))?;
    }
    Ok(finished)
}

async fn observe(
    context: &RunContext,
    spec: &TrialSpec,
    randomness: &Randomness,
    slot: impl Send + 'static,
    lab_retries: &mut u32,
) -> Result<Observation, BenchError> {
    let setup = &spec.setup;
    let lab = LiveLab::start(context, setup, randomness.wan_seed, slot, lab_retries).await?;
    let begin = monotonic_now();
    let starts = randomness.start_s.map(Duration::from_secs_f64);
    let (progress, _) = watch::channel(Pair::default());
    let stage = Stage {
        context,
        setup,
        randomness,
        lab: &lab,
        begin,
        began: Instant::now(),
        starts,
        progress: &progress,
    };
    let (a, b) = tokio::join!(stage.run_peer(Side::A), stage.run_peer(Side::B));
    let stall = context.stalls.longest_since(begin);
    let (traffic, hosts) = lab.finish().await?;
    let ((a, a_events), (b, b_events)) = (a?, b?);
    let locations = Pair::from_fn(|side| location(setup, side, &hosts[side]));
    let (peers, events) = (Pair::new(a, b), Pair::new(a_events, b_events));
    Ok(Observation { begin, traffic, peers, events, starts, stall, locations })
}

/// Surroundings of the two peers of a trial.
struct Stage<'a> {
    context: &'a RunContext,
    setup: &'a Setup,
    randomness: &'a Randomness,
    lab: &'a LiveLab,
    /// Begin of the trial.
    begin: MonoTime,
    /// Begin of the trial on the runtime's clock.
    began: Instant,
    /// Planned starts of the peers, from the begin.
    starts: Pair<Duration>,
    progress: &'a peer::SidesDone,
}

impl Stage<'_> {
    /// Runs a peer from its start to its end; returns the events that it wrote as well.
    async fn run_peer(&self, side: Side) -> Result<(PeerRun, Vec<Event>), BenchError> {
        let Self { setup, randomness, lab, .. } = *self;
        let start = self.began + self.starts[side];
        sleep(start.saturating_duration_since(Instant::now())).await;
        let events =
            PeerEventFile::new(&self.context.process).map_err(BenchError::at("event file"))?;
        let peer_setup = &setup.peers[side];
        let clock_offset = peer_clock(randomness, self.begin, peer_setup.clock_offset_s);
        let host = &lab.peers[side];
        let settings = PeerSettings {
            side,
            own: host.address,
            peer: lab.peers[side.other()].address,
            clock_offset,
            seed: randomness.peer_seeds[side],
            events: events.path(),
            hosts: &lab.addresses,
        };
        let _taken = take_ports(host, &setup.punch, peer_setup.taken_ports, clock_offset)
            .map_err(BenchError::at("taking ports on a peer's host"))?;
        let command = subject::command(setup.subject.as_ref(), &setup.punch, &settings);
        let task = peer::PeerTask {
            namespace: &host.namespace,
            processes: &lab.processes,
            command: &command,
            side,
            sends: &randomness.tokens[side],
            expects: &randomness.tokens[side.other()],
            limit: self.limit(),
        };
        let run = peer::run(task, self.progress)
            .await
            .map_err(BenchError::at("starting a peer"))?;
        let written = events.read().map_err(BenchError::at("events of a peer"))?;
        Ok((run, written))
    }

    /// Time at which the peers are killed.
    fn limit(&self) -> Instant {
        let timeout = Duration::from_secs_f64(self.setup.punch.timeout_s);
        let last_start = self.starts[Side::A].max(self.starts[Side::B]);
        self.began + last_start + timeout + GRACE * 2 + EXIT_TIMEOUT
    }
}

/// PeerLocation of a peer on the WAN, for the analysis of packets.
fn location(setup: &Setup, side: Side, host: &Host) -> PeerLocation {
    let public = PeerLocation {
        address: host.address,
        nats: 0,
        forgets_after: None,
        forgets_datagram_after: None,
        drops_syns: false,
    };
    match &setup.peers[side].nat {
        Nat::Public => public,
        Nat::Behind(nat) => PeerLocation {
            nats: 1,
            forgets_after: nat.timeouts.syn_s.map(|s| Duration::from_secs(s.into())),
            forgets_datagram_after: nat.datagram_timeout(),
            drops_syns: !nat.simultaneous_open,
            ..public
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

/// Offset from the system's clock to the peer's clock in the trial: epoch, time since the begin,
/// and skew.
fn peer_clock(randomness: &Randomness, begin: MonoTime, skew_s: f64) -> ClockOffset {
    let exact = randomness.epoch + monotonic_now().since(begin);
    let skewed = exact + skew(skew_s);
    ClockOffset::from_nanos(skewed.as_nanos() - wall_now().as_nanos())
}

/// Concludes from an observation to the result of the trial: a pure function.
fn conclude_trial(
    spec: &TrialSpec,
    randomness: &Randomness,
    observation: &Observation,
) -> TrialFinished {
    let Observation { begin, traffic, locations, .. } = observation;
    let events = observation.events.as_ref().map(Vec::as_slice);
    let syns = Pair::from_fn(|side| times::syns(traffic, side));
    let first_syns = syns.as_ref().map(|syns| syns.first);
    let exits = observation.peers.as_ref().map(|peer| exit_text(peer.exit));
    let evidence = evidence(spec, randomness, observation, &exits, &syns);
    let success = evidence.values().all(|peer| peer.received && !peer.failed);
    let ports = evidence.as_ref().map(cause::ports);
    let case = Case {
        peers: evidence,
        locations: *locations,
        traffic,
        begin: *begin,
        delay: spec.setup.wan.delay,
        timeout: Duration::from_secs_f64(spec.setup.punch.timeout_s),
    };
    let (outcome, cause) = if success {
        (Outcome::Success, None)
    } else {
        (Outcome::Failure, Some(cause::find(&case)))
    };
    let started = observation
        .peers
        .as_ref()
        .map(|peer| peer.started.since(*begin));
    let clock_offsets_s = Pair::from_fn(|side| spec.setup.peers[side].clock_offset_s);
    let starts = started
        .zip(clock_offsets_s)
        .map(|(start, skew_s)| PeerStart { start, skew: skew(skew_s) });
    let bench = lateness(observation, started);
    let peers = Pair::from_fn(|side| {
        let peer = &observation.peers[side];
        PeerReport {
            clock_offset_s: clock_offsets_s[side],
            start_s: started[side].as_secs_f64(),
            spawn_to_syn_ms: first_syns[side].map(|syn| milliseconds(syn.since(peer.started))),
            exit: exits[side].clone(),
            ports: ports[side].iter().copied().collect(),
            syns: syns[side].count,
            cpu_ms: peer.spent.map(milliseconds),
        }
    });
    let times = || times::times(events, first_syns, traffic);
    TrialFinished {
        outcome,
        cause,
        theory: prediction::predict(&spec.setup, randomness.epoch, starts),
        times: success.then(times).flatten(),
        disturbed: disturbed(bench, traffic),
        bench,
        peers,
        ..not_run(spec, randomness)
    }
}

/// Evidence on each peer for the diagnosis.
fn evidence<'a>(
    spec: &TrialSpec,
    randomness: &Randomness,
    observation: &'a Observation,
    exits: &'a Pair<String>,
    syns: &'a Pair<Syns>,
) -> Pair<Evidence<'a>> {
    let foreign = spec.setup.subject.is_some();
    Pair::from_fn(|side| {
        let peer = &observation.peers[side];
        let received = peer.output == randomness.tokens[side.other()].as_bytes();
        Evidence {
            exit: &exits[side],
            crashed: crashed(peer.exit, foreign),
            failed: failed(peer.exit),
            ran: [peer.started, peer.ended],
            complaint: &peer.complaint,
            events: &observation.events[side],
            received,
            garbled: !received && !peer.output.is_empty(),
            syns: &syns[side],
        }
    })
}

/// Lateness of packets and of the peers' starts, and the longest stall of the bench.
fn lateness(observation: &Observation, started: Pair<Duration>) -> BenchLateness {
    let [a, b] = started
        .zip(observation.starts)
        .map(|(actual, planned)| actual.saturating_sub(planned))
        .into_array();
    BenchLateness {
        wan_ms: milliseconds(observation.traffic.lateness),
        start_ms: milliseconds(a.max(b)),
        stall_ms: milliseconds(observation.stall),
    }
}

/// Reasons why a trial counts as disturbed, if there are any.
fn disturbed(bench: BenchLateness, traffic: &Traffic) -> Option<String> {
    let bound_ms = milliseconds(MAX_LATENESS);
    let mut reasons = Vec::new();
    if bench.wan_ms > bound_ms {
        reasons.push("a packet was delivered late");
    }
    if bench.start_ms > bound_ms {
        reasons.push("a peer was started late");
    }
    if bench.stall_ms > 0.0 {
        reasons.push("the bench stood still");
    }
    if traffic.overflowed > 0 {
        reasons.push("more was on its way than the WAN carries");
    }
    if traffic.not_kept > 0 {
        reasons.push("there were more packets than are kept");
    }
    (!reasons.is_empty()).then(|| reasons.join(", "))
}

/// Result of a trial that the bench could not measure.
fn not_measured(spec: &TrialSpec, randomness: &Randomness, cause: Cause) -> TrialFinished {
    let peers = Pair::from_fn(|side| PeerReport {
        clock_offset_s: spec.setup.peers[side].clock_offset_s,
        start_s: randomness.start_s[side],
        exit: "not observed".to_owned(),
        ..PeerReport::default()
    });
    TrialFinished { cause: Some(cause), peers, ..not_run(spec, randomness) }
}

/// Identity of a trial, with the other fields as of a trial that never ran.
fn not_run(spec: &TrialSpec, randomness: &Randomness) -> TrialFinished {
    TrialFinished {
        scenario: spec.scenario,
        cell: spec.cell,
        trial: spec.trial,
        seed: spec.seed.to_string(),
        outcome: Outcome::Error,
        cause: None,
        theory: Theory {
            prediction: Prediction::Depends,
            reason: "the trial was not run".to_owned(),
        },
        times: None,
        disturbed: None,
        bench: BenchLateness::default(),
        rtt_ms: randomness
            .has_own_delay()
            .then(|| milliseconds(spec.setup.wan.rtt())),
        epoch_unix_s: seconds(randomness.epoch.as_nanos()),
        peers: Pair::default(),
    }
}

fn exit_text(exit: PeerExit) -> String {
    match exit {
        PeerExit::Killed => "killed by the harness".to_owned(),
        PeerExit::Status(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "unknown status".to_owned(),
        },
    }
}

/// Whether a peer ended by itself, and not well.
fn failed(exit: PeerExit) -> bool {
    matches!(exit, PeerExit::Status(status) if !status.success())
}

/// Whether a peer ended as no puncher should. For a foreign program, that is a signal, or a code by
/// which shells and Rust report a crash.
fn crashed(exit: PeerExit, foreign: bool) -> bool {
    let PeerExit::Status(status) = exit else { return false };
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
