//! Reachability: whether the NATs let a SYN through from one peer to the other.
//!
//! Each peer connects from a port to the same port of the other, so that three properties of a NAT
//! matter: the outside port of the one flow of an inside port, the senders that are let in at an
//! outside port, and the answer to a SYN that is not let in. Linux's connection tracking, on which
//! most NATs are built, deletes a mapping as soon as a RST comes back, but not when an ICMP error
//! does.

use std::{ops::RangeInclusive, time::Duration};

use punch::Rule;

use crate::{
    nat::{Allocation, Filtering, Mapping, Nat, NatSpec, PortBlock, Sender, Unsolicited},
    scenario::Setup,
};

/// Example of a scheduled port; all behave alike.
const PORT: u16 = 2024;

/// Longest time until a SYN that came too early is repeated: ports that do not leave repeats to the
/// kernel send a fresh SYN after 1.3 s at most.
const MAX_REPEAT: Duration = Duration::from_secs(2);

/// Longest time until two SYNs cross on their way by chance: measured 99 % within 2 s.
const MAX_CROSSING: Duration = Duration::from_secs(8);

/// Whether the NATs let SYNs of the peers through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reachability {
    /// No SYN ever comes through.
    Never,
    /// Some SYN comes through within this time beyond the round trips.
    Within(Duration),
    /// Chance decides whether a SYN comes through in time; the reason.
    Uncertain(&'static str),
}

/// A peer and its NAT.
#[derive(Clone, Copy)]
struct PeerSide<'a> {
    nat: &'a Nat,
    /// Whether the peer also listens on its ports.
    listens: bool,
    /// From which bucket the peer takes its ports.
    rule: Rule,
}

impl PeerSide<'_> {
    /// The source port of this side's SYNs on the WAN, if it follows from the inside port.
    fn outside_port(self) -> Option<u16> {
        match self.nat {
            Nat::Public => Some(PORT),
            Nat::Behind(nat) => nat.first_outside_port(PORT),
        }
    }

    /// Whether the port to which the other side sends is mapped to this side's host.
    fn preserves_port(self) -> bool {
        self.outside_port() == Some(PORT)
    }

    /// Whether mappings let in other endpoints than those that were sent to, and last for a whole
    /// trial.
    fn has_open_mappings(self) -> bool {
        match self.nat {
            Nat::Public => true,
            Nat::Behind(nat) => nat.filtering != Filtering::AddressAndPortDependent,
        }
    }

    /// Whether a SYN that comes between two attempts of this side is answered with a RST, which
    /// ends the mapping of the other side. The NAT sends the RST, or the host if the SYN is let in
    /// and no socket listens.
    fn answers_with_rst(self) -> bool {
        match self.nat {
            _ if self.has_open_mappings() => !self.listens,
            Nat::Public => false,
            Nat::Behind(nat) => {
                matches!(nat.unsolicited, Unsolicited::Reset | Unsolicited::Open)
            }
        }
    }

    /// Whether this side's NAT answers every SYN with an ICMP error, and the other NAT lets SYNs
    /// in.
    ///
    /// A SYN of this side that the other NAT lets in between two attempts can make the other side's
    /// mapping useless: connection tracking takes the SYN for a connection, and refuses the
    /// sequence numbers of all later SYNs.
    fn may_spoil(self, other: Self) -> bool {
        let answers_every_syn = |nat: &NatSpec| !nat.icmp_limit && nat.unsolicited.is_icmp();
        let lets_in = |nat: &NatSpec| nat.forwards_syn(Sender::Contacted);
        self.nat.spec().is_some_and(answers_every_syn) && other.nat.spec().is_some_and(lets_in)
    }

    /// Whether a SYN of the other side comes through to this side's host after the host has sent
    /// its own, and is not refused there.
    fn admits(self, other: Self) -> bool {
        let same_port = other.outside_port() == Some(PORT);
        let sender = if same_port { Sender::Contacted } else { Sender::OtherPort };
        let let_in = match self.nat {
            Nat::Public => true,
            Nat::Behind(nat) => self.preserves_port() && nat.forwards_syn(sender),
        };
        // A SYN from a port to which no socket connects needs a listener.
        let_in && (same_port || self.listens)
    }

    /// Whether the peer sends fresh SYNs rather than leave repeats to the kernel.
    fn sends_fresh_syns(self) -> bool {
        self.rule == Rule::Rolling
    }

    /// Whether the NAT draws so many ports that it may draw one which the other side expects. For
    /// the few mappings of a usual attempt the chance is 1 in 4,000 with 16 ports.
    fn may_draw_expected_port(self, other: Self) -> bool {
        let Some(nat) = self.nat.spec() else { return false };
        let range = port_range(self.rule);
        let meets = |PortBlock { first, last }| first <= *range.end() && last >= *range.start();
        if !nat.allocation.drawn_from().is_some_and(meets) {
            return false;
        }
        // Any SYN of the other side reaches a listener through any of the mappings: 1 in 200
        // trials, and 1 in 4 where there is a mapping for every SYN.
        let met = self.has_open_mappings() && self.listens;
        // A RST ends a mapping, so that each new SYN draws a port: some 100 a second, 1 in 50
        // trials.
        let redraws = nat.mapping == Mapping::AddressAndPortDependent
            && matches!(nat.allocation, Allocation::Random | Allocation::Sequential);
        let expects = other.preserves_port()
            && other
                .nat
                .spec()
                .is_none_or(|nat| nat.forwards_syn(Sender::Contacted));
        met || (redraws && other.answers_with_rst() && expects)
    }

    /// Whether the NAT drops unsolicited SYNs, and remembers a SYN for the kernel's usual time.
    fn drops_and_remembers(self) -> bool {
        self.nat
            .spec()
            .is_some_and(|nat| !nat.answers_unsolicited() && nat.timeouts.syn_s.is_none())
    }
}

