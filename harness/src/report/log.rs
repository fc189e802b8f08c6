//! The log of a run, `events.jsonl`, and its summary, `summary.json`.

use std::{
    fs::{File, OpenOptions, Permissions},
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use crate::{
    event::{Event, SCHEMA},
    regular,
    report::{
        sink::{Sink, SinkError},
        summary::Summary,
        tally::{TallyError, summarize},
    },
    ui::escape::shown,
};

/// Name of the log in a run's folder.
pub(crate) const EVENTS_FILE: &str = "events.jsonl";
/// Name of the summary in a run's folder.
pub(crate) const SUMMARY_FILE: &str = "summary.json";

/// Maximum length of a line. The plan of ten thousand cells is shorter; a device that never ends is
/// longer.
const MAX_LINE: u64 = 64 << 20;

/// A log or summary that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// Creating, writing or replacing a file failed, such as with a full disk.
    #[error("cannot write {path}: {source}", path = shown(path))]
    Write {
        /// The file.
        path: PathBuf,
        /// Reason.
        source: io::Error,
    },
    /// Opening or reading a file failed.
    #[error("cannot read {path}: {source}", path = shown(path))]
    Read {
        /// The file.
        path: PathBuf,
        /// Reason.
        source: io::Error,
    },
    /// A folder without a log.
    #[error(
        "{path} holds no run: there is no {EVENTS_FILE} in it; give the folder that `harness` named \
         at the end of the run",
        path = shown(path)
    )]
    NoRun {
        /// The folder.
        path: PathBuf,
    },
    /// The lines are events, but not of one run.
    #[error("{path}: {source}", path = shown(path))]
    Inconsistent {
        /// The file.
        path: PathBuf,
        /// Reason.
        source: TallyError,
    },
    /// The run ended before its first event was complete.
    #[error("{path} holds no event: the run was stopped before it began", path = shown(path))]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The first line is not that of a log.
    #[error(
        "{path} is no log of a run: its first line is not a `run-started` event; \
         give the folder of a run or its {EVENTS_FILE}",
        path = shown(path)
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A later version wrote the log.
    #[error(
        "{path} has format {found}, this harness reads up to {SCHEMA}: use the version that wrote it",
        path = shown(path)
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Version of the format.
        found: u32,
    },
    /// A complete line is not an event.
    #[error("{path}, line {line}: not an event of this format: {reason}", path = shown(path))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line number from 1.
        line: usize,
        /// Reason.
        reason: String,
    },
}

/// The open log of a run. Each event is written to the kernel as soon as it is appended, so that no
/// event is lost if the harness is killed. A crash of the machine may lose the last events.
#[derive(Debug)]
pub(crate) struct EventLog {
    file: File,
    path: PathBuf,
    /// Length of all complete lines in bytes.
    complete: u64,
}

impl EventLog {
    /// Creates the log `path`.
    ///
    /// # Errors
    ///
    /// The file exists already or cannot be created.
    pub(crate) fn create(path: &Path) -> Result<Self, LogError> {
        let opened = OpenOptions::new().append(true).create_new(true).open(path);
        let file = opened.map_err(|source| LogError::Write { path: path.to_owned(), source })?;
        Ok(Self { file, path: path.to_owned(), complete: 0 })
    }

    /// Appends an event as one line, with one `write` if the kernel accepts the whole line.
    ///
    /// # Errors
    ///
    /// The line cannot be written, for example because the disk is full. A part that was written is
    /// removed, so that the log stays readable and the next event can be appended.
    pub(crate) fn append(&mut self, event: &Event) -> Result<(), LogError> {
        let line = serde_json::to_vec(event)
            .map_err(io::Error::from)
            .map(|mut line| {
                line.push(b'\n');
                line
            });
        let written = line.and_then(|line| {
            self.file.write_all(&line)?;
            Ok(line.len() as u64)
        });
        match written {
            Ok(length) => {
                self.complete += length;
                Ok(())
            }
            Err(source) => {
                // Truncation needs no space. If it fails too, the first error is reported.
                let _also_failed = self.file.set_len(self.complete);
                Err(LogError::Write { path: self.path.clone(), source })
            }
        }
    }
}

impl Sink for EventLog {
    fn event(&mut self, event: &Event, _elapsed: Duration) -> Result<(), SinkError> {
        match event {
            Event::CellExtended(_) => Ok(()),
            Event::RunStarted(_)
            | Event::TrialFinished(_)
            | Event::CellDecided(_)
            | Event::RunFinished(_) => Ok(self.append(event)?),
        }
    }
}

/// Keys of the first line in every version of the format.
#[derive(Deserialize)]
struct Header {
    event: String,
    schema: u32,
}

/// Path of the log, given the log or the folder of the run.
fn events_file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(EVENTS_FILE) } else { path.to_owned() }
}

