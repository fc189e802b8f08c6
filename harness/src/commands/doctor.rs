//! `harness doctor`.

use std::process::ExitCode;

use super::{INCAPABLE, Problem, say};
use crate::{
    doctor,
    scenario::{Family, Named, NatSpec, Unsolicited},
};

/// `harness doctor`.
pub(crate) fn doctor() -> ExitCode {
    let nats = |family| {
        let answers = Unsolicited::NAMES.iter().map(|(_, answer)| *answer);
        answers.map(|answer| (family, NatSpec::home(answer))).collect::<Vec<_>>()
    };
    let ready = doctor::prepare(&nats(Family::V4))
        .and_then(|()| doctor::probe(&nats(Family::V4)).map_err(|missing| vec![missing]));
    if let Err(missing) = ready {
        return Problem(INCAPABLE, doctor::message(&missing)).exit();
    }
    say("this machine can run scenarios: namespaces, TUN devices and NAT rules work");
    // Most scenarios do without.
    if let Err(missing) = doctor::probe(&nats(Family::V6)) {
        say(&format!("except those with IPv6: {missing}"));
    }
    ExitCode::SUCCESS
}
