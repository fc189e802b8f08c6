//! The folder of a run.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::{
    report::log::{EVENTS_FILE, without_path},
    ui::escape::shown,
};

/// Name of the link to the newest run.
const LATEST: &str = "latest";
/// Maximum number of runs of the same name within one second.
const MAX_SAME_NAME: u32 = 1000;
/// Maximum length of the name in a path; longer ones are cut.
const MAX_NAME: usize = 60;

/// Reason why a run has no folder.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    /// A folder cannot be created or written to.
    #[error(
        "cannot write to {path}: {source}; choose another folder with --out",
        path = shown(path)
    )]
    Unwritable {
        /// The folder.
        path: PathBuf,
        /// Reason.
        source: io::Error,
    },
    /// The requested folder already contains a run.
    #[error(
        "{path} already holds a run: choose another folder with --out, or remove this one \
         (`harness report {path}` shows it)",
        path = shown(path)
    )]
    Taken {
        /// The folder.
        path: PathBuf,
    },
}

/// Folder of one run. The folder exists, is writable, and contains no other run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunFolder {
    path: PathBuf,
    warning: Option<String>,
}

impl RunFolder {
    /// Creates the folder of a run: exactly `out` if given, otherwise a new `base/<now>-<name>` and
    /// the link `base/latest` to it. If the folder exists, `-2` and so on is appended. `now` is a
    /// [`timestamp`]. Characters of `name` that are awkward in a path become `-`.
    ///
    /// # Errors
    ///
    /// The folder cannot be created or written to, or `out` contains a run.
    pub(crate) fn create(
        out: Option<&Path>,
        base: &Path,
        name: &str,
        now: &str,
    ) -> Result<Self, FolderError> {
        match out {
            Some(out) => Self::create_exactly(out),
            None => Self::create_within(base, &format!("{now}-{}", path_segment(name))),
        }
    }

    fn create_exactly(path: &Path) -> Result<Self, FolderError> {
        let unwritable = |source| FolderError::Unwritable { path: path.to_owned(), source };
        create_folder(path).map_err(unwritable)?;
        match path.join(EVENTS_FILE).symlink_metadata() {
            Ok(_) => return Err(FolderError::Taken { path: path.to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(unwritable(source)),
        }
        // An existing folder may be read-only. The user learns this before the trials.
        tempfile::NamedTempFile::new_in(path)
            .map_err(without_path)
            .map_err(unwritable)?;
        Ok(Self { path: path.to_owned(), warning: None })
    }

    fn create_within(base: &Path, name: &str) -> Result<Self, FolderError> {
        let unwritable = |source| FolderError::Unwritable { path: base.to_owned(), source };
        fs::create_dir_all(base).map_err(unwritable)?;
        let names = (1..=MAX_SAME_NAME)
            .map(|number| if number == 1 { name.to_owned() } else { format!("{name}-{number}") });
        for name in names {
            let path = base.join(&name);
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self { warning: link_latest(base, &name).err(), path }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(unwritable(source)),
            }
        }
        Err(unwritable(io::ErrorKind::AlreadyExists.into()))
    }

    /// Path of the folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Path of the log in the folder.
    pub(crate) fn events(&self) -> PathBuf {
        self.path.join(EVENTS_FILE)
    }

    /// Reason why `latest` does not lead to this run. On a file system without links, such as a
    /// folder shared with a virtual machine, everything else works.
    pub(crate) fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }
}

/// Creates a folder and those above it, unless it exists. The folder itself must not be a link:
/// what is written into it would go to a place that another user may have chosen.
///
/// # Errors
///
/// If it cannot be created, or is a link or no folder.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    // Without the slash at the end, which would follow a link.
    let path: PathBuf = path.components().collect();
    fs::create_dir_all(&path)?;
    if path.symlink_metadata()?.is_symlink() {
        return Err(io::Error::other("it is a link; name the folder that it leads to"));
    }
    Ok(())
}

/// A time in UTC for names that sort by time: `20260131-235959`. Times before 1970 become 1970.
pub(crate) fn timestamp(time: SystemTime) -> String {
    let time = time.max(SystemTime::UNIX_EPOCH);
    let rfc3339 = humantime::format_rfc3339_seconds(time).to_string();
    rfc3339.replace(['-', ':', 'Z'], "").replace('T', "-")
}

/// Points `latest` at the run atomically: the link exists at every moment.
fn link_latest(base: &Path, run: &str) -> Result<(), String> {
    let latest = base.join(LATEST);
    let new = tempfile::Builder::new().make_in(base, |path| symlink(run, path));
    let replaced = new.and_then(|new| Ok(new.persist(&latest)?));
    replaced.map(drop).map_err(|error| {
        format!("{} does not lead to this run: {}", shown(&latest), without_path(error))
    })
}

