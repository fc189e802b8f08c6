//! Captures of a trial: the packets as pcapng, and the ladder as text.

use std::{io, path::PathBuf};

use punch::proto::time::WallTime;

use super::observation::{Observation, TrialSpec, skew};
use crate::{
    event::{Outcome, TrialFinished},
    nat::Nat,
    report::{
        ladder::{self, LadderInput},
        log::{LogError, write_atomically},
    },
    scenario::Setup,
    ui::escape::escaped_lines,
    wan::capture::{self, CaptureHeader},
};

/// Selection of the trials that are captured, and folder for the captures.
#[derive(Debug, Clone)]
pub(crate) struct Captures {
    /// Folder that exists.
    pub(crate) folder: PathBuf,
    /// Whether the packets of successes are left out.
    pub(crate) failed_only: bool,
    /// Whether successes get a ladder as well; other trials always do.
    pub(crate) ladders_of_successes: bool,
}

impl Captures {
    /// File for the packets of a spec.
    pub(crate) fn packets(&self, slug: &str) -> PathBuf {
        self.folder.join(format!("{slug}.pcapng"))
    }

    /// File for the ladder of a spec.
    pub(crate) fn ladder(&self, slug: &str) -> PathBuf {
        self.folder.join(format!("{slug}.ladder.txt"))
    }

    /// Writes the captures of a trial, if the trial is selected. A link in the place of a file is
    /// replaced, not followed.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(super) fn write(
        &self,
        spec: &TrialSpec,
        epoch: WallTime,
        observation: &Observation,
        finished: &TrialFinished,
    ) -> Result<(), LogError> {
        let success = finished.outcome == Outcome::Success;
        let title = title(spec, finished);
        if !(success && self.failed_only) {
            let ports = interfaces(&spec.setup);
            let header =
                CaptureHeader { comment: title.join("\n"), ports, begin: observation.begin, epoch };
            write_atomically(&self.packets(&spec.slug), |file| {
                capture::write(&observation.traffic, &header, file).map_err(io::Error::other)
            })?;
        }
        if !success || self.ladders_of_successes {
            let text = ladder::render(&ladder_input(spec, epoch, observation, finished, title));
            let text = escaped_lines(&text);
            write_atomically(&self.ladder(&spec.slug), |file| file.write_all(text.as_bytes()))?;
        }
        Ok(())
    }
}

/// The trial as its ladder shows it.
fn ladder_input<'a>(
    spec: &TrialSpec,
    epoch: WallTime,
    observation: &'a Observation,
    finished: &'a TrialFinished,
    title: Vec<String>,
) -> LadderInput<'a> {
    let peers = observation.peers.as_ref();
    LadderInput {
        title,
        begin: observation.begin,
        epoch,
        skews: spec
            .setup
            .peers
            .as_ref()
            .map(|peer| skew(peer.clock_offset_s)),
        locations: observation.locations,
        traffic: &observation.traffic,
        events: observation.events.as_ref().map(Vec::as_slice),
        started: peers.map(|peer| peer.started),
        ended: peers
            .zip(finished.peers.as_ref())
            .map(|(peer, report)| (peer.ended, report.exit.as_str())),
    }
}

/// Identity of the trial, its network, and its result.
fn title(spec: &TrialSpec, finished: &TrialFinished) -> Vec<String> {
    let [a, b] = spec.setup.peers.as_ref().map(|peer| &peer.nat).into_array();
    vec![
        format!("trial {} of {}, seed {}", spec.id(), spec.title, finished.seed),
        format!(
            "NATs: a {a}, b {b} · one-way delay {} ms · loss {}",
            spec.setup.wan.delay.as_secs_f64() * 1000.0,
            spec.setup.wan.loss
        ),
        finished.headline(),
    ]
}

/// Description of the host or NAT at each port of the WAN.
fn interfaces(setup: &Setup) -> Vec<String> {
    let peers = setup.peers.iter().map(|(side, peer)| match &peer.nat {
        Nat::Public => format!("peer {side}, a public host"),
        Nat::Behind(nat) => format!("peer {side} behind its NAT {nat}"),
    });
    let hosts = setup
        .hosts
        .iter()
        .map(|host| format!("public host {}", host.name));
    peers.chain(hosts).collect()
}
