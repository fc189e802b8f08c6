//! `--events FILE`: one JSON object a line.

use std::{
    fs::File,
    io::{LineWriter, Write},
    path::{Path, PathBuf},
};

use punch::proto::event::Event;

/// The file, if one was asked for. A failing write is remembered, and does not end the attempt.
#[derive(Debug)]
pub(crate) struct EventFile {
    file: Option<(PathBuf, LineWriter<File>)>,
    error: Option<String>,
}

impl EventFile {
    /// Creates the file, so that a mistake shows before anything else happens.
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

    /// Writes one event; after an error nothing more is written.
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

    /// What went wrong, if anything did.
    pub(crate) fn error(self) -> Option<String> {
        self.error
    }
}
