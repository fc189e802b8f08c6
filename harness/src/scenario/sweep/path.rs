//! Checks of swept paths that need no values.

use super::super::error::did_you_mean;
use super::super::key::{Key, Kind, Section};
use super::super::language::ROOT;
use super::super::places::{self, join, swept_sections};
use super::super::tree::Table;

/// Checks a path. The error is a message and its help.
#[expect(clippy::wildcard_enum_match_arm, reason = "a new kind of value has none of this")]
pub(super) fn check(path: &str, root: &Table<'_, '_>) -> Result<(), (String, String)> {
    let names: Vec<&str> = path.split('.').collect();
    let mut kind = section_of(names[0])?;
    for (depth, name) in names.iter().enumerate().skip(1) {
        let above = names[..depth].join(".");
        kind = match kind {
            Kind::Section(section) => known(&above, name, section)?.kind,
            Kind::Named(section) => {
                check_host(name, root)?;
                Kind::Section(section)
            }
            // A part of the value, which is checked when the value is read.
            Kind::Nat(_) | Kind::Distribution(_) => Kind::AnyNumber,
            _ => {
                let message = format!("there are no keys below `{above}`");
                return Err((message, format!("sweep \"{above}\" itself")));
            }
        };
    }
    match first_value(path, kind) {
        Some(example) => {
            let help = format!("sweep one of its keys, such as \"{example}\"");
            Err((format!("`{path}` is a whole section"), help))
        }
        None => Ok(()),
    }
}

/// The section that a path begins with.
fn section_of(name: &str) -> Result<Kind, (String, String)> {
    let help = format!("what can be swept are the keys of {}", swept_sections());
    match ROOT.find(name) {
        Some(key) if key.is_swept() => Ok(key.kind),
        Some(_) => Err((
            format!("`{name}` cannot be swept"),
            help + "; what is meant for the whole scenario stands above the first [section]",
        )),
        None => {
            let swept = ROOT.keys.iter().filter(|key| key.is_swept());
            let names: Vec<&str> = swept.map(|key| key.name).collect();
            let message = format!("there is no section `{name}`");
            Err((message, did_you_mean(name, &names) + &help))
        }
    }
}

/// The key of a name in the section at a path.
fn known(path: &str, name: &str, section: &Section) -> Result<&'static Key, (String, String)> {
    let found = section.find(name);
    found.ok_or_else(|| places::unknown(path, name, section, 0..0).into_message_and_help())
}

/// The path of the first value in the section at a path; `None` if it leads to a value itself.
#[expect(clippy::wildcard_enum_match_arm, reason = "a new kind of value has none of this")]
fn first_value(path: &str, kind: Kind) -> Option<String> {
    match kind {
        Kind::Section(section) => {
            let first = section.keys.first()?;
            let below = join(path, first.name);
            Some(first_value(&below, first.kind).unwrap_or(below))
        }
        Kind::Named(section) => first_value(&join(path, "NAME"), Kind::Section(section)),
        _ => None,
    }
}

/// Checks that the host of a path exists: a sweep makes no host, and the name may be misspelt.
fn check_host(name: &str, root: &Table<'_, '_>) -> Result<(), (String, String)> {
    let hosts = match root.get("host").map(|hosts| hosts.table()) {
        Some(Ok(hosts)) => hosts.keys().map(|key| key.get_ref().as_ref()).collect(),
        _ => Vec::new(),
    };
    if hosts.contains(&name) {
        return Ok(());
    }
    let help = did_you_mean(name, &hosts) + &format!("add the section [host.{name}]");
    Err((format!("there is no host `{name}`"), help))
}
