//! `harness nats`: the catalogue, one of its NATs, and the proof that they do what they say.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{INCAPABLE, Problem, USAGE, ready, say};
use crate::{
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

/// Options of `nats`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct NatsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<NatsCommand>,

    /// Print the catalogue as JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to do with NATs.
#[derive(Debug, Subcommand)]
pub(crate) enum NatsCommand {
    /// Show a NAT's behaviour, and the shell script of rules and kernel variables that makes it.
    Show(ShowNatArgs),
    /// Build NATs and probe them from inside and outside: do they do what they say?
    Verify(VerifyNatsArgs),
}

/// Options of `nats show`.
#[derive(Debug, Args)]
pub(crate) struct ShowNatArgs {
    /// A NAT of the catalogue, or a table as in a scenario: '{ allocation = "random" }'.
    #[arg(value_name = "NAT")]
    pub(crate) nat: String,

    /// Show the stateful firewall that stands in its place with IPv6.
    #[arg(long)]
    pub(crate) ipv6: bool,

    /// Print what is fed to which program, and the kernel variables, as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `nats verify`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 all do what they say, 1 one does not, 2 usage, 5 this machine \
    cannot build one, 130/143 interrupted."
)]
pub(crate) struct VerifyNatsArgs {
    /// NATs of the catalogue, or tables as in a scenario: '{ allocation = "random" }'; by default
    /// the whole catalogue.
    #[arg(value_name = "NAT")]
    pub(crate) nats: Vec<String>,

    /// Verify the stateful firewalls that stand in their places with IPv6.
    #[arg(long)]
    pub(crate) ipv6: bool,

    /// Print expected and observed for each property as JSON.
    #[arg(long)]
    pub(crate) json: bool,

    /// Build this NAT in place of each: to see that verification notices.
    #[arg(long, value_name = "NAT", hide = true)]
    pub(crate) built: Option<String>,
}

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
