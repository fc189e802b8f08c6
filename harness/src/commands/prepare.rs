//! Preparation of the machine for labs: programs, namespaces, and the NATs.
//!
//! A run leaves out the cells whose NATs this machine cannot build or that do not do what they say:
//! their trials become errors of the bench. The rest of the run goes on, unless nothing is left.

use super::CommandError;
use crate::{
    doctor::{self, Missing},
    event::NatVerified,
    named::Named,
    nat::{Nat, NatSpec},
    peers::Family,
    run::{Interruptible, RefusedNat, RunContext, interruptible, refusal},
    scenario::Setup,
    ui::plural::count,
    verify::{self, NatUnderTest, Verified, VerifyError},
};

/// A NAT and its version of IP.
pub(super) type NatKind = (Family, NatSpec);

/// Moves this process into its namespaces, and builds each of the NATs once.
///
/// # Errors
/// The machine lacks something.
pub(super) fn machine(nats: &[NatKind]) -> Result<(), CommandError> {
    doctor::prepare(nats).map_err(|missing| CommandError::missing(&missing))?;
    doctor::probe(nats).map_err(|missing| CommandError::missing(&[missing]))
}

/// Prepares the machine for one setup.
///
/// # Errors
/// The machine lacks something.
pub(super) fn for_setup(setup: &Setup) -> Result<RunContext, CommandError> {
    doctor::programs([setup].into_iter()).map_err(CommandError::incapable)?;
    machine(&nat_kinds([setup].into_iter()))?;
    RunContext::new().map_err(CommandError::incapable)
}

/// Result of the preparation for a run.
#[derive(Debug)]
pub(super) struct Prepared {
    /// Context for the trials, with the NATs on which nothing is measured.
    pub(super) context: RunContext,
    /// Results of the verification, for the log.
    pub(super) verified: Vec<NatVerified>,
    /// Messages for the user.
    pub(super) messages: Vec<String>,
}

/// Prepares the machine for a run of these setups. Verifies their NATs, or with `verify` off only
/// builds them.
///
/// # Errors
/// The machine lacks what everything needs, or none of the setups can be measured.
pub(super) fn for_run<'a>(
    setups: &(impl Iterator<Item = &'a Setup> + Clone),
    verify: bool,
) -> Result<Prepared, CommandError> {
    doctor::programs(setups.clone()).map_err(CommandError::incapable)?;
    let all = nat_kinds(setups.clone());
    let mut messages = Vec::new();
    let (mut refused, buildable) = by_tools(&all);
    let is_measurable = |refused: &[RefusedNat]| {
        setups
            .clone()
            .any(|setup| refusal(refused, setup).is_none())
    };
    if !is_measurable(&refused) {
        // This message names everything else that is missing as well.
        doctor::prepare(&all).map_err(|missing| CommandError::missing(&missing))?;
    }
    for missing in doctor::missing_tools(&all) {
        messages.push(format!("warning: {missing}"));
    }
    doctor::prepare(&buildable).map_err(|missing| CommandError::missing(&missing))?;
    let verified = if verify {
        let (subjects, results) = verify_all(buildable.into_iter().map(subject).collect())?;
        refused.extend(subjects.iter().zip(&results).filter_map(refused_nat));
        messages.extend(success_message(&results));
        subjects.iter().zip(&results).map(nat_verified).collect()
    } else {
        refused.extend(buildable.into_iter().filter_map(unbuildable));
        Vec::new()
    };
    if !is_measurable(&refused) {
        return Err(nothing_measurable(&refused));
    }
    messages.extend(refused.iter().map(|RefusedNat { nat, reason, .. }| {
        format!("warning: nothing is measured on NAT {nat}: {reason}")
    }));
    let context = RunContext::new().map_err(CommandError::incapable)?;
    Ok(Prepared { context: RunContext { refused, ..context }, verified, messages })
}

