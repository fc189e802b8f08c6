//! Placeholders in the commands of subjects and hosts.
//!
//! `{peer}` stands for a value that is known only when a trial runs; `{{` and `}}` stand for the
//! braces themselves.

use std::fmt;

use super::error::did_you_mean;

/// A placeholder of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Placeholder {
    /// `{peer}`: the other peer's address, as seen on the WAN.
    Peer,
    /// `{side}`: `a` or `b`.
    Side,
    /// `{self}`: the address of the program itself, as seen on the WAN.
    SelfAddress,
    /// `{clock_offset_s}`: the clock of the program minus true time, in seconds.
    ClockOffset,
    /// `{timeout_s}`: how long to try, in seconds.
    Timeout,
    /// `{host.NAME}`: the address of a further public host.
    Host(String),
}

/// A mistake in an argument with placeholders.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TemplateError {
    /// An unknown name in braces.
    #[error("unknown placeholder `{{{0}}}`")]
    Unknown(String),
    /// A single brace.
    #[error("a single `{0}`")]
    Brace(char),
}

/// Replaces all placeholders of a command by their values.
///
/// # Errors
/// Unknown placeholders and single braces, which the commands of a [`super::Setup`] never have.
pub(crate) fn expand(
    command: &[String],
    mut value: impl FnMut(&Placeholder) -> String,
) -> Result<Vec<String>, TemplateError> {
    command
        .iter()
        .map(|argument| {
            Ok(parse(argument)?
                .into_iter()
                .map(|piece| match piece {
                    Piece::Text(text) => text,
                    Piece::Open(placeholder) => value(&placeholder),
                })
                .collect())
        })
        .collect()
}

/// Runner of a command; it decides which placeholders have a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Runner {
    /// A peer: all placeholders.
    Peer,
    /// A further host, which is neither side: only addresses of the host itself and of hosts.
    Host,
}

/// Checks the placeholders of one argument; `hosts` are the names of the further hosts.
///
/// # Errors
/// The mistake, and what would be right.
pub(super) fn check(
    argument: &str,
    runner: Runner,
    hosts: &[&str],
) -> Result<(), (String, String)> {
    let pieces = match parse(argument) {
        Ok(pieces) => pieces,
        Err(error @ TemplateError::Brace(brace)) => {
            let help = format!("write `{brace}{brace}` for a brace, `{{peer}}` for a placeholder");
            return Err((error.to_string(), help));
        }
        Err(TemplateError::Unknown(ref name)) => return Err(unknown(name, runner, hosts)),
    };
    for piece in pieces {
        let Piece::Open(placeholder) = piece else { continue };
        let name = placeholder.to_string();
        if !names(runner, hosts).contains(&name) {
            return Err(unknown(&name, runner, hosts));
        }
    }
    Ok(())
}

/// Placeholders that have a meaning for a runner.
fn names(runner: Runner, hosts: &[&str]) -> Vec<String> {
    let fixed = match runner {
        Runner::Peer => &["peer", "side", "self", "clock_offset_s", "timeout_s"][..],
        Runner::Host => &["self"][..],
    };
    let hosts = hosts.iter().map(|host| format!("host.{host}"));
    fixed
        .iter()
        .map(|name| (*name).to_owned())
        .chain(hosts)
        .collect()
}

fn unknown(wrong: &str, runner: Runner, hosts: &[&str]) -> (String, String) {
    let braced: Vec<String> = names(runner, hosts)
        .iter()
        .map(|name| format!("{{{name}}}"))
        .collect();
    let known: Vec<&str> = braced.iter().map(String::as_str).collect();
    let place = match runner {
        Runner::Peer => "",
        Runner::Host => " on a further host",
    };
    let mut help = did_you_mean(&format!("{{{wrong}}}"), &known);
    help += &format!("placeholders{place} are {}", known.join(" "));
    if let Some(host) = wrong.strip_prefix("host.") {
        help += &format!("; there is no section [host.{host}]");
    }
    (TemplateError::Unknown(wrong.to_owned()).to_string(), help)
}

impl fmt::Display for Placeholder {
    /// Name without braces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer => f.write_str("peer"),
            Self::Side => f.write_str("side"),
            Self::SelfAddress => f.write_str("self"),
            Self::ClockOffset => f.write_str("clock_offset_s"),
            Self::Timeout => f.write_str("timeout_s"),
            Self::Host(name) => write!(f, "host.{name}"),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Open(Placeholder),
}

fn parse(argument: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut rest = argument;
    while let Some(at) = rest.find(['{', '}']) {
        let (text, braces) = rest.split_at(at);
        pieces.push(Piece::Text(text.to_owned()));
        if let Some(after) = braces.strip_prefix("{{") {
            pieces.push(Piece::Text("{".to_owned()));
            rest = after;
        } else if let Some(after) = braces.strip_prefix("}}") {
            pieces.push(Piece::Text("}".to_owned()));
            rest = after;
        } else if let Some(inside) = braces.strip_prefix('{') {
            let (name, after) = inside.split_once('}').ok_or(TemplateError::Brace('{'))?;
            pieces.push(Piece::Open(placeholder(name)?));
            rest = after;
        } else {
            return Err(TemplateError::Brace('}'));
        }
    }
    pieces.push(Piece::Text(rest.to_owned()));
    Ok(pieces)
}

fn placeholder(name: &str) -> Result<Placeholder, TemplateError> {
    match name {
        "peer" => Ok(Placeholder::Peer),
        "side" => Ok(Placeholder::Side),
        "self" => Ok(Placeholder::SelfAddress),
        "clock_offset_s" => Ok(Placeholder::ClockOffset),
        "timeout_s" => Ok(Placeholder::Timeout),
        _ => match name.strip_prefix("host.") {
            Some(host) if !host.is_empty() => Ok(Placeholder::Host(host.to_owned())),
            _ => Err(TemplateError::Unknown(name.to_owned())),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(argument: &str) -> Result<String, TemplateError> {
        expand(&[argument.to_owned()], |placeholder| format!("<{placeholder}>"))
            .map(|arguments| arguments.concat())
    }

    #[test]
    fn placeholders_are_replaced_wherever_they_stand() {
        assert_eq!(expanded("{peer}:{side}").unwrap(), "<peer>:<side>");
        assert_eq!(expanded("--at={self},{host.stun}").unwrap(), "--at=<self>,<host.stun>");
        assert_eq!(
            expanded("{clock_offset_s}/{timeout_s}").unwrap(),
            "<clock_offset_s>/<timeout_s>"
        );
        assert_eq!(expanded("").unwrap(), "");
        assert_eq!(expanded("plain").unwrap(), "plain");
    }

    #[test]
    fn doubled_braces_stand_for_themselves() {
        assert_eq!(expanded("{{peer}}").unwrap(), "{peer}");
        assert_eq!(expanded("{{{peer}}}").unwrap(), "{<peer>}");
        assert_eq!(expanded("{{}}").unwrap(), "{}");
    }

    #[test]
    fn an_invalid_placeholder_is_an_error() {
        for (argument, message) in [
            ("{per}", "unknown placeholder `{per}`"),
            ("{}", "unknown placeholder `{}`"),
            ("{host.}", "unknown placeholder `{host.}`"),
            ("{ peer }", "unknown placeholder `{ peer }`"),
            ("{peer", "a single `{`"),
            ("peer}", "a single `}`"),
        ] {
            assert_eq!(expanded(argument).unwrap_err().to_string(), message, "{argument}");
        }
    }
}
