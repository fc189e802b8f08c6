//! `harness`: the test bench for TCP hole punching. `ARCHITECTURE.md` is the guide to this code.

#[cfg(not(target_os = "linux"))]
compile_error!("the harness needs Linux: see the Vagrantfile for a virtual machine");

mod cli;
mod commands;
mod diagnose;
mod doctor;
mod event;
mod exit;
mod isolate;
mod lab;
mod moments;
mod named;
mod nat;
mod packet;
mod peers;
mod regular;
mod report;
mod run;
mod scenario;
mod stalls;
mod stats;
mod ui;
mod uniform;
mod verify;
mod wan;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::{
    cli::{Cli, Command},
    commands::CommandError,
    ui::escape::escaped_lines,
};

/// Runs the command of the process's arguments; returns the exit code.
///
/// The harness starts its own program again for each peer of a trial.
#[must_use]
pub fn main() -> ExitCode {
    // Every trial starts two peers: a peer must not wait for anything that it does not need.
    let mut args = std::env::args_os();
    match args.nth(1) {
        Some(arg) if arg == run::PEER => {
            return punch_cli::main(std::iter::once("punch".into()).chain(args));
        }
        Some(arg) if arg == lab::pid_ns::INIT => lab::pid_ns::init(),
        Some(_) | None => {}
    }
    let cli = Cli::parse();
    // Names such as `icmp-reject` stay whole where a message is wrapped.
    let hook = miette::set_hook(Box::new(|_| {
        let splitter = textwrap::WordSplitter::NoHyphenation;
        Box::new(
            miette::MietteHandlerOpts::new()
                .word_splitter(splitter)
                .build(),
        )
    }));
    debug_assert!(hook.is_ok(), "nothing else sets a hook");
    let ended = match cli.command {
        None => commands::run(&cli.run),
        Some(Command::Run(args)) => commands::run(&args),
        Some(Command::Check(args)) => commands::check(&args),
        Some(Command::List(args)) => commands::list(&args),
        Some(Command::Schema) => commands::schema(),
        Some(Command::Completions(args)) => commands::completions(&args, Cli::command()),
        Some(Command::Report(args)) => commands::report(&args),
        Some(Command::Compare(args)) => commands::compare(&args),
        Some(Command::Nats(args)) => commands::nats(&args),
        Some(Command::Replay(args)) => commands::replay(&args),
        Some(Command::Shell(args)) => commands::shell(&args),
        Some(Command::Doctor) => commands::doctor(),
        Some(Command::Peer(args)) => return punch_cli::main(args.args),
    };
    let exit = ended.unwrap_or_else(|CommandError { exit, message }| {
        eprintln!("harness: {}", escaped_lines(&message));
        exit
    });
    exit.into()
}
