//! Cancellation of an attempt from another thread.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use polling::Poller;

/// A handle that ends a [`Puncher::connect`](super::Puncher::connect) from another thread.
#[derive(Debug, Clone, Default)]
pub struct Canceller {
    shared: Arc<Shared>,
}

/// State of a canceller, shared by all its clones.
#[derive(Debug, Default)]
struct Shared {
    cancelled: AtomicBool,
    /// The poller of each `connect` in progress.
    pollers: Mutex<Vec<Arc<Poller>>>,
}

impl Canceller {
    /// Makes `connect` return [`Error::Cancelled`](super::Error::Cancelled): every call in
    /// progress, and every later one.
    pub fn cancel(&self) {
        self.shared.cancelled.store(true, Ordering::Release);
        for poller in self.pollers().iter() {
            // A failed wake-up delays the end to the next event or time-out.
            let _ = poller.notify();
        }
    }

    /// Whether [`Self::cancel`] was called.
    pub(super) fn is_cancelled(&self) -> bool {
        self.shared.cancelled.load(Ordering::Acquire)
    }

    /// Lets [`Self::cancel`] wake up this poller.
    pub(super) fn register(&self, poller: &Arc<Poller>) {
        self.pollers().push(Arc::clone(poller));
    }

    /// Undoes [`Self::register`].
    pub(super) fn unregister(&self, poller: &Arc<Poller>) {
        self.pollers().retain(|other| !Arc::ptr_eq(other, poller));
    }

    fn pollers(&self) -> MutexGuard<'_, Vec<Arc<Poller>>> {
        self.shared
            .pollers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