/// A name as one segment of a path.
fn path_segment(name: &str) -> String {
    let allowed = |character: char| character.is_alphanumeric() || "-_.+".contains(character);
    let characters = name
        .chars()
        .map(|character| if allowed(character) { character } else { '-' });
    characters.take(MAX_NAME).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: &str = "20260131-235959";

    #[test]
    fn a_timestamp_sorts_by_time() {
        let at = |seconds| timestamp(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "19700101-000000");
        assert_eq!(at(1_709_208_000), "20240229-120000");
        assert_eq!(at(1_769_903_999), NOW);
        assert_eq!(timestamp(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), at(0));
    }

    #[test]
    fn runs_of_the_same_second_get_folders_of_their_own_and_latest_is_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("target/harness");
        let create = || RunFolder::create(None, &base, "skew", NOW).unwrap();
        let folders = [create(), create(), create()];
        let names = ["skew", "skew-2", "skew-3"].map(|name| base.join(format!("{NOW}-{name}")));
        assert_eq!(folders.each_ref().map(|folder| folder.path().to_owned()), names);
        assert!(
            folders
                .iter()
                .all(|folder| folder.path().is_dir() && folder.warning().is_none())
        );
        let latest = fs::read_link(base.join(LATEST)).unwrap();
        assert_eq!(latest, Path::new("20260131-235959-skew-3"));
        assert_eq!(base.read_dir().unwrap().count(), 4, "nothing temporary is left");
    }

    #[test]
    fn a_name_cannot_lead_to_another_folder() {
        let base = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(None, base.path(), "../a b/ü", NOW).unwrap();
        assert_eq!(folder.path(), base.path().join("20260131-235959-..-a-b-ü"));
    }

    #[test]
    fn a_latest_that_is_not_a_link_is_kept_with_a_warning() {
        let base = tempfile::tempdir().unwrap();
        fs::create_dir(base.path().join(LATEST)).unwrap();
        let folder = RunFolder::create(None, base.path(), "skew", NOW).unwrap();
        assert!(
            folder
                .warning()
                .unwrap()
                .contains("latest does not lead to this run")
        );
        assert!(folder.path().is_dir());
    }

    #[test]
    fn out_is_used_exactly_and_for_one_run_only() {
        let base = tempfile::tempdir().unwrap();
        let out = base.path().join("deep/run");
        let create = || RunFolder::create(Some(&out), Path::new("unused"), "skew", NOW);
        let folder = create().unwrap();
        assert_eq!(folder.path(), out);
        assert_eq!(create().unwrap().path(), out);
        fs::write(folder.events(), "").unwrap();
        let message = create().unwrap_err().to_string();
        assert_eq!(
            message.replace(out.to_str().unwrap(), "DIR"),
            "DIR already holds a run: choose another folder with --out, or remove this one \
             (`harness report DIR` shows it)"
        );
    }

    #[test]
    fn a_folder_that_is_a_link_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let (out, elsewhere) = (base.path().join("out"), base.path().join("elsewhere"));
        fs::create_dir(&elsewhere).unwrap();
        symlink(&elsewhere, &out).unwrap();
        for out in [out.clone(), out.join(""), out.join(".")] {
            let error = RunFolder::create(Some(&out), Path::new("unused"), "skew", NOW);
            let message = error.unwrap_err().to_string();
            assert!(
                message.contains("it is a link; name the folder that it leads to"),
                "{message}"
            );
        }
        assert!(RunFolder::create(Some(&out.join("run")), &elsewhere, "skew", NOW).is_ok());
        // A log that is a link, also to nothing, is a run as well.
        symlink("/nowhere", elsewhere.join(EVENTS_FILE)).unwrap();
        let error = RunFolder::create(Some(&elsewhere), Path::new("unused"), "skew", NOW);
        assert!(matches!(error, Err(FolderError::Taken { .. })), "{error:?}");
    }

    #[test]
    fn a_folder_that_cannot_be_created_or_written_to_is_an_error() {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("file");
        fs::write(&file, "").unwrap();
        for out in [None, Some(file.as_path()), Some(Path::new("/proc"))] {
            let error = RunFolder::create(out, &file.join("base"), "skew", NOW).unwrap_err();
            assert!(matches!(error, FolderError::Unwritable { .. }), "{error}");
        }
        let error = RunFolder::create(Some(Path::new("/proc")), &file, "skew", NOW).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot write to /proc: entity not found; choose another folder \
             with --out"
        );
    }
}
