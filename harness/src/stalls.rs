//! Stalls of the bench: its process was stopped, or the machine was, as virtual machines are.
//!
//! A late packet shows a stall only if a packet is due, and a packet that arrives during a stall
//! seems to arrive when it is read. So a thread without other work reads the clock at short
//! intervals, and notes each interval that was too long.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use punch::{driver::clock::monotonic_now, proto::time::MonoTime};

/// Time between two readings of the clock.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// Delay of a reading that counts as a stall. A busy machine has shorter ones, which its late
/// packets show.
const MIN_STALL: Duration = Duration::from_millis(50);

/// Watcher for stalls, until it is dropped.
#[derive(Debug)]
pub(crate) struct Stalls {
    log: Arc<Mutex<StallLog>>,
    /// End of a channel; the thread ends when it is closed.
    _alive: Sender<()>,
}

/// Stalls so far.
#[derive(Debug)]
struct StallLog {
    /// Begin and end of each stall, in order.
    stalls: Vec<[MonoTime; 2]>,
    /// Last reading of the clock.
    last_check: MonoTime,
}

impl Stalls {
    /// Begins to watch.
    ///
    /// # Errors
    /// No thread can be started.
    pub(crate) fn watch() -> io::Result<Self> {
        let empty = StallLog { stalls: Vec::new(), last_check: monotonic_now() };
        let log = Arc::new(Mutex::new(empty));
        let (alive, dropped) = mpsc::channel::<()>();
        let shared = Arc::clone(&log);
        thread::Builder::new()
            .name("stalls".into())
            .spawn(move || {
                while dropped.recv_timeout(CHECK_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                    lock(&shared).check(monotonic_now());
                }
            })?;
        Ok(Self { log, _alive: alive })
    }

    /// Longest stall between `from` and this moment; zero if there was none.
    pub(crate) fn longest_since(&self, from: MonoTime) -> Duration {
        let mut log = lock(&self.log);
        // A stall that lasts is not in the log yet.
        log.check(monotonic_now());
        log.longest_since(from)
    }
}

fn lock(log: &Mutex<StallLog>) -> MutexGuard<'_, StallLog> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

impl StallLog {
    fn check(&mut self, now: MonoTime) {
        if now.since(self.last_check) >= CHECK_INTERVAL + MIN_STALL {
            self.stalls.push([self.last_check, now]);
        }
        self.last_check = now;
    }

    fn longest_since(&self, from: MonoTime) -> Duration {
        let later = self
            .stalls
            .iter()
            .rev()
            .take_while(|[_, until]| *until > from);
        later
            .map(|[begun, until]| until.since(from.max(*begun)))
            .max()
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_counts_from_the_time_that_is_asked_for() {
        let ms = |ms: u64| MonoTime::default() + Duration::from_millis(ms);
        let mut log = StallLog { stalls: Vec::new(), last_check: ms(0) };
        for at in [20, 40, 85, 100, 1100, 1120, 1300, 1320] {
            log.check(ms(at));
        }
        assert_eq!(log.stalls, [[ms(100), ms(1100)], [ms(1120), ms(1300)]]);
        for (from, longest) in [(0, 1000), (400, 700), (1099, 180), (1100, 180), (1300, 0)] {
            assert_eq!(log.longest_since(ms(from)), Duration::from_millis(longest), "{from}");
        }
    }
}
