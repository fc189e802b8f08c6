//! Which ways a SYN can take from one peer to the other, as their NATs decide.
//!
//! Each peer connects from a port to the same port of the other, so that a NAT matters by three
//! things: which outside port it gives to the one flow of an inside port, whom it lets in at an
//! outside port, and what it does to the other's SYN before it lets it in. Linux's connection
//! tracking, which makes most NATs, forgets a mapping as soon as a RST comes back, but not when an
//! ICMP error does.

use std::{ops::RangeInclusive, time::Duration};

use punch::Rule;

use crate::{
    nat::{Allocation, Filtering, Mapping, Nat, NatSpec, PortBlock, Sender, Unsolicited},
    scenario::Setup,
};

/// Any of the scheduled ports stands for all.
const PORT: u16 = 2024;

/// How long peers may need that must first repeat a SYN which came too early: the ports that do
/// not leave it to the kernel repeat it after 1.3 s at most.
const REPEAT: Duration = Duration::from_secs(2);

/// How long peers may need whose SYNs must cross on their way, by chance: measured 99 % within 2 s.
const CROSSING: Duration = Duration::from_secs(8);

/// What the NATs make of the peers' SYNs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ways {
    /// None can ever come through.
    None,
    /// Some come through, if the peers have this long beyond the round trips.
    Within(Duration),
    /// Whether one comes through in time is a matter of chance; why.
    Chance(&'static str),
}

/// What stands at one end.
#[derive(Clone, Copy)]
struct End<'a> {
    nat: &'a Nat,
    /// Whether its peer also listens on its ports.
    listens: bool,
    /// From which bucket its peer takes its ports.
    rule: Rule,
}

impl End<'_> {
    /// The port from which the other end sees its SYNs, if that follows from the inside port.
    fn outside_port(self) -> Option<u16> {
        match self.nat {
            Nat::Public => Some(PORT),
            Nat::Behind(nat) => nat.first_outside_port(PORT),
        }
    }

    /// Whether the port that the other end sends to is one that stands for this end's host.
    fn is_addressed(self) -> bool {
        self.outside_port() == Some(PORT)
    }

    /// Whether its mappings let in more than whom they were made for, and last as long as a trial.
    fn is_wide(self) -> bool {
        match self.nat {
            Nat::Public => true,
            Nat::Behind(nat) => nat.filtering != Filtering::AddressAndPortDependent,
        }
    }

    /// Whether a SYN that comes between two attempts of this end is answered with a RST, which ends
    /// the other's mapping: by its NAT, or by its host where the SYN is let in and nobody listens.
    fn resets(self) -> bool {
        match self.nat {
            _ if self.is_wide() => !self.listens,
            Nat::Public => false,
            Nat::Behind(nat) => {
                matches!(nat.unsolicited, Unsolicited::Reset | Unsolicited::Open)
            }
        }
    }

    /// Whether its NAT answers every SYN with an ICMP error, and the other one can then be spoilt: by
    /// a SYN of this end that its mapping lets in between two attempts. Connection tracking takes
    /// that one for a connection, and refuses the sequence numbers of all that follow.
    fn spoils(self, other: Self) -> bool {
        let floods = |nat: &NatSpec| !nat.icmp_limit && nat.unsolicited.is_icmp();
        let lets_in = |nat: &NatSpec| nat.forwards_syn(Sender::Contacted);
        self.nat.spec().is_some_and(floods) && other.nat.spec().is_some_and(lets_in)
    }

    /// Whether a SYN of the other end comes through to this end's host, once that has sent its own,
    /// and is not refused there.
    fn admits(self, other: Self) -> bool {
        let same_port = other.outside_port() == Some(PORT);
        let sender = if same_port { Sender::Contacted } else { Sender::OtherPort };
        let let_in = match self.nat {
            Nat::Public => true,
            Nat::Behind(nat) => self.is_addressed() && nat.forwards_syn(sender),
        };
        // Only a listener takes a SYN from a port that no socket connects to.
        let_in && (same_port || self.listens)
    }

    /// Whether its peer sends fresh SYNs, where others leave repeats to the kernel.
    fn repeats(self) -> bool {
        self.rule == Rule::Rolling
    }

    /// Whether its NAT may draw a port that the other end expects, by more than the chance of the
    /// few mappings that an attempt needs (1 in 4,000 with 16 ports).
    fn may_hit(self, other: Self) -> bool {
        let Some(nat) = self.nat.spec() else { return false };
        let scheduled = scheduled(self.rule);
        let meets =
            |PortBlock { first, last }| first <= *scheduled.end() && last >= *scheduled.start();
        if !nat.allocation.drawn_from().is_some_and(meets) {
            return false;
        }
        // Any SYN of the other end comes to a listener by any of the mappings: 1 in 200 trials, and
        // 1 in 4 where there is a mapping for every SYN.
        let met = self.is_wide() && self.listens;
        // A RST ends a mapping, so that each new SYN draws again: some 100 a second, 1 in 50 trials.
        let redraws = nat.mapping == Mapping::AddressAndPortDependent
            && matches!(nat.allocation, Allocation::Random | Allocation::Sequential);
        let expects = other.is_addressed()
            && other
                .nat
                .spec()
                .is_none_or(|nat| nat.forwards_syn(Sender::Contacted));
        met || (redraws && other.resets() && expects)
    }

    /// Whether its NAT is one that drops, keeps what it has seen, and lets the peer's SYN in.
    fn is_plain(self) -> bool {
        self.nat
            .spec()
            .is_some_and(|nat| !nat.answers_unsolicited() && nat.timeouts.syn_s.is_none())
    }
}

