//! Progress messages on standard error.

use std::time::Duration;

use punch::{Event, EventKind};

use crate::{
    lines::{Lines, Sink},
    socket::Carried,
    time_of_day,
};

/// Form of the progress messages, and the thread that writes them.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    quiet: bool,
    json: bool,
    timeout: Duration,
    /// Absent if the thread could not be started: then messages are written at once.
    lines: Option<Lines>,
}

impl Progress {
    /// Only errors if `quiet`; JSON Lines if `json`. `timeout` is that of an attempt.
    pub(crate) fn new(quiet: bool, json: bool, timeout: Duration) -> Self {
        let about_lost = if json {
            |lost| message_json("remark", &about_lost(lost))
        } else {
            |lost| format!("punch: {}", about_lost(lost))
        };
        let lines = Lines::start("punch-stderr", || Ok(Sink::Messages), Some(about_lost)).ok();
        Self { quiet, json, timeout, lines }
    }

    /// Shows an event: each one as JSON, a few of them as text.
    pub(crate) fn event(&self, event: &Event) {
        if self.quiet {
            return;
        }
        if self.json {
            if let Ok(line) = serde_json::to_string(event) {
                self.write(line);
            }
        } else if let Some(text) = text(event, self.timeout) {
            self.write(format!("punch: {text}"));
        }
    }

    /// Shows a remark.
    pub(crate) fn remark(&self, text: &str) {
        self.message("remark", text, self.quiet);
    }

    /// Shows an error, with `quiet` too.
    pub(crate) fn error(&self, text: &str) {
        self.message("error", text, false);
    }

    /// Shows what a connection has carried. The numbers are absent where the system does not tell.
    pub(crate) fn ended(&self, carried: Option<Carried>, duration: Duration) {
        if self.quiet {
        } else if self.json {
            let mut line = serde_json::json!({
                "event": "ended",
                "duration_ms": u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            });
            if let Some(carried) = carried {
                line["sent_bytes"] = carried.sent.into();
                line["received_bytes"] = carried.received.into();
            }
            self.write(line.to_string());
        } else {
            let bytes = carried.map_or_else(String::new, |carried| {
                format!(": {} bytes sent, {} received", carried.sent, carried.received)
            });
            let seconds = duration.as_secs_f64();
            self.write(format!("punch: connection ended after {seconds:.1} s{bytes}"));
        }
    }

    /// Waits for the messages to be written, for a bounded time.
    pub(crate) fn finish(&self) {
        if let Some(lines) = &self.lines {
            // Nobody is left to be told.
            let _ = lines.finish();
        }
    }

    fn message(&self, kind: &str, text: &str, hidden: bool) {
        if hidden {
        } else if self.json {
            self.write(message_json(kind, text));
        } else {
            self.write(format!("punch: {text}"));
        }
    }

    /// Writes a line. A closed standard error ends neither attempt nor connection.
    fn write(&self, line: String) {
        match &self.lines {
            Some(lines) => lines.push(line),
            None => drop(Sink::Messages.write_line(line)),
        }
    }
}

fn message_json(kind: &str, text: &str) -> String {
    serde_json::json!({ "event": kind, "message": text }).to_string()
}

fn about_lost(lost: u64) -> String {
    format!("{lost} messages were lost, since standard error was not read")
}

/// Text of the events that a person wants to see while waiting.
#[expect(clippy::wildcard_enum_match_arm, reason = "most events are for programs")]
fn text(event: &Event, timeout: Duration) -> Option<String> {
    match &event.kind {
        EventKind::Started { peer, wall_ns, .. } => {
            let (now, until) = time_of_day::now_and_until(*wall_ns, timeout);
            Some(format!("punching towards {peer} at {now}, until {until} (--timeout)"))
        }
        EventKind::LocalAddress { address, usual: Some(usual) } => Some(format!(
            "packets from {address} may leave by another network: the route to the peer has \
             {usual}; --interface names the network"
        )),
        EventKind::Unavailable { port, error } => Some(format!("port {port} left out: {error}")),
        EventKind::Returned { local, remote, .. } => {
            Some(format!("connected: {local} to {remote}"))
        }
        _ => None,
    }
}