/// The range of a rule's ports, holes included.
fn port_range(rule: Rule) -> RangeInclusive<u16> {
    match rule {
        Rule::Article => 30_000..=49_999,
        Rule::Rolling | _ => 2024..=32_767,
    }
}

/// Reachability between the peers of a setup.
pub(super) fn reachability(setup: &Setup) -> Reachability {
    let sides = setup.peers.as_ref().map(|peer| PeerSide {
        nat: &peer.nat,
        listens: setup.punch.listen,
        rule: setup.punch.rule,
    });
    let [a, b] = sides.into_array();
    let rtt = setup.wan.rtt();
    let forgets = |limit: Option<u32>, needed: Duration| {
        limit.is_some_and(|seconds| Duration::from_secs(seconds.into()) <= needed)
    };
    let timeouts = [a, b].map(|side| side.nat.spec().map(|nat| nat.timeouts).unwrap_or_default());
    match (a.admits(b), b.admits(a)) {
        (false, false) if a.may_draw_expected_port(b) || b.may_draw_expected_port(a) => {
            Reachability::Uncertain(
                "a NAT draws so many ports that it may draw one that is expected",
            )
        }
        (false, false) => Reachability::Never,
        _ if timeouts
            .iter()
            .any(|t| forgets(t.syn_s, rtt + Duration::from_secs(1))) =>
        {
            Reachability::Uncertain("a NAT forgets a SYN before its answer can be there")
        }
        _ if timeouts.iter().any(|t| forgets(t.established_s, rtt * 4)) => {
            Reachability::Uncertain("a NAT forgets a connection while it is being made")
        }
        _ if a.may_spoil(b) || b.may_spoil(a) => Reachability::Uncertain(
            "a NAT answers every SYN with an ICMP error, which the other NAT's mapping outlives: a \
             SYN that comes between two attempts may spoil it",
        ),
        (true, true) if a.drops_and_remembers() && b.drops_and_remembers() => {
            Reachability::Within(Duration::ZERO)
        }
        _ if !a.sends_fresh_syns() => {
            Reachability::Uncertain("it takes another SYN, and this rule sends few")
        }
        (true, true) if a.answers_with_rst() && b.answers_with_rst() => {
            Reachability::Within(MAX_CROSSING)
        }
        // Where only one side admits the other's SYN, it does so at any moment: a NAT that refuses
        // simultaneous open cannot answer with a RST, and opposite a NAT that changes ports only a
        // wide one admits a SYN.
        _ => Reachability::Within(MAX_REPEAT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    fn between(a: &str, b: &str) -> Reachability {
        with(a, b, "")
    }

    fn with(a: &str, b: &str, more: &str) -> Reachability {
        let text = format!("trials = 1\npeer.a.nat = {a}\npeer.b.nat = {b}\n{more}");
        let parsed =
            |text: &str| reachability(&Scenario::parse("t.toml", text).unwrap().cells[0].setup);
        let swapped = format!("trials = 1\npeer.a.nat = {b}\npeer.b.nat = {a}\n{more}");
        assert_eq!(parsed(&text), parsed(&swapped), "the peers are alike");
        parsed(&text)
    }

    const SOON: Reachability = Reachability::Within(MAX_REPEAT);

    #[test]
    fn nats_that_keep_the_port_and_drop_need_no_repeat() {
        assert_eq!(between("'home'", "'home'"), Reachability::Within(Duration::ZERO));
        assert_eq!(
            between("'home'", "'symmetric-preserving'"),
            Reachability::Within(Duration::ZERO)
        );
    }

    #[test]
    fn a_changed_port_needs_a_peer_that_lets_in_other_ports() {
        for changes in ["'symmetric'", "'symmetric-sequential'", "'fixed-delta'", "'port-block'"] {
            assert_eq!(between(changes, "'home'"), Reachability::Never, "{changes}");
            assert_eq!(between(changes, changes), Reachability::Never, "{changes}");
            for wide in ["'none'", "'full-cone'", "'address-restricted'"] {
                assert_eq!(between(changes, wide), SOON, "{changes} {wide}");
                let not_listening = with(changes, wide, "punch.listen = false");
                // The host behind it answers with RST, and then a random port is drawn again.
                let redraws = matches!(not_listening, Reachability::Uncertain(_));
                assert_eq!(redraws, changes == "'symmetric'", "{changes} {wide}");
                assert!(redraws || not_listening == Reachability::Never, "{changes} {wide}");
            }
        }
    }

    #[test]
    fn a_nat_that_draws_many_ports_may_draw_one_that_is_expected() {
        let chance =
            |reachability: Reachability| matches!(reachability, Reachability::Uncertain(_));
        // Seen on real NATs, each within a hundred trials.
        for resets in ["'home-reject'", "'linux-router'"] {
            assert!(chance(between("'symmetric'", resets)), "{resets}");
            // Its ports are none of the rolling rule's.
            assert_eq!(between("'symmetric-sequential'", resets), Reachability::Never, "{resets}");
        }
        let cone = "{ allocation = 'random', filtering = 'endpoint-independent' }";
        assert!(chance(between(cone, "'symmetric-sequential'")));
        let not_listening = with(cone, "'symmetric-sequential'", "punch.listen = false");
        assert_eq!(not_listening, Reachability::Never, "nobody takes a SYN from another port");
        let article = "punch.rule = 'article'\npunch.listen = false";
        assert!(chance(with("'symmetric-sequential'", "'none'", article)));
        // A mapping that lasts gets its random port once.
        let stays = "{ allocation = 'random', mapping = 'endpoint-independent' }";
        assert_eq!(between(stays, "'home-reject'"), Reachability::Never);
        assert_eq!(between("'symmetric'", "'icmp-reject'"), Reachability::Never);
    }

    #[test]
    fn a_nat_without_simultaneous_open_needs_a_peer_with() {
        let closed = "'no-simultaneous-open'";
        assert_eq!(between(closed, closed), Reachability::Never);
        assert_eq!(between(closed, "'symmetric'"), Reachability::Never);
        assert_eq!(between(closed, "'none'"), SOON);
        assert!(matches!(between(closed, "'home'"), Reachability::Within(_)));
    }

    #[test]
    fn syns_must_cross_only_where_both_sides_answer_with_rst() {
        assert_eq!(between("'home-reject'", "'linux-router'"), Reachability::Within(MAX_CROSSING));
        assert_eq!(between("'home-reject'", "'home'"), SOON);
        assert_eq!(between("'home-reject'", "'icmp-reject'"), SOON);
        assert_eq!(between("'home-reject'", "'none'"), SOON);
        let not_listening = with("'home-reject'", "'none'", "punch.listen = false");
        assert_eq!(not_listening, Reachability::Within(MAX_CROSSING));
    }

    #[test]
    fn a_connection_that_depends_on_a_moment_is_uncertain() {
        let chance =
            |reachability: Reachability| matches!(reachability, Reachability::Uncertain(_));
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
