//! The readings of both clocks. No other file of the library reads a clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::proto::time::{MonoTime, WallTime};

/// Reads the monotonic clock, which also counts the time that the machine is suspended.
///
/// This is `CLOCK_BOOTTIME` on Linux and `CLOCK_MONOTONIC` on other Unix systems: readings of
/// several processes on one machine are comparable. On other systems it is the time since the first
/// call.
#[cfg(unix)]
pub fn monotonic_now() -> MonoTime {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const CLOCK: libc::clockid_t = libc::CLOCK_BOOTTIME;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC;
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid timespec to write to.
    let result = unsafe { libc::clock_gettime(CLOCK, &raw mut now) };
    debug_assert_eq!(result, 0, "the clock is always there");
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(now.tv_nsec).unwrap_or_default();
    MonoTime::default() + Duration::from_secs(seconds) + Duration::from_nanos(nanos)
}

/// Reads the monotonic clock, which also counts the time that the machine is suspended.
///
/// This is `CLOCK_BOOTTIME` on Linux and `CLOCK_MONOTONIC` on other Unix systems: readings of
/// several processes on one machine are comparable. On other systems it is the time since the first
/// call.
#[cfg(not(unix))]
#[expect(clippy::disallowed_methods, reason = "this file owns the clock")]
pub fn monotonic_now() -> MonoTime {
    use std::{sync::OnceLock, time::Instant};
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    MonoTime::default() + ORIGIN.get_or_init(Instant::now).elapsed()
}

/// Reads the system's wall clock.
#[expect(clippy::disallowed_methods, reason = "this file owns the clock")]
pub fn wall_now() -> WallTime {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => WallTime::default() + after,
        Err(before) => WallTime::default() - before.duration(),
    }
}
