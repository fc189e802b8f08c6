//! Ctrl-C: the attempt is cancelled, or the connection closed in order.

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

/// Whether a signal came, and what it ends.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt {
    happened: Arc<AtomicBool>,
    stream: Arc<Mutex<Option<TcpStream>>>,
}

impl Interrupt {
    /// Catches SIGINT, SIGTERM and SIGHUP from here on. The second one ends the process at once.
    pub(crate) fn catch(canceller: Canceller) -> Result<Self, String> {
        let interrupt = Self::default();
        let caught = interrupt.clone();
        ctrlc::set_handler(move || {
            if caught.happened.swap(true, Ordering::AcqRel) {
                std::process::exit(Exit::Interrupted.code().into());
            }
            canceller.cancel();
            caught.close();
        })
        .map_err(|error| format!("signals cannot be caught: {error}"))?;
        Ok(interrupt)
    }

    /// From here on a signal closes this connection.
    pub(crate) fn connected(&self, stream: &TcpStream) -> io::Result<()> {
        let stream = stream.try_clone()?;
        *self.stream.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
        if self.happened() {
            self.close();
        }
        Ok(())
    }

    /// Whether a signal came.
    pub(crate) fn happened(&self) -> bool {
        self.happened.load(Ordering::Acquire)
    }

    fn close(&self) {
        if let Some(stream) = &*self.stream.lock().unwrap_or_else(PoisonError::into_inner) {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
