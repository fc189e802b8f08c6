//! The command `punch`: netcat through NATs.
//!
//! A library, so that other programs can start themselves as a peer: [`main`] is all there is to
//! the binary.

mod args;
mod events;
mod interrupt;
mod loopback;
mod ntp;
mod peer;
mod progress;
mod relay;

use std::{
    ffi::OsString,
    io::{self, Write},
    process::ExitCode,
};

use clap::{CommandFactory, Parser};
use punch::Error;

use self::{args::Args, events::EventFile, interrupt::Interrupt, progress::Progress};

const NOT_CONNECTED: u8 = 1;
const USAGE: u8 = 2;
const INTERRUPTED: u8 = 130;

/// Runs the command with these arguments, the program's name first. Exit code 0: connected and all
/// bytes relayed; 1: not; 2: usage; 130: interrupted.
pub fn main(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            // Nothing can be done if even this cannot be printed.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE));
        }
    };
    let progress = Progress::new(args.quiet, args.json);
    match run(&args, progress) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            if let Some(message) = &problem.message {
                progress.error(message);
            }
            ExitCode::from(problem.code)
        }
    }
}

/// Why the command did not succeed.
#[derive(Debug)]
struct Problem {
    code: u8,
    /// What the user is told; nothing where they know already.
    message: Option<String>,
}

impl Problem {
    fn usage(message: impl Into<String>) -> Self {
        Self { code: USAGE, message: Some(message.into()) }
    }

    fn failed(message: impl Into<String>) -> Self {
        Self { code: NOT_CONNECTED, message: Some(message.into()) }
    }

    const fn silent(code: u8) -> Self {
        Self { code, message: None }
    }

    /// Standard output takes no more.
    fn unwritten(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            // Whoever read it has seen enough.
            return Self::silent(NOT_CONNECTED);
        }
        Self::failed(format!("standard output cannot be written: {error}"))
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        if matches!(error, Error::Cancelled) {
            Self::silent(INTERRUPTED)
        } else if matches!(error, Error::OwnAddress(address) if address.is_loopback()) {
            // The article's own suggestion for a first try.
            Self::usage(format!("{error}, or see both sides on this one with punch --loopback"))
        } else if error.is_usage() {
            Self::usage(error.to_string())
        } else {
            Self::failed(error.to_string())
        }
    }
}

fn run(args: &Args, progress: Progress) -> Result<(), Problem> {
    if let Some(shell) = args.completions {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut Args::command(), "punch", &mut text);
        return print(&text);
    }
    if args.man {
        let mut text = Vec::new();
        let made = clap_mangen::Man::new(Args::command()).render(&mut text);
        return made
            .map_err(|error| Problem::failed(error.to_string()))
            .and_then(|()| print(&text));
    }
    if args.loopback {
        return loopback::run(args, progress);
    }
    connect(args, progress)
}

fn print(text: &[u8]) -> Result<(), Problem> {
    let mut output = io::stdout();
    output
        .write_all(text)
        .and_then(|()| output.flush())
        .map_err(|error| Problem::unwritten(&error))
}

fn connect(args: &Args, progress: Progress) -> Result<(), Problem> {
    let Some(name) = &args.peer else { return Err(Problem::usage("give the peer's address")) };
    let peer = peer::resolve(name, args.family())?;
    let mut puncher = args
        .puncher()
        .map_err(Problem::usage)?
        .scope_id(peer.scope_id);
    if let Some(server) = &args.ntp {
        let offset = ntp::offset(server, progress).map_err(Problem::failed)?;
        puncher = puncher.clock_offset(args.offset_with(offset).map_err(Problem::usage)?);
    }
    if let Some(days) = args.unlikely_offset_days() {
        progress.say(&format!("the clock is corrected by {days:.0} days: is that meant?"));
    }
    let mut events = EventFile::create(args.events.as_deref()).map_err(Problem::usage)?;
    let interrupt = Interrupt::catch(puncher.canceller()).map_err(Problem::failed)?;

    let connection = puncher.connect_observed(peer.address, |event| {
        events.write(event);
        progress.event(event);
    });
    let (stream, closing) = connection?.into_parts();
    interrupt
        .connected(&stream)
        .map_err(|error| Problem::failed(error.to_string()))?;
    let relayed = match &args.exec {
        Some(command) => relay::exec(command, &stream),
        None => relay::relay(&stream, &interrupt),
    };
    drop(stream);
    closing.wait();
    if interrupt.happened() {
        return Err(Problem::silent(INTERRUPTED));
    }
    relayed?;
    match events.error() {
        None => Ok(()),
        Some(message) => Err(Problem::failed(message)),
    }
}
