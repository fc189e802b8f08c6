//! `harness shell`.

use std::{os::unix::process::ExitStatusExt, path::PathBuf};

use clap::{Args, ValueEnum};

use super::{
    CommandError, prepare,
    scenarios::{ScenarioArgs, read},
};
use crate::{
    exit::Exit,
    peers::Side,
    run::{Interruptible, ShellSession, open_shell, runtime},
    scenario::Scenario,
    ui::escape::escaped_lines,
};

/// Options of `shell`.
#[derive(Debug, Args)]
#[command(after_help = "The exit code is that of the shell or command; 2 usage, 5 this machine \
    cannot run it, 130/143 interrupted.\n\n\
    What the scenario starts on public hosts runs; the peers are yours to start, on this \
    machine's time and without `taken_ports`. $NET_A, $NET_B and $NET_HOST_… are the hosts' \
    namespaces, for `nsenter --net=$NET_B …`; $PUNCH_A and $PUNCH_B are the commands by which \
    the peers punch, for `eval \"$PUNCH_A\"`.\n\n\
    Examples:\n  \
    harness shell scenarios/hello.toml a\n  \
    harness shell scenarios/hello.toml a --command 'ping -c 1 203.0.113.1'")]
pub(crate) struct ShellArgs {
    /// Scenario file.
    #[arg(value_name = "SCENARIO")]
    pub(crate) scenario: PathBuf,

    /// Peer whose host the shell runs in.
    #[arg(value_name = "PEER", value_enum)]
    pub(crate) peer: PeerName,

    /// Cell of the scenario, from 0 in the order of the sweep.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) cell: usize,

    /// Command for /bin/sh, instead of an interactive $SHELL.
    #[arg(long, value_name = "COMMAND")]
    pub(crate) command: Option<String>,

    /// Set a key of the scenario, instead of the value in the file. May be given several times.
    #[arg(long, value_name = "PATH=VALUE")]
    pub(crate) set: Vec<String>,
}

impl ShellArgs {
    /// The scenario, with all of its cells.
    pub(crate) fn scenarios(&self) -> ScenarioArgs {
        let (files, set) = (vec![self.scenario.clone()], self.set.clone());
        ScenarioArgs { files, set, filter: Vec::new(), yes: true }
    }
}

/// One of the two peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PeerName {
    /// Peer a.
    A,
    /// Peer b.
    B,
}

/// Cells that a message lists.
const MAX_LISTED: usize = 20;

/// `harness shell`.
pub(crate) fn shell(args: &ShellArgs) -> Result<Exit, CommandError> {
    let scenarios = read(&args.scenarios())?;
    let scenario = scenarios.first().expect("one was read");
    let cell = scenario.cells.get(args.cell).ok_or_else(|| {
        let cells = listed(scenario);
        CommandError::usage(format!("{} has no cell {}; {cells}", scenario.name, args.cell))
    })?;
    let context = prepare::for_setup(&cell.setup)?;
    let side = match args.peer {
        PeerName::A => Side::A,
        PeerName::B => Side::B,
    };
    let title = title(scenario, args.cell);
    let session = ShellSession { cell, title, side, command: command(args) };
    let banner = |text: &str| eprint!("{}", escaped_lines(text));
    let ended = runtime()
        .map_err(CommandError::incapable)?
        .block_on(open_shell(&context, &session, banner))
        .map_err(CommandError::incapable)?;
    Ok(match ended {
        Interruptible::Interrupted(signal) => Exit::Interrupted(signal),
        Interruptible::Done(status) => {
            let by_signal = || status.signal().map(|signal| 128 + signal);
            let code = status.code().or_else(by_signal).unwrap_or(1);
            Exit::OfShell(u8::try_from(code).unwrap_or(1))
        }
    })
}

/// The user's shell, or the command of the option.
fn command(args: &ShellArgs) -> Vec<String> {
    let shell = std::env::var("SHELL")
        .ok()
        .filter(|shell| !shell.is_empty())
        .unwrap_or_else(|| "/bin/sh".to_owned());
    match &args.command {
        None => vec![shell],
        // With one shell for all users, a command means the same for each of them.
        Some(command) => vec!["/bin/sh".to_owned(), "-c".to_owned(), command.clone()],
    }
}

fn title(scenario: &Scenario, cell: usize) -> String {
    match (scenario.cells.len(), scenario.cells[cell].label()) {
        (1, _) => scenario.name.clone(),
        (cells, label) => {
            format!("{}, cell {cell} of {cells} ({label}); --cell chooses another", scenario.name)
        }
    }
}

fn listed(scenario: &Scenario) -> String {
    if scenario.cells.len() == 1 {
        return "it sweeps nothing: leave --cell out".to_owned();
    }
    let mut text = "its cells are".to_owned();
    for (index, cell) in scenario.cells.iter().enumerate().take(MAX_LISTED) {
        text += &format!("\n  {index}: {}", cell.label());
    }
    let more = scenario.cells.len().saturating_sub(MAX_LISTED);
    if more > 0 {
        text += &format!("\n  and {more} more");
    }
    text
}
