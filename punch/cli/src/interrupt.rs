//! Signals: they cancel the attempt, or shut the connection down.

use std::{
    io,
    net::{Shutdown, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use punch::Canceller;

use crate::exit::Exit;

/// State shared with the signal handler.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt {
    /// Whether a signal has come.
    happened: Arc<AtomicBool>,
    /// The connection to shut down, once there is one.
    stream: Arc<Mutex<Option<TcpStream>>>,
}

impl Interrupt {
    /// Catches SIGINT, SIGTERM and SIGHUP: the first one cancels, the second one ends the process
    /// at once.
    pub(crate) fn catch(canceller: Canceller) -> Result<Self, String> {
        let interrupt = Self::default();
        let caught = interrupt.clone();
        ctrlc::set_handler(move || {
            if caught.happened.swap(true, Ordering::AcqRel) {
                std::process::exit(Exit::Interrupted.code().into());
            }
            canceller.cancel();
            caught.shut_down();
        })
        .map_err(|error| format!("signals cannot be caught: {error}"))?;
        Ok(interrupt)
    }

    /// Makes a signal shut this connection down: the next one, or one that has come already.
    pub(crate) fn connected(&self, stream: &TcpStream) -> io::Result<()> {
        let stream = stream.try_clone()?;
        *self.stream.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
        if self.happened() {
            self.shut_down();
        }
        Ok(())
    }

    /// Whether a signal has come.
    pub(crate) fn happened(&self) -> bool {
        self.happened.load(Ordering::Acquire)
    }

    fn shut_down(&self) {
        if let Some(stream) = &*self.stream.lock().unwrap_or_else(PoisonError::into_inner) {
            // Fails where the connection has ended already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
