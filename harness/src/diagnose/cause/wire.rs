//! What happened to the SYNs of flows on which both sides sent some.
//!
//! A SYN that arrives after the other side's first one has left *could have passed*: the other NAT
//! has a mapping that it fits. Of the SYNs of any flow with SYNs from both sides at least one
//! could have, so that what became of those tells why there is no connection.

use std::time::Duration;

use punch::proto::time::MonoTime;

use super::{Case, connection::between, ms, ports_in_words};
use crate::{
    diagnose::flow::{Flow, Says, Seen},
    event::{Cause, CauseKind},
    peers::Side,
    ui::plural::count,
    wan::Fate,
};

/// A handshake that was begun and not completed: some host accepted a SYN.
pub(super) fn incomplete(flows: &[Flow]) -> Option<Cause> {
    let accepts = |seen: &&Seen| seen.says == Says::SynAck;
    let flow = flows
        .iter()
        .max_by_key(|flow| flow.packets.iter().filter(accepts).count())?;
    let first = flow.packets.iter().find(accepts)?;
    let side = first.from;
    let other = side.other();
    let sent: Vec<&Seen> = flow
        .packets
        .iter()
        .filter(accepts)
        .filter(|seen| seen.from == side)
        .collect();
    let lost = sent.iter().filter(|seen| seen.fate == Fate::Lost).count();
    let mut evidence = format!(
        "on {} {} answered {other}'s SYN with SYN-ACK, sent {}, {lost} of them lost",
        between(flow),
        first.by,
        count(sent.len(), "time"),
    );
    let answered = flow.packets.iter().filter(|seen| {
        seen.from == other && matches!(seen.says, Says::Ack | Says::SynAck | Says::Fin)
    });
    let acks: Vec<&Seen> = answered.collect();
    if let Some(reset) = flow
        .packets
        .iter()
        .find(|seen| seen.from == other && seen.says == Says::Rst)
    {
        evidence += &format!("; {} answered RST", reset.by);
    } else if acks.is_empty() {
        evidence += &format!("; {other} never acknowledged it");
    } else {
        let lost = acks.iter().filter(|seen| seen.fate == Fate::Lost).count();
        let acks = count(acks.len(), "acknowledgment");
        evidence += &format!("; {other} sent {acks}, of which {lost} were lost");
    }
    Some(CauseKind::HandshakeIncomplete.because(evidence))
}

/// SYNs that could have passed, on one flow.
struct Fitting<'f> {
    flow: &'f Flow,
    syns: Vec<&'f Seen>,
}

fn fitting<'f>(flows: &'f [Flow], delay: Duration) -> Vec<Fitting<'f>> {
    let mutual = flows.iter().filter(|flow| flow.is_mutual());
    mutual
        .map(|flow| {
            let fits = |syn: &&Seen| {
                let first = flow.first_syn(syn.from.other()).map(|other| other.at);
                first.is_some_and(|first| arrival(syn, delay) >= first)
            };
            let syns = flow
                .packets
                .iter()
                .filter(|seen| seen.says == Says::Syn)
                .filter(fits);
            Fitting { flow, syns: syns.collect() }
        })
        .collect()
}

/// When a SYN arrived, or would have.
fn arrival(syn: &Seen, delay: Duration) -> MonoTime {
    syn.delivered().unwrap_or(syn.at + delay)
}

/// SYNs that could have passed were refused.
pub(super) fn refused(case: &Case<'_>, flows: &[Flow]) -> Option<Cause> {
    let fitting = fitting(flows, case.delay);
    let refused =
        |Fitting { syns, .. }: &&Fitting<'_>| syns.iter().any(|syn| syn.refusal.is_some());
    let first_refusal = |flow: &Flow| {
        let at = |seen: &Seen| Some(flow.packets[seen.refusal?].at);
        flow.packets.iter().filter_map(at).min()
    };
    let flow = fitting
        .iter()
        .filter(refused)
        .map(|it| it.flow)
        .min_by_key(|it| first_refusal(it))?;
    let first = flow
        .packets
        .iter()
        .find_map(|seen| flow.packets.get(seen.refusal?))?;
    let kind = if first.says == Says::Rst {
        CauseKind::SynAnsweredRst
    } else {
        CauseKind::SynAnsweredIcmp
    };

    let mut answers: Vec<String> = Side::BOTH
        .into_iter()
        .filter_map(|side| answers_to(flow, side))
        .collect();
    if first.from == Side::A {
        // The first to be refused was b.
        answers.reverse();
    }
    let refusals = |side: Side| {
        let syns = flows
            .iter()
            .filter(|flow| flow.is_mutual())
            .flat_map(move |it| it.syns(side));
        let (mut sent, mut refused) = (0, 0);
        for syn in syns {
            sent += 1;
            refused += usize::from(syn.refusal.is_some());
        }
        format!("{refused} of {side}'s {}", count(sent, "SYN"))
    };
    let mut evidence = format!("{}; {}", meeting(flow, case.delay), answers.join(", "));
    let mutual = fitting.len();
    if mutual > 1 {
        let [a, b] = Side::BOTH.map(refusals);
        evidence += &format!("; on all {mutual} common ports {a} and {b} were refused");
    }
    Some(kind.because(evidence))
}

