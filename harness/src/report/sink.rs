//! Receivers of a run's events.

use std::{error::Error, time::Duration};

use crate::event::Event;

/// Reason why a sink could not keep an event.
pub(crate) type SinkError = Box<dyn Error + Send + Sync>;

/// Receiver of the events of a run, in their order.
pub(crate) trait Sink {
    /// Receives an event; `elapsed` is the time since the start of the run.
    ///
    /// # Errors
    /// The event cannot be kept. The run then ends, and no further sink gets the event.
    fn event(&mut self, event: &Event, elapsed: Duration) -> Result<(), SinkError>;

    /// Receives the time, about once a second.
    fn tick(&mut self, _elapsed: Duration) {}

    /// Receives a message for the user.
    fn message(&mut self, _text: &str) {}
}
