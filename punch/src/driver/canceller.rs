//! Cancellation of an attempt from another thread.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use polling::Poller;

/// A handle that ends [`Puncher::connect`](super::Puncher::connect) from another thread.
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
    /// Makes every call of `connect`, in progress or later, return
    /// [`Error::Cancelled`](super::Error::Cancelled).
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

    /// Lets [`Self::cancel`] wake up a poller until the registration is dropped.
    pub(super) fn register(&self, poller: Poller) -> Registration<'_> {
        let poller = Arc::new(poller);
        self.pollers().push(Arc::clone(&poller));
        Registration { canceller: self, poller }
    }

    fn pollers(&self) -> MutexGuard<'_, Vec<Arc<Poller>>> {
        self.shared
            .pollers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A poller that a canceller wakes up.
#[derive(Debug)]
pub(super) struct Registration<'a> {
    canceller: &'a Canceller,
    poller: Arc<Poller>,
}

impl Registration<'_> {
    pub(super) fn poller(&self) -> &Poller {
        &self.poller
    }
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        self.canceller
            .pollers()
            .retain(|other| !Arc::ptr_eq(other, &self.poller));
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use crate::Puncher;

    #[test]
    fn an_observer_that_panics_leaves_no_poller_behind() {
        let puncher = Puncher::new().bind("127.0.0.1".parse().unwrap());
        let peer = "127.0.0.79".parse().unwrap();
        let connect = || puncher.connect_observed(peer, |event| panic!("{event:?}"));
        assert!(catch_unwind(AssertUnwindSafe(connect)).is_err());
        assert!(puncher.canceller().pollers().is_empty());
    }
}
