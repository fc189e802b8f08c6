//! From the tree to one checked [`Setup`].

use std::time::Duration;

use toml::de::DeValue;

use super::command::{self, Runner};
use super::error::{Checked, Problem};
use super::keys::{self, NAME_HELP, Number, is_name};
use super::nat;
use super::tree::{Named, Section, Value, type_name};
use super::{
    Draw, Election, Family, HostSetup, Nat, PeerSetup, PunchSetup, Rule, Setup, Subject, WanSetup,
};
use crate::nat::possible::impossible_with_ipv6;

impl Named for Rule {
    const NAMES: &'static [(&'static str, Self)] =
        &[("rolling", Self::Rolling), ("article", Self::Article)];
}

impl Named for Family {
    const NAMES: &'static [(&'static str, Self)] = &[("ipv4", Self::V4), ("ipv6", Self::V6)];
}

impl Named for Election {
    const NAMES: &'static [(&'static str, Self)] =
        &[("nonce", Self::Nonce), ("wan-ip", Self::WanIp)];
}

/// Everything that a sweep can vary.
pub(super) fn read(root: &Section<'_, '_>) -> Checked<Setup> {
    let peers = root.section("peer", keys::PEERS)?;
    let [a, b] = super::SIDES;
    let hosts = hosts(root)?;
    let setup = Setup {
        wan: wan(&root.section("wan", keys::WAN)?)?,
        peers: [peer(&peers.section(a, keys::PEER)?)?, peer(&peers.section(b, keys::PEER)?)?],
        punch: punch(&root.section("punch", keys::PUNCH)?)?,
        subject: subject(root, &hosts)?,
        hosts,
    };
    possible(root, &setup)?;
    Ok(setup)
}

/// What each section allows, but not both together.
fn possible(root: &Section<'_, '_>, setup: &Setup) -> Checked<()> {
    if setup.wan.family != Family::V6 {
        return Ok(());
    }
    let specs = setup.peers.iter().filter_map(|peer| peer.nat.spec());
    if let Some(contradiction) = specs.filter_map(impossible_with_ipv6).next() {
        let family = root.section("wan", keys::WAN)?.require("family", "")?;
        return Err(family.problem(contradiction.reason, "IPv6", contradiction.instead));
    }
    Ok(())
}

fn wan(section: &Section<'_, '_>) -> Checked<WanSetup> {
    Ok(WanSetup {
        family: section.choice("family", Family::V4)?,
        delay: Duration::from_secs_f64(section.number(&keys::DELAY)? / 1000.0),
        loss: section.number(&keys::LOSS)?,
    })
}

fn punch(section: &Section<'_, '_>) -> Checked<PunchSetup> {
    const LISTEN_HELP: &str = "`listen` says whether each port also has a listener: true or false, \
        without quotes";
    Ok(PunchSetup {
        rule: section.choice("rule", Rule::Rolling)?,
        election: section.choice("election", Election::Nonce)?,
        timeout_s: section.number(&keys::TIMEOUT)?,
        max_clock_error_s: section.number(&keys::MAX_CLOCK_ERROR)?,
        listen: section.get("listen").map_or(Ok(true), |value| value.flag(LISTEN_HELP))?,
    })
}

fn peer(section: &Section<'_, '_>) -> Checked<PeerSetup> {
    Ok(PeerSetup {
        nat: match section.get("nat") {
            Some(value) => nat::read(value)?,
            None => Nat::home(),
        },
        clock_offset_s: section.number(&keys::CLOCK_OFFSET)?,
        start: draw(section, &keys::START)?,
        taken_ports: match section.get("taken_ports") {
            None => 0,
            Some(value) => usize::try_from(value.whole(0, 64, TAKEN_PORTS_HELP)?)
                .expect("checked to be at most 64"),
        },
    })
}

const TAKEN_PORTS_HELP: &str = "`taken_ports` is how many of the scheduled ports another program \
    holds on the peer's host when the peer starts: a whole number from 0 to 64";

/// A number of seconds, or bounds to draw it from.
fn draw(section: &Section<'_, '_>, spec: &Number) -> Checked<Draw> {
    let Some(value) = section.get(spec.key) else { return Ok(Draw::Fixed(spec.default)) };
    if !value.raw().is_table() {
        return Ok(Draw::Fixed(value.number(spec)?));
    }
    let help = format!(
        "{}, or `{} = {{ uniform = [0, 2] }}` to draw it anew for each trial",
        spec.help(),
        spec.key
    );
    let bounds = value.section(keys::DRAW)?.require("uniform", &help)?;
    let items = bounds.items(&help)?;
    let [low, high] = items.as_slice() else {
        let message = format!("`{}` must have two bounds, not {}", bounds.path(), items.len());
        return Err(bounds.problem(message, "must be [low, high]", help));
    };
    let (low, high) = (low.number(spec)?, high.number(spec)?);
    if low > high {
        return Err(bounds.problem(
            format!("`{}` has a lower bound above the upper one", bounds.path()),
            format!("{low} is more than {high}"),
            format!("write the lower bound first: [{high}, {low}]"),
        ));
    }
    Ok(Draw::Uniform(low, high))
}

/// Each has an address of its own in a small network.
const MOST_HOSTS: usize = 100;

fn hosts(root: &Section<'_, '_>) -> Checked<Vec<HostSetup>> {
    const HELP: &str = "a further host has a name: write [host.NAME] and below it \
        `command = [\"program\", \"argument\"]`, or `command = []` for a host where nothing runs";
    let Some(value) = root.get("host") else { return Ok(Vec::new()) };
    let section = value.table(HELP)?;
    let names: Vec<&str> = section.keys().map(|key| key.get_ref().as_ref()).collect();
    if let Some(key) = section.keys().nth(MOST_HOSTS) {
        let message = format!("there are more than {MOST_HOSTS} further hosts");
        return Err(Problem::new(key.span(), message, "one too many", HELP));
    }
    let mut hosts = Vec::new();
    for (key, value) in section.entries() {
        let name = key.get_ref();
        if !is_name(name) {
            return Err(Problem::new(
                key.span(),
                format!("\"{name}\" cannot be the name of a host"),
                "not a name",
                NAME_HELP,
            ));
        }
        let section = value.table(HELP)?.only(keys::COMMAND)?;
        hosts.push(HostSetup {
            name: name.to_string(),
            command: command(&section.require("command", HELP)?, Runner::Host, &names)?,
        });
    }
    Ok(hosts)
}

fn subject(root: &Section<'_, '_>, hosts: &[HostSetup]) -> Checked<Option<Subject>> {
    const HELP: &str = "the program under test and its arguments: \
        `command = [\"python3\", \"their.py\", \"{peer}\"]`; without [subject], our own punch is tested";
    let Some(value) = root.get("subject") else { return Ok(None) };
    let value = value.section(keys::COMMAND)?.require("command", HELP)?;
    let names: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
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
