//! Places of the language's keys: paths, headings, and advice on a key at the wrong place.

use std::ops::Range;

use super::error::{Problem, did_you_mean, list};
use super::key::{Key, Kind, Section};
use super::language::ROOT;

/// A dotted path, one key longer.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// A section and its path in a file, with `NAME` for a name of the user's.
struct Place {
    path: String,
    kind: Kind,
    section: &'static Section,
}

impl Place {
    /// `[peer.a]`, `[[expect]]`
    fn heading(&self) -> String {
        heading(&self.path, self.kind)
    }
}

fn heading(path: &str, kind: Kind) -> String {
    if matches!(kind, Kind::List(_)) { format!("[[{path}]]") } else { format!("[{path}]") }
}

/// Every section below another one, in the order of the language.
#[expect(clippy::wildcard_enum_match_arm, reason = "a new kind of value has none of this")]
fn places_below(path: &str, section: &Section) -> Vec<Place> {
    let mut places = Vec::new();
    for Key { name, kind, .. } in section.keys {
        let mut path = join(path, name);
        let section = match *kind {
            Kind::Section(section) | Kind::List(section) => section,
            Kind::Named(section) => {
                path += ".NAME";
                section
            }
            Kind::Nat(section) => section,
            _ => continue,
        };
        let deeper = places_below(&path, section);
        places.push(Place { path, kind: *kind, section });
        places.extend(deeper);
    }
    places
}

/// The sections whose keys can be swept, as a text lists them.
pub(super) fn swept_sections() -> String {
    let mut places = places_below("", &ROOT);
    places.retain(|place| {
        let has_values = !place.section.keys.iter().all(Key::is_section);
        matches!(place.kind, Kind::Section(_) | Kind::Named(_)) && has_values
    });
    let headings: Vec<String> = places.iter().map(Place::heading).collect();
    let (last, others) = headings
        .split_last()
        .expect("the language has such sections");
    format!("{} and {last}", others.join(", "))
}

/// Whether the table at a path is merged key by key with that of the file below. Any other value is
/// replaced, also one that is written as a table, such as `{ uniform = [0, 2] }`.
#[expect(clippy::wildcard_enum_match_arm, reason = "a new kind of value has none of this")]
pub(super) fn is_merged(path: &[&str]) -> bool {
    let mut kind = Kind::Section(&ROOT);
    for name in path {
        let key = match kind {
            Kind::Section(section) => section.find(name),
            Kind::Named(section) => {
                kind = Kind::Section(section);
                continue;
            }
            Kind::Nat(section) => section.find(name),
            _ => None,
        };
        match key {
            Some(key) => kind = key.kind,
            None => return false,
        }
    }
    matches!(kind, Kind::Section(_) | Kind::Named(_) | Kind::Nat(_) | Kind::Sweep)
}

/// A key that its section does not have.
pub(super) fn unknown(path: &str, key: &str, section: &Section, span: Range<usize>) -> Problem {
    let names = section.names();
    let listed = if path.is_empty() {
        format!("top-level keys are {}", list(&names))
    } else {
        format!("keys of `{path}` are {}", list(&names))
    };
    let advice = match ROOT.find(key) {
        Some(found) if found.is_section() => {
            format!("{} is a section of its own; ", heading(key, found.kind))
        }
        Some(_) => format!("`{key}` is a top-level key: write it above the first [section]; "),
        None => match homes(key) {
            homes if !homes.is_empty() => format!("`{key}` belongs in {}; ", homes.join(" or ")),
            _ if path == "peer" => {
                let help = "a scenario has two peers: [peer.a] and [peer.b]";
                return Problem::new(
                    span,
                    format!("there is no peer `{key}`"),
                    "unknown peer",
                    help,
                );
            }
            _ => did_you_mean(key, &names),
        },
    };
    let message = format!("unknown key `{}`", join(path, key));
    Problem::new(span, message, "unknown key", advice + &listed)
}

/// The headings of the sections below the top level that have a key.
fn homes(key: &str) -> Vec<String> {
    let has_it = |place: &&Place| place.section.find(key).is_some_and(|key| !key.is_section());
    places_below("", &ROOT)
        .iter()
        .filter(has_it)
        .map(Place::heading)
        .collect()
}
