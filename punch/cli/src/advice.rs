//! What a failed attempt has seen, the likely reasons in order, and what to try.

use std::{fmt::Write, net::IpAddr, time::Duration};

use punch::{Event, EventKind, Failure, proto::statistics::Statistics};

use crate::hint;

/// A refusal that comes sooner than this comes from this machine or its own network: no packet has
/// been to the peer and back.
const MIN_ROUND_TRIP: Duration = Duration::from_millis(1);

/// What the events of an attempt tell of it.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    statistics: Statistics,
    /// What the system said when a connect failed on this machine.
    local_error: Option<String>,
}

/// What the user has asked for, as far as advice depends on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// The peer's address.
    pub(crate) peer: IpAddr,
    /// How long the attempt has run.
    pub(crate) timeout: Duration,
    /// How far each clock may be from true time.
    pub(crate) max_clock_error: Duration,
    /// The time of day in UTC, in words.
    pub(crate) utc: &'a str,
}

impl Observed {
    /// Takes note of an event.
    #[expect(clippy::wildcard_enum_match_arm, reason = "few events tell why an attempt fails")]
    pub(crate) fn event(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Refused { error, .. } => self.local_error = Some(error.clone()),
            EventKind::Statistics(statistics) => self.statistics = *statistics,
            _ => {}
        }
    }

    /// The message about a failed attempt: the failure in a line, then what was seen, then the
    /// likely reasons, the most likely first.
    pub(crate) fn explain(&self, failure: Failure, asked: &Asked<'_>) -> String {
        let Asked { peer, timeout, utc, .. } = asked;
        let mut text = format!("not connected to {peer} in {}: {failure}", seconds(*timeout));
        let _infallible = write!(text, "\n  seen    {}\n  now     {utc}", self.seen());
        for (index, reason) in self.reasons(failure, asked).iter().enumerate() {
            let head = if index == 0 { "likely" } else { "" };
            let _infallible = write!(text, "\n  {head:<7} {}. {reason}", index + 1);
        }
        text
    }

    /// What left and what came back, in words.
    fn seen(&self) -> String {
        let Statistics { connects, unavailable, local_errors, .. } = self.statistics;
        let sent = connects.saturating_sub(unavailable + local_errors);
        let counts = [
            (sent, "SYNs sent"),
            (unavailable, "connects on ports that other programs hold"),
            (local_errors, "connects failed on this machine"),
            (self.statistics.refusals, "refusals received"),
            (self.statistics.half_open, "handshakes begun by the peer and not completed"),
            (self.statistics.connections, "connections"),
            (self.statistics.silent, "connections without a word"),
            (self.statistics.garbage, "connections in another protocol"),
            (self.statistics.strangers, "connections of another session"),
            (self.statistics.hellos, "greetings of the peer"),
        ];
        let mut parts: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        if self.statistics.refusals == 0 && self.statistics.connections == 0 && sent > 0 {
            parts.push("no answer".to_owned());
        }
        if let Some(fastest) = self.fastest_refusal() {
            parts.push(format!("the fastest refusal after {:.1} ms", fastest.as_secs_f64() * 1e3));
        }
        parts.join(", ")
    }

    fn fastest_refusal(&self) -> Option<Duration> {
        self.statistics.fastest_refusal_ns.map(Duration::from_nanos)
    }

    fn reasons(&self, failure: Failure, asked: &Asked<'_>) -> Vec<String> {
        let mut reasons: Vec<String> = hint::about_address(asked.peer).into_iter().collect();
        let is_unreachable =
            self.local_error.as_deref().and_then(os_error) == Some(libc::EHOSTUNREACH);
        let failed_here = self.statistics.local_errors > 0 || is_unreachable;
        if failed_here && matches!(failure, Failure::NoAnswer | Failure::Refused) {
            reasons.push(self.unreachable());
        }
        match failure {
            Failure::NoAnswer => reasons.extend([
                not_at_once(asked),
                wrong_address(),
                clocks(asked),
                settings(),
                nats(),
                firewall(),
            ]),
            Failure::Refused if self.is_refused_here(asked.peer) => reasons.extend([
                "on this side: the refusals come too soon to be the peer's, so this machine's \
                 firewall or its router sends them; let it pass TCP to the peer's address"
                    .to_owned(),
                "both sides are behind the same router, and this is its address: give the peer's \
                 address inside this network, on both sides"
                    .to_owned(),
                wrong_address(),
            ]),
            Failure::Refused => reasons.extend([
                not_at_once(asked),
                clocks(asked),
                settings(),
                wrong_address(),
                nats(),
            ]),
            Failure::NoHandshake => reasons.extend([
                "on either side: a NAT remembers an earlier attempt on the same ports; new ports \
                 come every few seconds, so try again with a longer --timeout"
                    .to_owned(),
                "on this side: a firewall lets packets of the peer in and no answers out"
                    .to_owned(),
                "someone else sends SYNs in the peer's name; a --session that nobody can guess \
                 hides the ports"
                    .to_owned(),
            ]),
            Failure::NoPeer => reasons.extend(self.no_peer()),
            Failure::ElectionLost => reasons.extend([
                "on either side: many packets are lost, or one side was stopped; try again"
                    .to_owned(),
                "several machines behind the peer's address run punch; give each pair its own \
                 --session"
                    .to_owned(),
            ]),
            Failure::ConnectionLost => reasons.push(
                "on the peer's side: it was stopped at that moment, or a NAT reset the \
                 connection; try again"
                    .to_owned(),
            ),
            Failure::NothingBound => reasons.push(
                "on this side: another account, or another program, uses these ports; give this \
                 pair of peers its own --session, the same on both sides"
                    .to_owned(),
            ),
            Failure::Unreachable => reasons.push(self.unreachable()),
            _ => {}
        }
        reasons
    }

    /// Whether the refusals come from this machine or its own network.
    fn is_refused_here(&self, peer: IpAddr) -> bool {
        !peer.is_loopback()
            && self
                .fastest_refusal()
                .is_some_and(|fastest| fastest < MIN_ROUND_TRIP)
    }

    fn no_peer(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.statistics.strangers > 0 {
            reasons.push(
                "a peer of another session is there: --session must be the same on both sides"
                    .to_owned(),
            );
        }
        if self.statistics.garbage > 0 {
            reasons.push(
                "another program, or another version of this one, answers at the peer's address"
                    .to_owned(),
            );
        }
        if self.statistics.silent > 0 {
            reasons.push(
                "something on the way accepts every connection: a captive portal (open a web page \
                 and sign in), a proxy, or a host that holds scanners up"
                    .to_owned(),
            );
            reasons.push(
                "on the peer's side: the election differs; --election must be the same on both \
                 sides"
                    .to_owned(),
            );
        }
        if reasons.is_empty() {
            reasons.push(
                "what accepts the connections ends them at once: another program at the peer's \
                 address, or a proxy on the way"
                    .to_owned(),
            );
        }
        reasons
    }

    fn unreachable(&self) -> String {
        let error = self.local_error.as_deref().unwrap_or("unknown");
        let remedy = match os_error(error) {
            Some(libc::EMFILE | libc::ENFILE) => {
                "no more files can be opened: stop other programs, or raise the limit (ulimit -n)"
            }
            Some(libc::EADDRNOTAVAIL) => {
                "either another punch to the same peer is running (give each its own --session), \
                 or this machine has lost its address"
            }
            Some(libc::EPERM | libc::EACCES) => "a firewall on this machine forbids it",
            Some(libc::EHOSTUNREACH) => {
                "the router, or the peer in this network, does not answer: look at cable, Wi-Fi and \
                 address"
            }
            _ => "look whether the network is up and has a route to the peer",
        };
        format!("on this side: the system says \"{error}\"; {remedy}")
    }
}

