//! The PID namespace of a lab: whatever the programs of a trial start ends with the trial.
//!
//! Process 1 of the namespace is this program again, as an init. The programs of the trial are
//! started by the harness, as children of the harness within the namespace. What they leave behind,
//! the init inherits; when the init is killed, the kernel kills every process of the namespace, in
//! whatever session or process group it is.

use std::{fs::File, io, process::Stdio, time::Duration};

use nix::{
    sched::{CloneFlags, setns, unshare},
    sys::signal::{SigHandler, Signal, signal},
    unistd::pause,
};
use tokio::{
    process::{Child, Command},
    runtime::Handle,
    task::block_in_place,
    time::timeout,
};

use super::netns::on_own_thread;
use crate::isolate::OWN_PROGRAM;

/// Hidden subcommand under which the harness is the init of a lab.
pub(crate) const INIT: &str = "lab-init";

/// PID namespace for the children of the thread that opens it (Linux 4.12).
const OF_CHILDREN: &str = "/proc/thread-self/ns/pid_for_children";

/// Time that the kernel gets to end the processes of a lab.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// PID namespace with its init. All of its processes are killed when the value is dropped.
#[derive(Debug)]
pub(crate) struct PidNs {
    namespace: File,
    init: Child,
}

impl PidNs {
    /// Creates a namespace, within a runtime of several threads.
    ///
    /// # Errors
    /// The kernel refuses a namespace, or the init cannot be started.
    pub(crate) fn create() -> io::Result<Self> {
        let runtime = Handle::current();
        block_in_place(|| {
            on_own_thread(|| {
                unshare(CloneFlags::CLONE_NEWPID)?;
                let _context = runtime.enter();
                let init = Command::new(OWN_PROGRAM)
                    .arg(INIT)
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .process_group(0)
                    .kill_on_drop(true)
                    .spawn()?;
                // The kernel shows the namespace once it has its process 1.
                let namespace = File::open(OF_CHILDREN)?;
                Ok(Self { namespace, init })
            })
        })
    }

    /// Lets the processes that the calling thread starts from now on be in the namespace. Only for
    /// threads from [`on_own_thread`].
    pub(super) fn for_children_of_this_thread(&self) -> io::Result<()> {
        Ok(setns(&self.namespace, CloneFlags::CLONE_NEWPID)?)
    }

    /// Kills all processes of the namespace, and waits until they are gone. The children of the
    /// harness among them must be waited for elsewhere.
    ///
    /// # Errors
    /// A process cannot be killed, as when it waits for a device.
    pub(crate) async fn end(mut self) -> io::Result<()> {
        timeout(END_TIMEOUT, self.init.kill())
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

/// Is the init of a lab until it is killed: the kernel reaps what it inherits.
pub(crate) fn init() -> ! {
    // SAFETY: nothing handles the signal.
    let ignored = unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) };
    debug_assert!(ignored.is_ok(), "the signal exists");
    loop {
        pause();
    }
}