/// Reads a log, given the log or the folder of the run. A last line that a crash cut off is left
/// out.
///
/// # Errors
///
/// The file cannot be read, is not a log, was written by a later version, or contains a line that
/// is not an event.
pub(crate) fn read(path: &Path) -> Result<Vec<Event>, LogError> {
    let folder = path;
    let path = events_file(path);
    let read_error = |source: io::Error| {
        if source.kind() == io::ErrorKind::NotFound && folder.is_dir() {
            LogError::NoRun { path: folder.to_owned() }
        } else {
            LogError::Read { path: path.clone(), source }
        }
    };
    let mut reader = BufReader::new(regular::open(&path).map_err(read_error)?);
    let mut events = Vec::new();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let mut limited = reader.by_ref().take(MAX_LINE);
        if limited.read_until(b'\n', &mut line).map_err(read_error)? == 0 {
            break;
        }
        if line.len() as u64 == MAX_LINE {
            return Err(LogError::Foreign { path });
        }
        let is_cut_off = line.last() != Some(&b'\n');
        if number == 1 {
            check_header(&line, &path)?;
        }
        match serde_json::from_slice(&line) {
            Ok(event) => events.push(event),
            Err(_) if is_cut_off => break,
            Err(error) => {
                // The parser was given one line, which it calls line 1.
                let reason = error
                    .to_string()
                    .replace(" at line 1 column ", " at column ");
                return Err(LogError::Malformed { path, line: number, reason });
            }
        }
    }
    if events.is_empty() { Err(LogError::Empty { path }) } else { Ok(events) }
}

/// Accepts the first line of a log in a known format, and a part of such a line that a crash left.
fn check_header(line: &[u8], path: &Path) -> Result<(), LogError> {
    const BEGIN: &[u8] = br#"{"event":"run-started","#;
    match serde_json::from_slice(line) {
        Ok(Header { event, schema }) if event == "run-started" && schema > SCHEMA => {
            Err(LogError::Newer { path: path.to_owned(), found: schema })
        }
        Ok(Header { event, .. }) if event == "run-started" => Ok(()),
        Err(error) if error.is_eof() && (BEGIN.starts_with(line) || line.starts_with(BEGIN)) => {
            Ok(())
        }
        Ok(_) | Err(_) => Err(LogError::Foreign { path: path.to_owned() }),
    }
}

/// Reads a log like [`read`], and summarizes it.
///
/// # Errors
///
/// As [`read`], or the events are inconsistent.
pub(crate) fn read_summary(path: &Path) -> Result<Summary, LogError> {
    let events = read(path)?;
    summarize(&events).map_err(|source| LogError::Inconsistent { path: events_file(path), source })
}

/// Checks that [`write_atomically`] can write a file, without changing the file.
///
/// # Errors
///
/// The folder of the file does not exist or is not writable, or the path is that of a folder.
pub(crate) fn check_writable(path: &Path) -> Result<(), LogError> {
    let error = |source| LogError::Write { path: path.to_owned(), source };
    if path.is_dir() {
        return Err(error(io::ErrorKind::IsADirectory.into()));
    }
    tempfile::NamedTempFile::new_in(folder_of(path))
        .map(drop)
        .map_err(without_path)
        .map_err(error)
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Writes a file atomically: a reader finds the old or the new contents, never a part. The contents
/// go to a temporary file in the same folder, which then replaces the file.
///
/// # Errors
///
/// The file cannot be written. An old file is unchanged then.
pub(crate) fn write_atomically(
    path: &Path,
    contents: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), LogError> {
    let write = || {
        // Permissions of an ordinary file: temporary files are private by default, but other users
        // read the reports of a harness that runs as root.
        let mut file = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder_of(path))
            .map_err(without_path)?;
        let mut out = BufWriter::new(file.as_file_mut());
        contents(&mut out)?;
        out.flush()?;
        drop(out);
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|source| LogError::Write { path: path.to_owned(), source })
}

