//! From the tree to one checked [`Setup`].

use std::time::Duration;

use toml::de::DeValue;

use super::command::{self, Runner};
use super::distribution;
use super::error::{Checked, Problem};
use super::keys::{self, NAME_HELP, Number, is_name};
use super::nat;
use super::tree::{Section, Value, type_name};
use super::{
    Draw, Drawn, Election, HostSetup, Nat, PeerSetup, PunchSetup, Rule, Setup, Subject, WanSetup,
};
use crate::{named::Named, nat::possible::impossible_with_ipv6, peers::Family};

impl Named for Rule {
    const NAMES: &'static [(&'static str, Self)] =
        &[("rolling", Self::Rolling), ("article", Self::Article)];
}

impl Named for Election {
    const NAMES: &'static [(&'static str, Self)] =
        &[("nonce", Self::Nonce), ("wan-ip", Self::WanIp)];
}

/// Everything that a sweep can vary.
pub(super) fn read(root: &Section<'_, '_>) -> Setup {
    let peers = root.section("peer", keys::PEERS);
    let hosts = root.noted(hosts(root)).unwrap_or_default();
    let wan_section = root.section("wan", keys::WAN);
    let delay = draw(&wan_section, &keys::DELAY);
    let offset = |side| draw(&peers.section(side, keys::PEER), &keys::CLOCK_OFFSET);
    let drawn = [(Drawn::Delay, delay.clone())]
        .into_iter()
        .chain(
            super::SIDES
                .iter()
                .enumerate()
                .map(|(n, side)| (Drawn::ClockOffset(n), offset(side))),
        )
        .filter(|(_, draw)| !matches!(draw, Draw::Fixed(_)))
        .collect();
    let setup = Setup {
        wan: wan(&wan_section, &delay),
        peers: super::SIDES.map(|side| peer(&peers.section(side, keys::PEER), &offset(side))),
        drawn,
        punch: punch(&root.section("punch", keys::PUNCH)),
        subject: root.noted(subject(root)).flatten(),
        hosts,
    };
    root.noted(possible(root, &setup));
    setup
}

/// What each section allows, but not both together.
fn possible(root: &Section<'_, '_>, setup: &Setup) -> Checked<()> {
    if setup.wan.family != Family::V6 {
        return Ok(());
    }
    for (side, peer) in super::SIDES.iter().zip(&setup.peers) {
        let Some(nat) = peer.nat.spec() else { continue };
        let Some(contradiction) = impossible_with_ipv6(nat) else { continue };
        let family = root.section("wan", keys::WAN).require("family", "")?;
        let reason = format!("`peer.{side}.nat` is {nat}, but {}", contradiction.reason);
        return Err(family.problem(reason, "IPv6", contradiction.instead));
    }
    Ok(())
}

fn wan(section: &Section<'_, '_>, delay: &Draw) -> WanSetup {
    WanSetup {
        family: section
            .noted(section.choice("family", Family::V4))
            .unwrap_or(Family::V4),
        delay: Duration::from_secs_f64(delay.median() / 1000.0),
        loss: number(section, &keys::LOSS),
    }
}

fn punch(section: &Section<'_, '_>) -> PunchSetup {
    const LISTEN_HELP: &str = "`listen` says whether each port also has a listener: true or false, \
        without quotes";
    let rule = section.choice("rule", Rule::Rolling);
    let election = section.choice("election", Election::Nonce);
    let listen = section
        .get("listen")
        .and_then(|value| section.noted(value.flag(LISTEN_HELP)));
    PunchSetup {
        rule: section.noted(rule).unwrap_or(Rule::Rolling),
        election: section.noted(election).unwrap_or(Election::Nonce),
        timeout_s: number(section, &keys::TIMEOUT),
        max_clock_error_s: number(section, &keys::MAX_CLOCK_ERROR),
        listen: listen.unwrap_or(true),
    }
}

fn peer(section: &Section<'_, '_>, clock_offset: &Draw) -> PeerSetup {
    let nat = section
        .get("nat")
        .and_then(|value| section.noted(nat::read(value)));
    let taken_ports = section.get("taken_ports").and_then(|value| {
        let ports = section.noted(value.whole(0, 64, TAKEN_PORTS_HELP))?;
        Some(usize::try_from(ports).expect("checked to be at most 64"))
    });
    PeerSetup {
        nat: nat.unwrap_or_else(Nat::home),
        clock_offset_s: clock_offset.median(),
        start: draw(section, &keys::START),
        taken_ports: taken_ports.unwrap_or_default(),
    }
}