/// How a side's SYNs on a flow were answered: `NAT b answered RST to 2 of a's 3 SYNs`.
fn answers_to(flow: &Flow, side: Side) -> Option<String> {
    let syns: Vec<&Seen> = flow.syns(side).collect();
    let refusals: Vec<&Seen> = syns
        .iter()
        .filter_map(|syn| flow.packets.get(syn.refusal?))
        .collect();
    let first = refusals.first()?;
    let same = refusals
        .iter()
        .filter(|seen| (seen.by, seen.says) == (first.by, first.says));
    let which = match (same.count(), syns.len()) {
        (1, 1) => format!("{side}'s SYN"),
        (answered, all) => format!("{answered} of {side}'s {all} SYNs"),
    };
    let leak = match (first.translated, first.from) {
        (true, _) => String::new(),
        (false, side) => format!(" (which left NAT {side} untranslated)"),
    };
    Some(format!("{} answered {} to {which}{leak}", first.by, first.says))
}

/// Nothing answered the SYNs that could have passed: all were lost, or they came too late for the
/// mapping, or something swallowed them.
pub(super) fn unanswered(case: &Case<'_>, flows: &[Flow]) -> Option<Cause> {
    let fitting = fitting(flows, case.delay);
    let all: Vec<(&Flow, &Seen)> = fitting
        .iter()
        .flat_map(|it| it.syns.iter().map(|syn| (it.flow, *syn)))
        .collect();
    let arrived: Vec<(&Flow, &Seen)> = all
        .iter()
        .filter(|(_, syn)| syn.delivered().is_some())
        .copied()
        .collect();
    let &(flow, _) = all.first()?;
    if all.iter().all(|(_, syn)| syn.fate == Fate::Lost) {
        return Some(lost(&all, flows));
    }
    if arrived.is_empty() {
        // Still on their way at the end, or not taken by an interface: of neither, enough is known.
        return None;
    }
    if let Some(cause) = dropped(case, &arrived) {
        return Some(cause);
    }
    let expired: Vec<_> = arrived
        .iter()
        .filter_map(|(flow, syn)| Some((*flow, *syn, forgotten(case, flow, syn)?)))
        .collect();
    if expired.len() == arrived.len() {
        let (flow, syn, (limit, silence)) = expired.first()?;
        let (late, early) = (syn.from, syn.from.other());
        let evidence = format!(
            "NAT {early} forgets a SYN after {}; on {} {late}'s SYN came {} after {early}'s last one",
            ms(*limit),
            between(flow),
            ms(*silence),
        );
        return Some(CauseKind::MappingExpired.because(evidence));
    }
    let of = |side: Side| arrived.iter().filter(|(_, syn)| syn.from == side).count();
    let lost = all.len() - arrived.len();
    let lost = if lost > 0 { format!(" ({lost} more were lost)") } else { String::new() };
    let evidence = format!(
        "{}; of the SYNs that could have passed, {} of a and {} of b arrived on {}{lost}, and \
         nothing answered them",
        meeting(flow, case.delay),
        of(Side::A),
        of(Side::B),
        ports_in_words(fitting.iter().map(|it| it.flow.port(Side::A))),
    );
    Some(CauseKind::SynUnanswered.because(evidence))
}

/// All that arrived came to NATs that let no SYN in.
fn dropped(case: &Case<'_>, arrived: &[(&Flow, &Seen)]) -> Option<Cause> {
    let at = |side: Side| {
        arrived
            .iter()
            .filter(|(_, syn)| syn.from == side.other())
            .count()
    };
    let drops = |side: Side| case.places[side.index()].drops_syns;
    if Side::BOTH
        .into_iter()
        .any(|side| at(side) > 0 && !drops(side))
    {
        return None;
    }
    let said: Vec<String> = Side::BOTH
        .into_iter()
        .filter(|side| at(*side) > 0)
        .map(|side| {
            let (syns, other) = (count(at(side), "SYN"), side.other());
            format!(
                "NAT {side} drops every SYN from outside: {syns} of {other} that could have passed"
            )
        })
        .collect();
    Some(CauseKind::NatDropsSyns.because(said.join("; ")))
}

/// How long a NAT remembers a SYN, and how long ago its peer's last was when this one came, if
/// that was longer.
fn forgotten(case: &Case<'_>, flow: &Flow, syn: &Seen) -> Option<(Duration, Duration)> {
    let receiver = syn.from.other();
    let limit = case.places[receiver.index()].forgets_after?;
    let arrived = syn.delivered()?;
    let last = flow
        .packets
        .iter()
        .rfind(|seen| seen.from == receiver && seen.at <= arrived)?;
    let silence = arrived.since(last.at);
    (silence > limit).then_some((limit, silence))
}

fn lost(all: &[(&Flow, &Seen)], flows: &[Flow]) -> Cause {
    let of = |side: Side| all.iter().filter(|(_, syn)| syn.from == side).count();
    let total = |side: Side| {
        let syns: Vec<&Seen> = flows.iter().flat_map(|flow| flow.syns(side)).collect();
        let lost = syns.iter().filter(|syn| syn.fate == Fate::Lost).count();
        format!("{lost} of {} of {side}", count(syns.len(), "SYN"))
    };
    let evidence = format!(
        "the {} of a and {} of b that could have passed were all lost; in all, the WAN lost {} and {}",
        count(of(Side::A), "SYN"),
        of(Side::B),
        total(Side::A),
        total(Side::B),
    );
    CauseKind::SynLost.because(evidence)
}

/// `b's first SYN to port 7 left 62 ms after a's; one-way delay 50 ms`
fn meeting(flow: &Flow, delay: Duration) -> String {
    let [a, b] = Side::BOTH.map(|side| {
        flow.first_syn(side)
            .map_or(MonoTime::from_nanos(0), |syn| syn.at)
    });
    let (late, early, apart) =
        if b >= a { (Side::B, Side::A, b.since(a)) } else { (Side::A, Side::B, a.since(b)) };
    format!(
        "{late}'s first SYN on {} left {} after {early}'s; one-way delay {}",
        between(flow),
        ms(apart),
        ms(delay)
    )
}