/// Verifies several NATs, unless a signal comes first.
///
/// # Errors
/// A signal came, or the verification could not begin.
pub(super) fn verify_all(
    subjects: Vec<NatUnderTest>,
) -> Result<(Vec<NatUnderTest>, Vec<Verified>), CommandError> {
    let work = move || Ok::<_, std::io::Error>((verify::verify_all(&subjects)?, subjects));
    match interruptible(work).map_err(CommandError::incapable)? {
        Interruptible::Done(verified) => {
            let (results, subjects) = verified.map_err(CommandError::incapable)?;
            Ok((subjects, results))
        }
        Interruptible::Interrupted(signal) => {
            Err(CommandError::interrupted(signal, "nothing was measured"))
        }
    }
}

/// The NATs in the setups, each once.
fn nat_kinds<'a>(setups: impl Iterator<Item = &'a Setup>) -> Vec<NatKind> {
    let mut kinds = Vec::new();
    for setup in setups {
        for peer in setup.peers.values() {
            let Nat::Behind(nat) = &peer.nat else { continue };
            let kind = (setup.wan.family, *nat);
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
    }
    kinds
}

/// Refuses the NATs whose tools are not installed; returns the others as well.
fn by_tools(all: &[NatKind]) -> (Vec<RefusedNat>, Vec<NatKind>) {
    let (mut refused, mut buildable) = (Vec::new(), Vec::new());
    for &(family, nat) in all {
        match doctor::tool_of(family, &nat) {
            None => buildable.push((family, nat)),
            Some(Missing { what, remedy }) => {
                refused.push(RefusedNat { family, nat, reason: what, remedy });
            }
        }
    }
    (refused, buildable)
}

/// Refuses a NAT that cannot be built.
fn unbuildable((family, nat): NatKind) -> Option<RefusedNat> {
    let missing = doctor::probe(&[(family, nat)]).err()?;
    let Missing { what, remedy } = missing;
    Some(RefusedNat { family, nat, reason: what, remedy })
}

fn subject((family, nat): NatKind) -> NatUnderTest {
    NatUnderTest { family, nat, built: nat }
}

/// Differences of a NAT from its description, a clause each.
fn differences(result: &Verified) -> Vec<String> {
    let checks = result.iter().flat_map(|report| report.differences());
    checks.map(ToString::to_string).collect()
}

/// Refuses a NAT that could not be verified, or that differs from its description.
fn refused_nat((subject, result): (&NatUnderTest, &Verified)) -> Option<RefusedNat> {
    let reason = match result {
        Ok(_) => differences(result).join("; "),
        Err(error) => error.to_string(),
    };
    let remedy = match result {
        Err(VerifyError::Build(error)) => doctor::build_remedy(error),
        Ok(_) | Err(VerifyError::Probe(_)) => doctor::MODULES.to_owned(),
    };
    let &NatUnderTest { family, nat, .. } = subject;
    (!reason.is_empty()).then_some(RefusedNat { family, nat, reason, remedy })
}

/// Number of NATs that do what they say, and of their properties.
fn success_message(results: &[Verified]) -> Option<String> {
    let correct: Vec<usize> = results
        .iter()
        .flatten()
        .filter(|report| report.differences().next().is_none())
        .map(|report| report.checks.len())
        .collect();
    let verb = if correct.len() == 1 { "does what it says" } else { "do what they say" };
    let nats = count(correct.len(), "NAT");
    let properties: usize = correct.iter().sum();
    (!correct.is_empty()).then(|| format!("{nats} {verb} ({properties} properties)"))
}

/// Result of a verification, for the log.
fn nat_verified((subject, result): (&NatUnderTest, &Verified)) -> NatVerified {
    NatVerified {
        nat: subject.nat.to_string(),
        family: subject.family.name().to_owned(),
        properties: result.as_ref().map_or(0, |report| report.checks.len()),
        differences: differences(result),
        error: result.as_ref().err().map(ToString::to_string),
    }
}

fn nothing_measurable(refused: &[RefusedNat]) -> CommandError {
    let missing = refused
        .iter()
        .map(|RefusedNat { nat, reason, remedy, .. }| Missing {
            what: format!("NAT {nat}: {reason}"),
            remedy: remedy.clone(),
        });
    CommandError::missing(&missing.collect::<Vec<_>>())
}
