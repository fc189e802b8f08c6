//! Readings of the two clocks, each a type of its own, and the offset of the wall clock.
//!
//! Deadlines and pauses are measured in [`MonoTime`], and buckets follow from [`WallTime`], so that
//! the compiler tells the two apart. [`proto`](crate::proto) reads no clock: both come in as
//! arguments.

use std::{
    fmt,
    ops::{Add, Sub},
    time::Duration,
};

const NANOS_PER_SECOND: f64 = 1e9;

/// A reading of a monotonic clock: nanoseconds since an origin of the caller's choice.
///
/// The [driver](crate::driver::clock) reads `CLOCK_BOOTTIME` on Linux, so that the
/// readings of several processes on one machine are comparable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct MonoTime(u64);

impl MonoTime {
    /// The reading `nanos` nanoseconds after the origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time from `earlier` to `self`, zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for MonoTime {
    type Output = Self;

    /// Saturates at the end of the clock, some 584 years after its origin.
    fn add(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

/// A reading of a wall clock: nanoseconds since the Unix epoch, negative before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct WallTime(i64);

impl WallTime {
    /// The instant `nanos` nanoseconds after the Unix epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// The instant `seconds` whole seconds after the Unix epoch.
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Time from `earlier` to `self`, zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        let nanos = i128::from(self.0) - i128::from(earlier.0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or_default())
    }
}

impl Add<ClockOffset> for WallTime {
    type Output = Self;

    fn add(self, offset: ClockOffset) -> Self {
        Self(self.0.saturating_add(offset.0))
    }
}

impl Add<Duration> for WallTime {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let nanos = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

impl Sub<Duration> for WallTime {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        let nanos = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(nanos))
    }
}

/// Offset of a wall clock: signed, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ClockOffset(i64);

impl ClockOffset {
    /// An offset of `nanos` nanoseconds.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// The offset in nanoseconds.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// An offset of `seconds`; `None` if it is not finite, or longer than some 292 years.
    pub fn from_secs_f64(seconds: f64) -> Option<Self> {
        let nanos = (seconds * NANOS_PER_SECOND).round();
        // Both bounds are exactly representable, and NaN compares false.
        if nanos > -9.2e18 && nanos < 9.2e18 {
            #[expect(clippy::cast_possible_truncation, reason = "bounded by the line above")]
            let nanos = nanos as i64;
            Some(Self(nanos))
        } else {
            None
        }
    }
}

impl fmt::Display for ClockOffset {
    /// Seconds with a sign and nine decimals, as the option `--clock-offset` takes them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { '-' } else { '+' };
        let nanos = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_print_with_a_sign_and_nine_decimals() {
        assert_eq!(ClockOffset::from_nanos(-1_500_000_000).to_string(), "-1.500000000");
        assert_eq!(ClockOffset::from_nanos(20).to_string(), "+0.000000020");
    }

    #[test]
    fn an_offset_that_is_not_finite_or_too_long_is_none() {
        for seconds in [f64::NAN, f64::INFINITY, 1e10, -1e10] {
            assert_eq!(ClockOffset::from_secs_f64(seconds), None, "{seconds}");
        }
        assert_eq!(ClockOffset::from_secs_f64(-0.25), Some(ClockOffset(-250_000_000)));
    }
}
