//! Regular files: what a scenario and a log are, whatever their paths lead to.

use std::{
    fs::{self, File, FileType, OpenOptions},
    io,
    os::unix::fs::{FileTypeExt, OpenOptionsExt},
    path::Path,
};

/// Opens a regular file for reading. Nothing else is opened, since opening a FIFO waits for its
/// writer, and opening a device may act on it.
///
/// # Errors
/// The file cannot be opened, or is not a regular file.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    check(fs::metadata(path)?.file_type())?;
    // Some other file may have taken the path meanwhile; and some files of the kernel, which are
    // regular by their type, would let a reader wait.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    check(file.metadata()?.file_type())?;
    Ok(file)
}

fn check(found: FileType) -> io::Result<()> {
    let what = if found.is_file() {
        return Ok(());
    } else if found.is_dir() {
        "a directory"
    } else if found.is_fifo() {
        "a FIFO or pipe"
    } else if found.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    Err(io::Error::other(format!("it is {what}, not a regular file")))
}

#[cfg(test)]
mod tests {
    use nix::{sys::stat::Mode, unistd::mkfifo};

    use super::*;

    #[test]
    fn what_is_no_regular_file_is_refused_without_a_wait() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        mkfifo(&path("fifo"), Mode::S_IRWXU).unwrap();
        std::os::unix::fs::symlink(path("fifo"), path("link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        for (file, what) in [
            (path(""), "a directory"),
            (path("fifo"), "a FIFO or pipe"),
            (path("link"), "a FIFO or pipe"),
            (path("socket"), "a socket"),
            ("/dev/zero".into(), "a device"),
        ] {
            let error = open(&file).unwrap_err().to_string();
            assert_eq!(error, format!("it is {what}, not a regular file"));
        }
        fs::write(path("file"), "x").unwrap();
        assert_eq!(io::read_to_string(open(&path("file")).unwrap()).unwrap(), "x");
    }
}
