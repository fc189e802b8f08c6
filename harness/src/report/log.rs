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

/// No line is longer, even with the plan of ten thousand cells: whatever is, such as a device that
/// never ends, is no log.
const MAX_LINE: u64 = 64 << 20;

/// A log or summary that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// Creating, writing or replacing a file failed, such as with a full disk.
    #[error("cannot write {path}: {source}", path = shown(path))]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Opening or reading a file failed.
    #[error("cannot read {path}: {source}", path = shown(path))]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A folder that holds no log.
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
        /// Why.
        source: TallyError,
    },
    /// The run ended before its first event was complete.
    #[error("{path} holds no event: the run was stopped before it began", path = shown(path))]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// It does not begin as logs do.
    #[error(
        "{path} is no log of a run: its first line is not a `run-started` event; \
         give the folder of a run or its {EVENTS_FILE}",
        path = shown(path)
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A later version wrote it.
    #[error(
        "{path} has format {found}, this harness reads up to {SCHEMA}: use the version that wrote it",
        path = shown(path)
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// A complete line is no event.
    #[error("{path}, line {line}: not an event of this format: {reason}", path = shown(path))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line number from 1.
        line: usize,
        /// Why.
        reason: String,
    },
}

/// The open log of a run. Each event is handed to the kernel as soon as it is appended, so a
/// harness that is killed loses none; only a crash of the machine itself may cost the last ones.
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
    /// If it exists already or cannot be created.
    pub(crate) fn create(path: &Path) -> Result<Self, LogError> {
        let file = OpenOptions::new().append(true).create_new(true).open(path);
        let file = file.map_err(|source| LogError::Write { path: path.to_owned(), source })?;
        Ok(Self { file, path: path.to_owned(), complete: 0 })
    }

    /// Appends an event as one line, in one `write` where the kernel takes it whole.
    ///
    /// # Errors
    ///
    /// If it cannot be written, such as with a full disk. What was written of the line is taken
    /// back, so the log stays readable and the next event can be tried.
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
                // Shortening needs no space. If it fails as well, the first error says enough.
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

/// What the first line of every version of the log has.
#[derive(Deserialize)]
struct Header {
    event: String,
    schema: u32,
}

/// The log itself, where the folder of a run is given.
fn events_file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(EVENTS_FILE) } else { path.to_owned() }
}

/// Reads a log, or the one in a run's folder. A last line cut off by a crash is left out.
///
/// # Errors
///
/// If it cannot be read, is no log, was written by a later version, or has a line that is no event.
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
                // The parser saw only this line and calls it line 1.
                let reason = error
                    .to_string()
                    .replace(" at line 1 column ", " at column ");
                return Err(LogError::Malformed { path, line: number, reason });
            }
        }
    }
    if events.is_empty() { Err(LogError::Empty { path }) } else { Ok(events) }
}

/// Lets pass the first line of a log this harness can read, and what a crash may leave of it.
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

/// Reads a log as [`read`] does, and sums it up.
///
/// # Errors
///
/// As [`read`], and if the events do not belong together.
pub(crate) fn read_summary(path: &Path) -> Result<Summary, LogError> {
    let events = read(path)?;
    summarize(&events).map_err(|source| LogError::Inconsistent { path: events_file(path), source })
}

/// Makes sure that a file can be written with [`write_atomically`], and leaves it as it is.
///
/// # Errors
///
/// If its folder does not exist or cannot be written to, or if it is a folder itself.
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

/// Writes a file so that whoever opens it finds the old or the new contents, never a part: into a
/// temporary file beside it that then takes its name.
///
/// # Errors
///
/// If it cannot be written; the old file, if any, is untouched then.
pub(crate) fn write_atomically(
    path: &Path,
    contents: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), LogError> {
    let write = || {
        // Readable as other files are (less the umask): temporary files are private by default,
        // and reports of a harness run as root are for other users.
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

/// The kind of an error alone: `tempfile` adds the random name of its file, which only confuses.
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
    fn what_was_appended_is_read_by_file_and_by_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = logged(folder.path());
        assert_eq!(read(&path).unwrap(), events());
        assert_eq!(read(folder.path()).unwrap(), events());
    }

    #[test]
    fn wherever_a_crash_cuts_the_log_the_events_before_are_read() {
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
    fn what_is_no_log_is_refused_with_a_reason() {
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
    fn an_expectation_may_have_the_name_that_it_first_had() {
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
    fn what_holds_no_run_is_told_so() {
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
    fn whether_a_file_can_be_written_is_known_before_and_changes_nothing() {
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
