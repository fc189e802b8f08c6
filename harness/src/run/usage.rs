//! Processor time of a process that has ended.

use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    time::Duration,
};

use tokio::io::{Interest, unix::AsyncFd};

/// Waits until a child of this process has ended, and returns the processor time of it and of the
/// descendants that it has waited for, in user and kernel mode. The child is not reaped.
///
/// # Errors
/// The kernel knows no such child, or no descriptors of processes (Linux before 5.4).
pub(crate) async fn at_end(pid: u32) -> io::Result<Duration> {
    // SAFETY: an OwnedFd is always the same open descriptor.
    let process = unsafe { AsyncFd::register_with_interest(open(pid)?, Interest::READABLE) }
        .map_err(|error| error.into_parts().1)?;
    loop {
        let mut ready = process.readable().await?;
        if let Some(spent) = of_ended(process.get_ref())? {
            return Ok(spent);
        }
        ready.clear_ready();
    }
}

fn open(pid: u32) -> io::Result<OwnedFd> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: no memory is passed.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let descriptor = i32::try_from(result).map_err(io::Error::other)?;
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just opened the descriptor for this process.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Processor time of a process, or `None` if it has not ended. The system call `waitid`, unlike the
/// library's function, reports the usage too.
fn of_ended(process: &OwnedFd) -> io::Result<Option<Duration>> {
    // SAFETY: all zeroes are valid values of both.
    let (mut info, mut usage): (libc::siginfo_t, libc::rusage) = unsafe { std::mem::zeroed() };
    // SAFETY: both are valid for writing, and the descriptor is open.
    let result = unsafe {
        libc::syscall(
            libc::SYS_waitid,
            libc::P_PIDFD,
            process.as_raw_fd(),
            &raw mut info,
            libc::WEXITED | libc::WNOHANG | libc::WNOWAIT,
            &raw mut usage,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `waitid` has filled in the value, or left it zero if the process has not ended.
    let ended = unsafe { info.si_pid() } != 0;
    Ok(ended.then(|| time(usage.ru_utime) + time(usage.ru_stime)))
}

fn time(value: libc::timeval) -> Duration {
    let seconds = u64::try_from(value.tv_sec).unwrap_or_default();
    let micros = u64::try_from(value.tv_usec).unwrap_or_default();
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_time_of_a_process_includes_that_of_its_children() {
        let burn = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";
        for script in [burn.to_owned(), format!("sh -c '{burn}'; true")] {
            let mut child = tokio::process::Command::new("sh")
                .args(["-c", &script])
                .spawn()
                .unwrap();
            let spent = at_end(child.id().unwrap()).await.unwrap();
            assert!(child.wait().await.unwrap().success(), "it was there to be reaped");
            assert!(spent > Duration::from_millis(5), "{spent:?}");
        }
    }

    #[tokio::test]
    async fn a_process_that_waits_uses_little_time() {
        let mut child = tokio::process::Command::new("sleep")
            .arg("0.2")
            .spawn()
            .unwrap();
        let spent = at_end(child.id().unwrap()).await.unwrap();
        child.wait().await.unwrap();
        assert!(spent < Duration::from_millis(100), "{spent:?}");
    }
}
