//! The packets of one trial as a ladder: peers, NATs and WAN as columns, packets as arrows, the
//! time of the trial and both peers' clocks on every line.
//!
//! Each packet stands twice: where it comes to the WAN, and where it arrives. What is on the WAN is
//! seen; whether a NAT lets a packet in is inferred from what the peer behind it sent before and
//! what it answers. Peers of our own show what they report as well.
//!
//! `SYN remapped 7 as 9` is a SYN from port 7 that its NAT sent from port 9; `raw` is a packet that a
//! NAT let out without translating it; `× 16` is so many ports at once.

mod draw;
mod fold;
mod rows;

use punch::{
    ClockOffset, Event,
    proto::time::{MonoTime, WallTime},
};

use crate::{diagnose::flow::PeerLocation, peers::Pair, wan::Traffic};

/// What there is to tell of a trial.
#[derive(Debug)]
pub(crate) struct Story<'a> {
    /// Lines above the ladder: which trial this is.
    pub(crate) title: Vec<String>,
    /// When it began.
    pub(crate) begin: MonoTime,
    /// What an exact clock read then.
    pub(crate) epoch: WallTime,
    /// The peers' clocks minus true time.
    pub(crate) skews: [ClockOffset; 2],
    /// Where the peers are.
    pub(crate) places: Pair<PeerLocation>,
    /// What passed the WAN.
    pub(crate) traffic: &'a Traffic,
    /// What the peers report.
    pub(crate) events: [&'a [Event]; 2],
    /// When the peers were started.
    pub(crate) started: [MonoTime; 2],
    /// When and how they ended.
    pub(crate) ended: [(MonoTime, &'a str); 2],
}

/// Packets that a ladder shows: beyond these, the capture is the better place to look.
const MAX_PACKETS: usize = 20_000;

/// The ladder as text, each line at most some 110 characters long.
pub(crate) fn render(story: &Story<'_>) -> String {
    let traffic = story.traffic;
    let shown = Traffic {
        ports: traffic.ports.clone(),
        packets: traffic.packets.iter().take(MAX_PACKETS).cloned().collect(),
        ..Traffic::default()
    };
    let left_out = traffic.packets.len() - shown.packets.len();
    let story = &Story { traffic: &shown, title: story.title.clone(), ..*story };
    let rows = fold::together(rows::rows(story));
    let mut text = String::new();
    for line in &story.title {
        text += &format!("{line}\n");
    }
    text.push('\n');
    text += &draw::head(story.places);
    for line in fold::repeats(rows) {
        text += &draw::line(story, &line);
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