/// The number of a key, or how it is drawn; its default too where what stands there is wrong.
fn draw(section: &Section<'_, '_>, spec: &Number) -> Draw {
    let read = section.noted(distribution::read(section, spec));
    read.unwrap_or(Draw::Fixed(spec.default))
}

/// The number of a key; its default too where what stands there is wrong.
fn number(section: &Section<'_, '_>, spec: &Number) -> f64 {
    section.noted(section.number(spec)).unwrap_or(spec.default)
}

const TAKEN_PORTS_HELP: &str = "`taken_ports` is how many of the scheduled ports another program \
    holds on the peer's host when the peer starts: a whole number from 0 to 64";

/// Each has an address of its own in a small network.
const MAX_HOSTS: usize = 100;

fn hosts(root: &Section<'_, '_>) -> Checked<Vec<HostSetup>> {
    const HELP: &str = "a further host has a name: write [host.NAME] and below it \
        `command = [\"program\", \"argument\"]`, or `command = []` for a host where nothing runs";
    let Some(value) = root.get("host") else { return Ok(Vec::new()) };
    let section = value.table(HELP)?;
    let names: Vec<&str> = section.keys().map(|key| key.get_ref().as_ref()).collect();
    if let Some(key) = section.keys().nth(MAX_HOSTS) {
        let message = format!("there are more than {MAX_HOSTS} further hosts");
        return Err(Problem::new(key.span(), message, "one too many", HELP));
    }
    let mut hosts = Vec::new();
    for (key, value) in section.entries() {
        let name = key.get_ref();
        if !is_name(name) {
            section.problems().note(Problem::new(
                key.span(),
                format!("\"{name}\" cannot be the name of a host"),
                "not a name",
                NAME_HELP,
            ));
            continue;
        }
        let read = || {
            let section = value.table(HELP)?.only(keys::COMMAND);
            command(&section.require("command", HELP)?, Runner::Host, &names)
        };
        let command = section.noted(read()).unwrap_or_default();
        hosts.push(HostSetup { name: name.to_string(), command });
    }
    Ok(hosts)
}

fn subject(root: &Section<'_, '_>) -> Checked<Option<Subject>> {
    const HELP: &str = "the program under test and its arguments: \
        `command = [\"python3\", \"their.py\", \"{peer}\"]`; without [subject], our own punch is tested";
    let Some(value) = root.get("subject") else { return Ok(None) };
    let value = value.section(keys::COMMAND)?.require("command", HELP)?;
    // By the names in the file: one that has something else wrong with it is still meant.
    let hosts = root.get("host").and_then(|hosts| hosts.table("").ok());
    let names: Vec<&str> = hosts
        .iter()
        .flat_map(Section::keys)
        .map(|key| key.get_ref().as_ref())
        .collect();
    let command = command(&value, Runner::Peer, &names)?;
    if command.first().is_none_or(String::is_empty) {
        let message = format!("`{}` does not name a program", value.path());
        return Err(value.problem(message, "needs a program", HELP));
    }
    Ok(Some(Subject { command }))
}

fn command(value: &Value<'_, '_>, runner: Runner, hosts: &[&str]) -> Checked<Vec<String>> {
    const HELP: &str = "a command is a list of strings, the program and each of its arguments: \
        [\"python3\", \"their.py\", \"{peer}\"]";
    let check = |item: Value<'_, '_>| {
        let DeValue::String(argument) = item.raw() else {
            let found = type_name(item.raw());
            let message = format!("each item of `{}` must be a string, not {found}", item.path());
            return Err(item.problem(message, format!("this is {found}"), HELP));
        };
        if argument.contains('\0') {
            let message = format!("`{}` contains a NUL character", item.path());
            return Err(item.problem(message, "no program can be given this", HELP));
        }
        command::check(argument, runner, hosts).map_err(|(message, help)| {
            item.problem(format!("{message} in `{}`", value.path()), "here", help)
        })?;
        Ok(argument.to_string())
    };
    value.items(HELP)?.into_iter().map(check).collect()
}
