//! The harness in a PID namespace of its own, and in a user namespace where it is not root.
//!
//! The process that the user started becomes a small guardian. Its child is process 1 of a new PID
//! namespace, and the child of that is the harness proper. Process 1 does nothing but wait: it
//! reaps the processes that it inherits from parents that have ended. When one of the three ends,
//! however it ends, the kernel kills every process of the namespace, and with the processes the
//! network namespaces go. The processes of a trial are in a further PID namespace, that of their
//! lab (`lab/pid_ns.rs`).
//!
//! What always holds: isolation comes before any thread, since a process with threads can neither
//! enter a user namespace nor safely fork.

use std::{
    fs, io,
    os::fd::{AsFd, OwnedFd},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sched::{CloneFlags, unshare},
    sys::{
        prctl,
        signal::{SigSet, SigmaskHow, Signal, kill, killpg, sigprocmask},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{ForkResult, Pid, Uid, fork, getgid, getpgrp, getuid, pipe, tcgetpgrp, tcsetpgrp},
};

/// Program of the harness, also if the file has been replaced meanwhile: the link is resolved at
/// the start of a process, by a process that still runs the old program.
pub(crate) const OWN_PROGRAM: &str = "/proc/self/exe";

/// Reason why isolation failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IsolateError {
    /// This user is not root, and may not have a user namespace.
    #[error("not root, and the kernel refuses a user namespace to this user: {0}")]
    UserNamespace(io::Error),
    /// The kernel refuses a PID namespace.
    #[error("the kernel refuses a PID namespace: {0}")]
    PidNamespace(io::Error),
    /// Another system call failed.
    #[error("cannot start the isolated process: {0}")]
    Other(io::Error),
}

/// Moves the calling process into new namespaces and returns in the isolated grandchild. The
/// guardian and process 1 never return: each forwards signals to its child, and exits as that did.
/// In the grandchild the signals that end a run stay blocked until [`hear_signals`], so that a
/// signal during the start ends the run in order.
///
/// # Errors
/// The kernel does not allow it.
pub(crate) fn enter() -> Result<(), IsolateError> {
    if !Uid::effective().is_root() {
        user_namespace()?;
    }
    unshare(CloneFlags::CLONE_NEWPID).map_err(|errno| IsolateError::PidNamespace(errno.into()))?;
    // Blocked before the fork, so that no signal is missed.
    let signals = guarded_signals();
    let other = |errno: Errno| IsolateError::Other(errno.into());
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&signals), None).map_err(other)?;
    let (alive, guardian) = pipe().map_err(other)?;
    // SAFETY: no thread has been started, so the child may use everything.
    match unsafe { fork() }.map_err(other)? {
        ForkResult::Parent { child } => {
            let code = guard(child, &signals);
            reclaim_terminal();
            drop(guardian);
            std::process::exit(code)
        }
        ForkResult::Child => {
            drop(guardian);
            prctl::set_pdeathsig(Signal::SIGKILL).map_err(other)?;
            if hung_up(&alive).map_err(other)? {
                // The guardian died before the death signal was set.
                std::process::exit(1);
            }
            drop(alive);
            become_init(&signals).map_err(other)?;
            // Cleared by the change of credentials; peers open their event files through /proc.
            prctl::set_dumpable(true).map_err(other)?;
            let children = SigSet::from(Signal::SIGCHLD);
            sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&children), None).map_err(other)
        }
    }
}

/// Makes the calling process, process 1 of its PID namespace, an init: it forks and returns in the
/// child. The init reaps whatever ends, and exits as the child did. Without an init of its own, the
/// harness could not tell the processes that it inherits from those that it waits for.
fn become_init(signals: &SigSet) -> nix::Result<()> {
    // SAFETY: no thread has been started, so the child may use everything.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => std::process::exit(guard(child, signals)),
        ForkResult::Child => Ok(()),
    }
}

/// Unblocks the signals that end a run in the calling thread; signals that came before are
/// delivered. The handlers must exist.
///
/// # Errors
/// None that the kernel documents.
pub(crate) fn hear_signals() -> io::Result<()> {
    Ok(sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&guarded_signals()), None)?)
}

/// Whether the other end of a pipe is closed.
fn hung_up(pipe: &OwnedFd) -> nix::Result<bool> {
    let mut fds = [PollFd::new(pipe.as_fd(), PollFlags::empty())];
    Ok(poll(&mut fds, PollTimeout::ZERO)? > 0)
}

/// Root within a new user namespace.
fn user_namespace() -> Result<(), IsolateError> {
    let (uid, gid) = (getuid(), getgid());
    unshare(CloneFlags::CLONE_NEWUSER)
        .map_err(|errno| IsolateError::UserNamespace(errno.into()))?;
    let write = |file: &str, text: String| {
        fs::write(format!("/proc/self/{file}"), text).map_err(IsolateError::UserNamespace)
    };
    write("setgroups", "deny".to_owned())?;
    write("uid_map", format!("0 {uid} 1"))?;
    write("gid_map", format!("0 {gid} 1"))
}

fn guarded_signals() -> SigSet {
    let mut signals = SigSet::empty();
    for signal in
        [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGCHLD]
    {
        signals.add(signal);
    }
    signals
}

/// Gives the terminal back to this process group, if a shell in the PID namespace was the
/// foreground and is gone: no process in that namespace can name the previous group.
fn reclaim_terminal() {
    let stdin = io::stdin();
    let Ok(foreground) = tcgetpgrp(&stdin) else { return };
    if killpg(foreground, None) != Err(Errno::ESRCH) {
        return;
    }
    let mut stop = SigSet::empty();
    stop.add(Signal::SIGTTOU);
    // SIGTTOU would stop a background process that sets the foreground.
    if sigprocmask(SigmaskHow::SIG_BLOCK, Some(&stop), None).is_ok() {
        let _ = tcsetpgrp(&stdin, getpgrp());
    }
}

/// Waits for the child, reaps inherited processes, and forwards signals; returns the exit code of
/// the child.
fn guard(child: Pid, signals: &SigSet) -> i32 {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == child => return code,
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => return 128 + signal as i32,
            // One of possibly many that have ended.
            Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) => continue,
            Err(Errno::EINTR) | Ok(_) => {}
            Err(_) => return 1,
        }
        let Some((signal, from_terminal)) = wait_for_signal(signals) else { continue };
        // The terminal signals the child as well: the child is in the same process group.
        if signal != Signal::SIGCHLD && !from_terminal {
            // The child may have ended in the meantime; the next wait reports it.
            let _ = kill(child, signal);
        }
    }
}

/// The next signal, and whether the kernel (the terminal) sent it rather than a process.
fn wait_for_signal(signals: &SigSet) -> Option<(Signal, bool)> {
    // SAFETY: all zeroes is a valid siginfo_t.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid for the call.
    let number = unsafe { libc::sigwaitinfo(signals.as_ref(), &raw mut info) };
    let signal = Signal::try_from(number).ok()?;
    Some((signal, info.si_code == libc::SI_KERNEL))
}
