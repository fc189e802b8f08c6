//! Standard input and output become the connection, or those of a command.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    process::{Command, Stdio},
    thread,
};

use crate::{exit::Problem, interrupt::Interrupt};

/// Relays until both directions are at their end. The end of standard input is sent on as a half
/// close, so that either side may go on alone.
pub(crate) fn relay(stream: &TcpStream, interrupt: &Interrupt) -> Result<(), Problem> {
    let sender = stream.try_clone().map_err(|error| broken(&error))?;
    let sending = thread::Builder::new()
        .name("punch-stdin".into())
        .spawn(move || {
            let sent = copy(&mut io::stdin().lock(), &mut &sender);
            // The peer may have closed already: then there is nobody to tell.
            let _ = sender.shutdown(Shutdown::Write);
            sent
        })
        .map_err(|error| broken(&error))?;
    match copy(&mut &*stream, &mut io::stdout().lock()) {
        Ok(()) => {}
        Err(Broken::Writing(error)) => {
            let _ = stream.shutdown(Shutdown::Both);
            return Err(Problem::unwritten(&error));
        }
        Err(Broken::Reading(error)) => return Err(broken(&error)),
    }
    if interrupt.happened() {
        // Standard input may never end; its thread ends with the process.
        return Ok(());
    }
    match sending.join() {
        Ok(Ok(())) => Ok(()),
        Ok(Err(Broken::Reading(error))) => {
            Err(Problem::failed(format!("standard input cannot be read: {error}")))
        }
        Ok(Err(Broken::Writing(error))) => Err(broken(&error)),
        Err(_) => Err(Problem::failed("the thread that reads standard input panicked")),
    }
}

/// Runs a shell command whose standard input and output are the connection.
pub(crate) fn exec(command: &str, stream: &TcpStream) -> Result<(), Problem> {
    let end = || stream.try_clone().map(stdio);
    let (input, output) =
        (end().map_err(|error| broken(&error))?, end().map_err(|error| broken(&error))?);
    let shell = if cfg!(windows) { ["cmd", "/C"] } else { ["/bin/sh", "-c"] };
    let status = Command::new(shell[0])
        .args([shell[1], command])
        .stdin(input)
        .stdout(output)
        .status()
        .map_err(|error| Problem::failed(format!("--exec: {} cannot be run: {error}", shell[0])))?;
    let _ = stream.shutdown(Shutdown::Write);
    // What the peer still sends is read to its end: a close over unread bytes would reset the
    // connection, and the peer might lose what the command wrote last.
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

fn broken(error: &io::Error) -> Problem {
    Problem::failed(format!("the connection broke: {error}"))
}

/// Which end of a copy failed.
enum Broken {
    Reading(io::Error),
    Writing(io::Error),
}

/// Copies to the end, flushing each piece: the other side may be a person.
fn copy(from: &mut impl Read, to: &mut impl Write) -> Result<(), Broken> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => {
                to.write_all(&buffer[..read])
                    .and_then(|()| to.flush())
                    .map_err(Broken::Writing)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Broken::Reading(error)),
        }
    }
}
