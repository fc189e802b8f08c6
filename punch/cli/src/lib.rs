//! The command `punch`: netcat through NATs.
//!
//! The library has one function, [`main`]: the whole binary, for programs that start themselves as
//! a peer.

#![deny(missing_docs)]

mod advice;
mod args;
mod events;
mod exec;
mod exit;
mod hint;
mod interrupt;
mod lines;
mod loopback;
mod nat64;
mod ntp;
mod peer;
mod progress;
mod relay;
mod session;
mod socket;
mod stdio;
mod time_of_day;

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
    session::Session,
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
    // A wrong time-out is refused below, before the text is used.
    let progress = Progress::new(args.quiet, args.json, args.timeout().unwrap_or_default());
    let exit = match run(&args, &progress) {
        Ok(()) => Exit::Success,
        Err(problem) => {
            if let Some(message) = &problem.message {
                progress.error(message);
            }
            problem.exit
        }
    };
    progress.finish();
    exit.into()
}

fn run(args: &Args, progress: &Progress) -> Result<(), Problem> {
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

fn connect(args: &Args, progress: &Progress) -> Result<(), Problem> {
    let Some(name) = &args.peer else { return Err(Problem::usage("give the peer's address")) };
    hint::refuse_port(name, args.port.as_deref())?;
    args.check_keep().map_err(Problem::usage)?;
    let puncher = args.puncher().map_err(Problem::usage)?;
    if let Some(days) = args.unlikely_offset_days() {
        progress.remark(&format!("the clock is corrected by {days:.0} days: is that meant?"));
    }
    let interrupt = Interrupt::catch(puncher.canceller()).map_err(Problem::failed)?;
    let events = EventFile::create(args.events.as_deref()).map_err(Problem::usage)?;
    let session = Session { args, name, puncher, interrupt, events, progress };
    let served = if args.keep { session.keep() } else { session.once() };
    let written = session.events.finish();
    if let Some(signal) = session.interrupt.signal() {
        return Err(Problem::signalled(signal));
    }
    served?;
    written.map_err(Problem::failed)
}
