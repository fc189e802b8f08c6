//! Invariants that must hold after every trial, with any faults.

use std::collections::BTreeSet;

use punch::proto::{
    connection::{Failure, Role},
    event::{Event, EventKind},
};

use super::sim::{End, Report};

/// Asserts that the two ends fit together and that the events of each side are plausible.
pub(super) fn sane(report: &Report) {
    let results = report.ends.map(|end| end.map(|end| end.result));
    if let [Some(Ok((a, role_a))), Some(Ok((b, role_b)))] = results {
        assert_eq!(a, b, "each side keeps another connection");
        assert_ne!(role_a, role_b, "both have the same role");
    }
    for side in 0..2 {
        tells_a_sane_story(&report.events[side], report.ends[side]);
    }
}

/// Asserts that the follower has succeeded if the leader has. Only the `nonce` election promises
/// it.
pub(super) fn leader_is_never_alone(report: &Report) {
    for (own, peer) in [(0, 1), (1, 0)] {
        if let Some(End { at, result: Ok((_, Role::Leader)) }) = report.ends[own] {
            let before = |end: &End| end.result.is_ok() && end.at <= at;
            assert!(report.ends[peer].as_ref().is_some_and(before), "the leader alone succeeds");
        }
    }
}

fn tells_a_sane_story(events: &[Event], end: Option<End>) {
    let mut story = Story::default();
    for (index, event) in events.iter().enumerate() {
        assert!(index == 0 || events[index - 1].at <= event.at, "events go back in time");
        assert_eq!(
            index == 0,
            matches!(event.kind, EventKind::Started { .. }),
            "Started comes first"
        );
        assert!(story.failed.is_none(), "something follows Failed: {:?}", event.kind);
        story.follow(&event.kind);
    }
    match end.map(|end| end.result) {
        None => assert_eq!(story.failed, None),
        Some(Err(failure)) => assert_eq!(story.failed, Some(failure)),
        Some(Ok((_, role))) => {
            assert_eq!(story.failed, None);
            assert_eq!(story.decided, Some(role), "elected without a decision");
        }
    }
}

#[derive(Debug, Default)]
struct Story {
    ports: BTreeSet<u16>,
    connecting: BTreeSet<u16>,
    up: usize,
    hellos: usize,
    decided: Option<Role>,
    failed: Option<Failure>,
}

impl Story {
    #[expect(clippy::wildcard_enum_match_arm, reason = "only some events have a place in a story")]
    fn follow(&mut self, kind: &EventKind) {
        match kind {
            EventKind::Ports { ports, .. } => self.ports = ports.iter().copied().collect(),
            EventKind::Connect { port } => {
                assert!(self.ports.contains(port), "{port} is none of the ports in use");
                self.connecting.insert(*port);
            }
            EventKind::Refused { port, .. } => assert!(self.connecting.contains(port)),
            EventKind::Unavailable { port, .. } => assert!(self.connecting.remove(port)),
            EventKind::Connected { local, accepted, .. } => {
                self.up += 1;
                assert!(*accepted || self.connecting.remove(&local.port()), "up out of nothing");
            }
            EventKind::Hello { .. } => {
                self.hellos += 1;
                assert!(self.hellos <= self.up, "more HELLOs than connections");
            }
            EventKind::Decided { role, .. } => {
                assert_eq!(self.decided.replace(*role), None, "decided twice");
            }
            EventKind::Rejected { port, reason } => panic!("{port} rejected: {reason:?}"),
            EventKind::Failed { reason } => self.failed = Some(*reason),
            EventKind::Returned { .. } => panic!("the core hands nothing over"),
            _ => {}
        }
    }
}
