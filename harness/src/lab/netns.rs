//! Network namespaces held by descriptors: the only file that changes a thread's network namespace.
//!
//! Nothing is mounted under `/run/netns`, so that a namespace ends with its last descriptor and
//! its last process, however the harness ends. Each piece of work in a namespace has a thread of
//! its own, which ends with it.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    sync::Arc,
    thread,
};

use nix::sched::{CloneFlags, setns, unshare};
use tokio::{
    process::{Child, Command},
    runtime::Handle,
    task::block_in_place,
};

use super::pid_ns::PidNs;

/// A network namespace. It lasts as long as any clone of this value, or any process in it.
#[derive(Debug, Clone)]
pub(crate) struct NetNs(Arc<File>);

impl NetNs {
    /// Creates a namespace and moves the calling thread into it. Only for threads from
    /// [`on_own_thread`].
    fn create_and_enter() -> io::Result<Self> {
        unshare(CloneFlags::CLONE_NEWNET)?;
        File::open("/proc/thread-self/ns/net").map(|file| Self(Arc::new(file)))
    }

    /// Creates a namespace, and runs `work` in it.
    ///
    /// # Errors
    /// The kernel refuses a namespace, or the error of `work`.
    pub(crate) fn create<T, E>(
        work: impl FnOnce(&Self) -> Result<T, E> + Send,
    ) -> Result<(Self, T), E>
    where
        T: Send,
        E: Send + From<io::Error>,
    {
        on_own_thread(|| {
            let namespace = Self::create_and_enter()?;
            let made = work(&namespace)?;
            Ok((namespace, made))
        })
    }

    /// Runs `work` in the namespace.
    ///
    /// # Errors
    /// The namespace cannot be entered, or the error of `work`.
    pub(crate) fn run<T, E>(&self, work: impl FnOnce() -> Result<T, E> + Send) -> Result<T, E>
    where
        T: Send,
        E: Send + From<io::Error>,
    {
        on_own_thread(|| {
            setns(&*self.0, CloneFlags::CLONE_NEWNET).map_err(io::Error::from)?;
            work()
        })
    }

    /// Starts a command in this namespace and in a PID namespace, within a runtime of several
    /// threads.
    ///
    /// # Errors
    /// A namespace cannot be entered, or the command not be started.
    pub(crate) fn spawn(&self, processes: &PidNs, command: &mut Command) -> io::Result<Child> {
        let runtime = Handle::current();
        block_in_place(|| {
            self.run(|| {
                processes.for_children_of_this_thread()?;
                let _context = runtime.enter();
                command.spawn()
            })
        })
    }

    /// The descriptor as a number, for a netlink message.
    pub(crate) fn raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for NetNs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Runs `work` on a thread that ends with it, so that no other work runs in the thread's
/// namespaces.
pub(super) fn on_own_thread<T, E>(work: impl FnOnce() -> Result<T, E> + Send) -> Result<T, E>
where
    T: Send,
    E: Send + From<io::Error>,
{
    thread::scope(|scope| {
        let worker = thread::Builder::new()
            .name("namespace".into())
            .spawn_scoped(scope, work)?;
        worker
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("namespace thread panicked").into()))
    })
}
