//! The command `punch`: netcat through NATs.
//!
//! Kept in the library so that other programs can start themselves as a peer: [`main`] is all
//! there is to the binary.

#![expect(clippy::print_stderr, reason = "a command speaks to its user")]

mod args;
mod events;
mod relay;

use std::{
    ffi::OsString,
    io,
    net::{IpAddr, ToSocketAddrs},
    process::ExitCode,
};

use clap::Parser;

use self::{args::Args, events::EventFile};
use crate::{
    Error,
    core::event::{Event, What},
};

const NOT_CONNECTED: u8 = 1;
const USAGE: u8 = 2;

/// Runs the command with these arguments, the program's name first. Exit code 0: connected and all
/// bytes relayed; 1: not; 2: usage.
pub fn main(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            // Nothing can be done if even this cannot be printed.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE));
        }
    };
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("punch: {}", problem.message);
            ExitCode::from(problem.code)
        }
    }
}

struct Problem {
    code: u8,
    message: String,
}

impl Problem {
    fn usage(message: String) -> Self {
        Self { code: USAGE, message }
    }

    fn failed(message: String) -> Self {
        Self { code: NOT_CONNECTED, message }
    }
}

fn run(args: &Args) -> Result<(), Problem> {
    let puncher = args.puncher().map_err(Problem::usage)?;
    let peer = resolve(&args.peer)?;
    let mut events = EventFile::create(args.events.as_deref()).map_err(Problem::usage)?;
    let say = |message: &str| {
        if !args.quiet {
            eprintln!("punch: {message}");
        }
    };
    let observer = |event: &Event| {
        events.write(event);
        if let Some(message) = progress(event) {
            say(&message);
        }
    };
    let connection = puncher.connect_with(peer, observer).map_err(|error| {
        let code = match error {
            Error::NotAPeer(_)
            | Error::Oneself(_)
            | Error::NotLocal(_)
            | Error::MixedFamilies { .. }
            | Error::EqualWanAddresses(_) => USAGE,
            Error::NoRoute(_) | Error::Failed(_) | Error::Cancelled | Error::Io(_) => NOT_CONNECTED,
        };
        Problem { code, message: error.to_string() }
    });
    let lost = events.error();
    let (stream, losers) = connection?.split();
    let relayed = relay::relay(&stream);
    drop(stream);
    losers.wait();
    relayed.map_err(|error| Problem::failed(format!("connection broke: {error}")))?;
    match lost {
        None => Ok(()),
        Some(message) => Err(Problem::failed(message)),
    }
}

/// What a user wants to see while waiting.
fn progress(event: &Event) -> Option<String> {
    match &event.what {
        What::Started { peer, .. } => Some(format!("punching towards {peer}")),
        What::Unavailable { port, error } => Some(format!("port {port} left out: {error}")),
        What::Returned { local, remote, .. } => Some(format!("connected: {local} to {remote}")),
        What::Ports { .. }
        | What::NoListener { .. }
        | What::Connect { .. }
        | What::Refused { .. }
        | What::Connected { .. }
        | What::Hello { .. }
        | What::Rejected { .. }
        | What::Disconnected { .. }
        | What::Decided { .. }
        | What::Acknowledged
        | What::Failed { .. } => None,
    }
}

/// The first address of a name, or the address itself; brackets around IPv6 are accepted.
fn resolve(peer: &str) -> Result<IpAddr, Problem> {
    let bare = peer.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(peer);
    let found = (bare, 0).to_socket_addrs().and_then(|mut addresses| {
        addresses.next().ok_or_else(|| io::Error::other("the name has no address"))
    });
    match found {
        Ok(address) => Ok(address.ip()),
        Err(error) => Err(Problem::failed(format!("peer {peer:?} does not resolve: {error}"))),
    }
}
