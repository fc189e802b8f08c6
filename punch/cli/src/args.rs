//! The command line.

use std::{net::IpAddr, path::PathBuf, str::FromStr, time::Duration};

use clap::{
    Parser, ValueEnum,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use clap_complete::Shell;
use punch::{
    ClockOffset, ElectionKind, Puncher, Rule, Schedule, UnknownName, proto::attempt::Config,
};

use crate::{exit::Exit, peer::Family, relay::Directions};

const EXAMPLES: &str = "\
Examples:
  punch 203.0.113.7                     chat with the peer
  punch 203.0.113.7 < file              send a file; the peer: punch 198.51.100.1 > file
  tar c dir | punch --send-only PEER    send a folder; the peer: punch --recv-only PEER | tar x
  punch --exec 'tar xf -' PEER          hand the connection to a command
  punch --keep --exec COMMAND PEER      serve one connection after the other
  punch --ntp pool.ntp.org PEER         correct a clock that is off
  punch --loopback                      see both sides on one machine
  punch --completions bash > /etc/bash_completion.d/punch";

/// Connect two computers behind NATs over TCP, knowing only each other's address.
///
/// Run it on both at about the same time, each with the other's WAN address. Both derive the same
/// ports from their clocks and open connections towards each other. Then it is netcat: standard
/// input and output are the connection.
///
/// The end of standard input is passed on, and the other direction goes on to its own end. Once the
/// peer has ended its direction, a terminal is no longer waited for; a pipe is read to its end. A
/// side that is interrupted or fails resets the connection: the other side then ends with 1, and
/// knows that something is missing.
#[derive(Debug, Parser)]
#[command(
    name = "punch",
    version,
    after_help = format!("{}\n\n{EXAMPLES}", Exit::overview())
)]
pub(crate) struct Args {
    /// The peer's address as seen from here, or a name.
    #[arg(required_unless_present_any = ["loopback", "completions", "man"])]
    pub(crate) peer: Option<String>,

    /// A port, as netcat takes one: there is none to give, which is explained.
    #[arg(hide = true)]
    pub(crate) port: Option<String>,

    /// How ports follow from the clock; the same on both sides.
    #[arg(long, value_parser = named(Rule::NAMES, about_rule), default_value_t)]
    rule: Rule,

    /// The generator of the ports; the same on both sides.
    #[arg(long, value_parser = named(Schedule::NAMES, about_schedule), default_value_t)]
    schedule: Schedule,

    /// How one connection is chosen; the same on both sides. `wan-ip` needs --wan-ip.
    #[arg(long, value_enum, default_value_t = ElectionArg::Nonce)]
    election: ElectionArg,

