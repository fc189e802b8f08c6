//! `harness nats`: the catalogue, one of its NATs, and the proof that they do what they say.

use std::process::ExitCode;

use super::{INCAPABLE, Problem, USAGE, ready, say};
use crate::{
    cli::{NatsArgs, NatsCommand, ShowNatArgs, VerifyNatsArgs},
    doctor,
    lab::wan_address,
    nat::{
        Nat, NatSpec,
        catalogue::{self, CATALOGUE},
        possible::impossible_with_ipv6,
        show,
    },
    peers::Family,
    scenario::{did_you_mean, list, nat_from_text},
    ui::style::Style,
    verify::{Subject, text},
};

/// A NAT did not do what it says.
const DIFFERENT: u8 = 1;

/// `harness nats`.
pub(crate) fn nats(args: &NatsArgs) -> ExitCode {
    let done = match &args.command {
        None if args.json => {
            say_json(&show::list_json());
            Ok(ExitCode::SUCCESS)
        }
        None => {
            say(show::list(Style::of_stdout()).trim_end());
            Ok(ExitCode::SUCCESS)
        }
        Some(NatsCommand::Show(args)) => show_one(args),
        Some(NatsCommand::Verify(args)) => verify(args),
    };
    done.unwrap_or_else(Problem::exit)
}

fn show_one(args: &ShowNatArgs) -> Result<ExitCode, Problem> {
    let nat = find(&args.nat)?;
    let family = family(args.ipv6);
    if let Some(nat) = nat.spec() {
        possible_with(family, nat)?;
    }
    let wan = wan_address(family);
    if args.json {
        say_json(&show::rules_json(&nat, family, wan));
    } else {
        say(show::script(&nat, family, wan, Style::of_stdout().width).trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

fn verify(args: &VerifyNatsArgs) -> Result<ExitCode, Problem> {
    let family = family(args.ipv6);
    let built = args.built.as_deref().map(find_behind).transpose()?;
    let nats = if args.nats.is_empty() {
        let all = CATALOGUE.iter().filter_map(|entry| entry.spec);
        all.filter(|nat| possible_with(family, nat).is_ok())
            .collect()
    } else {
        args.nats
            .iter()
            .map(|name| find_behind(name))
            .collect::<Result<Vec<_>, _>>()?
    };
    let mut subjects: Vec<Subject> = Vec::new();
    for nat in nats {
        possible_with(family, &nat)?;
        let subject = Subject { family, nat, built: built.unwrap_or(nat) };
        if !subjects.contains(&subject) {
            subjects.push(subject);
        }
    }
    prepare(&subjects)?;
    let (subjects, results) = ready::verify_all(subjects)?;
    if args.json {
        say_json(&text::json(&subjects, &results));
    } else {
        say(text::render(&subjects, &results, Style::of_stdout()).trim_end());
    }
    let different = results
        .iter()
        .flatten()
        .any(|report| report.differences().next().is_some());
    Ok(match (different, results.iter().any(Result::is_err)) {
        (true, _) => ExitCode::from(DIFFERENT),
        (false, true) => ExitCode::from(INCAPABLE),
        (false, false) => ExitCode::SUCCESS,
    })
}

/// Looks for what verification needs and isolates this process. What only some NATs need and is
/// missing becomes their error when they are built.
fn prepare(subjects: &[Subject]) -> Result<(), Problem> {
    let needed: Vec<_> = subjects.iter().map(|it| (it.family, it.built)).collect();
    let there = needed
        .iter()
        .filter(|(family, nat)| doctor::tool_of(*family, nat).is_none());
    let there: Vec<_> = there.copied().collect();
    let required = if there.is_empty() { &needed } else { &there };
    doctor::prepare(required).map_err(|missing| Problem(INCAPABLE, doctor::message(&missing)))?;
    for missing in doctor::missing_tools(&needed) {
        eprintln!("warning: {missing}");
    }
    Ok(())
}

fn family(ipv6: bool) -> Family {
    if ipv6 { Family::V6 } else { Family::V4 }
}

fn possible_with(family: Family, nat: &NatSpec) -> Result<(), Problem> {
    match (family, impossible_with_ipv6(nat)) {
        (Family::V6, Some(contradiction)) => {
            Err(Problem(USAGE, format!("{nat}: {}", contradiction.reason)))
        }
        _ => Ok(()),
    }
}

/// A NAT from the command line, or a message with the nearest name.
fn find(text: &str) -> Result<Nat, Problem> {
    if text.trim_start().starts_with('{') {
        return nat_from_text(text).map_err(|error| {
            eprintln!("{:?}", miette::Report::new(error));
            Problem(USAGE, "that is not a NAT".to_owned())
        });
    }
    Nat::named(text).ok_or_else(|| {
        let names = catalogue::names();
        let help = did_you_mean(text, &names);
        Problem(USAGE, format!("there is no NAT {text:?}: {help}the NATs are {}", list(&names)))
    })
}

/// The same, where a public host will not do.
fn find_behind(text: &str) -> Result<NatSpec, Problem> {
    match find(text)? {
        Nat::Behind(nat) => Ok(nat),
        Nat::Public => {
            Err(Problem(USAGE, format!("{text:?} is no NAT: there is nothing to verify")))
        }
    }
}

fn say_json(value: &serde_json::Value) {
    // Not an error that a value of ours could have.
    say(&serde_json::to_string_pretty(value).unwrap_or_default());
}
