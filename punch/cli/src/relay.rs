//! Relaying: between the connection and standard input and output.
//!
//! Two threads copy, one for each direction, and the main thread decides about the end, so that a
//! stream that blocks holds up neither the other direction nor a signal.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    process::ExitStatus,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use crate::{
    exit::Problem,
    interrupt::{Interrupt, Signal},
    progress::Progress,
    socket::{self, Carried},
    stdio::{self, Input, Kind, Stopper},
};

/// Time that a stream on standard input which has given nothing gets for its first byte, once a
/// file has received everything from the peer. Such a stream is most often one that nobody uses,
/// of ssh, cron or a service; a program that sends has begun by then.
const FIRST_BYTE: Duration = Duration::from_secs(10);

/// Time for the peer's end after everything was sent and acknowledged under `--send-only`.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Time between the end of a pipe and FIN: the program that fills the pipe may have died of the
/// signal that this process is about to receive, as both do of Ctrl-C.
const SAME_SIGNAL: Duration = Duration::from_millis(50);

/// First and longest pause between two looks at what the peer has acknowledged.
const ACK_CHECK: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(50)];

/// Time after which a wait for acknowledgments is said.
const SLOW_ACK: Duration = Duration::from_secs(5);

/// Directions that are relayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Directions {
    Both,
    SendOnly,
    ReceiveOnly,
}

/// What the main thread hears about.
#[derive(Debug)]
pub(crate) enum Note {
    Signal(Signal),
    /// Standard input has ended, and FIN was sent.
    Sent(Result<(), CopyError>),
    /// The peer's direction has ended.
    Received(Result<(), CopyError>),
    /// The command of `--exec` has ended.
    Ended(io::Result<ExitStatus>),
}

/// A failed copy, by the end that failed.
#[derive(Debug)]
pub(crate) enum CopyError {
    Reading(io::Error),
    Writing(io::Error),
}

/// Numbers of bytes, counted by the threads.
#[derive(Debug, Default)]
struct Counters {
    sent: AtomicU64,
    received: AtomicU64,
}

/// Relays until both directions have ended and the peer's system has acknowledged everything. In
/// every other case the connection is reset, so that the peer does not take a part for the whole.
/// Returns the bytes as well.
pub(crate) fn relay(
    stream: &TcpStream,
    directions: Directions,
    interrupt: &Interrupt,
    progress: &Progress,
) -> (Result<(), Problem>, Carried) {
    socket::reset_on_close(stream);
    let counters = Arc::new(Counters::default());
    let result = Relay::start(stream, directions, interrupt, progress, &counters)
        .map_err(connection_broke)
        .and_then(|relay| relay.run());
    if result.is_ok() {
        socket::close_in_order(stream);
    }
    let carried = Carried {
        sent: counters.sent.load(Ordering::Relaxed),
        received: counters.received.load(Ordering::Relaxed),
    };
    (result, carried)
}

#[derive(Debug)]
struct Relay<'a> {
    stream: &'a TcpStream,
    directions: Directions,
    progress: &'a Progress,
    counters: &'a Counters,
    told: Receiver<Note>,
    /// Stops the reader of standard input.
    stopper: Option<Stopper>,
    sent: bool,
    received: bool,
}

impl<'a> Relay<'a> {
    fn start(
        stream: &'a TcpStream,
        directions: Directions,
        interrupt: &Interrupt,
        progress: &'a Progress,
        counters: &'a Arc<Counters>,
    ) -> io::Result<Self> {
        let (tell, told) = mpsc::channel();
        let on_signal = tell.clone();
        interrupt.listen(move |signal| tell_of(&on_signal, Note::Signal(signal)));
        let (stopper, stop) = stdio::stopper()?;
        let (source, counted, sender) = (stream.try_clone()?, Arc::clone(counters), tell.clone());
        spawn("punch-stdout", move || {
            let keep = directions != Directions::SendOnly;
            tell_of(&sender, Note::Received(receive(&source, keep, &counted.received)));
        })?;
        if directions != Directions::ReceiveOnly {
            let (target, counted) = (stream.try_clone()?, Arc::clone(counters));
            spawn("punch-stdin", move || {
                tell_of(&tell, Note::Sent(send(&target, &stop, &counted.sent)));
            })?;
        }
        Ok(Self {
            stream,
            directions,
            progress,
            counters,
            told,
            stopper: Some(stopper),
            sent: false,
            received: false,
        })
    }

