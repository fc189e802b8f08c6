//! `--ntp SERVER`: the offset of the clock, from a time server.

use punch::{ClockOffset, driver::ntp};

use crate::progress::Progress;

/// Asks `server` for the offset to add to the system's clock, and reports it.
pub(crate) fn offset(server: &str, progress: &Progress) -> Result<ClockOffset, String> {
    let reading = ntp::ask(server)
        .map_err(|error| format!("--ntp: {server:?} does not tell the time: {error}"))?;
    progress.remark(&format!(
        "clock corrected by {} s, as {server} says (round trip {:.1} ms)",
        reading.offset,
        reading.round_trip.as_secs_f64() * 1000.0
    ));
    Ok(reading.offset)
}
