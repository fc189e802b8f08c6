//! Before a run: which of its NATs this machine can build, and which of those do what they say.
//!
//! A cell whose NAT is not among them is not measured: its trials become errors of the bench. The
//! rest of the run goes on, unless nothing is left of it.

use std::{error::Error, io};

use super::{INCAPABLE, Problem};
use crate::{
    doctor::{self, Missing},
    event::NatVerified,
    named::Named,
    nat::{Nat, NatSpec},
    peers::Family,
    run::{Refused, interruptible, refusal},
    scenario::Setup,
    verify::{self, Subject, Verified},
};

/// A NAT, and what it stands in.
type Kind = (Family, NatSpec);

/// The kinds of NATs in the setups.
pub(super) fn nat_kinds<'a>(setups: impl Iterator<Item = &'a Setup>) -> Vec<Kind> {
    let mut kinds = Vec::new();
    for setup in setups {
        for peer in &setup.peers {
            let Nat::Behind(nat) = &peer.nat else { continue };
            let kind = (setup.wan.family, *nat);
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
    }
    kinds
}

/// What is known of the NATs of a run.
#[derive(Debug, Default)]
pub(super) struct Ready {
    /// Those on which nothing is measured.
    pub(super) refused: Vec<Refused>,
    /// What verification found out, for the log.
    pub(super) verified: Vec<NatVerified>,
    /// For people.
    pub(super) messages: Vec<String>,
}

/// Looks for what these NATs need, moves this process into its namespaces, and verifies them, or
/// with `verify` off only builds them.
///
/// # Errors
/// The machine lacks what everything needs, or not one of the setups can be measured.
pub(super) fn prepare<'a>(
    setups: &(impl Iterator<Item = &'a Setup> + Clone),
    verify: bool,
) -> Result<Ready, Problem> {
    let all = nat_kinds(setups.clone());
    let mut ready = Ready::default();
    let there = with_tools(&all, &mut ready.refused);
    let measurable = |refused: &[Refused]| setups.clone().any(|it| refusal(refused, it).is_none());
    if !measurable(&ready.refused) {
        // Says at once what else is missing.
        doctor::prepare(&all).map_err(|missing| incapable(&missing))?;
    }
    for missing in doctor::missing_tools(&all) {
        ready.messages.push(format!("warning: {missing}"));
    }
    doctor::prepare(&there).map_err(|missing| incapable(&missing))?;
    if verify {
        verified(there, &mut ready)?;
    } else {
        for kind in there {
            if let Err(missing) = doctor::probe(&[kind]) {
                let (family, nat) = kind;
                ready
                    .refused
                    .push(Refused { family, nat, reason: missing.what });
            }
        }
    }
    if measurable(&ready.refused) {
        let warning =
            |it: &Refused| format!("warning: nothing is measured on NAT {}: {}", it.nat, it.reason);
        ready.messages.extend(ready.refused.iter().map(warning));
        return Ok(ready);
    }
    let reasons = ready.refused.iter().map(|it| Missing {
        what: format!("NAT {}: {}", it.nat, it.reason),
        remedy: doctor::MODULES.to_owned(),
    });
    Err(incapable(&reasons.collect::<Vec<_>>()))
}

fn incapable(missing: &[Missing]) -> Problem {
    Problem(INCAPABLE, doctor::message(missing))
}

/// The NATs whose programs are installed; the others are refused.
fn with_tools(all: &[Kind], refused: &mut Vec<Refused>) -> Vec<Kind> {
    let mut there = Vec::new();
    for kind in all {
        let (family, nat) = *kind;
        match doctor::tool_of(family, &nat) {
            None => there.push(*kind),
            Some(Missing { what, .. }) => refused.push(Refused { family, nat, reason: what }),
        }
    }
    there
}

fn verified(kinds: Vec<Kind>, ready: &mut Ready) -> Result<(), Problem> {
    let subjects = kinds
        .into_iter()
        .map(|(family, nat)| Subject { family, nat, built: nat })
        .collect();
    let (subjects, results) = verify_all(subjects)?;
    let (mut right, mut properties) = (0, 0);
    for (Subject { family, nat, .. }, result) in subjects.iter().zip(results) {
        let reason = match &result {
            Ok(report) => {
                let found: Vec<String> = report.differences().map(ToString::to_string).collect();
                (!found.is_empty()).then(|| found.join("; "))
            }
            Err(error) => Some(error.to_string()),
        };
        ready.verified.push(event(*family, nat, &result));
        match reason {
            Some(reason) => {
                ready
                    .refused
                    .push(Refused { family: *family, nat: *nat, reason });
            }
            None => {
                right += 1;
                properties += result.map_or(0, |report| report.checks.len());
            }
        }
    }
    if right > 0 {
        let nats = match right {
            1 => "1 NAT does what it says".to_owned(),
            right => format!("{right} NATs do what they say"),
        };
        ready
            .messages
            .push(format!("{nats} ({properties} properties)"));
    }
    Ok(())
}

/// Verifies several NATs, unless the user interrupts.
pub(super) fn verify_all(subjects: Vec<Subject>) -> Result<(Vec<Subject>, Vec<Verified>), Problem> {
    let incapable = |error: &dyn Error| Problem(INCAPABLE, error.to_string());
    let verified = interruptible(move || Ok((verify::verify_all(&subjects)?, subjects)));
    let verified = verified.map_err(|error| incapable(&error))?;
    let verified =
        verified.map_err(|code| Problem(code, "interrupted: nothing was measured".to_owned()))?;
    let (results, subjects) = verified.map_err(|error: io::Error| incapable(&error))?;
    Ok((subjects, results))
}

fn event(family: Family, nat: &NatSpec, result: &Verified) -> NatVerified {
    let (properties, differences, error) = match result {
        Ok(report) => {
            (report.checks.len(), report.differences().map(ToString::to_string).collect(), None)
        }
        Err(error) => (0, Vec::new(), Some(error.to_string())),
    };
    NatVerified {
        nat: nat.to_string(),
        family: family.name().to_owned(),
        properties,
        differences,
        error,
    }
}
