//! Signals: the first one ends the command in order, within a bounded time.

use std::{
    fmt, process,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    time::Duration,
};

use punch::Canceller;

use crate::exit::Exit;

/// Time that the command gets for its end after a signal. It has reset the connection and killed
/// the processes of `--exec` by then; what is left may wait for a pipe that nobody reads.
const MAX_END: Duration = Duration::from_secs(2);

/// A signal that ends the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Hangup,
    Interrupt,
    Terminate,
}

impl Signal {
    /// The exit code after this signal.
    pub(crate) const fn exit(self) -> Exit {
        match self {
            Self::Hangup => Exit::HungUp,
            Self::Interrupt => Exit::Interrupted,
            Self::Terminate => Exit::Terminated,
        }
    }
}

/// What a signal does: called once, at the first signal.
type Listener = Box<dyn FnOnce(Signal) + Send>;

/// Last act of a command that has not ended in time: ends the processes that it has started.
type LastAct = Box<dyn FnOnce() + Send>;

/// State shared with the thread that receives the signals.
#[derive(Default)]
struct State {
    /// The first signal.
    first: Option<Signal>,
    listener: Option<Listener>,
    last_act: Option<LastAct>,
}

/// The signals SIGINT, SIGTERM and SIGHUP, as far as they were not ignored when the command began.
///
/// A shell without job control has SIGINT and SIGQUIT ignored in a command that it starts with `&`
/// (POSIX, Shell Command Language, 2.11), so that Ctrl-C at the terminal is not for it. Where the
/// system tells who has sent a signal (Linux), SIGINT by `kill` does end such a command.
#[derive(Clone, Default)]
pub(crate) struct Interrupt {
    state: Arc<Mutex<State>>,
}

impl fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupt")
            .field("signal", &self.signal())
            .finish_non_exhaustive()
    }
}

impl Interrupt {
    /// Catches the signals. The first one cancels the attempt and calls the listener; the second
    /// one ends the process at once, as the end of [`MAX_END`] does.
    pub(crate) fn catch(canceller: Canceller) -> Result<Self, String> {
        let interrupt = Self::default();
        let caught = interrupt.clone();
        platform::receive(move |signals| {
            let Ok(first) = signals.recv() else { return };
            caught.happen(first);
            canceller.cancel();
            // Any second signal, or the end of the time.
            let _ = signals.recv_timeout(MAX_END);
            if let Some(last_act) = caught.state().last_act.take() {
                last_act();
            }
            process::exit(first.exit().code().into());
        })
        .map_err(|error| format!("signals cannot be caught: {error}"))?;
        Ok(interrupt)
    }

    /// The first signal that has come.
    pub(crate) fn signal(&self) -> Option<Signal> {
        self.state().first
    }

    /// Sets what the first signal does, in place of an earlier listener. It is called at once if a
    /// signal has come already.
    pub(crate) fn listen(&self, listener: impl FnOnce(Signal) + Send + 'static) {
        let mut state = self.state();
        match state.first {
            Some(signal) => {
                drop(state);
                listener(signal);
            }
            None => state.listener = Some(Box::new(listener)),
        }
    }

    /// Sets what is done before the process ends without its main thread, or nothing.
    pub(crate) fn set_last_act(&self, last_act: Option<LastAct>) {
        self.state().last_act = last_act;
    }

    fn happen(&self, signal: Signal) {
        let mut state = self.state();
        state.first = Some(signal);
        let listener = state.listener.take();
        drop(state);
        if let Some(listener) = listener {
            listener(signal);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(unix)]
mod platform {
    use std::{
        io, ptr,
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        thread,
    };

    #[cfg(any(target_os = "linux", target_os = "android"))]
    use signal_hook::consts::SIGQUIT;
    use signal_hook::{
        consts::{SIGHUP, SIGINT, SIGTERM},
        iterator::Signals,
    };

    use super::{Signal, mpsc};

    const CAUGHT: [(i32, Signal); 3] =
        [(SIGHUP, Signal::Hangup), (SIGINT, Signal::Interrupt), (SIGTERM, Signal::Terminate)];

    /// Starts a thread that receives the signals.
    pub(super) fn receive(
        work: impl FnOnce(mpsc::Receiver<Signal>) + Send + 'static,
    ) -> io::Result<()> {
        let background = background::begun_by_a_shell();
        let wanted: Vec<i32> = CAUGHT
            .iter()
            .map(|(number, _)| *number)
            .filter(|number| (background && *number == SIGINT) || !is_ignored(*number))
            .collect();
        // Its handler runs before that of the loop below, being the first.
        let sent = background.then(background::sent_by_a_process).transpose()?;
        let mut signals = Signals::new(wanted)?;
        let (tell, told) = mpsc::channel();
        thread::Builder::new()
            .name("punch-signals".into())
            .spawn(move || {
                for number in signals.forever() {
                    let from_terminal =
                        |sent: &Arc<AtomicBool>| !sent.swap(false, Ordering::Relaxed);
                    if number == SIGINT && sent.as_ref().is_some_and(from_terminal) {
                        continue;
                    }
                    let known = CAUGHT.iter().find(|(caught, _)| *caught == number);
                    if let Some((_, signal)) = known {
                        // Nobody listens any more where the process is about to end.
                        let _ = tell.send(*signal);
                    }
                }
            })?;
        thread::Builder::new()
            .name("punch-interrupt".into())
            .spawn(move || work(told))?;
        Ok(())
    }

    /// Commands that a shell without job control has started with `&`.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    mod background {
        use super::*;

        pub(super) fn begun_by_a_shell() -> bool {
            is_ignored(SIGINT) && is_ignored(SIGQUIT)
        }

        /// Set whenever a process, and not the terminal, has sent SIGINT.
        pub(super) fn sent_by_a_process() -> io::Result<Arc<AtomicBool>> {
            let sent = Arc::new(AtomicBool::new(false));
            let set = Arc::clone(&sent);
            let handler = move |info: &libc::siginfo_t| {
                // sigaction(2): the kernel's own signals have a positive code.
                if info.si_code <= 0 {
                    set.store(true, Ordering::Relaxed);
                }
            };
            // SAFETY: reading a field and storing an atomic are async-signal-safe.
            unsafe { signal_hook_registry::register_sigaction(SIGINT, handler) }?;
            Ok(sent)
        }
    }

    /// Commands that a shell without job control has started with `&`: no other system tells who
    /// has sent a signal.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    mod background {
        use super::*;

        pub(super) const fn begun_by_a_shell() -> bool {
            false
        }

        pub(super) fn sent_by_a_process() -> io::Result<Arc<AtomicBool>> {
            Ok(Arc::default())
        }
    }

    /// Whether a signal is ignored: `nohup` and shells without job control do that to a command,
    /// and mean it.
    fn is_ignored(signal: i32) -> bool {
        // SAFETY: all zeroes is a valid sigaction.
        let mut current: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: no new action is given, and `current` is a valid sigaction to write to.
        let result = unsafe { libc::sigaction(signal, ptr::null(), &raw mut current) };
        result == 0 && current.sa_sigaction == libc::SIG_IGN
    }
}

#[cfg(not(unix))]
mod platform {
    use std::io;

    use super::{Signal, mpsc};

    /// Catches nothing: the system ends the process.
    pub(super) fn receive(
        _: impl FnOnce(mpsc::Receiver<Signal>) + Send + 'static,
    ) -> io::Result<()> {
        Ok(())
    }
}
