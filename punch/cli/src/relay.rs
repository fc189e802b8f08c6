//! Relaying: between the connection and standard input and output, or those of a command.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    process::{Command, Stdio},
    thread,
};

use crate::{exit::Problem, interrupt::Interrupt};

/// Relays until both directions have ended. The end of standard input is passed on as a half close,
/// so that the other direction can go on.
pub(crate) fn relay(stream: &TcpStream, interrupt: &Interrupt) -> Result<(), Problem> {
    let sender = stream.try_clone().map_err(connection_broke)?;
    let sending = thread::Builder::new()
        .name("punch-stdin".into())
        .spawn(move || {
            let sent = copy(&mut io::stdin().lock(), &mut &sender);
            // Fails where the peer has closed already.
            let _ = sender.shutdown(Shutdown::Write);
            sent
        })
        .map_err(connection_broke)?;
    match copy(&mut &*stream, &mut io::stdout().lock()) {
        Ok(()) => {}
        Err(CopyError::Writing(error)) => {
            let _ = stream.shutdown(Shutdown::Both);
            return Err(Problem::unwritten(&error));
        }
        Err(CopyError::Reading(error)) => return Err(connection_broke(error)),
    }
    if interrupt.happened() {
        // Standard input may never end: the thread that reads it is left to the end of the process.
        return Ok(());
    }
    match sending.join() {
        Ok(Ok(())) => Ok(()),
        Ok(Err(CopyError::Reading(error))) => {
            Err(Problem::failed(format!("standard input cannot be read: {error}")))
        }
        Ok(Err(CopyError::Writing(error))) => Err(connection_broke(error)),
        Err(_) => Err(Problem::failed("the thread that reads standard input panicked")),
    }
}

/// Runs a shell command whose standard input and output are the connection.
pub(crate) fn exec(command: &str, stream: &TcpStream) -> Result<(), Problem> {
    let end = || stream.try_clone().map(stdio).map_err(connection_broke);
    let (input, output) = (end()?, end()?);
    let shell = if cfg!(windows) { ["cmd", "/C"] } else { ["/bin/sh", "-c"] };
    let status = Command::new(shell[0])
        .args([shell[1], command])
        .stdin(input)
        .stdout(output)
        .status()
        .map_err(|error| Problem::failed(format!("--exec: {} cannot be run: {error}", shell[0])))?;
    let _ = stream.shutdown(Shutdown::Write);
    // Reads to the end of the peer's bytes: a close over unread bytes would reset the connection,
    // and the peer might lose what the command has written last.
    let _ = copy(&mut &*stream, &mut io::sink());
    if status.success() {
        Ok(())
    } else {
        Err(Problem::failed(format!("--exec: {command:?} ended with {status}")))
    }
}

#[cfg(unix)]
fn stdio(stream: TcpStream) -> Stdio {
    std::os::fd::OwnedFd::from(stream).into()
}

#[cfg(windows)]
fn stdio(stream: TcpStream) -> Stdio {
    std::os::windows::io::OwnedHandle::from(std::os::windows::io::OwnedSocket::from(stream)).into()
}

fn connection_broke(error: io::Error) -> Problem {
    Problem::failed(format!("the connection broke: {error}"))
}

/// A failed copy, by the end that failed.
enum CopyError {
    Reading(io::Error),
    Writing(io::Error),
}

/// Copies to the end, and flushes each piece: the reader may be a person.
fn copy(from: &mut impl Read, to: &mut impl Write) -> Result<(), CopyError> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => {
                to.write_all(&buffer[..read])
                    .and_then(|()| to.flush())
                    .map_err(CopyError::Writing)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(CopyError::Reading(error)),
        }
    }
}