/// The kind of an error without its path: `tempfile` adds the random name of the temporary file.
pub(super) fn without_path(error: io::Error) -> io::Error {
    error.kind().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::Outcome,
        report::fixture::{event, finished, scenario, started, trial, trials},
    };

    fn events() -> Vec<Event> {
        let plan = scenario("home", 3, vec![crate::report::fixture::cell(&[])]);
        let mut events = vec![started(vec![plan])];
        events.extend(trials(0, 2, 3));
        events.push(finished(false));
        events
    }

    fn logged(folder: &Path) -> PathBuf {
        let path = folder.join(EVENTS_FILE);
        let mut log = EventLog::create(&path).unwrap();
        for event in events() {
            log.append(&event).unwrap();
        }
        path
    }

    fn refusal(contents: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(EVENTS_FILE);
        std::fs::write(&path, contents).unwrap();
        let message = read(&path).unwrap_err().to_string();
        message.replace(folder.path().to_str().unwrap(), "RUN")
    }

    #[test]
    fn appended_events_are_read_from_the_file_and_from_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = logged(folder.path());
        assert_eq!(read(&path).unwrap(), events());
        assert_eq!(read(folder.path()).unwrap(), events());
    }

    #[test]
    fn a_log_that_is_cut_anywhere_gives_the_events_before_the_cut() {
        let folder = tempfile::tempdir().unwrap();
        let whole = std::fs::read(logged(folder.path())).unwrap();
        let cut = folder.path().join("cut.jsonl");
        let mut most = 0;
        for length in (0..whole.len()).step_by(7) {
            std::fs::write(&cut, &whole[..length]).unwrap();
            match read(&cut) {
                Ok(read) => {
                    assert!(read.len() >= most && events().starts_with(&read));
                    most = read.len();
                }
                Err(LogError::Empty { .. }) => assert_eq!(most, 0),
                Err(error) => panic!("cut at {length}: {error}"),
            }
        }
        assert!(most + 1 >= events().len());
    }

    #[test]
    fn a_file_that_is_not_a_log_is_refused_with_a_reason() {
        let foreign = "RUN/events.jsonl is no log of a run: its first line is not a `run-started` \
                       event; give the folder of a run or its events.jsonl";
        let empty = "RUN/events.jsonl holds no event: the run was stopped before it began";
        let newer = "RUN/events.jsonl has format 2, this harness reads up to 1: use the version \
                     that wrote it";
        assert_eq!(refusal(""), empty);
        assert_eq!(refusal(r#"{"event":"run-sta"#), empty);
        assert_eq!(refusal(r#"{"event":"run-started","schema":1,"#), empty);
        assert_eq!(refusal("hello"), foreign);
        assert_eq!(refusal("{\n  \"event\":"), foreign);
        assert_eq!(refusal(r#"{"event":"run-finished"}"#), foreign);
        assert_eq!(refusal("{\"event\":\"run-started\",\"schema\":2,\"new\":true}\n"), newer);
        let first = serde_json::to_string(&events()[0]).unwrap();
        assert_eq!(
            refusal(&format!("{first}\n{{}}\n{first}\n")),
            "RUN/events.jsonl, line 2: not an event of this format: missing field `event` at \
             column 2"
        );
    }

    #[test]
    fn an_expectation_may_use_the_key_success_of_old_logs() {
        let mut events = events();
        let Event::RunStarted(started) = &mut events[0] else { panic!("the first one") };
        started.scenarios[0].expectations = vec![crate::report::fixture::expect("theory", None)];
        let text = serde_json::to_string(&events[0]).unwrap();
        let old = text.replace(r#""expected":"theory","line":7"#, r#""success":"theory""#);
        assert_ne!(old, text);
        let Event::RunStarted(read) = serde_json::from_str(&old).unwrap() else { panic!("{old}") };
        let expectation = &read.scenarios[0].expectations[0];
        assert_eq!((expectation.expected.as_str(), expectation.line), ("theory", None));
    }

    #[test]
    fn a_folder_without_a_run_is_refused_with_a_reason() {
        let folder = tempfile::tempdir().unwrap();
        let message = read(folder.path()).unwrap_err().to_string();
        assert_eq!(
            message.replace(folder.path().to_str().unwrap(), "RUN"),
            "RUN holds no run: there is no events.jsonl in it; give the folder that `harness` named \
             at the end of the run"
        );
        let device = read(Path::new("/dev/zero")).unwrap_err().to_string();
        assert_eq!(device, "cannot read /dev/zero: it is a device, not a regular file");
        let path = logged(folder.path());
        let first = std::fs::read(&path).unwrap();
        std::fs::write(&path, first.repeat(2)).unwrap();
        let message = read_summary(folder.path()).unwrap_err().to_string();
        assert!(message.contains("events.jsonl: a second run starts within"), "{message}");
    }

    #[test]
    fn checking_that_a_file_is_writable_does_not_change_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.xml");
        std::fs::write(&path, "old").unwrap();
        check_writable(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
        for wrong in ["nowhere/report.xml", "report.xml/below", "."] {
            assert!(check_writable(&folder.path().join(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_full_disk_is_an_error_that_names_the_file() {
        let file = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let mut log = EventLog { file, path: PathBuf::from("run/events.jsonl"), complete: 0 };
        let error = log
            .append(&event(trial(0, 0, Outcome::Success)))
            .unwrap_err();
        let message = error.to_string();
        assert_eq!(message, "cannot write run/events.jsonl: No space left on device (os error 28)");
    }

    #[test]
    fn a_log_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = logged(folder.path());
        assert!(EventLog::create(&path).is_err());
    }

    #[test]
    fn a_summary_replaces_the_old_one_and_others_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(SUMMARY_FILE), "old").unwrap();
        let summary = summarize(&events()).unwrap();
        let path = folder.path().join(SUMMARY_FILE);
        write_atomically(&path, |out| Ok(serde_json::to_writer(out, &summary)?)).unwrap();
        let written = std::fs::read(&path).unwrap();
        assert_eq!(serde_json::from_slice::<Summary>(&written).unwrap(), summary);
        let reference = folder.path().join("reference");
        std::fs::write(&reference, "").unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode();
        assert_eq!(mode(&path), mode(&reference));
        assert_eq!(folder.path().read_dir().unwrap().count(), 2, "nothing temporary is left");
    }
}
