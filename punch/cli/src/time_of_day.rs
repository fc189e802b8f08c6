//! Time of day in UTC, by which two people can compare their clocks.

use std::time::Duration;

const DAY_S: i64 = 86_400;

/// The time of day at `unix_ns`, in nanoseconds since the Unix epoch, and that after `wait`, with
/// the number of days where it is not on the same day.
pub(crate) fn now_and_until(unix_ns: i64, wait: Duration) -> (String, String) {
    let wait_ns = i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX);
    let [start, end] =
        [unix_ns, unix_ns.saturating_add(wait_ns)].map(|nanos| nanos.div_euclid(1_000_000_000));
    let until = match end.div_euclid(DAY_S) - start.div_euclid(DAY_S) {
        0 => format!("{} UTC", clock(end)),
        1 => format!("{} UTC tomorrow", clock(end)),
        days => format!("{} UTC in {days} days", clock(end)),
    };
    (format!("{} UTC", clock(start)), until)
}

fn clock(seconds: i64) -> String {
    let second = seconds.rem_euclid(DAY_S);
    format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_that_is_not_today_says_so() {
        let texts = |start: i64, wait| {
            let (now, until) = now_and_until(start * 1_000_000_000, Duration::from_secs(wait));
            format!("{now}, {until}")
        };
        assert_eq!(texts(14 * 3600 + 61, 120), "14:01:01 UTC, 14:03:01 UTC");
        assert_eq!(texts(86_399, 2), "23:59:59 UTC, 00:00:01 UTC tomorrow");
        assert_eq!(texts(0, 86_400 * 365), "00:00:00 UTC, 00:00:00 UTC in 365 days");
        assert_eq!(texts(-1, 0), "23:59:59 UTC, 23:59:59 UTC");
    }
}
