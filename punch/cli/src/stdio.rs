//! Standard input, output and error as descriptors: without buffers, and whether or not they block.
//!
//! The flag O_NONBLOCK belongs to the open file, which other processes may share: it is taken as it
//! is, and never changed.

use std::time::Duration;

/// Kind of a standard stream, as far as the end of a connection depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Terminal,
    /// A file with an end.
    File,
    /// A pipe, a socket or a device.
    Stream,
}

/// What reading standard input gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    Bytes(usize),
    /// Its end, or it has been closed, or its reader was told to take this for the end.
    End,
    /// The relay is over.
    Abandoned,
}

/// Interval at which a process in the background looks whether it is in the foreground again.
const FOREGROUND_CHECK: Duration = Duration::from_millis(200);

pub(crate) use platform::{
    Stop, Stopper, abandoned_within, input_kind, is_output_closed, output_kind, read_input,
    stopper, write_messages, write_output,
};

#[cfg(unix)]
mod platform {
    use std::{
        fs::File,
        io::{self, IsTerminal, PipeReader, PipeWriter, Read, Stdin, Write},
        os::{
            fd::{AsFd, BorrowedFd},
            unix::fs::FileTypeExt,
        },
        time::Duration,
    };

    use nix::{
        errno::Errno,
        poll::{PollFd, PollFlags, PollTimeout, poll},
        unistd,
    };

    use super::{FOREGROUND_CHECK, Input, Kind};

    /// Stops [`read_input`] when dropped.
    #[derive(Debug)]
    pub(crate) struct Stopper(PipeWriter);

    impl Stopper {
        /// Makes [`read_input`] take what it has read for everything.
        pub(crate) fn end(mut self) {
            // The pipe is empty, and its reader has ended where this fails.
            let _ = self.0.write_all(b"\n");
        }
    }

    /// What [`read_input`] watches beside standard input.
    pub(crate) type Stop = PipeReader;

    pub(crate) fn stopper() -> io::Result<(Stopper, Stop)> {
        let (stop, writer) = io::pipe()?;
        Ok((Stopper(writer), stop))
    }

    pub(crate) fn input_kind() -> Kind {
        let stdin = io::stdin();
        kind(stdin.as_fd(), stdin.is_terminal())
    }

    pub(crate) fn output_kind() -> Kind {
        let stdout = io::stdout();
        kind(stdout.as_fd(), stdout.is_terminal())
    }

    fn kind(stream: BorrowedFd<'_>, is_terminal: bool) -> Kind {
        let metadata = || {
            File::from(stream.try_clone_to_owned().ok()?)
                .metadata()
                .ok()
        };
        if is_terminal {
            return Kind::Terminal;
        }
        match metadata().map(|metadata| metadata.file_type()) {
            Some(kind) if kind.is_fifo() || kind.is_socket() || kind.is_char_device() => {
                Kind::Stream
            }
            Some(_) => Kind::File,
            None => Kind::Stream,
        }
    }

    /// Reads standard input as soon as there is something to read. What can be read at once comes
    /// before the stop.
    pub(crate) fn read_input(buffer: &mut [u8], stop: &Stop) -> io::Result<Input> {
        let stdin = io::stdin();
        loop {
            let in_background = is_in_background(&stdin);
            let (readable, stopped) = wait(&stdin, stop, in_background)?;
            if readable {
                match unistd::read(&stdin, buffer) {
                    Ok(0) => return Ok(Input::End),
                    Ok(read) => return Ok(Input::Bytes(read)),
                    Err(Errno::EAGAIN | Errno::EINTR) => {}
                    // It was closed on entry, or opened for writing only, as `nohup` does.
                    Err(Errno::EBADF) => return Ok(Input::End),
                    // The terminal has gone: what a person has typed is complete.
                    Err(Errno::EIO) if stdin.is_terminal() => return Ok(Input::End),
                    Err(error) => return Err(error.into()),
                }
            }
            if stopped {
                let mut stop = stop;
                let is_end = stop.read(&mut [0; 1])? > 0;
                return Ok(if is_end { Input::End } else { Input::Abandoned });
            }
        }
    }

