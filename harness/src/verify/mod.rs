//! Does a NAT do what its description says? It is built on its own and probed: real sockets inside
//! talk to addresses on the WAN, which is a TUN device in our hands; what comes out there tells
//! mapping and allocation; what is sent in from there, from those who were sent to and from others,
//! tells filtering and answers; a second inside host tells what is shared, and hairpin.
//!
//! What always holds: a property is red if it was not seen, also where nothing at all was seen. What
//! was found different while the bench stood still is not believed, and looked at again; so is what
//! may be chance, where a NAT draws its ports: once in some 500 verifications two are the same that
//! are looked at, and the later one's owner gets what was meant for the other.
//!
//! Known limits: time-outs of more than 5 s are not waited for, those of UDP not at all, and that of
//! closed connections not where a mapping outlives them (filtering that is not address-and-port-
//! dependent); with IPv6 there is neither mapping nor hairpin to look at, nor a time-out where
//! everything is let in.

mod bench;
mod classify;
mod icmp;
mod memory;
mod packet;
mod probe;
pub(crate) mod text;

use std::{
    fmt, io,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use punch::driver::clock::monotonic_now;

use self::{bench::Bench, probe::Probes};
use crate::{
    lab::{self, BuildError},
    nat::{Allocation, NatSpec},
    peers::Family,
    stalls::Stalls,
};

/// How often a NAT is looked at that seems to differ each time, for a reason that may not be its own.
const LOOKS: u32 = 3;

/// NATs that are verified at once: they mostly wait.
const AT_ONCE: usize = 8;

/// What to verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Subject {
    /// The version of IP.
    pub(crate) family: Family,
    /// What the NAT should do.
    pub(crate) nat: NatSpec,
    /// The NAT that is built: the same, but where verification itself is tested.
    pub(crate) built: NatSpec,
}

/// What was found out about a NAT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    /// Every property, in a fixed order.
    pub(crate) checks: Vec<Check>,
}

/// One property of a NAT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    /// Its name.
    pub(crate) property: String,
    /// What the description says.
    pub(crate) expected: String,
    /// What was seen, in the same words.
    pub(crate) observed: String,
}

/// Why a NAT could not be verified.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    /// It cannot be built.
    #[error("it cannot be built: {0}")]
    Build(#[from] BuildError),
    /// It cannot be probed.
    #[error("it cannot be probed: {0}")]
    Probe(#[from] io::Error),
}

impl Check {
    fn new(property: &str, expected: &str, observed: &str) -> Self {
        let [property, expected, observed] = [property, expected, observed].map(str::to_owned);
        Self { property, expected, observed }
    }

    /// Whether the NAT does what its description says.
    pub(crate) fn holds(&self) -> bool {
        self.expected == self.observed
    }
}

/// What is wrong, in one clause.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { property, expected, observed } = self;
        write!(f, "{property} should be \"{expected}\", and was seen to be \"{observed}\"")
    }
}

impl Report {
    /// The properties in which the NAT differs from its description.
    pub(crate) fn differences(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| !check.holds())
    }
}

/// What became of the verification of a NAT.
pub(crate) type Verified = Result<Report, VerifyError>;

/// Builds a NAT and probes it. Takes some 100 ms, and the time-outs that it waits for.
///
/// # Errors
/// It could not be built or probed: that says nothing about what it does.
fn verify(subject: &Subject, stalls: &Stalls) -> Verified {
    let mut looks = 1;
    loop {
        let begun = monotonic_now();
        let report = look(subject)?;
        let differs = report.differences().next().is_some();
        let drawn = subject.nat.allocation == Allocation::Random;
        let own = !drawn && stalls.longest_since(begun).is_zero();
        if !differs || own || looks == LOOKS {
            return Ok(report);
        }
        looks += 1;
    }
}

fn look(subject: &Subject) -> Verified {
    let Subject { family, nat, built } = subject;
    let lone = lab::with_retries(|| lab::build_single_nat(*family, built), || {})?;
    let mut bench = Bench::new(*family, lone)?;
    let report = examine(&mut bench, nat);
    // Closing the TUN device takes the kernel longer than everything else.
    thread::spawn(move || drop(bench));
    Ok(report?)
}

fn examine(bench: &mut Bench, nat: &NatSpec) -> io::Result<Report> {
    let probes = Probes::send(bench, nat)?;
    let look = |bench: &Bench| classify::checks(bench.family, bench.wan, nat, &probes.seen(bench));
    bench.settle(|bench| look(bench).iter().all(Check::holds))?;
    let mut checks = look(bench);
    checks.extend(classify::timeouts(&memory::probe(bench, nat)?));
    Ok(Report { checks })
}

/// Verifies several NATs, some at once; the results are in the order of the subjects.
///
/// # Errors
/// No thread. Of a NAT that could not be built or probed, its own result tells.
pub(crate) fn verify_all(subjects: &[Subject]) -> io::Result<Vec<Verified>> {
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
        let workers: Vec<_> = (0..subjects.len().min(AT_ONCE))
            .map(|_| scope.spawn(work))
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("a panic there is one here"))
            .collect()
    });
    all.sort_by_key(|(index, _)| *index);
    Ok(all.into_iter().map(|(_, result)| result).collect())
}