    /// All of the above at once: `article` is rule article, schedule mt19937, election wan-ip, with
    /// the constants of the article's program, for talking to it.
    #[arg(
        long,
        value_enum,
        conflicts_with_all = ["rule", "schedule", "election", "max_clock_error", "session"]
    )]
    profile: Option<ProfileArg>,

    /// This side's WAN address, for the `wan-ip` election.
    #[arg(long, value_name = "ADDRESS")]
    wan_ip: Option<IpAddr>,

    /// Seconds to add to the system's clock, signed and fractional.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, allow_negative_numbers = true)]
    clock_offset: f64,

    /// Ask this SNTP server how far the system's clock is off, and correct it for this attempt.
    #[arg(long, value_name = "SERVER")]
    pub(crate) ntp: Option<String>,

    /// How far each clock may be from true time; the same on both sides.
    #[arg(long, value_name = "SECONDS", default_value_t = 20.0, allow_negative_numbers = true)]
    max_clock_error: f64,

    /// Give up after this long; where connections stand by then, up to 5 s later. 120 by default,
    /// time for two people on the phone; 3600 for each attempt of --keep.
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    timeout: Option<f64>,

    /// A name that both sides share, to keep several pairs on the same addresses apart.
    #[arg(long, value_name = "NAME", default_value = "")]
    session: String,

    /// These ports instead of those of the clock, where the two sides can agree on some.
    #[arg(
        long,
        value_name = "PORT,PORT…",
        value_delimiter = ',',
        value_parser = clap::value_parser!(u16).range(1..),
        conflicts_with_all = ["rule", "schedule", "profile"]
    )]
    ports: Vec<u16>,

    /// Local address to punch from.
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<IpAddr>,

    /// Punch through this network interface, whatever the route to the peer is: around a VPN, say.
    #[arg(long, value_name = "NAME")]
    interface: Option<String>,

    /// Use this many of the 8 ports of each bucket, in networks that ban hosts which connect to
    /// many ports. The sides may differ: the smaller number counts.
    #[arg(
        long,
        value_name = "PORTS",
        value_parser = clap::value_parser!(u8).range(1..=8),
        default_value_t = 8,
        conflicts_with = "ports"
    )]
    width: u8,

    /// Maximum segment size in bytes, in both directions; 0 is the network interface's. The default
    /// fits every path that IPv6 allows. Smaller ones are for paths on which larger packets vanish:
    /// a connection stands, and carries only a few bytes.
    #[arg(long, value_name = "BYTES", value_parser = mss, default_value_t = DEFAULT_MSS)]
    mss: u16,

    /// Take the IPv4 address of a name.
    #[arg(short = '4', long)]
    ipv4: bool,

    /// Take the IPv6 address of a name.
    #[arg(short = '6', long, conflicts_with = "ipv4")]
    ipv6: bool,

    /// Only connect, do not listen on the ports as well.
    #[arg(long)]
    no_listen: bool,

    /// Run this shell command with the connection as its standard input and output. Signals are
    /// passed on to it and its children.
    #[arg(long, short = 'e', value_name = "COMMAND")]
    pub(crate) exec: Option<String>,

    /// Only send: end once the peer's system has everything of standard input, and discard what
    /// the peer sends.
    #[arg(long, conflicts_with_all = ["recv_only", "exec"])]
    send_only: bool,

    /// Only receive: end when the peer has sent everything, and leave standard input alone.
    #[arg(long, conflicts_with = "exec")]
    recv_only: bool,

    /// Serve one connection after the other, until a signal. It needs --exec or --recv-only.
    #[arg(long, short = 'k', conflicts_with = "send_only")]
    pub(crate) keep: bool,

    /// Write what happens as JSON Lines with monotonic times to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) events: Option<PathBuf>,

    /// Progress on standard error as JSON Lines.
    #[arg(long)]
    pub(crate) json: bool,

    /// No progress on standard error, only errors.
    #[arg(long, short)]
    pub(crate) quiet: bool,

    /// Show both sides on this machine, over 127.0.0.1 and 127.0.0.2.
    #[arg(
        long,
        conflicts_with_all = [
            "peer", "election", "profile", "wan_ip", "ntp", "session", "bind", "ipv4", "ipv6",
            "exec", "events", "keep", "send_only", "recv_only"
        ]
    )]
    pub(crate) loopback: bool,

    /// Print completions for a shell.
    #[arg(long, value_name = "SHELL", exclusive = true)]
    pub(crate) completions: Option<Shell>,

    /// Print the manual page.
    #[arg(long, exclusive = true)]
    pub(crate) man: bool,

    /// Seed of the nonce and the random pauses, for reproducible tests.
    #[arg(long, value_name = "NUMBER", hide = true)]
    seed: Option<u64>,
}

/// The default of `--mss`: packets of 1280 bytes over IPv6 with options, the least that its links
/// carry (RFC 8200 section 5). Tunnels and mobile networks carry fewer than the 1500 bytes of
/// Ethernet, and where a firewall swallows the messages about that (RFC 2923), a larger segment
/// never arrives. The price is half a percent of the throughput.
const DEFAULT_MSS: u16 = 1208;

/// The value of `--mss`.
fn mss(text: &str) -> Result<u16, String> {
    let range = Puncher::MSS_RANGE;
    match text.parse() {
        Ok(bytes) if bytes == 0 || range.contains(&bytes) => Ok(bytes),
        _ => Err(format!("give 0, or {} to {} bytes", range.start(), range.end())),
    }
}

/// A parser of an option whose values have names, with text about each for `--help`.
fn named<T>(
    names: &'static [(&'static str, T)],
    about: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = UnknownName> + Clone + Send + Sync,
{
    let values = names
        .iter()
        .map(|(name, value)| PossibleValue::new(*name).help(about(value.clone())));
    PossibleValuesParser::new(values).try_map(|name| name.parse())
}

fn about_rule(rule: Rule) -> &'static str {
    match rule {
        Rule::Rolling => {
            "Two neighbouring buckets, re-evaluated while running: no skew within the clock error \
             matters"
        }
        Rule::Article => "The article's: one bucket, chosen once, no listeners",
        // A rule that a later version of the library adds.
        _ => "",
    }
}

fn about_schedule(schedule: Schedule) -> &'static str {
    match schedule {
        Schedule::ChaCha20 => "ChaCha20",
        Schedule::Mt19937 => "Python's generator, as in the article's program",
        // A schedule that a later version of the library adds.
        _ => "",
    }
}

/// The name of an election; the value needs an address as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ElectionArg {
    /// The larger random number leads; both sides know the result.
    Nonce,
    /// The article's: the greater WAN address leads and sends one `$`.
    WanIp,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ProfileArg {
    /// The article's published program.
    Article,
}

