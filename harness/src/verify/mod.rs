//! Verification that a NAT behaves as its description says. The NAT is built on its own and probed.
//! Sockets inside send to addresses on the WAN, which is a TUN device of the harness: the packets
//! there show mapping and allocation. Packets that are injected there, from contacted endpoints and
//! from others, show filtering and answers. A second inside host shows hairpinning, and whether
//! ports are shared.
//!
//! What always holds: a property that was not observed is a difference, also if no packet came at
//! all. The NAT is probed again before a difference counts, if the bench stood still during the
//! probes, or if the allocation of ports is random: in about one of 500 verifications, two of the
//! examined ports are equal by chance, and the later owner gets the packets of the earlier one.
//!
//! Known limits: time-outs of more than 5 s are not verified, those of UDP not at all, and that of
//! closed connections not where a mapping outlives them (filtering other than address-and-port-
//! dependent). With IPv6 there is neither mapping nor hairpin to verify, nor a time-out where
//! everything is let in.

mod builders;
mod check;
mod classify;
mod icmp;
mod probe;
mod rig;
pub(crate) mod text;
mod timeouts;

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use punch::driver::clock::monotonic_now;

pub(crate) use self::check::{Check, Report};
use self::{probe::Probes, rig::NatRig};
use crate::{
    lab::{self, BuildError},
    nat::{Allocation, NatSpec},
    peers::Family,
    stalls::Stalls,
};

/// Attempts at a NAT that differs each time, for a reason that may lie outside of it.
const MAX_ATTEMPTS: u32 = 3;

/// NATs that are verified at once; a verification mostly waits.
const MAX_AT_ONCE: usize = 8;

/// A NAT to verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NatUnderTest {
    /// The version of IP.
    pub(crate) family: Family,
    /// Description of the NAT.
    pub(crate) nat: NatSpec,
    /// The NAT that is built: the described one, except in tests of verification itself.
    pub(crate) built: NatSpec,
}

/// Why a NAT could not be verified.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    /// The NAT cannot be built.
    #[error("it cannot be built: {0}")]
    Build(#[from] BuildError),
    /// The NAT cannot be probed.
    #[error("it cannot be probed: {0}")]
    Probe(#[from] io::Error),
}

/// Outcome of the verification of a NAT.
pub(crate) type Verified = Result<Report, VerifyError>;

/// Builds a NAT and probes it. That takes some 100 ms, and the time-outs that are waited for.
///
/// # Errors
/// The NAT could not be built or probed, so that its behaviour is unknown.
fn verify(subject: &NatUnderTest, stalls: &Stalls) -> Verified {
    let mut attempts = 1;
    loop {
        let begun = monotonic_now();
        let report = attempt(subject)?;
        let differs = report.differences().next().is_some();
        let may_be_chance = subject.nat.allocation == Allocation::Random;
        let is_believed = !may_be_chance && stalls.longest_since(begun).is_zero();
        if !differs || is_believed || attempts == MAX_ATTEMPTS {
            return Ok(report);
        }
        attempts += 1;
    }
}

fn attempt(subject: &NatUnderTest) -> Verified {
    let NatUnderTest { family, nat, built } = subject;
    let single = lab::with_retries(|| lab::build_single_nat(*family, built), || {})?;
    let mut rig = NatRig::new(*family, single)?;
    let report = examine(&mut rig, nat);
    // Closing the TUN device takes the kernel longer than everything else.
    thread::spawn(move || drop(rig));
    Ok(report?)
}

fn examine(rig: &mut NatRig, nat: &NatSpec) -> io::Result<Report> {
    let probes = Probes::send(rig, nat)?;
    let checks_so_far =
        |rig: &NatRig| classify::checks(rig.family, rig.wan, nat, &probes.results(rig));
    rig.wait_then_linger(|rig| checks_so_far(rig).iter().all(Check::holds))?;
    let mut checks = checks_so_far(rig);
    checks.extend(classify::timeouts(&timeouts::probe(rig, nat)?));
    Ok(Report { checks })
}

/// Verifies several NATs, some at once; the results are in the order of the subjects.
///
/// # Errors
/// No thread. The result of a NAT that could not be built or probed is an error of its own.
pub(crate) fn verify_all(subjects: &[NatUnderTest]) -> io::Result<Vec<Verified>> {
    let stalls = Stalls::watch()?;
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(subject) = subjects.get(index) else { return done };
            done.push((index, verify(subject, &stalls)));
        }
    };
    let mut all: Vec<(usize, Verified)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..subjects.len().min(MAX_AT_ONCE))
            .map(|_| scope.spawn(work))
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| {
                worker
                    .join()
                    .expect("a panic of a worker is one of the caller")
            })
            .collect()
    });
    all.sort_by_key(|(index, _)| *index);
    Ok(all.into_iter().map(|(_, result)| result).collect())
}
