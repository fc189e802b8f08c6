//! `harness nats`: the catalogue, one of its NATs, and the verification of NATs.

use clap::{Args, Subcommand};

use super::{
    CommandError,
    prepare::{self, NatKind},
    print_line,
};
use crate::{
    doctor,
    exit::Exit,
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
    verify::{NatUnderTest, text},
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

/// Subcommands of `nats`.
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

    /// Show the stateful firewall that takes its place with IPv6.
    #[arg(long)]
    pub(crate) ipv6: bool,

    /// Print the programs with their input, and the kernel variables, as JSON.
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

    /// Verify the stateful firewalls that take their places with IPv6.
    #[arg(long)]
    pub(crate) ipv6: bool,

    /// Print expected and observed for each property as JSON.
    #[arg(long)]
    pub(crate) json: bool,

    /// Build this NAT in place of each: to see that verification notices.
    #[arg(long, value_name = "NAT", hide = true)]
    pub(crate) built: Option<String>,
}

/// `harness nats`.
pub(crate) fn nats(args: &NatsArgs) -> Result<Exit, CommandError> {
    match &args.command {
        None if args.json => {
            print_json(&show::list_json());
            Ok(Exit::Success)
        }
        None => {
            print_line(show::list(Style::of_stdout()).trim_end());
            Ok(Exit::Success)
        }
        Some(NatsCommand::Show(args)) => show_one(args),
        Some(NatsCommand::Verify(args)) => verify(args),
    }
}

fn show_one(args: &ShowNatArgs) -> Result<Exit, CommandError> {
    let nat = find(&args.nat)?;
    let family = family(args.ipv6);
    if let Some(nat) = nat.spec() {
        possible_with(family, nat)?;
    }
    let wan = wan_address(family);
    if args.json {
        print_json(&show::rules_json(&nat, family, wan));
    } else {
        print_line(show::script(&nat, family, wan, Style::of_stdout().width).trim_end());
    }
    Ok(Exit::Success)
}

fn verify(args: &VerifyNatsArgs) -> Result<Exit, CommandError> {
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
    let mut subjects: Vec<NatUnderTest> = Vec::new();
    for nat in nats {
        possible_with(family, &nat)?;
        let subject = NatUnderTest { family, nat, built: built.unwrap_or(nat) };
        if !subjects.contains(&subject) {
            subjects.push(subject);
        }
    }
    prepare_for(&subjects)?;
    let (subjects, results) = prepare::verify_all(subjects)?;
    if args.json {
        print_json(&text::json(&subjects, &results));
    } else {
        print_line(text::render(&subjects, &results, Style::of_stdout()).trim_end());
    }
    let different = results
        .iter()
        .flatten()
        .any(|report| report.differences().next().is_some());
    Ok(match (different, results.iter().any(Result::is_err)) {
        (true, _) => Exit::Failed,
        (false, true) => Exit::Incapable,
        (false, false) => Exit::Success,
    })
}

/// Looks for the tools of verification and isolates this process. Tools that only some of the NATs
/// need become the errors of these NATs.
fn prepare_for(subjects: &[NatUnderTest]) -> Result<(), CommandError> {
    let needed: Vec<NatKind> = subjects
        .iter()
        .map(|subject| (subject.family, subject.built))
        .collect();
    let has_tool = |(family, nat): &&NatKind| doctor::tool_of(*family, nat).is_none();
    let buildable: Vec<NatKind> = needed.iter().filter(has_tool).copied().collect();
    let required = if buildable.is_empty() { &needed } else { &buildable };
    doctor::prepare(required).map_err(|missing| CommandError::missing(&missing))?;
    for missing in doctor::missing_tools(&needed) {
        eprintln!("warning: {missing}");
    }
    Ok(())
}

fn family(ipv6: bool) -> Family {
    if ipv6 { Family::V6 } else { Family::V4 }
}

fn possible_with(family: Family, nat: &NatSpec) -> Result<(), CommandError> {
    match (family, impossible_with_ipv6(nat)) {
        (Family::V6, Some(contradiction)) => {
            Err(CommandError::usage(format!("{nat}: {}", contradiction.reason)))
        }
        _ => Ok(()),
    }
}

/// A NAT from the command line, or a message with the nearest name.
fn find(text: &str) -> Result<Nat, CommandError> {
    if text.trim_start().starts_with('{') {
        return nat_from_text(text).map_err(|error| {
            eprintln!("{:?}", miette::Report::new(error));
            CommandError::usage("that is not a NAT")
        });
    }
    Nat::named(text).ok_or_else(|| {
        let names = catalogue::names();
        let help = did_you_mean(text, &names);
        CommandError::usage(format!(
            "there is no NAT {text:?}: {help}the NATs are {}",
            list(&names)
        ))
    })
}

/// A NAT from the command line that is no public host.
fn find_behind(text: &str) -> Result<NatSpec, CommandError> {
    match find(text)? {
        Nat::Behind(nat) => Ok(nat),
        Nat::Public => {
            Err(CommandError::usage(format!("{text:?} is no NAT: there is nothing to verify")))
        }
    }
}

fn print_json(value: &serde_json::Value) {
    // Only a map whose keys are no strings has no JSON.
    print_line(&serde_json::to_string_pretty(value).unwrap_or_default());
}
