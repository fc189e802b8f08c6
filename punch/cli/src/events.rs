//! `--events FILE`: events as JSON Lines.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use punch::proto::event::Event;

use crate::lines::{Lines, Sink};

/// The file of `--events`, if the option was given. A thread writes it, so that a pipe or a disk
/// that stalls does not hold up the attempt. A failed write does not end the attempt: its message
/// is kept for the end.
#[derive(Debug)]
pub(crate) struct EventFile {
    file: Option<(PathBuf, Lines)>,
}

impl EventFile {
    /// Creates the file before anything is sent, so that a wrong path ends the command at once.
    pub(crate) fn create(path: Option<&Path>) -> Result<Self, String> {
        let Some(path) = path else { return Ok(Self { file: None }) };
        let unwritable =
            |error: io::Error| format!("--events: {} cannot be written: {error}", path.display());
        let lines = if is_pipe(path) {
            let pipe = path.to_owned();
            // This waits until somebody reads the pipe.
            Lines::start("punch-events", move || File::create(pipe).map(Sink::File), None)
        } else {
            let file = File::create(path).map_err(unwritable)?;
            Lines::start("punch-events", || Ok(Sink::File(file)), None)
        };
        let lines = lines.map_err(unwritable)?;
        Ok(Self { file: Some((path.to_owned(), lines)) })
    }

    /// Writes one event, unless an earlier write has failed. Never waits.
    pub(crate) fn write(&self, event: &Event) {
        if let Some((_, lines)) = &self.file
            && let Ok(line) = serde_json::to_string(event)
        {
            lines.push(line);
        }
    }

    /// Waits for the file to be complete, for a bounded time. The message says what it lacks.
    pub(crate) fn finish(&self) -> Result<(), String> {
        let Some((path, lines)) = &self.file else { return Ok(()) };
        let written = lines.finish();
        match (written.error, written.lost) {
            (Some(error), _) => Err(format!("--events: {}: {error}", path.display())),
            (None, 0) => Ok(()),
            (None, lost) => Err(format!(
                "--events: {} was not read in time: {lost} events are lost",
                path.display()
            )),
        }
    }
}

#[cfg(unix)]
fn is_pipe(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo())
}

#[cfg(not(unix))]
fn is_pipe(_: &Path) -> bool {
    false
}
