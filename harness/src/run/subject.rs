//! The commands that a trial runs: our own `punch` by default, the harness starting itself.

use std::{net::IpAddr, path::Path};

use punch::ClockOffset;

use crate::{
    named::Named,
    peers::Side,
    scenario::{Placeholder, PunchSetup, Subject, expand},
};

/// The harness itself, even where its file has been replaced meanwhile: resolved when the peer is
/// started, by a process that still runs the old one.
const MYSELF: &str = "/proc/self/exe";

/// The hidden subcommand under which the harness is `punch`.
pub(crate) const PEER: &str = "peer";

/// What a peer is told.
#[derive(Debug)]
pub(crate) struct Order<'a> {
    pub(crate) side: Side,
    /// The address by which others reach it.
    pub(crate) own: IpAddr,
    /// The other peer's.
    pub(crate) peer: IpAddr,
    pub(crate) clock_offset: ClockOffset,
    pub(crate) seed: u64,
    /// Where to write events.
    pub(crate) events: &'a Path,
    /// Names and addresses of further hosts.
    pub(crate) hosts: &'a [(String, String)],
}

/// The command line of a peer.
pub(crate) fn command(
    subject: Option<&Subject>,
    punch: &PunchSetup,
    order: &Order<'_>,
) -> Vec<String> {
    match subject {
        None => own(punch, order),
        Some(subject) => expand(&subject.command, |placeholder| match placeholder {
            Placeholder::Peer => order.peer.to_string(),
            Placeholder::SelfAddress => order.own.to_string(),
            Placeholder::Side => order.side.to_string(),
            Placeholder::ClockOffset => order.clock_offset.to_string(),
            Placeholder::Timeout => punch.timeout_s.to_string(),
            Placeholder::Host(name) => host_address(order.hosts, name),
        })
        .expect("the scenario was checked to have known placeholders only"),
    }
}

/// The command line of a further public host.
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

fn own(punch: &PunchSetup, order: &Order<'_>) -> Vec<String> {
    let mut words: Vec<String> = [MYSELF, PEER].map(str::to_owned).into();
    words.extend(settings(punch, order));
    words.push(format!("--seed={}", order.seed));
    words.push(format!("--events={}", order.events.display()));
    words.push("--quiet".to_owned());
    words.push(order.peer.to_string());
    words
}

/// Our own puncher as a person would start it, who wants to see its progress.
pub(crate) fn by_hand(program: &str, punch: &PunchSetup, order: &Order<'_>) -> Vec<String> {
    let mut words: Vec<String> = [program, PEER].map(str::to_owned).into();
    words.extend(settings(punch, order));
    words.push(order.peer.to_string());
    words
}

/// What the scenario says of our own puncher. Scenarios and the command call it by the same names.
fn settings(punch: &PunchSetup, order: &Order<'_>) -> Vec<String> {
    let mut words = vec![
        format!("--rule={}", punch.rule.name()),
        format!("--election={}", punch.election.name()),
        format!("--wan-ip={}", order.own),
        format!("--timeout={}", punch.timeout_s),
        format!("--max-clock-error={}", punch.max_clock_error_s),
        format!("--clock-offset={}", order.clock_offset),
    ];
    if !punch.listen {
        words.push("--no-listen".to_owned());
    }
    words
}
