//! Live lab: its WAN forwards packets, and the programs on its public hosts run.

use std::{
    io,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{process::Child, runtime::Handle, task::block_in_place, time::sleep};

use super::{
    context::RunContext,
    peer::{self, ProcessGroup},
    subject,
};
use crate::{
    lab::{self, BuildError, Host, Lab, LabSpec, PidNs},
    peers::Pair,
    scenario::Setup,
    wan::{CaptureDepth, Impairment, Traffic, Wan},
};

/// Pause before a lab is built again.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// Reason why the bench could not run a trial.
#[derive(Debug, thiserror::Error)]
pub(super) enum BenchError {
    #[error("lab: {0}")]
    Build(#[from] BuildError),
    #[error("the public host {name:?} ended before the trial did: {status}")]
    HostEnded { name: String, status: ExitStatus },
    #[error("{step}: {source}")]
    Io { step: &'static str, source: io::Error },
}

impl BenchError {
    /// Names the step in which an I/O error arose: `….map_err(BenchError::at("starting a peer"))`.
    pub(super) fn at(step: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { step, source }
    }
}

/// Lab with everything but its peers.
#[derive(Debug)]
pub(super) struct LiveLab {
    /// Hosts of the peers.
    pub(super) peers: Pair<Host>,
    /// Further public hosts.
    pub(super) hosts: Vec<Host>,
    /// Names and addresses of the further public hosts.
    pub(super) addresses: Vec<(String, String)>,
    /// PID namespace of all programs: none outlives the lab.
    pub(super) processes: PidNs,
    wan: Wan,
    /// Programs of the public hosts with the hosts' names: killed when dropped, at the end of the
    /// trial.
    servers: Vec<(String, Child, ProcessGroup)>,
}

impl LiveLab {
    /// Builds a lab and starts its WAN and the programs on its public hosts. `slot` is dropped when
    /// the lab is gone; `retries` counts the further tries of building it.
    ///
    /// # Errors
    /// See [`BenchError`].
    pub(super) async fn start(
        context: &RunContext,
        setup: &Setup,
        wan_seed: [u8; 32],
        slot: impl Send + 'static,
        retries: &mut u32,
    ) -> Result<Self, BenchError> {
        let Lab { peers, hosts, wan: ends } = build_lab(context, setup, retries).await?;
        let impairment =
            Impairment { delay: setup.wan.delay, loss: setup.wan.loss, seed: wan_seed };
        let depth = if context.captures.is_some() {
            CaptureDepth::Everything
        } else {
            CaptureDepth::Headers
        };
        let wan = Wan::start(ends, impairment, depth, slot)
            .map_err(BenchError::at("starting the WAN"))?;

        let addresses: Vec<(String, String)> = setup
            .hosts
            .iter()
            .zip(&hosts)
            .map(|(setup, host)| (setup.name.clone(), host.address.to_string()))
            .collect();
        let processes = PidNs::create().map_err(BenchError::at("a PID namespace for the lab"))?;
        let mut servers = Vec::new();
        for (setup, host) in setup.hosts.iter().zip(&hosts) {
            if !setup.command.is_empty() {
                let own = host.address.to_string();
                let command = subject::host_command(&setup.command, &own, &addresses);
                // A pipe that nobody reads would stop a talkative program.
                let (child, group) =
                    peer::spawn(&host.namespace, &processes, &command, Stdio::null)
                        .map_err(BenchError::at("starting a public host"))?;
                servers.push((setup.name.clone(), child, group));
            }
        }
        Ok(Self { peers, hosts, addresses, processes, wan, servers })
    }

    /// Stops the WAN, and ends all processes of the lab. Returns the traffic on the WAN, and the
    /// hosts of the peers.
    ///
    /// # Errors
    /// A public host had ended before, a process cannot be killed, or the WAN failed.
    pub(super) async fn finish(mut self) -> Result<(Traffic, Pair<Host>), BenchError> {
        for (name, server, _) in &mut self.servers {
            let ended = server.try_wait();
            if let Some(status) = ended.map_err(BenchError::at("a public host"))? {
                return Err(BenchError::HostEnded { name: name.clone(), status });
            }
        }
        let traffic = self.wan.finish().await;
        // The init of the lab ends once all other processes are reaped.
        let reaped = async {
            for (_, server, _) in &mut self.servers {
                server.kill().await?;
            }
            Ok(())
        };
        let (ended, reaped) = tokio::join!(self.processes.end(), reaped);
        ended
            .and(reaped)
            .map_err(BenchError::at("ending the processes of the lab"))?;
        Ok((traffic.map_err(BenchError::at("the WAN"))?, self.peers))
    }
}

/// Builds the lab on this thread, while other threads build others.
async fn build_lab(
    context: &RunContext,
    setup: &Setup,
    retries: &mut u32,
) -> Result<Lab, BenchError> {
    let spec = LabSpec {
        family: setup.wan.family,
        nats: setup.peers.clone().map(|peer| peer.nat),
        hosts: setup.hosts.iter().map(|host| host.name.clone()).collect(),
    };
    let _building = context
        .builders
        .acquire()
        .await
        .expect("the semaphore is never closed");
    let before_retry = || {
        *retries += 1;
        Handle::current().block_on(sleep(RETRY_INTERVAL));
    };
    let built = block_in_place(|| lab::with_retries(|| lab::build(&spec), before_retry));
    Ok(built?)
}
