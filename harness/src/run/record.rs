//! What is kept of a trial beside its result: the packets as pcapng, and the ladder as text.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::PathBuf,
};

use punch::proto::time::WallTime;

use super::observation::{Seen, Trial, skew};
use crate::{
    event::{Outcome, TrialFinished},
    nat::Nat,
    peers::Side,
    report::ladder::{self, Story},
    scenario::Setup,
    wan::capture::{self, Header},
};

/// Where the captures of trials go, and of which trials.
#[derive(Debug, Clone)]
pub(crate) struct Captures {
    /// Folder, which exists.
    pub(crate) folder: PathBuf,
    /// Whether the packets of successes are left out.
    pub(crate) failed_only: bool,
    /// Whether successes get a ladder as well; other trials always do.
    pub(crate) ladders_of_successes: bool,
}

impl Captures {
    /// Where the packets of a trial go.
    pub(crate) fn packets(&self, slug: &str) -> PathBuf {
        self.folder.join(format!("{slug}.pcapng"))
    }

    /// Where the ladder of a trial goes.
    pub(crate) fn ladder(&self, slug: &str) -> PathBuf {
        self.folder.join(format!("{slug}.ladder.txt"))
    }

    /// Writes what is to be kept of a trial.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(super) fn write(
        &self,
        trial: &Trial,
        epoch: WallTime,
        seen: &Seen,
        finished: &TrialFinished,
    ) -> io::Result<()> {
        let success = finished.outcome == Outcome::Success;
        let title = title(trial, finished);
        if !(success && self.failed_only) {
            let mut file = BufWriter::new(File::create(self.packets(&trial.slug))?);
            let ports = interfaces(&trial.setup);
            let header = Header { comment: title.join("\n"), ports, begin: seen.begin, epoch };
            capture::write(&seen.traffic, &header, &mut file).map_err(io::Error::other)?;
            file.flush()?;
        }
        if !success || self.ladders_of_successes {
            let text = ladder::render(&story(trial, epoch, seen, finished, title));
            fs::write(self.ladder(&trial.slug), text)?;
        }
        Ok(())
    }
}

fn story<'a>(
    trial: &Trial,
    epoch: WallTime,
    seen: &'a Seen,
    finished: &'a TrialFinished,
    title: Vec<String>,
) -> Story<'a> {
    let of = |side: Side| &seen.peers[side.index()];
    Story {
        title,
        begin: seen.begin,
        epoch,
        skews: trial
            .setup
            .peers
            .each_ref()
            .map(|peer| skew(peer.clock_offset_s)),
        places: seen.places,
        traffic: &seen.traffic,
        events: seen.events.each_ref().map(Vec::as_slice),
        started: Side::BOTH.map(|side| of(side).started),
        ended: Side::BOTH.map(|side| (of(side).ended, finished.peers[side.index()].exit.as_str())),
    }
}

/// Which trial it is, and what came of it.
fn title(trial: &Trial, finished: &TrialFinished) -> Vec<String> {
    let outcome = match finished.outcome {
        Outcome::Success => "success",
        Outcome::Failure => "failure",
        Outcome::Error => "error",
    };
    let [a, b] = trial.setup.peers.each_ref().map(|peer| &peer.nat);
    let mut lines = vec![
        format!("trial {} of {}, seed {}", trial.id(), trial.title, finished.seed),
        format!(
            "NATs: a {a}, b {b} · one-way delay {} ms · loss {}",
            trial.setup.wan.delay.as_secs_f64() * 1000.0,
            trial.setup.wan.loss
        ),
    ];
    lines.push(match &finished.cause {
        Some(cause) => format!("{outcome}: {}: {}", cause.kind, cause.evidence),
        None => outcome.to_owned(),
    });
    lines
}

/// What stands behind each port of the WAN.
fn interfaces(setup: &Setup) -> Vec<String> {
    let peers = Side::BOTH
        .into_iter()
        .zip(&setup.peers)
        .map(|(side, peer)| match &peer.nat {
            Nat::Public => format!("peer {side}, a public host"),
            Nat::Behind(nat) => format!("peer {side} behind its NAT {nat}"),
        });
    let hosts = setup
        .hosts
        .iter()
        .map(|host| format!("public host {}", host.name));
    peers.chain(hosts).collect()
}
