//! What the user sees on standard error while the command runs.

use std::io::{self, Write};

use punch::{Event, EventKind};

/// How progress is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    quiet: bool,
    json: bool,
}

impl Progress {
    /// Nothing but errors if `quiet`; as JSON Lines if `json`.
    pub(crate) const fn new(quiet: bool, json: bool) -> Self {
        Self { quiet, json }
    }

    /// Shows an event: all of them as JSON, the telling ones as text.
    pub(crate) fn event(self, event: &Event) {
        if self.quiet {
            return;
        }
        if self.json {
            if let Ok(line) = serde_json::to_string(event) {
                write(&line);
            }
        } else if let Some(text) = text(event) {
            write(&format!("punch: {text}"));
        }
    }

    /// Shows a remark.
    pub(crate) fn say(self, text: &str) {
        self.message("remark", text, self.quiet);
    }

    /// Shows an error, even if quiet.
    pub(crate) fn error(self, text: &str) {
        self.message("error", text, false);
    }

    fn message(self, kind: &str, text: &str, hidden: bool) {
        if hidden {
        } else if self.json {
            write(&serde_json::json!({ "event": kind, "message": text }).to_string());
        } else {
            write(&format!("punch: {text}"));
        }
    }
}

/// Whoever read standard error may have seen enough: that ends neither attempt nor connection.
fn write(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// What a person wants to see while waiting.
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