/// The number of the system's error in its text.
fn os_error(text: &str) -> Option<i32> {
    let (_, number) = text.rsplit_once("(os error ")?;
    number.strip_suffix(')')?.parse().ok()
}

fn not_at_once(asked: &Asked<'_>) -> String {
    format!(
        "the peer did not run at the same time: start both within {} of each other (--timeout)",
        seconds(asked.timeout)
    )
}

fn wrong_address() -> String {
    "the address is not the peer's: it is the one that the internet sees of the peer's network"
        .to_owned()
}

fn clocks(asked: &Asked<'_>) -> String {
    format!(
        "the clocks are more than {} apart: compare the time above with the peer's, or use --ntp",
        seconds(asked.max_clock_error * 2)
    )
}

fn settings() -> String {
    "the two sides have different settings: --session, --max-clock-error, --rule, --schedule, \
     --ports and --profile must be the same"
        .to_owned()
}

fn nats() -> String {
    "on either side: a NAT gives outgoing connections other ports, or both NATs drop every SYN from \
     outside; no setting of punch helps against that"
        .to_owned()
}

fn firewall() -> String {
    "on either side: a firewall drops outgoing TCP connections to unusual ports".to_owned()
}

/// A duration in whole seconds, or with one decimal where it is short.
fn seconds(duration: Duration) -> String {
    let value = duration.as_secs_f64();
    if value.fract() == 0.0 { format!("{value:.0} s") } else { format!("{value:.1} s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(failure: Failure, seen: impl FnOnce(&mut Observed)) -> String {
        let mut observed = Observed::default();
        seen(&mut observed);
        let asked = Asked {
            peer: "203.0.113.7".parse().unwrap(),
            timeout: Duration::from_secs(120),
            max_clock_error: Duration::from_secs(20),
            utc: "14:03:30 UTC",
        };
        observed.explain(failure, &asked)
    }

    #[test]
    fn silence_names_the_usual_reasons_first_and_claims_no_refusal() {
        let text = explained(Failure::NoAnswer, |observed| observed.statistics.connects = 64);
        assert!(
            text.starts_with("not connected to 203.0.113.7 in 120 s: nothing came back"),
            "{text}"
        );
        assert!(text.contains("seen    64 SYNs sent, no answer"), "{text}");
        assert!(text.contains("likely  1. the peer did not run at the same time"), "{text}");
        assert!(text.contains("more than 40 s apart") && text.contains("14:03:30 UTC"), "{text}");
        assert!(!text.contains("refus"), "{text}");
    }

    #[test]
    fn refusals_that_come_too_soon_are_this_sides() {
        let refused = |nanos| {
            explained(Failure::Refused, |observed| {
                observed.statistics.connects = 9;
                observed.statistics.refusals = 9;
                observed.statistics.fastest_refusal_ns = Some(nanos);
            })
        };
        let (here, there) = (refused(90_000), refused(20_000_000));
        assert!(here.contains("1. on this side: the refusals come too soon"), "{here}");
        assert!(there.contains("the fastest refusal after 20.0 ms"), "{there}");
        assert!(there.contains("1. the peer did not run at the same time"), "{there}");
    }

    #[test]
    fn a_failure_on_this_machine_repeats_what_the_system_says() {
        let text = explained(Failure::Unreachable, |observed| {
            observed.local_error = Some("Network is unreachable (os error 101)".to_owned());
            observed.statistics.connects = 5;
            observed.statistics.local_errors = 5;
        });
        assert!(text.contains("5 connects failed on this machine"), "{text}");
        assert!(text.contains("\"Network is unreachable (os error 101)\""), "{text}");
        assert!(!text.contains("SYNs sent"), "{text}");
    }

    #[test]
    fn every_failure_has_a_reason_to_look_for() {
        for failure in [
            Failure::NothingBound,
            Failure::Unreachable,
            Failure::NoAnswer,
            Failure::Refused,
            Failure::NoHandshake,
            Failure::NoPeer,
            Failure::ElectionLost,
            Failure::ConnectionLost,
        ] {
            assert!(explained(failure, |_| {}).contains("likely  1. "), "{failure}");
        }
    }
}
