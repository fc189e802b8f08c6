//! `harness nats`: the catalogue, one of its NATs, and the proof that they do what they say.

use std::process::ExitCode;

use super::{Problem, USAGE, say};
use crate::{
    cli::{NatsArgs, NatsCommand, ShowNatArgs},
    nat::{
        catalogue::{self, CatalogueEntry},
        possible::impossible_with_ipv6,
        show,
    },
    report::style::Style,
    scenario::{Family, did_you_mean, list},
};

/// `harness nats`.
pub(crate) fn nats(args: &NatsArgs) -> ExitCode {
    let done = match &args.command {
        None if args.json => {
            say_json(&show::list_json());
            Ok(())
        }
        None => {
            say(show::list(width()).trim_end());
            Ok(())
        }
        Some(NatsCommand::Show(args)) => show_one(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => problem.exit(),
    }
}

fn show_one(args: &ShowNatArgs) -> Result<(), Problem> {
    let entry = find(&args.name)?;
    let family = if args.ipv6 { Family::V6 } else { Family::V4 };
    if let (Some(nat), Family::V6) = (&entry.spec, family)
        && let Some(contradiction) = impossible_with_ipv6(nat)
    {
        return Err(Problem(USAGE, format!("{}: {}", entry.name, contradiction.reason)));
    }
    if args.json {
        say_json(&show::rules_json(entry, family));
    } else {
        say(show::script(entry, family, width()).trim_end());
    }
    Ok(())
}

/// A NAT of the catalogue, or a message with the nearest name.
fn find(name: &str) -> Result<&'static CatalogueEntry, Problem> {
    catalogue::find(name).ok_or_else(|| {
        let names = catalogue::names();
        let help = did_you_mean(name, &names);
        Problem(USAGE, format!("there is no NAT {name:?}: {help}the NATs are {}", list(&names)))
    })
}

fn say_json(value: &serde_json::Value) {
    // Not an error that a value of ours could have.
    say(&serde_json::to_string_pretty(value).unwrap_or_default());
}

fn width() -> usize {
    let width = terminal_size::terminal_size().map(|(width, _)| width.0);
    width.map_or(Style::DEFAULT_WIDTH, usize::from).max(60)
}
