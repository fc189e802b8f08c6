//! Slots for the labs that may exist at once.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::interrupt::{Interruptible, SignalError, Signals};

/// Time that the kernel gets for the removal of the last labs.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Right to one lab. A lab holds its slot until its last descriptor is closed.
pub(super) type LabSlot = OwnedSemaphorePermit;

/// Slots for the labs that may exist at once.
#[derive(Debug)]
pub(super) struct LabSlots {
    free: Arc<Semaphore>,
    total: u32,
}

impl LabSlots {
    /// Slots for `total` labs.
    pub(super) fn new(total: usize) -> Self {
        let countable = u32::try_from(total).unwrap_or(u32::MAX);
        Self { free: Arc::new(Semaphore::new(total)), total: countable }
    }

    /// Waits for a free slot, and takes it.
    pub(super) fn take(&self) -> impl Future<Output = LabSlot> + use<> {
        let free = Arc::clone(&self.free);
        async move {
            free.acquire_owned()
                .await
                .expect("the semaphore is never closed")
        }
    }

    /// Waits until every lab is gone, up to a limit.
    pub(super) async fn all_free(&self) {
        let _ = timeout(REMOVAL_TIMEOUT, self.free.acquire_many(self.total)).await;
    }
}

/// Does work that has one lab, to its end or until a signal, and waits until the lab is gone.
///
/// # Errors
/// See [`SignalError`].
pub(super) async fn with_one_lab<T, W: Future<Output = T>>(
    work: impl FnOnce(LabSlot) -> W,
) -> Result<Interruptible<T>, SignalError> {
    let mut signals = Signals::catch()?;
    let slots = LabSlots::new(1);
    let slot = slots.take().await;
    let ended = signals.unless(work(slot)).await;
    slots.all_free().await;
    Ok(ended)
}
