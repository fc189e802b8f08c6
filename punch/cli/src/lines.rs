//! Lines that a thread of their own writes: a reader that is slow or absent holds up nothing.

use std::{
    fs::File,
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// Maximum number of lines that wait. Further ones are lost, and counted.
const MAX_LINES: usize = 4096;

/// Time that the writer gets at the end for the lines that still wait.
const MAX_FINISH: Duration = Duration::from_millis(500);

/// A bounded queue of lines, and the thread that writes them.
#[derive(Debug, Clone)]
pub(crate) struct Lines {
    queue: Arc<Queue>,
}

/// Result of all writes.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Number of lines that were not written.
    pub(crate) lost: u64,
    /// The first write that failed.
    pub(crate) error: Option<io::Error>,
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<String>,
    /// Number of lines that are being written.
    writing: usize,
    lost: u64,
    error: Option<io::Error>,
    /// Text that says how many lines were lost; `None` says nothing.
    about_lost: Option<fn(u64) -> String>,
    said_lost: u64,
}

impl Lines {
    /// Starts the thread. It opens the file first, which may take as long as it likes.
    /// `about_lost` makes the line that is written, once there is room again, about lines that were
    /// lost.
    pub(crate) fn start(
        name: &str,
        open: impl FnOnce() -> io::Result<Sink> + Send + 'static,
        about_lost: Option<fn(u64) -> String>,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue {
            state: Mutex::new(State { about_lost, ..State::default() }),
            changed: Condvar::new(),
        });
        let served = Arc::clone(&queue);
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || match open() {
                Ok(mut sink) => served.serve(&mut sink),
                Err(error) => served.fail(error),
            })?;
        Ok(Self { queue })
    }

    /// Queues a line. Never waits.
    pub(crate) fn push(&self, line: String) {
        let mut state = self.queue.state();
        if state.error.is_some() || state.waiting.len() + state.writing >= MAX_LINES {
            state.lost += 1;
        } else {
            state.waiting.push(line);
            self.queue.changed.notify_all();
        }
    }

    /// Waits for the lines that are queued, for a bounded time.
    pub(crate) fn finish(&self) -> Written {
        let busy = |state: &mut State| {
            state.error.is_none() && !(state.waiting.is_empty() && state.writing == 0)
        };
        let (mut state, _) = self
            .queue
            .changed
            .wait_timeout_while(self.queue.state(), MAX_FINISH, busy)
            .unwrap_or_else(PoisonError::into_inner);
        let left = u64::try_from(state.waiting.len() + state.writing).unwrap_or(u64::MAX);
        Written { lost: state.lost + left, error: state.error.take() }
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, sink: &mut Sink) {
        loop {
            let batch = self.next();
            for line in batch {
                if let Err(error) = sink.write_line(line) {
                    return self.fail(error);
                }
                let mut state = self.state();
                state.writing = state.writing.saturating_sub(1);
                self.changed.notify_all();
            }
        }
    }

    /// Waits for lines, and takes all of them.
    fn next(&self) -> Vec<String> {
        let mut state = self
            .changed
            .wait_while(self.state(), |state| state.waiting.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        let mut batch = std::mem::take(&mut state.waiting);
        if let Some(about_lost) = state.about_lost
            && state.lost > state.said_lost
        {
            batch.push(about_lost(state.lost - state.said_lost));
            state.said_lost = state.lost;
        }
        state.writing = batch.len();
        batch
    }

    fn fail(&self, error: io::Error) {
        let mut state = self.state();
        let left = state.waiting.len() + state.writing;
        state.lost += u64::try_from(left).unwrap_or(u64::MAX);
        (state.writing, state.error) = (0, Some(error));
        state.waiting.clear();
        self.changed.notify_all();
    }
}

/// What lines are written to.
#[derive(Debug)]
pub(crate) enum Sink {
    File(File),
    /// Standard error.
    Messages,
}

impl Sink {
    /// Writes a line at once.
    pub(crate) fn write_line(&mut self, mut line: String) -> io::Result<()> {
        line.push('\n');
        match self {
            Self::File(file) => file.write_all(line.as_bytes()),
            Self::Messages => crate::stdio::write_messages(line.as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, sync::mpsc};

    use super::*;

    #[test]
    fn lines_come_in_their_order_and_the_end_waits_for_them() {
        let mut file = tempfile::tempfile().unwrap();
        let sink = Sink::File(file.try_clone().unwrap());
        let lines = Lines::start("test", move || Ok(sink), None).unwrap();
        for number in 0..100 {
            lines.push(number.to_string());
        }
        let written = lines.finish();
        assert_eq!((written.lost, written.error.is_none()), (0, true));
        let mut text = String::new();
        io::Seek::rewind(&mut file).unwrap();
        file.read_to_string(&mut text).unwrap();
        let expected: Vec<_> = (0..100).map(|number| number.to_string()).collect();
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn lines_that_do_not_fit_are_lost_and_said() {
        let mut file = tempfile::tempfile().unwrap();
        let sink = Sink::File(file.try_clone().unwrap());
        let (open, opened) = mpsc::channel();
        let opening = move || {
            opened.recv().unwrap();
            Ok(sink)
        };
        let about = |lost| format!("{lost} lost");
        let lines = Lines::start("test", opening, Some(about)).unwrap();
        for number in 0..MAX_LINES + 7 {
            lines.push(number.to_string());
        }
        assert_eq!(lines.finish().lost, u64::try_from(MAX_LINES).unwrap() + 7, "nothing is open");
        open.send(()).unwrap();
        assert_eq!(lines.finish().lost, 7);
        let mut text = String::new();
        io::Seek::rewind(&mut file).unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text.lines().last(), Some("7 lost"));
    }

    #[test]
    fn a_failed_write_is_kept_and_later_lines_are_counted() {
        let lines = Lines::start("test", || Err(io::Error::other("no")), None).unwrap();
        lines.push("one".to_owned());
        let written = lines.finish();
        assert_eq!((written.lost, written.error.unwrap().to_string()), (1, "no".to_owned()));
    }
}
