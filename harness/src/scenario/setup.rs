//! Reading one checked [`Setup`] from the tree.

use std::time::Duration;

use toml::de::DeValue;

use super::command::{self, Runner};
use super::error::{Checked, Problem};
use super::key::{NAME_HELP, is_name};
use super::language::{ARGUMENTS, HOST};
use super::nat;
use super::tree::{Table, Value, type_name};
use super::{
    Distribution, ElectionScheme, HostSetup, Nat, PeerSetup, PunchSetup, RandomKey, Rule, Setup,
    Subject, WanSetup,
};
use crate::{
    named::Named,
    nat::possible::impossible_with_ipv6,
    peers::{Family, Pair, Side},
};

impl Named for Rule {
    const NAMES: &'static [(&'static str, Self)] = Self::NAMES;
}

impl Named for ElectionScheme {
    const NAMES: &'static [(&'static str, Self)] =
        &[("nonce", Self::Nonce), ("wan-ip", Self::WanIp)];
}

/// Setup of a tree: all values that a sweep can vary.
pub(super) fn read(root: &Table<'_, '_>) -> Setup {
    let wan = root.section("wan");
    let peers = root.section("peer");
    let delay = wan.distribution("delay_ms");
    let offset = |side: Side| peers.section(side.name()).distribution("clock_offset_s");
    let offsets = Side::BOTH.map(|side| (RandomKey::ClockOffset(side), offset(side)));
    let random = [(RandomKey::Delay, delay.clone())]
        .into_iter()
        .chain(offsets)
        .filter(|(_, distribution)| !matches!(distribution, Distribution::Fixed(_)))
        .collect();
    let setup = Setup {
        wan: WanSetup {
            family: wan.choice("family"),
            delay: Duration::from_secs_f64(delay.median() / 1000.0),
            loss: wan.number("loss"),
        },
        peers: Pair::from_fn(|side| peer(&peers.section(side.name()), &offset(side))),
        random,
        punch: punch(&root.section("punch")),
        subject: root.or_report(subject(root)).flatten(),
        hosts: root.or_report(hosts(root)).unwrap_or_default(),
    };
    root.or_report(possible(root, &setup));
    setup
}

/// Reports values that each section allows, but not together.
fn possible(root: &Table<'_, '_>, setup: &Setup) -> Checked<()> {
    if setup.wan.family != Family::V6 {
        return Ok(());
    }
    for (side, peer) in setup.peers.iter() {
        let Some(nat) = peer.nat.spec() else { continue };
        let Some(contradiction) = impossible_with_ipv6(nat) else { continue };
        let family = root.section("wan").require("family")?;
        let reason = format!("`peer.{side}.nat` is {nat}, but {}", contradiction.reason);
        return Err(family.problem(reason, "IPv6", contradiction.instead));
    }
    Ok(())
}

fn punch(section: &Table<'_, '_>) -> PunchSetup {
    PunchSetup {
        rule: section.choice("rule"),
        election: section.choice("election"),
        timeout_s: section.number("timeout_s"),
        max_clock_error_s: section.number("max_clock_error_s"),
        listen: section.flag("listen"),
    }
}

fn peer(section: &Table<'_, '_>, clock_offset: &Distribution) -> PeerSetup {
    let nat = section
        .get("nat")
        .and_then(|value| section.or_report(nat::read(value)));
    let taken_ports = section.whole("taken_ports");
    PeerSetup {
        nat: nat.unwrap_or_else(Nat::home),
        clock_offset_s: clock_offset.median(),
        start: section.distribution("start_s"),
        taken_ports: usize::try_from(taken_ports).expect("checked to be at most 64"),
    }
}

/// Limit of further hosts: each one has an address in a small network.
const MAX_HOSTS: usize = 100;

fn hosts(root: &Table<'_, '_>) -> Checked<Vec<HostSetup>> {
    let Some(value) = root.get("host") else { return Ok(Vec::new()) };
    let section = value.table()?;
    let names: Vec<&str> = section.keys().map(|key| key.get_ref().as_ref()).collect();
    if let Some(key) = section.keys().nth(MAX_HOSTS) {
        let message = format!("there are more than {MAX_HOSTS} further hosts");
        let help = root.key_of("host").help();
        return Err(Problem::new(key.span(), message, "one too many", help));
    }
    let mut hosts = Vec::new();
    for (key, value) in section.entries() {
        let name = key.get_ref();
        if !is_name(name) {
            section.problems().report(Problem::new(
                key.span(),
                format!("\"{name}\" cannot be the name of a host"),
                "not a name",
                NAME_HELP,
            ));
            continue;
        }
        let read = || {
            let host = value.table()?.only(&HOST);
            command(host.require("command")?, Runner::Host, &names)
        };
        let command = section.or_report(read()).unwrap_or_default();
        hosts.push(HostSetup { name: name.to_string(), command });
    }
    Ok(hosts)
}

fn subject(root: &Table<'_, '_>) -> Checked<Option<Subject>> {
    let Some(subject) = root.get("subject") else { return Ok(None) };
    let value = subject
        .section(root.key_of("subject").section())?
        .require("command")?;
    // By the names in the file: a host with another mistake is still known.
    let hosts = root.get("host").and_then(|hosts| hosts.table().ok());
    let names: Vec<&str> = hosts
        .iter()
        .flat_map(Table::keys)
        .map(|key| key.get_ref().as_ref())
        .collect();
    let command = command(value.clone(), Runner::Peer, &names)?;
    if command.first().is_none_or(String::is_empty) {
        let message = format!("`{}` does not name a program", value.path());
        return Err(value.wrong(message, "needs a program"));
    }
    Ok(Some(Subject { command }))
}

fn command(value: Value<'_, '_>, runner: Runner, hosts: &[&str]) -> Checked<Vec<String>> {
    let check = |item: Value<'_, '_>| {
        let DeValue::String(argument) = item.raw() else {
            let found = type_name(item.raw());
            let message = format!("each item of `{}` must be a string, not {found}", item.path());
            return Err(item.wrong(message, format!("this is {found}")));
        };
        if argument.contains('\0') {
            let message = format!("`{}` contains a NUL character", item.path());
            return Err(item.wrong(message, "no program can be given this"));
        }
        command::check(argument, runner, hosts).map_err(|(message, help)| {
            item.problem(format!("{message} in `{}`", item.path()), "here", help)
        })?;
        Ok(argument.to_string())
    };
    value
        .of(&ARGUMENTS)
        .items()?
        .into_iter()
        .map(check)
        .collect()
}
