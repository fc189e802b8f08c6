//! Requirements on the machine, and one message about everything that is missing.

mod remedy;
mod versions;

use std::{collections::BTreeSet, path::Path, thread};

use self::remedy::Facts;
pub(crate) use self::versions::machine;
use crate::{
    isolate::{self, IsolateError},
    lab::{self, BuildError, tun},
    nat::{
        NatSpec,
        rules::{self, Tool},
    },
    peers::Family,
    scenario::{Setup, expand},
};

/// A missing requirement and its remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    /// The requirement, without a full stop.
    pub(crate) what: String,
    /// Remedy.
    pub(crate) remedy: String,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n    {}", self.what, self.remedy)
    }
}

/// Checks the requirements of these NATs, and moves this process into its namespaces. The isolated
/// child returns, also if the namespaces were possible and something else is missing.
///
/// # Errors
/// Everything that is missing.
pub(crate) fn prepare(nats: &[(Family, NatSpec)]) -> Result<(), Vec<Missing>> {
    let mut missing: Vec<Missing> = tun_device()
        .into_iter()
        .chain(missing_tools(nats))
        .collect();
    // After the other checks, so that one message has everything.
    if let Err(error) = isolate::enter() {
        missing.push(permission(&Facts::read(), &error));
    }
    if missing.is_empty() { Ok(()) } else { Err(missing) }
}

/// Remedy for a NAT that was built and differs from its description.
pub(crate) const MODULES: &str = remedy::MODULES;

/// Remedy for a lab that cannot be built, by the cause.
pub(crate) fn build_remedy(error: &BuildError) -> String {
    Facts::read().of_build(error)
}

/// Builds and removes each of these NATs: a requirement that no check covers shows here, before
/// anything is measured.
///
/// # Errors
/// A NAT could not be built.
pub(crate) fn probe(nats: &[(Family, NatSpec)]) -> Result<(), Missing> {
    for (family, nat) in nats {
        let built = lab::build_single_nat(*family, nat).map_err(|error| Missing {
            what: format!("a lab cannot be built: {error}"),
            remedy: build_remedy(&error),
        })?;
        // The kernel takes longer to remove a lab than to build one.
        thread::spawn(move || drop(built));
    }
    Ok(())
}

/// One message for everything that is missing.
pub(crate) fn message(missing: &[Missing]) -> String {
    let mut text = "this machine cannot run it:".to_owned();
    for item in missing {
        text += &format!("\n  - {item}");
    }
    text + "\nscripts/setup installs what is needed; \
        on hosts that are not Linux use the Vagrantfile."
}

/// Checks that the programs that the scenarios start exist: otherwise every trial would be an
/// error.
///
/// Known limit: a program whose name has a placeholder is not checked.
///
/// # Errors
/// One message with the names of all missing programs.
pub(crate) fn programs<'a>(setups: impl Iterator<Item = &'a Setup>) -> Result<(), String> {
    let commands = setups.flat_map(|setup| {
        let subject = setup.subject.iter().map(|subject| &subject.command);
        subject.chain(setup.hosts.iter().map(|host| &host.command))
    });
    let missing: BTreeSet<String> = commands
        .filter_map(|command| fixed_program(command))
        .filter(|program| !can_be_started(program))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = missing
        .iter()
        .map(|program| format!("{program:?}"))
        .collect();
    Err(format!(
        "the scenario starts what is not there, or not executable: {}\n\
         install it, or correct `command`: a name is looked for in PATH, a path from here",
        names.join(", ")
    ))
}

/// Program of a command, if it is the same for every peer.
fn fixed_program(command: &[String]) -> Option<String> {
    let mut placeholders = 0;
    let program = expand(command.get(..1)?, |_| {
        placeholders += 1;
        String::new()
    });
    program.ok()?.pop().filter(|_| placeholders == 0)
}

/// Whether `execvp` finds a program: in `PATH`, or at its path if the name has a slash.
fn can_be_started(program: &str) -> bool {
    if program.contains('/') {
        return lab::is_executable(Path::new(program));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| lab::is_executable(&folder.join(program)))
}

fn tun_device() -> Option<Missing> {
    let error = tun::open_device().err()?;
    Some(Missing {
        what: format!("{} cannot be opened: {error}", tun::DEVICE),
        remedy: Facts::read().of_tun(&error),
    })
}

/// Missing programs that load the rules of these NATs, each once.
pub(crate) fn missing_tools(nats: &[(Family, NatSpec)]) -> Vec<Missing> {
    let tools: BTreeSet<Tool> = nats
        .iter()
        .map(|(family, nat)| rules::tool(*family, nat))
        .collect();
    tools.into_iter().filter_map(tool).collect()
}

/// Program that loads the rules of a NAT, if it is missing.
pub(crate) fn tool_of(family: Family, nat: &NatSpec) -> Option<Missing> {
    tool(rules::tool(family, nat))
}

/// Program that loads rules, if it is missing.
fn tool(tool: Tool) -> Option<Missing> {
    let program = tool.program();
    lab::find_program(program).is_none().then(|| Missing {
        what: format!("{program} is not installed"),
        remedy: format!("install the package {}", tool.package()),
    })
}

fn permission(facts: &Facts, error: &IsolateError) -> Missing {
    Missing { what: error.to_string(), remedy: facts.of_isolation(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_names_everything_with_its_remedy() {
        let missing = [
            Missing {
                what: "iptables-restore is not installed".into(),
                remedy: "install it".into(),
            },
            permission(
                &Facts::default(),
                &IsolateError::UserNamespace(std::io::ErrorKind::PermissionDenied.into()),
            ),
        ];
        insta::assert_snapshot!(message(&missing));
    }
}
