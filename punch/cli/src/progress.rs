//! Progress messages on standard error.

use std::io::{self, Write};

use punch::{Event, EventKind};

/// Form of the progress messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    quiet: bool,
    json: bool,
}

impl Progress {
    /// Only errors if `quiet`; JSON Lines if `json`.
    pub(crate) const fn new(quiet: bool, json: bool) -> Self {
        Self { quiet, json }
    }

    /// Shows an event: each one as JSON, a few of them as text.
    pub(crate) fn event(self, event: &Event) {
        if self.quiet {
            return;
        }
        if self.json {
            if let Ok(line) = serde_json::to_string(event) {
                write_line(&line);
            }
        } else if let Some(text) = text(event) {
            write_line(&format!("punch: {text}"));
        }
    }

    /// Shows a remark.
    pub(crate) fn remark(self, text: &str) {
        self.message("remark", text, self.quiet);
    }

    /// Shows an error, with `quiet` too.
    pub(crate) fn error(self, text: &str) {
        self.message("error", text, false);
    }

    fn message(self, kind: &str, text: &str, hidden: bool) {
        if hidden {
        } else if self.json {
            write_line(&serde_json::json!({ "event": kind, "message": text }).to_string());
        } else {
            write_line(&format!("punch: {text}"));
        }
    }
}

/// Writes a line to standard error. A closed standard error ends neither attempt nor connection.
fn write_line(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Text of the events that a person wants to see while waiting.
#[expect(clippy::wildcard_enum_match_arm, reason = "most events are for programs")]
fn text(event: &Event) -> Option<String> {
    match &event.kind {
        EventKind::Started { peer, .. } => Some(format!("punching towards {peer}")),
        EventKind::Unavailable { port, error } => Some(format!("port {port} left out: {error}")),
        EventKind::Returned { local, remote, .. } => {
            Some(format!("connected: {local} to {remote}"))
        }
        _ => None,
    }
}
