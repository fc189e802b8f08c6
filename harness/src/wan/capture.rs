//! Traffic as pcapng, for Wireshark and tshark.
//!
//! The comment of the section names the trial and its outcome. Every port of the WAN is an
//! interface of the capture. A packet appears on the interface that it came from, at the time when
//! it came in (outbound), with its fate as a comment. A delivered packet appears again on the
//! interface that it went to (inbound). Times are those of an exact clock in the lab: the trial's
//! epoch plus the monotonic time since the begin of the trial.

use std::{borrow::Cow, io::Write, time::Duration};

use pcap_file::{
    DataLink, Endianness, PcapError,
    pcapng::{
        PcapNgWriter,
        blocks::{
            enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption},
            interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption},
            section_header::{SectionHeaderBlock, SectionHeaderOption},
        },
    },
};
use punch::proto::time::{MonoTime, WallTime};

use super::traffic::{Fate, RecordedPacket, Traffic};

/// Direction bits of `epb_flags`.
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;

/// Name of the program that wrote the capture.
const APPLICATION: &str = concat!("harness ", env!("CARGO_PKG_VERSION"));

/// Longest comment in bytes; the length of an option has 16 bits.
const MAX_COMMENT: usize = 60_000;

/// Value of `if_tsresol` for nanoseconds.
const NANOSECONDS: u8 = 9;

/// Description of a capture, for its section and its interfaces.
#[derive(Debug)]
pub(crate) struct CaptureHeader {
    /// The trial and its outcome.
    pub(crate) comment: String,
    /// Description of each port of the WAN.
    pub(crate) ports: Vec<String>,
    /// When the trial began.
    pub(crate) begin: MonoTime,
    /// Time of an exact clock at the begin.
    pub(crate) epoch: WallTime,
}

/// Writes the traffic of a trial.
///
/// # Errors
/// The output cannot be written.
pub(crate) fn write(
    traffic: &Traffic,
    header: &CaptureHeader,
    output: impl Write,
) -> Result<(), PcapError> {
    let section = SectionHeaderBlock {
        endianness: Endianness::native(),
        options: vec![
            SectionHeaderOption::Comment(Cow::Owned(shortened(&header.comment))),
            SectionHeaderOption::UserApplication(Cow::Borrowed(APPLICATION)),
        ],
        ..SectionHeaderBlock::default()
    };
    let mut writer = PcapNgWriter::with_section_header(output, section)?;
    for (index, name) in traffic.ports.iter().enumerate() {
        let mut options = vec![
            InterfaceDescriptionOption::IfName(Cow::Borrowed(name)),
            InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
        ];
        if let Some(behind) = header.ports.get(index) {
            options.push(InterfaceDescriptionOption::IfDescription(Cow::Borrowed(behind)));
        }
        let linktype = DataLink::RAW;
        let interface = InterfaceDescriptionBlock { linktype, snaplen: 0, options };
        writer.write_pcapng_block(interface)?;
    }
    let clock = |at: MonoTime| {
        let wall = header.epoch + at.since(header.begin);
        Duration::from_nanos(u64::try_from(wall.as_nanos()).unwrap_or_default())
    };
    for (at, on, packet, flags, comment) in entries(traffic) {
        let mut options = vec![EnhancedPacketOption::Flags(flags)];
        if let Some(comment) = comment {
            options.push(EnhancedPacketOption::Comment(Cow::Owned(comment)));
        }
        writer.write_pcapng_block(EnhancedPacketBlock {
            interface_id: u32::try_from(on).unwrap_or(u32::MAX),
            timestamp: clock(at),
            original_len: u32::try_from(packet.length).unwrap_or(u32::MAX),
            data: Cow::Borrowed(&packet.bytes),
            options,
        })?;
    }
    Ok(())
}

/// A comment, cut to [`MAX_COMMENT`].
fn shortened(comment: &str) -> String {
    let mut end = comment.len().min(MAX_COMMENT);
    while !comment.is_char_boundary(end) {
        end -= 1;
    }
    comment[..end].to_owned()
}

type Entry<'a> = (MonoTime, usize, &'a RecordedPacket, u32, Option<String>);

/// Every appearance of every packet, in the order of time.
fn entries(traffic: &Traffic) -> Vec<Entry<'_>> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    let name = |to: usize| traffic.ports.get(to).map_or("?", String::as_str);
    for packet in &traffic.packets {
        let comment = match packet.fate {
            Fate::InFlight { to } => format!("to {}, on its way at the end", name(to)),
            Fate::Delivered { to, at } => {
                let ms = at.since(packet.at).as_secs_f64() * 1000.0;
                format!("to {} after {ms:.1} ms", name(to))
            }
            Fate::Lost => "lost".to_owned(),
            Fate::NoRoute => "no route".to_owned(),
            Fate::Refused => "not taken by its destination".to_owned(),
        };
        entries.push((packet.at, packet.from, packet, OUTBOUND, Some(comment)));
        if let Fate::Delivered { to, at } = packet.fate {
            let comment = format!("from {}", name(packet.from));
            entries.push((at, to, packet, INBOUND, Some(comment)));
        }
    }
    entries.sort_by_key(|entry| entry.0);
    entries
}
