//! `--events FILE`: events as JSON Lines.

use std::{
    fs::File,
    io::{LineWriter, Write},
    path::{Path, PathBuf},
};

use punch::proto::event::Event;

/// The file of `--events`, if the option was given. A failed write does not end the attempt: its
/// message is kept for the end.
#[derive(Debug)]
pub(crate) struct EventFile {
    file: Option<(PathBuf, LineWriter<File>)>,
    error: Option<String>,
}

impl EventFile {
    /// Creates the file before anything is sent, so that a wrong path ends the command at once.
    pub(crate) fn create(path: Option<&Path>) -> Result<Self, String> {
        let file = path
            .map(|path| match File::create(path) {
                Ok(file) => Ok((path.to_owned(), LineWriter::new(file))),
                Err(error) => {
                    Err(format!("--events: {} cannot be written: {error}", path.display()))
                }
            })
            .transpose()?;
        Ok(Self { file, error: None })
    }

    /// Writes one event, unless an earlier write has failed.
    pub(crate) fn write(&mut self, event: &Event) {
        let Some((path, file)) = &mut self.file else { return };
        let written = serde_json::to_writer(&mut *file, event)
            .map_err(std::io::Error::from)
            .and_then(|()| file.write_all(b"\n"));
        if let Err(error) = written {
            self.error = Some(format!("--events: {}: {error}", path.display()));
            self.file = None;
        }
    }

    /// Message of the write that failed.
    pub(crate) fn error(self) -> Option<String> {
        self.error
    }
}
