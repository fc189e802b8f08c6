//! Connections from their attempt to their end: one, or under `--keep` one after the other.

use std::{
    net::{IpAddr, TcpStream},
    sync::mpsc,
    thread,
    time::Duration,
};

use punch::{
    Error, Failure, Puncher,
    driver::{
        ClosingSockets,
        clock::{monotonic_now, wall_now},
    },
    proto::time::{ClockOffset, WallTime},
};

use crate::{
    advice::{Asked, Observed},
    args::Args,
    events::EventFile,
    exec,
    exit::Problem,
    hint,
    interrupt::Interrupt,
    nat64::{self, Way},
    ntp,
    peer::{self, Peer},
    progress::Progress,
    relay, socket, time_of_day,
};

/// Shortest and longest time from the start of one attempt to that of the next, under `--keep`.
const BACK_OFF: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// Interval at which a connection is watched for a stall.
const WATCH_INTERVAL: Duration = Duration::from_secs(3);

/// Everything that an attempt and its connection need.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    pub(crate) args: &'a Args,
    /// The peer, as it was given.
    pub(crate) name: &'a str,
    pub(crate) puncher: Puncher,
    pub(crate) interrupt: Interrupt,
    pub(crate) events: EventFile,
    pub(crate) progress: &'a Progress,
}

impl Session<'_> {
    /// Makes one connection, and serves it to its end.
    pub(crate) fn once(&self) -> Result<(), Problem> {
        let peer = self.translated(peer::resolve(self.name, self.args.family())?)?;
        if let Some(warning) = hint::about_address(peer.address) {
            self.progress.remark(&warning);
        }
        let measured = match &self.args.ntp {
            Some(server) => ntp::offset(server, self.progress).map_err(Problem::failed)?,
            None => ClockOffset::default(),
        };
        let offset = self.args.offset_with(measured).map_err(Problem::usage)?;
        let puncher = self
            .puncher
            .clone()
            .scope_id(peer.scope_id)
            .clock_offset(offset);
        let mut observed = Observed::default();
        let connection = puncher.connect_observed(peer.address, |event| {
            self.events.write(event);
            self.progress.event(event);
            observed.event(event);
        });
        let (stream, closing) = match connection {
            Ok(connection) => connection.into_parts(),
            Err(Error::Failed(failure)) => {
                let now = wall_now() + offset;
                return Err(Problem::failed(self.explain(failure, &observed, peer.address, now)));
            }
            Err(error) => return Err(error.into()),
        };
        let served = self.serve(&stream);
        drop(stream);
        self.wait_for(closing);
        served
    }

    /// Makes and serves connections until a signal, or a problem that will not pass.
    pub(crate) fn keep(&self) -> Result<(), Problem> {
        let [mut pause, longest] = BACK_OFF;
        loop {
            let started = monotonic_now();
            match self.once() {
                Ok(()) => pause = BACK_OFF[0],
                Err(problem) if problem.is_lasting => return Err(problem),
                Err(problem) => {
                    if let Some(message) = &problem.message {
                        self.progress.error(message);
                    }
                }
            }
            let elapsed = monotonic_now().since(started);
            if elapsed > longest {
                pause = BACK_OFF[0];
            }
            if !self.sleep(pause.saturating_sub(elapsed)) {
                // The caller knows the signal.
                return Ok(());
            }
            pause = longest.min(pause * 2);
        }
    }

    /// The peer's address in this machine's network: through NAT64, if the network has IPv6 only.
    fn translated(&self, peer: Peer) -> Result<Peer, Problem> {
        let IpAddr::V4(address) = peer.address else { return Ok(peer) };
        match nat64::way_to(address) {
            Way::Direct => Ok(peer),
            Way::Translated(translated) => {
                self.progress.remark(&format!(
                    "this network has IPv6 only: {address} is reached through its NAT64 as \
                     {translated}"
                ));
                Ok(Peer { address: translated.into(), scope_id: 0 })
            }
            Way::None => Err(Problem::failed(format!(
                "this network has IPv6 only and no NAT64 (ipv4only.arpa has no AAAA record), so \
                 that {address} cannot be reached; give the peer's IPv6 address"
            ))),
        }
    }

    /// The message about a failed attempt. `now` is read from the corrected clock, since the peers
    /// compare it.
    fn explain(
        &self,
        failure: Failure,
        observed: &Observed,
        peer: IpAddr,
        now: WallTime,
    ) -> String {
        let (utc, _) = time_of_day::now_and_until(now.as_nanos(), Duration::ZERO);
        let asked = Asked {
            peer,
            timeout: self.args.timeout().unwrap_or_default(),
            max_clock_error: self.args.max_clock_error().unwrap_or_default(),
            utc: &utc,
        };
        observed.explain(failure, &asked)
    }

    fn serve(&self, stream: &TcpStream) -> Result<(), Problem> {
        let started = monotonic_now();
        let watch = stream.try_clone().map(|stream| self.watch(stream));
        let (served, carried) = match &self.args.exec {
            Some(command) => exec::exec(command, stream, &self.interrupt, self.progress),
            None => {
                let directions = self.args.directions();
                let (served, carried) =
                    relay::relay(stream, directions, &self.interrupt, self.progress);
                (served, Some(carried))
            }
        };
        if let Ok((sender, Some(watching))) = watch {
            // The thread has a duplicate of the connection, and ends with its sender.
            drop(sender);
            let _ = watching.join();
        }
        self.progress.ended(carried, monotonic_now().since(started));
        served
    }

    /// Says once if a transfer stalls, until the sender that is returned is dropped.
    fn watch(&self, stream: TcpStream) -> (mpsc::Sender<()>, Option<thread::JoinHandle<()>>) {
        let (sender, dropped) = mpsc::channel::<()>();
        let progress = self.progress.clone();
        let watching = move || {
            while dropped.recv_timeout(WATCH_INTERVAL) == Err(mpsc::RecvTimeoutError::Timeout) {
                if socket::is_stalled(&stream) {
                    return progress.remark(
                        "the peer's system acknowledges nothing: the network may be down, or \
                         large packets vanish on the way; if only small transfers work, try --mss 500",
                    );
                }
            }
        };
        // Without a thread nothing is said.
        let thread = thread::Builder::new()
            .name("punch-watch".into())
            .spawn(watching);
        (sender, thread.ok())
    }

    /// Waits until the connections that were not chosen are closed, or for a signal.
    fn wait_for(&self, closing: ClosingSockets) {
        let (tell, told) = mpsc::channel();
        let on_signal = tell.clone();
        self.interrupt.listen(move |_| {
            let _ = on_signal.send(());
        });
        let waiting = thread::Builder::new()
            .name("punch-wait".into())
            .spawn(move || {
                closing.wait();
                tell.send(())
            });
        if waiting.is_ok() {
            // Both senders tell only once.
            let _ = told.recv();
        }
    }

    /// Waits for a time. False after a signal.
    fn sleep(&self, time: Duration) -> bool {
        let (tell, told) = mpsc::channel();
        self.interrupt.listen(move |_| {
            let _ = tell.send(());
        });
        told.recv_timeout(time) == Err(mpsc::RecvTimeoutError::Timeout)
    }
}
