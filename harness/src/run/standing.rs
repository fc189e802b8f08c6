//! A lab at work: its WAN carries packets, and what runs on its public hosts runs.

use std::{
    io,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{process::Child, time::sleep};

use super::{
    context::Bench,
    peer::{self, Group},
    subject,
};
use crate::{
    lab::{self, BuildError, Host, Lab, LabSpec},
    scenario::Setup,
    wan::{Impairment, Keep, Traffic, Wan},
};

/// How often building a lab is tried.
const BUILD_TRIES: u32 = 3;

/// Why the bench could not run a trial.
#[derive(Debug, thiserror::Error)]
pub(super) enum BenchError {
    #[error("lab: {0}")]
    Build(#[from] BuildError),
    #[error("the public host {name:?} ended before the trial did: {status}")]
    HostEnded { name: String, status: ExitStatus },
    #[error("{what}: {source}")]
    Io { what: &'static str, source: io::Error },
}

/// Names what failed.
pub(super) trait During<T> {
    fn during(self, what: &'static str) -> Result<T, BenchError>;
}

impl<T> During<T> for io::Result<T> {
    fn during(self, what: &'static str) -> Result<T, BenchError> {
        self.map_err(|source| BenchError::Io { what, source })
    }
}

/// A lab that stands, with all but its peers.
#[derive(Debug)]
pub(super) struct Standing {
    /// Hosts of the peers.
    pub(super) peers: [Host; 2],
    /// Further public hosts.
    pub(super) hosts: Vec<Host>,
    /// Names and addresses of the further public hosts.
    pub(super) addresses: Vec<(String, String)>,
    wan: Wan,
    /// What runs on them: killed when dropped, at the end of the trial.
    servers: Vec<(String, Child, Group)>,
}

impl Standing {
    /// Builds a lab and sets it to work. `permit` is dropped when it is gone; `retries` counts how
    /// often building it was tried again.
    ///
    /// # Errors
    /// See [`BenchError`].
    pub(super) async fn start(
        bench: &Bench,
        setup: &Setup,
        wan_seed: [u8; 32],
        permit: impl Send + 'static,
        retries: &mut u32,
    ) -> Result<Self, BenchError> {
        let Lab { peers, hosts, wan } = build_lab(bench, setup, retries).await?;
        let impairment =
            Impairment { delay: setup.wan.delay, loss: setup.wan.loss, seed: wan_seed };
        let keep = if bench.captures.is_some() { Keep::Everything } else { Keep::Headers };
        let wan = Wan::start(wan, impairment, keep, permit).during("starting the WAN")?;

        let addresses: Vec<(String, String)> = setup
            .hosts
            .iter()
            .zip(&hosts)
            .map(|(setup, host)| (setup.name.clone(), host.address.to_string()))
            .collect();
        let mut servers = Vec::new();
        for (setup, host) in setup.hosts.iter().zip(&hosts) {
            if !setup.command.is_empty() {
                let own = host.address.to_string();
                let command = subject::host_command(&setup.command, &own, &addresses);
                // A pipe that nobody reads would stop a talkative one.
                let server = peer::spawn(&host.namespace, &command, Stdio::null);
                let (child, group) = server.during("starting a public host")?;
                servers.push((setup.name.clone(), child, group));
            }
        }
        Ok(Self { peers, hosts, addresses, wan, servers })
    }

    /// Ends it, and returns what passed the WAN and where the peers were.
    ///
    /// # Errors
    /// A public host had ended before, or the WAN failed.
    pub(super) async fn finish(mut self) -> Result<(Traffic, [Host; 2]), BenchError> {
        for (name, server, _) in &mut self.servers {
            if let Some(status) = server.try_wait().during("a public host")? {
                return Err(BenchError::HostEnded { name: name.clone(), status });
            }
        }
        let traffic = self.wan.finish().await.during("the WAN")?;
        Ok((traffic, self.peers))
    }
}

/// Builds the lab on a thread, some labs at once. A kernel that is busy removing many may refuse
/// one more for a moment, so that it is tried again.
async fn build_lab(bench: &Bench, setup: &Setup, retries: &mut u32) -> Result<Lab, BenchError> {
    let spec = LabSpec {
        family: setup.wan.family,
        nats: setup.peers.clone().map(|peer| peer.nat),
        hosts: setup.hosts.iter().map(|host| host.name.clone()).collect(),
    };
    let _building = bench
        .builders
        .acquire()
        .await
        .expect("the semaphore is never closed");
    let mut tries = 1;
    loop {
        match tokio::task::block_in_place(|| lab::build(&spec)) {
            Ok(lab) => return Ok(lab),
            Err(_) if tries < BUILD_TRIES => {
                tries += 1;
                *retries += 1;
                sleep(Duration::from_millis(100)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