    /// Waits for a time, or until the relay is over: whether it is.
    pub(crate) fn abandoned_within(stop: &Stop, time: Duration) -> io::Result<bool> {
        let mut watched = [PollFd::new(stop.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(time).unwrap_or(PollTimeout::ZERO);
        match poll(&mut watched, timeout) {
            Ok(0) | Err(Errno::EINTR) => Ok(false),
            Ok(_) => {
                let mut stop = stop;
                Ok(stop.read(&mut [0; 1])? == 0)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for standard input or the stop: which of them has come.
    fn wait(stdin: &Stdin, stop: &Stop, in_background: bool) -> io::Result<(bool, bool)> {
        let input = if in_background { PollFlags::empty() } else { PollFlags::POLLIN };
        let mut watched =
            [PollFd::new(stop.as_fd(), PollFlags::POLLIN), PollFd::new(stdin.as_fd(), input)];
        // What is typed meanwhile is for the program in the foreground.
        let (watched, timeout) = if in_background {
            let check = PollTimeout::try_from(FOREGROUND_CHECK).unwrap_or(PollTimeout::ZERO);
            (&mut watched[..1], check)
        } else {
            (&mut watched[..], PollTimeout::NONE)
        };
        match poll(watched, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let came = |index: usize| {
            let events = watched.get(index).and_then(PollFd::revents);
            events.is_some_and(|events| !events.is_empty())
        };
        Ok((came(1), came(0)))
    }

    /// Whether a read of standard input would stop this process, since it is a job in the
    /// background of that terminal.
    fn is_in_background(stdin: &Stdin) -> bool {
        unistd::tcgetpgrp(stdin).is_ok_and(|foreground| foreground != unistd::getpgrp())
    }

    /// Writes everything to standard output.
    pub(crate) fn write_output(bytes: &[u8]) -> io::Result<()> {
        write_all(io::stdout().as_fd(), bytes)
    }

    /// Writes everything to standard error.
    pub(crate) fn write_messages(bytes: &[u8]) -> io::Result<()> {
        write_all(io::stderr().as_fd(), bytes)
    }

    fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match unistd::write(to, bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => bytes = &bytes[written..],
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => {
                    let mut watched = [PollFd::new(to, PollFlags::POLLOUT)];
                    match poll(&mut watched, PollTimeout::NONE) {
                        Ok(_) | Err(Errno::EINTR) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Whether standard output was closed when the process began. The standard library opens
    /// /dev/null in its place before `main`, which would swallow what arrives.
    pub(crate) fn is_output_closed() -> bool {
        entry::is_output_closed()
    }

    #[cfg(target_os = "linux")]
    mod entry {
        use std::sync::atomic::{AtomicBool, Ordering};

        static OUTPUT_CLOSED: AtomicBool = AtomicBool::new(false);

        /// Looks at standard output before the standard library does.
        #[used]
        // SAFETY: the loader calls the functions of this section, with the arguments of `main`,
        // which a function without arguments ignores.
        #[unsafe(link_section = ".init_array")]
        static LOOK: extern "C" fn() = look;

        extern "C" fn look() {
            // SAFETY: F_GETFD takes no pointer, and any number may be asked about.
            let flags = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) };
            OUTPUT_CLOSED.store(flags == -1, Ordering::Relaxed);
        }

        pub(super) fn is_output_closed() -> bool {
            OUTPUT_CLOSED.load(Ordering::Relaxed)
        }
    }

    #[cfg(not(target_os = "linux"))]
    mod entry {
        /// Always false: nothing runs before the standard library here.
        pub(super) fn is_output_closed() -> bool {
            false
        }
    }
}

#[cfg(not(unix))]
mod platform {
    use std::io::{self, IsTerminal, Read, Write};

    use super::{Input, Kind};

    /// Stops nothing: a read of standard input waits for its end.
    #[derive(Debug)]
    pub(crate) struct Stopper;

    impl Stopper {
        pub(crate) fn end(self) {}
    }

    #[derive(Debug)]
    pub(crate) struct Stop;

    pub(crate) fn stopper() -> io::Result<(Stopper, Stop)> {
        Ok((Stopper, Stop))
    }

    pub(crate) fn input_kind() -> Kind {
        if io::stdin().is_terminal() { Kind::Terminal } else { Kind::Stream }
    }

    pub(crate) fn output_kind() -> Kind {
        if io::stdout().is_terminal() { Kind::Terminal } else { Kind::Stream }
    }

    pub(crate) fn read_input(buffer: &mut [u8], _: &Stop) -> io::Result<Input> {
        match io::stdin().lock().read(buffer)? {
            0 => Ok(Input::End),
            read => Ok(Input::Bytes(read)),
        }
    }

    pub(crate) fn abandoned_within(_: &Stop, time: std::time::Duration) -> io::Result<bool> {
        std::thread::park_timeout(time);
        Ok(false)
    }

    pub(crate) fn write_output(bytes: &[u8]) -> io::Result<()> {
        let mut output = io::stdout().lock();
        output.write_all(bytes).and_then(|()| output.flush())
    }

    pub(crate) fn write_messages(bytes: &[u8]) -> io::Result<()> {
        io::stderr().lock().write_all(bytes)
    }

    pub(crate) fn is_output_closed() -> bool {
        false
    }
}