/// The ports among which a rule's are, holes included.
fn scheduled(rule: Rule) -> RangeInclusive<u16> {
    match rule {
        Rule::Rolling => 2024..=32_767,
        Rule::Article => 30_000..=49_999,
    }
}

/// The ways between the peers of a setup.
pub(super) fn ways(setup: &Setup) -> Ways {
    let [a, b] = setup.peers.each_ref().map(|peer| End {
        nat: &peer.nat,
        listens: setup.punch.listen,
        rule: setup.punch.rule,
    });
    let rtt = setup.wan.rtt();
    let forgets = |limit: Option<u32>, needed: Duration| {
        limit.is_some_and(|seconds| Duration::from_secs(seconds.into()) <= needed)
    };
    let timeouts = [a, b].map(|end| end.nat.spec().map(|nat| nat.timeouts).unwrap_or_default());
    match (a.admits(b), b.admits(a)) {
        (false, false) if a.may_hit(b) || b.may_hit(a) => {
            Ways::Chance("a NAT draws so many ports that it may draw one that is expected")
        }
        (false, false) => Ways::None,
        _ if timeouts
            .iter()
            .any(|t| forgets(t.syn_s, rtt + Duration::from_secs(1))) =>
        {
            Ways::Chance("a NAT forgets a SYN before its answer can be there")
        }
        _ if timeouts.iter().any(|t| forgets(t.established_s, rtt * 4)) => {
            Ways::Chance("a NAT forgets a connection while it is being made")
        }
        _ if a.spoils(b) || b.spoils(a) => Ways::Chance(
            "a NAT answers every SYN with an ICMP error, which the other NAT's mapping outlives: a \
             SYN that comes between two attempts may spoil it",
        ),
        (true, true) if a.is_plain() && b.is_plain() => Ways::Within(Duration::ZERO),
        _ if !a.repeats() => Ways::Chance("it takes another SYN, and this rule sends few"),
        (true, true) if a.resets() && b.resets() => Ways::Within(CROSSING),
        // A NAT that refuses simultaneous open cannot answer with a RST, and one that changes ports
        // needs a wide one: so where only one end admits the other, it does so at any moment.
        _ => Ways::Within(REPEAT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    fn between(a: &str, b: &str) -> Ways {
        with(a, b, "")
    }

    fn with(a: &str, b: &str, more: &str) -> Ways {
        let text = format!("trials = 1\npeer.a.nat = {a}\npeer.b.nat = {b}\n{more}");
        let ways = |text: &str| ways(&Scenario::parse("t.toml", text).unwrap().cells[0].setup);
        let swapped = format!("trials = 1\npeer.a.nat = {b}\npeer.b.nat = {a}\n{more}");
        assert_eq!(ways(&text), ways(&swapped), "the peers are alike");
        ways(&text)
    }

    const SOON: Ways = Ways::Within(REPEAT);

    #[test]
    fn nats_that_keep_the_port_and_drop_need_no_repeat() {
        assert_eq!(between("'home'", "'home'"), Ways::Within(Duration::ZERO));
        assert_eq!(between("'home'", "'symmetric-preserving'"), Ways::Within(Duration::ZERO));
    }

    #[test]
    fn a_changed_port_needs_a_peer_that_lets_in_other_ports() {
        for changes in ["'symmetric'", "'symmetric-sequential'", "'fixed-delta'", "'port-block'"] {
            assert_eq!(between(changes, "'home'"), Ways::None, "{changes}");
            assert_eq!(between(changes, changes), Ways::None, "{changes}");
            for wide in ["'none'", "'full-cone'", "'address-restricted'"] {
                assert_eq!(between(changes, wide), SOON, "{changes} {wide}");
                let deaf = with(changes, wide, "punch.listen = false");
                // The host behind it answers with RST, and then a random port is drawn again.
                let redraws = matches!(deaf, Ways::Chance(_));
                assert_eq!(redraws, changes == "'symmetric'", "{changes} {wide}");
                assert!(redraws || deaf == Ways::None, "{changes} {wide}");
            }
        }
    }

    #[test]
    fn a_nat_that_draws_many_ports_may_draw_one_that_is_expected() {
        let chance = |ways: Ways| matches!(ways, Ways::Chance(_));
        // Seen on real NATs, each within a hundred trials.
        for resets in ["'home-reject'", "'linux-router'"] {
            assert!(chance(between("'symmetric'", resets)), "{resets}");
            // Its ports are none of the rolling rule's.
            assert_eq!(between("'symmetric-sequential'", resets), Ways::None, "{resets}");
        }
        let cone = "{ allocation = 'random', filtering = 'endpoint-independent' }";
        assert!(chance(between(cone, "'symmetric-sequential'")));
        let deaf = with(cone, "'symmetric-sequential'", "punch.listen = false");
        assert_eq!(deaf, Ways::None, "nobody takes a SYN from another port");
        let article = "punch.rule = 'article'\npunch.listen = false";
        assert!(chance(with("'symmetric-sequential'", "'none'", article)));
        // A mapping that stays is drawn once.
        let stays = "{ allocation = 'random', mapping = 'endpoint-independent' }";
        assert_eq!(between(stays, "'home-reject'"), Ways::None);
        assert_eq!(between("'symmetric'", "'icmp-reject'"), Ways::None);
    }

    #[test]
    fn a_nat_without_simultaneous_open_needs_a_peer_with() {
        let closed = "'no-simultaneous-open'";
        assert_eq!(between(closed, closed), Ways::None);
        assert_eq!(between(closed, "'symmetric'"), Ways::None);
        assert_eq!(between(closed, "'none'"), SOON);
        assert!(matches!(between(closed, "'home'"), Ways::Within(_)));
    }

    #[test]
    fn two_resets_must_be_crossed_and_one_need_not() {
        assert_eq!(between("'home-reject'", "'linux-router'"), Ways::Within(CROSSING));
        assert_eq!(between("'home-reject'", "'home'"), SOON);
        assert_eq!(between("'home-reject'", "'icmp-reject'"), SOON);
        assert_eq!(between("'home-reject'", "'none'"), SOON);
        let deaf = with("'home-reject'", "'none'", "punch.listen = false");
        assert_eq!(deaf, Ways::Within(CROSSING));
    }

    #[test]
    fn what_hangs_on_a_moment_is_chance() {
        let chance = |ways: Ways| matches!(ways, Ways::Chance(_));
        let every = "{ name = 'icmp-reject', icmp_limit = false }";
        // Seen on real NATs at a round trip of 2 ms: 15 of 30, but 30 of 30 with these two.
        assert!(chance(between(every, "'home'")));
        assert_eq!(between(every, "'none'"), SOON);
        assert_eq!(between(every, "'no-simultaneous-open'"), SOON);
        let short = "{ name = 'home', syn_timeout_s = 1 }";
        assert!(chance(between(short, "'home'")));
        assert!(chance(with("'home-reject'", "'home'", "punch.rule = 'article'")));
    }
}
