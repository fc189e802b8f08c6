//! The command line.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum};

use crate::{ClockOffset, ElectionKind, Puncher, Rule};

/// Connect two computers behind NATs over TCP, knowing only each other's address.
///
/// Run it on both at about the same time, each with the other's WAN address. Both derive the same
/// ports from their clocks and open connections towards each other. Then it is netcat: standard
/// input and output are the connection.
#[derive(Debug, Parser)]
#[command(
    name = "punch",
    version,
    after_help = "Exit codes: 0 connected and everything relayed, 1 not connected, 2 usage.\n\n\
        Examples:\n  \
        punch 203.0.113.7                   chat with the peer\n  \
        punch 203.0.113.7 < file            send a file; the peer: punch 198.51.100.1 > file\n  \
        punch --clock-offset -3.5 PEER      this clock is 3.5 s ahead"
)]
pub(super) struct Args {
    /// The peer's address as seen from here, or a name.
    pub(super) peer: String,

    /// How ports follow from the clock; the same on both sides.
    #[arg(long, value_enum, default_value_t = RuleArg::Rolling)]
    rule: RuleArg,

    /// How one connection is chosen; the same on both sides. `wan-ip` needs --wan-ip.
    #[arg(long, value_enum, default_value_t = ElectionArg::Nonce)]
    election: ElectionArg,

    /// This side's WAN address, for the `wan-ip` election.
    #[arg(long, value_name = "ADDRESS")]
    wan_ip: Option<IpAddr>,

    /// Seconds to add to the system's clock, signed and fractional.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, allow_negative_numbers = true)]
    clock_offset: f64,

    /// How far each clock may be from true time; the same on both sides.
    #[arg(long, value_name = "SECONDS", default_value_t = 20.0)]
    max_clock_error: f64,

    /// Give up after this long.
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    timeout: f64,

    /// A name that both sides share, to keep several pairs on the same addresses apart.
    #[arg(long, value_name = "NAME", default_value = "")]
    session: String,

    /// Local address to punch from.
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<IpAddr>,

    /// Only connect, do not listen on the ports as well.
    #[arg(long)]
    no_listen: bool,

    /// Write what happens as JSON Lines with monotonic times to this file.
    #[arg(long, value_name = "FILE")]
    pub(super) events: Option<PathBuf>,

    /// No progress on standard error, only errors.
    #[arg(long, short)]
    pub(super) quiet: bool,

    /// Seed of the nonce and the random pauses, for reproducible tests.
    #[arg(long, value_name = "NUMBER", hide = true)]
    seed: Option<u64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RuleArg {
    /// Two neighbouring buckets, re-evaluated while running: no skew within the clock error matters.
    Rolling,
    /// The article's: one bucket, chosen once, no listeners.
    Article,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ElectionArg {
    /// The larger random number leads; both sides know the result.
    Nonce,
    /// The article's: the greater WAN address leads and sends one `$`.
    WanIp,
}

impl Args {
    /// The options as a [`Puncher`], or what is wrong with them.
    pub(super) fn puncher(&self) -> Result<Puncher, String> {
        let offset = ClockOffset::from_secs_f64(self.clock_offset)
            .ok_or("--clock-offset: give seconds, at most some 292 years")?;
        let election = match (self.election, self.wan_ip) {
            (ElectionArg::Nonce, _) => ElectionKind::Nonce,
            (ElectionArg::WanIp, Some(own)) => ElectionKind::WanIp { own },
            (ElectionArg::WanIp, None) => {
                return Err("--election wan-ip compares the two WAN addresses: \
                            give this side's with --wan-ip ADDRESS"
                    .to_owned());
            }
        };
        let rule = match self.rule {
            RuleArg::Rolling => Rule::Rolling,
            RuleArg::Article => Rule::Article,
        };
        let mut puncher = Puncher::new()
            .rule(rule)
            .election(election)
            .clock_offset(offset)
            .max_clock_error(seconds("--max-clock-error", self.max_clock_error, 0.0)?)
            .timeout(seconds("--timeout", self.timeout, 0.001)?)
            .session(self.session.clone())
            .listen(!self.no_listen);
        if let Some(address) = self.bind {
            puncher = puncher.bind(address);
        }
        if let Some(seed) = self.seed {
            puncher = puncher.seed(seed);
        }
        Ok(puncher)
    }
}

/// A duration of at least `least` and at most a year.
fn seconds(option: &str, value: f64, least: f64) -> Result<Duration, String> {
    const YEAR: f64 = 365.0 * 86_400.0;
    if (least..=YEAR).contains(&value) {
        Ok(Duration::from_secs_f64(value))
    } else {
        Err(format!("{option}: {value} is not between {least} and {YEAR} seconds"))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    fn problem(args: &[&str]) -> String {
        let args = Args::try_parse_from([&["punch", "192.0.2.1"], args].concat()).unwrap();
        args.puncher().unwrap_err()
    }

    #[test]
    fn impossible_options_say_what_would_be_possible() {
        assert!(problem(&["--election", "wan-ip"]).contains("--wan-ip"));
        assert!(problem(&["--timeout", "0"]).contains("between 0.001 and"));
        assert!(problem(&["--timeout", "nan"]).contains("between"));
        assert!(problem(&["--max-clock-error", "1e300"]).contains("between 0 and"));
        assert!(problem(&["--clock-offset", "inf"]).contains("292 years"));
    }
}
