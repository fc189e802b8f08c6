//! Command lines of a trial's programs: our own `punch` by default, as which the harness starts
//! itself.

use std::{net::IpAddr, path::Path};

use punch::ClockOffset;

use crate::{
    isolate::OWN_PROGRAM,
    named::Named,
    peers::Side,
    scenario::{Placeholder, PunchSetup, Subject, expand},
};

/// Hidden subcommand under which the harness is `punch`.
pub(crate) const PEER: &str = "peer";

/// Settings of a peer in one trial.
#[derive(Debug)]
pub(crate) struct PeerSettings<'a> {
    pub(crate) side: Side,
    /// Address by which others reach the peer.
    pub(crate) own: IpAddr,
    /// Address of the other peer.
    pub(crate) peer: IpAddr,
    pub(crate) clock_offset: ClockOffset,
    pub(crate) seed: u64,
    /// File for the peer's events.
    pub(crate) events: &'a Path,
    /// Names and addresses of further hosts.
    pub(crate) hosts: &'a [(String, String)],
}

/// Command line of a peer.
pub(crate) fn command(
    subject: Option<&Subject>,
    punch: &PunchSetup,
    settings: &PeerSettings<'_>,
) -> Vec<String> {
    match subject {
        None => own_command(punch, settings),
        Some(subject) => expand(&subject.command, |placeholder| match placeholder {
            Placeholder::Peer => settings.peer.to_string(),
            Placeholder::SelfAddress => settings.own.to_string(),
            Placeholder::Side => settings.side.to_string(),
            Placeholder::ClockOffset => settings.clock_offset.to_string(),
            Placeholder::Timeout => punch.timeout_s.to_string(),
            Placeholder::Host(name) => host_address(settings.hosts, name),
        })
        .expect("the scenario was checked to have known placeholders only"),
    }
}

/// Command line of a further public host.
pub(crate) fn host_command(
    command: &[String],
    own: &str,
    hosts: &[(String, String)],
) -> Vec<String> {
    expand(command, |placeholder| match placeholder {
        Placeholder::SelfAddress => own.to_owned(),
        Placeholder::Host(name) => host_address(hosts, name),
        Placeholder::Peer | Placeholder::Side | Placeholder::ClockOffset | Placeholder::Timeout => {
            unreachable!("the scenario was checked to have no placeholders of peers here")
        }
    })
    .expect("the scenario was checked to have known placeholders only")
}

fn host_address(hosts: &[(String, String)], wanted: &str) -> String {
    let found = hosts.iter().find(|(name, _)| name == wanted);
    found
        .map(|(_, address)| address.clone())
        .unwrap_or_default()
}

fn own_command(punch: &PunchSetup, settings: &PeerSettings<'_>) -> Vec<String> {
    let mut args: Vec<String> = [OWN_PROGRAM, PEER].map(str::to_owned).into();
    args.extend(punch_options(punch, settings));
    args.push(format!("--seed={}", settings.seed));
    args.push(format!("--events={}", settings.events.display()));
    args.push("--quiet".to_owned());
    args.push(settings.peer.to_string());
    args
}

/// Our own puncher as a person would start it, with its progress on the terminal.
pub(crate) fn interactive_command(
    program: &str,
    punch: &PunchSetup,
    settings: &PeerSettings<'_>,
) -> Vec<String> {
    let mut args: Vec<String> = [program, PEER].map(str::to_owned).into();
    args.extend(punch_options(punch, settings));
    args.push(settings.peer.to_string());
    args
}

/// Options of our own puncher that a scenario sets. The names are the same in both.
fn punch_options(punch: &PunchSetup, settings: &PeerSettings<'_>) -> Vec<String> {
    let mut args = vec![
        format!("--rule={}", punch.rule.name()),
        format!("--election={}", punch.election.name()),
        format!("--wan-ip={}", settings.own),
        format!("--timeout={}", punch.timeout_s),
        format!("--max-clock-error={}", punch.max_clock_error_s),
        format!("--clock-offset={}", settings.clock_offset),
    ];
    if !punch.listen {
        args.push("--no-listen".to_owned());
    }
    args
}