impl Args {
    /// A [`Puncher`] with these options, or a message about one that is out of its range.
    pub(crate) fn puncher(&self) -> Result<Puncher, String> {
        let (rule, schedule, election) = match self.profile {
            Some(ProfileArg::Article) => (Rule::Article, Schedule::Mt19937, ElectionArg::WanIp),
            None => (self.rule, self.schedule, self.election),
        };
        let mut puncher = Puncher::new()
            .rule(rule)
            .schedule(schedule)
            .election(self.election(election)?)
            .clock_offset(self.offset_with(ClockOffset::default())?)
            .max_clock_error(self.max_clock_error()?)
            .width(self.width.into())
            .timeout(self.timeout()?)
            .session(self.session.clone())
            .listen(!self.no_listen);
        if !self.ports.is_empty() {
            puncher = puncher.fixed_ports(self.ports.clone());
        }
        if let Some(address) = self.bind {
            puncher = puncher.bind(address);
        }
        if let Some(interface) = &self.interface {
            puncher = puncher.interface(interface);
        }
        if self.mss > 0 {
            puncher = puncher.mss(self.mss);
        }
        if let Some(seed) = self.seed {
            puncher = puncher.seed(seed);
        }
        Ok(puncher)
    }

    /// How far each clock may be from true time.
    pub(crate) fn max_clock_error(&self) -> Result<Duration, String> {
        duration("--max-clock-error", self.max_clock_error, 0.0)
    }

    /// The time-out of one attempt.
    pub(crate) fn timeout(&self) -> Result<Duration, String> {
        match self.timeout {
            Some(seconds) => duration("--timeout", seconds, 0.001),
            None if self.keep => Ok(KEEP_TIMEOUT),
            None => Ok(Config::DEFAULT_TIMEOUT),
        }
    }

    /// The directions that are relayed.
    pub(crate) fn directions(&self) -> Directions {
        match (self.send_only, self.recv_only) {
            (true, _) => Directions::SendOnly,
            (false, true) => Directions::ReceiveOnly,
            (false, false) => Directions::Both,
        }
    }

    /// Refuses `--keep` where a second connection would have nothing to send.
    pub(crate) fn check_keep(&self) -> Result<(), String> {
        if self.keep && self.exec.is_none() && !self.recv_only {
            return Err(
                "--keep: standard input can be sent only once; give --exec COMMAND, which \
                is run for each connection, or --recv-only"
                    .to_owned(),
            );
        }
        Ok(())
    }

    fn election(&self, kind: ElectionArg) -> Result<ElectionKind, String> {
        match (kind, self.wan_ip) {
            (ElectionArg::Nonce, _) => Ok(ElectionKind::Nonce),
            (ElectionArg::WanIp, Some(own)) => Ok(ElectionKind::WanIp { own }),
            (ElectionArg::WanIp, None) => Err("the wan-ip election compares the two WAN \
                addresses: give this side's with --wan-ip ADDRESS"
                .to_owned()),
        }
    }

    /// `--clock-offset` plus the offset that a time server has `measured`.
    pub(crate) fn offset_with(&self, measured: ClockOffset) -> Result<ClockOffset, String> {
        ClockOffset::from_secs_f64(self.clock_offset)
            .filter(|offset| {
                Duration::from_nanos(offset.as_nanos().unsigned_abs()) <= MAX_CLOCK_OFFSET
            })
            .map(|given| {
                ClockOffset::from_nanos(given.as_nanos().saturating_add(measured.as_nanos()))
            })
            .ok_or_else(|| {
                format!("--clock-offset: {} is not within 100 years, in seconds", self.clock_offset)
            })
    }

    /// `--clock-offset` in days if it is more than one: most likely a mistake.
    pub(crate) fn unlikely_offset_days(&self) -> Option<f64> {
        let days = self.clock_offset / 86_400.0;
        (days.abs() > 1.0).then_some(days)
    }

    /// The address family of `-4` or `-6`.
    pub(crate) fn family(&self) -> Option<Family> {
        match (self.ipv4, self.ipv6) {
            (true, _) => Some(Family::V4),
            (false, true) => Some(Family::V6),
            (false, false) => None,
        }
    }
}

/// Time-out of an attempt under `--keep`: a new attempt has nothing that a long one lacks, and says
/// one more message.
const KEEP_TIMEOUT: Duration = Duration::from_secs(3600);

const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// Limit of `--clock-offset`: decades, since the trials of the harness have virtual epochs.
const MAX_CLOCK_OFFSET: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The value of an option as a duration of `min` seconds to a year.
fn duration(option: &str, seconds: f64, min: f64) -> Result<Duration, String> {
    if (min..=YEAR.as_secs_f64()).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(format!("{option}: {seconds} is not between {min} and {} seconds", YEAR.as_secs()))
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
    fn options_out_of_range_are_refused_with_their_range() {
        assert!(problem(&["--election", "wan-ip"]).contains("--wan-ip"));
        assert!(problem(&["--profile", "article"]).contains("--wan-ip"));
        assert!(problem(&["--timeout", "0"]).contains("between 0.001 and"));
        assert!(problem(&["--timeout", "nan"]).contains("between"));
        assert!(problem(&["--max-clock-error", "1e300"]).contains("between 0 and"));
        assert!(problem(&["--clock-offset", "inf"]).contains("100 years"));
        assert!(problem(&["--clock-offset=-1e10"]).contains("100 years"));
    }
}