    fn run(mut self) -> Result<(), Problem> {
        let mut patience = None;
        while !self.is_done() {
            let Some(note) = next(&self.told, patience)? else {
                patience = None;
                if self.counters.sent.load(Ordering::Relaxed) == 0 {
                    self.end_input();
                }
                continue;
            };
            match note {
                Note::Signal(signal) => return Err(Problem::signalled(signal)),
                Note::Sent(Ok(())) => self.sent = true,
                Note::Sent(Err(CopyError::Reading(error))) => {
                    return Err(Problem::failed(format!("standard input cannot be read: {error}")));
                }
                Note::Sent(Err(CopyError::Writing(error))) => return Err(self.drain(error)),
                Note::Received(Ok(())) => {
                    self.received = true;
                    patience = self.peer_has_ended()?;
                }
                Note::Received(Err(CopyError::Reading(error))) => {
                    return Err(connection_broke(error));
                }
                Note::Received(Err(CopyError::Writing(error))) => {
                    return Err(Problem::unwritten(&error));
                }
                Note::Ended(_) => {}
            }
        }
        acknowledged(self.stream, &self.told, self.progress, None)?;
        self.last_words()
    }

    fn is_done(&self) -> bool {
        self.sent && (self.received || self.directions == Directions::SendOnly)
    }

    /// Decides about standard input at the end of the peer's direction. Returns for how long its
    /// first byte is waited for.
    fn peer_has_ended(&mut self) -> Result<Option<Duration>, Problem> {
        if self.directions == Directions::ReceiveOnly {
            // Not before: NATs forget a half-closed connection sooner than an open one.
            self.stream
                .shutdown(Shutdown::Write)
                .map_err(connection_broke)?;
            self.sent = true;
        }
        if self.sent || self.directions == Directions::SendOnly {
            return Ok(None);
        }
        let (input, output) = (stdio::input_kind(), stdio::output_kind());
        let carried = Carried {
            sent: self.counters.sent.load(Ordering::Relaxed),
            received: self.counters.received.load(Ordering::Relaxed),
        };
        match Rest::after_peer(input, output, carried) {
            Rest::None => self.end_input(),
            Rest::UntilEnd if input == Kind::Terminal => {
                self.progress
                    .remark("the peer only receives; Ctrl-D ends the connection");
            }
            Rest::UntilEnd if carried.received > 0 => {
                self.progress
                    .remark("the peer has sent everything; standard input goes on to its end");
            }
            Rest::UntilEnd => {}
            Rest::IfItBegins => {
                self.progress.remark(&format!(
                    "the peer has sent everything; standard input has given nothing so far, and \
                     is waited for {} s longer (--recv-only does not wait)",
                    FIRST_BYTE.as_secs()
                ));
                return Ok(Some(FIRST_BYTE));
            }
        }
        Ok(None)
    }

    fn end_input(&mut self) {
        if let Some(stopper) = self.stopper.take() {
            stopper.end();
        }
    }

    /// Waits for what had arrived before the connection broke in this side's direction. Returns
    /// the reason for the end.
    fn drain(&self, broke: io::Error) -> Problem {
        let mut received = self.received;
        while !received {
            match next(&self.told, None) {
                Ok(Some(Note::Signal(signal))) => return Problem::signalled(signal),
                Ok(Some(Note::Received(Err(CopyError::Writing(error))))) => {
                    return Problem::unwritten(&error);
                }
                Ok(Some(Note::Received(_))) => received = true,
                Ok(_) => {}
                Err(problem) => return problem,
            }
        }
        connection_broke(broke)
    }

    /// Lets a peer that sends as well come to its end, which may be on its way.
    fn last_words(&self) -> Result<(), Problem> {
        if self.received {
            return Ok(());
        }
        match next(&self.told, Some(LAST_WORDS))? {
            Some(Note::Signal(signal)) => Err(Problem::signalled(signal)),
            _ => Ok(()),
        }
    }
}

/// What is still expected from standard input at the end of the peer's direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    None,
    UntilEnd,
    IfItBegins,
}

impl Rest {
    fn after_peer(input: Kind, output: Kind, carried: Carried) -> Self {
        match (input, output) {
            // A peer that has said nothing only receives: what is typed here is for it.
            (Kind::Terminal, Kind::Terminal) if carried.received == 0 => Self::UntilEnd,
            // The file is there, or the other person has left.
            (Kind::Terminal, _) => Self::None,
            (Kind::Stream, Kind::File) if carried.received > 0 && carried.sent == 0 => {
                Self::IfItBegins
            }
            (Kind::Stream | Kind::File, _) => Self::UntilEnd,
        }
    }
}

/// The next note; nothing if it does not come within `patience`.
pub(crate) fn next(
    told: &Receiver<Note>,
    patience: Option<Duration>,
) -> Result<Option<Note>, Problem> {
    let note = match patience {
        None => told.recv().map_err(RecvTimeoutError::from),
        Some(time) => told.recv_timeout(time),
    };
    match note {
        Ok(note) => Ok(Some(note)),
        Err(RecvTimeoutError::Timeout) => Ok(None),
        Err(RecvTimeoutError::Disconnected) => Err(Problem::failed("a thread has panicked")),
    }
}

