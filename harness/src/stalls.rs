//! When the bench itself stood still: it was stopped, or the machine was, as virtual ones are.
//!
//! A late packet shows only where one is due, and one that comes in meanwhile seems to come when it
//! is read. So a thread that has nothing else to do looks at the clock, and notes when it could not.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use punch::{driver::clock::monotonic_now, proto::time::MonoTime};

/// How long from one look at the clock to the next.
const PAUSE: Duration = Duration::from_millis(20);

/// Less than this beyond the pause is what a busy machine does: that shows by its late packets.
const MIN_STALL: Duration = Duration::from_millis(50);

/// Watches for stalls until it is dropped.
#[derive(Debug)]
pub(crate) struct Stalls {
    seen: Arc<Mutex<Seen>>,
    /// The thread ends when it is gone.
    _alive: Sender<()>,
}

#[derive(Debug)]
struct Seen {
    /// From when until when, in order.
    stalls: Vec<[MonoTime; 2]>,
    looked: MonoTime,
}

impl Stalls {
    /// Begins to watch.
    ///
    /// # Errors
    /// No thread.
    pub(crate) fn watch() -> io::Result<Self> {
        let seen = Arc::new(Mutex::new(Seen { stalls: Vec::new(), looked: monotonic_now() }));
        let (alive, dropped) = mpsc::channel::<()>();
        let shared = Arc::clone(&seen);
        thread::Builder::new()
            .name("stalls".into())
            .spawn(move || {
                while dropped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                    look(&shared).note(monotonic_now());
                }
            })?;
        Ok(Self { seen, _alive: alive })
    }

    /// The longest stall between `from` and this moment; zero if there was none.
    pub(crate) fn longest_since(&self, from: MonoTime) -> Duration {
        let mut seen = look(&self.seen);
        // The thread may not have had its turn since.
        seen.note(monotonic_now());
        seen.longest_since(from)
    }
}

fn look(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seen {
    fn note(&mut self, now: MonoTime) {
        if now.since(self.looked) >= PAUSE + MIN_STALL {
            self.stalls.push([self.looked, now]);
        }
        self.looked = now;
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
    fn what_is_longer_than_a_pause_is_a_stall_of_those_that_ran() {
        let ms = |ms: u64| MonoTime::default() + Duration::from_millis(ms);
        let mut seen = Seen { stalls: Vec::new(), looked: ms(0) };
        for at in [20, 40, 85, 100, 1100, 1120, 1300, 1320] {
            seen.note(ms(at));
        }
        assert_eq!(seen.stalls, [[ms(100), ms(1100)], [ms(1120), ms(1300)]]);
        for (from, longest) in [(0, 1000), (400, 700), (1099, 180), (1100, 180), (1300, 0)] {
            assert_eq!(seen.longest_since(ms(from)), Duration::from_millis(longest), "{from}");
        }
    }
}
