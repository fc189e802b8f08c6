//! Ladder diagram of the packets of one trial: a lifeline for each peer, each NAT and the WAN, an
//! arrow for each packet, and on every row the time of the trial and the clocks of both peers.
//!
//! A packet has two arrows: one to the WAN, and one from the WAN to its destination. Packets on the
//! WAN are recorded. Whether a NAT let a packet in is inferred from the packets that the peer
//! behind the NAT sent before, and from its answers. Events of a peer that is `punch` are shown as
//! notes.
//!
//! `SYN remapped 7 as 9` is a SYN from port 7 that its NAT sent from port 9. `raw` marks a packet
//! that a NAT let out untranslated. `× 16` stands for 16 ports.

mod draw;
mod fold;
mod rows;

use punch::{
    ClockOffset, Event,
    proto::time::{MonoTime, WallTime},
};

use crate::{diagnose::flow::PeerLocation, peers::Pair, wan::Traffic};

/// A trial as a ladder shows it.
#[derive(Debug)]
pub(crate) struct LadderInput<'a> {
    /// Lines above the ladder: the identity of the trial.
    pub(crate) title: Vec<String>,
    /// Start of the trial.
    pub(crate) begin: MonoTime,
    /// Time of an exact clock at the start of the trial.
    pub(crate) epoch: WallTime,
    /// Offsets of the peers' clocks from true time.
    pub(crate) skews: Pair<ClockOffset>,
    /// The peers as the WAN knows them.
    pub(crate) locations: Pair<PeerLocation>,
    /// Packets on the WAN.
    pub(crate) traffic: &'a Traffic,
    /// Events that the peers report.
    pub(crate) events: Pair<&'a [Event]>,
    /// Starts of the peers.
    pub(crate) started: Pair<MonoTime>,
    /// Ends of the peers, each with the time and the exit in words.
    pub(crate) ended: Pair<(MonoTime, &'a str)>,
}

/// Number of packets that a ladder shows. For longer trials, the capture is the better tool.
const MAX_PACKETS: usize = 20_000;

/// Text of the ladder, with lines of at most about 110 characters.
pub(crate) fn render(whole: &LadderInput<'_>) -> String {
    let traffic = whole.traffic;
    let shown = Traffic {
        ports: traffic.ports.clone(),
        packets: traffic.packets.iter().take(MAX_PACKETS).cloned().collect(),
        ..Traffic::default()
    };
    let left_out = traffic.packets.len() - shown.packets.len();
    let input = &LadderInput { traffic: &shown, title: whole.title.clone(), ..*whole };
    let rows = fold::merged(rows::rows(input));
    let mut text = String::new();
    for line in &input.title {
        text += &format!("{line}\n");
    }
    text.push('\n');
    text += &draw::head(input.locations);
    for line in fold::folded(rows) {
        text += &draw::line(input, &line);
    }
    if left_out > 0 {
        text += &format!("{left_out} more packets are in the capture only\n");
    }
    if traffic.not_kept > 0 {
        text += &format!("{} more packets were not kept\n", traffic.not_kept);
    }
    text
}

#[cfg(test)]
mod tests;