/// Waits until the peer's system has acknowledged everything. Gives up where nothing more was
/// acknowledged for the time `stall`.
pub(crate) fn acknowledged(
    stream: &TcpStream,
    told: &Receiver<Note>,
    progress: &Progress,
    stall: Option<Duration>,
) -> Result<(), Problem> {
    let [mut pause, longest] = ACK_CHECK;
    let (mut unchanged, mut said, mut before) = (Duration::ZERO, false, usize::MAX);
    loop {
        let left = socket::unacknowledged(stream).map_err(connection_broke)?;
        if left == 0 {
            return Ok(());
        }
        if left < before {
            (unchanged, before) = (Duration::ZERO, left);
        }
        if stall.is_some_and(|stall| unchanged > stall) {
            return Err(Problem::failed(format!(
                "the peer has not taken the last {left} bytes, and nothing for {} s",
                unchanged.as_secs()
            )));
        }
        if unchanged > SLOW_ACK && !said {
            said = true;
            progress.remark(&format!("waiting for the peer to take the last {left} bytes"));
        }
        if let Some(Note::Signal(signal)) = next(told, Some(pause))? {
            return Err(Problem::signalled(signal));
        }
        unchanged += pause;
        pause = longest.min(pause * 2);
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "any other error has the system's text")]
pub(crate) fn connection_broke(error: io::Error) -> Problem {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected, TimedOut};
    Problem::failed(match error.kind() {
        ConnectionReset | BrokenPipe | NotConnected => {
            "the peer has broken off: it was interrupted or has failed, and not everything has \
             arrived"
                .to_owned()
        }
        TimedOut => format!("the peer does not answer any more: {error}"),
        _ => format!("the connection broke: {error}"),
    })
}

/// Tells the main thread, unless it has ended the relay.
pub(crate) fn tell_of(tell: &Sender<Note>, note: Note) {
    let _ = tell.send(note);
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new()
        .name(name.into())
        .spawn(work)
        .map(drop)
}

/// Copies standard input to the connection, and sends FIN at its end.
fn send(stream: &TcpStream, stop: &stdio::Stop, sent: &AtomicU64) -> Result<(), CopyError> {
    let mut stream = stream;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match stdio::read_input(&mut buffer, stop).map_err(CopyError::Reading)? {
            Input::Bytes(read) => {
                stream
                    .write_all(&buffer[..read])
                    .map_err(CopyError::Writing)?;
                sent.fetch_add(u64::try_from(read).unwrap_or(0), Ordering::Relaxed);
            }
            Input::End => break,
            // No FIN: the connection is about to be reset.
            Input::Abandoned => return Ok(()),
        }
    }
    let may_have_died = stdio::input_kind() == Kind::Stream;
    if may_have_died && stdio::abandoned_within(stop, SAME_SIGNAL).map_err(CopyError::Reading)? {
        return Ok(());
    }
    stream.shutdown(Shutdown::Write).map_err(CopyError::Writing)
}

/// Copies the connection to standard output, or discards what arrives.
fn receive(stream: &TcpStream, keep: bool, received: &AtomicU64) -> Result<(), CopyError> {
    let mut stream = stream;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => {
                if keep {
                    write_output(&buffer[..read]).map_err(CopyError::Writing)?;
                }
                received.fetch_add(u64::try_from(read).unwrap_or(0), Ordering::Relaxed);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(CopyError::Reading(error)),
        }
    }
}

fn write_output(bytes: &[u8]) -> io::Result<()> {
    if stdio::is_output_closed() {
        return Err(io::Error::other("it is closed"));
    }
    stdio::write_output(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_and_an_unused_stream_are_not_waited_for() {
        use Kind::{File, Stream, Terminal};
        let carried = |sent, received| Carried { sent, received };
        for (input, output, bytes, rest) in [
            (Terminal, File, carried(0, 9), Rest::None),
            (Terminal, Stream, carried(0, 0), Rest::None),
            (Terminal, Terminal, carried(5, 9), Rest::None),
            (Terminal, Terminal, carried(0, 0), Rest::UntilEnd),
            (Stream, File, carried(0, 9), Rest::IfItBegins),
            (Stream, File, carried(1, 9), Rest::UntilEnd),
            (Stream, File, carried(0, 0), Rest::UntilEnd),
            (Stream, Stream, carried(0, 9), Rest::UntilEnd),
            (Stream, Terminal, carried(0, 9), Rest::UntilEnd),
            (File, File, carried(0, 9), Rest::UntilEnd),
        ] {
            assert_eq!(Rest::after_peer(input, output, bytes), rest, "{input:?} {output:?}");
        }
    }
}
