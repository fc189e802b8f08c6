//! What can be known of a swept path without reading its values.

use super::super::error::did_you_mean;
use super::super::keys;
use super::super::tree::Section;

/// Checks a path: message and help otherwise.
pub(super) fn check(path: &str, root: &Section<'_, '_>) -> Result<(), (String, String)> {
    let keys: Vec<&str> = path.split('.').collect();
    if let Some(example) = whole_section(&keys) {
        let help = format!("sweep one of its keys, such as \"{example}\"");
        return Err((format!("`{path}` is a whole section"), help));
    }
    let deepest = match *keys.as_slice() {
        ["wan", key, ..] => {
            known("wan", key, keys::WAN).map(|()| if key == "delay_ms" { 3 } else { 2 })?
        }
        ["punch", key, ..] => known("punch", key, keys::PUNCH).map(|()| 2)?,
        ["subject", key, ..] => known("subject", key, keys::COMMAND).map(|()| 2)?,
        ["peer", side, key, ..] => {
            known("peer", side, keys::PEERS)?;
            known(&format!("peer.{side}"), key, keys::PEER)?;
            match key {
                "nat" | "start_s" | "clock_offset_s" => 4,
                _ => 3,
            }
        }
        ["peer", side] => return known("peer", side, keys::PEERS),
        ["host", name, key, ..] => {
            check_host(name, root)?;
            known(&format!("host.{name}"), key, keys::COMMAND).map(|()| 3)?
        }
        [first, ..] if keys::ROOT.contains(&first) => {
            let help = "what can be swept are the keys of [wan], [punch], [peer.a], [peer.b], \
                [subject] and [host.NAME]; what is meant for the whole scenario stands above the \
                first [section]";
            return Err((format!("`{first}` cannot be swept"), help.to_owned()));
        }
        [first, ..] => {
            let help = did_you_mean(first, SWEPT)
                + "what can be swept are the keys of [wan], \
                [punch], [peer.a], [peer.b], [subject] and [host.NAME]";
            return Err((format!("there is no section `{first}`"), help));
        }
        [] => return Ok(()),
    };
    if keys.len() > deepest {
        let value = keys[..deepest].join(".");
        let message = format!("there are no keys below `{value}`");
        return Err((message, format!("sweep \"{value}\" itself")));
    }
    Ok(())
}

/// The sections whose keys can be swept.
pub(super) const SWEPT: &[&str] = &["wan", "punch", "peer", "subject", "host"];

/// Checks a key of a path against those that its section has.
fn known(section: &str, key: &str, known: &[&str]) -> Result<(), (String, String)> {
    if known.contains(&key) {
        return Ok(());
    }
    let problem = keys::unknown(section, key, known, 0..0);
    Err(problem.into_words())
}

/// A key of the section that a path leads to, if it leads to a section.
fn whole_section(keys: &[&str]) -> Option<&'static str> {
    match *keys {
        ["wan"] => Some("wan.delay_ms"),
        ["punch"] => Some("punch.rule"),
        ["subject"] => Some("subject.command"),
        ["peer"] | ["peer", "a" | "b"] => Some("peer.a.nat"),
        ["host"] | ["host", _] => Some("host.NAME.command"),
        _ => None,
    }
}

/// A sweep brings no host into being: its name may just be misspelt.
fn check_host(name: &str, root: &Section<'_, '_>) -> Result<(), (String, String)> {
    let hosts = match root.get("host").map(|hosts| hosts.table("")) {
        Some(Ok(hosts)) => hosts.keys().map(|key| key.get_ref().as_ref()).collect(),
        _ => Vec::new(),
    };
    if hosts.contains(&name) {
        return Ok(());
    }
    let help = did_you_mean(name, &hosts) + &format!("add the section [host.{name}]");
    Err((format!("there is no host `{name}`"), help))
}
