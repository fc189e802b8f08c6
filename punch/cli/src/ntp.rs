//! `--ntp SERVER`: asks for the clock's offset, and says what was found.

use punch::{ClockOffset, driver::ntp};

use crate::progress::Progress;

/// The offset to add to the system's clock.
pub(crate) fn offset(server: &str, progress: Progress) -> Result<ClockOffset, String> {
    let reading = ntp::ask(server)
        .map_err(|error| format!("--ntp: {server:?} does not tell the time: {error}"))?;
    progress.say(&format!(
        "clock corrected by {} s, as {server} says (round trip {:.1} ms)",
        reading.offset,
        reading.round_trip_s * 1000.0
    ));
    Ok(reading.offset)
}
