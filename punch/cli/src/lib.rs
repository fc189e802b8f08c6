//! The command `punch`: netcat through NATs.
//!
//! The library has one function, [`main`]: the whole binary, for programs that start themselves as
//! a peer.

#![deny(missing_docs)]

mod args;
mod events;
mod exit;
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

use self::{
    args::Args,
    events::EventFile,
    exit::{Exit, Problem},
    interrupt::Interrupt,
    progress::Progress,
};

/// Runs the command with these arguments, the program's name first. Returns one of the exit codes
/// that `--help` lists.
pub fn main(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            // Nothing can be done if even this cannot be printed.
            let _ = error.print();
            let code = u8::try_from(error.exit_code()).unwrap_or(Exit::Usage.code());
            return ExitCode::from(code);
        }
    };
    let progress = Progress::new(args.quiet, args.json);
    match run(&args, progress) {
        Ok(()) => Exit::Success.into(),
        Err(problem) => {
            if let Some(message) = &problem.message {
                progress.error(message);
            }
            problem.exit.into()
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
        progress.remark(&format!("the clock is corrected by {days:.0} days: is that meant?"));
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
        return Err(Problem::interrupted());
    }
    relayed?;
    match events.error() {
        None => Ok(()),
        Some(message) => Err(Problem::failed(message)),
    }
}
