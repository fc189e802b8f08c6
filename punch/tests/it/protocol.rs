//! The test vectors of `PROTOCOL.md`: the code gives the same values, and so does a reference that
//! was written from the text of the document alone.

use std::{path::Path, process::Command, time::Duration};

use punch::proto::{
    bucket::{Buckets, Rule},
    schedule::bucket_ports,
    schedule::{Schedule, boundary},
    time::WallTime,
    wire::{Choice, Decoder, Frame, Hello, MAX_FRAME, Nonce, SessionTag, VERSION},
};

const PROTOCOL: &str = include_str!("../../PROTOCOL.md");

/// The rows of the table under a heading, without the two lines of its header.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let cells = |line: &'static str| {
        let inner = line
            .strip_prefix("| ")
            .and_then(|line| line.strip_suffix(" |"));
        inner
            .unwrap_or_else(|| panic!("no row of a table: {line}"))
            .split(" | ")
            .collect()
    };
    let lines: Vec<&str> = table(heading);
    assert!(lines.len() > 2, "there is a table under {heading}");
    lines.into_iter().map(cells).collect()
}

fn table(heading: &str) -> Vec<&'static str> {
    let (_, rest) = PROTOCOL.split_once(heading).expect("the section exists");
    let section = rest.split("\n#").next().unwrap_or_default();
    section
        .lines()
        .filter(|line| line.starts_with('|'))
        .skip(2)
        .collect()
}

fn rule(name: &str) -> Rule {
    match name {
        "rolling" => Rule::Rolling,
        "article" => Rule::Article,
        _ => panic!("no rule: {name}"),
    }
}

fn session(quoted: &str) -> SessionTag {
    let name = quoted
        .strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'));
    SessionTag::new(name.expect("sessions are quoted"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn listed<T: ToString>(numbers: impl IntoIterator<Item = T>) -> String {
    let numbers: Vec<String> = numbers
        .into_iter()
        .map(|number| number.to_string())
        .collect();
    numbers.join(" ")
}

#[test]
fn session_tags_are_those_of_the_document() {
    for row in rows("### Session tags") {
        let [name, tag] = row[..] else { panic!("{row:?}") };
        assert_eq!(hex(&session(name).to_bytes()), tag, "{name}");
    }
}

#[test]
fn buckets_are_those_of_the_document() {
    for row in rows("### Clock to buckets") {
        let [name, error, clock, in_use, change] = row[..] else { panic!("{row:?}") };
        let buckets = Buckets::new(rule(name), Duration::from_nanos(error.parse().unwrap()));
        let wall = WallTime::from_nanos(clock.parse().unwrap());
        assert_eq!(listed(buckets.at(wall)), in_use, "{row:?}");
        let next = buckets.next_change(wall).map(WallTime::as_nanos);
        assert_eq!(next.map_or("—".to_owned(), |next| next.to_string()), change, "{row:?}");
    }
}

#[test]
fn ports_are_those_of_the_document() {
    for row in rows("### Bucket to ports\n") {
        let [name, tag, bucket, bound, ports] = row[..] else { panic!("{row:?}") };
        let bucket: i64 = bucket.parse().unwrap();
        assert_eq!(boundary(bucket).to_string(), bound, "{row:?}");
        let drawn = bucket_ports(rule(name), Schedule::ChaCha20, bucket, session(tag));
        assert_eq!(listed(drawn), ports, "{row:?}");
    }
}

#[cfg(feature = "mt19937")]
#[test]
fn ports_of_the_published_program_are_those_of_the_document() {
    for row in rows("### Bucket to ports by `mt19937`") {
        let [name, bucket, bound, ports] = row[..] else { panic!("{row:?}") };
        let bucket: i64 = bucket.parse().unwrap();
        assert_eq!(boundary(bucket).to_string(), bound, "{row:?}");
        let drawn = bucket_ports(rule(name), Schedule::Mt19937, bucket, SessionTag::new("any"));
        assert_eq!(listed(drawn), ports, "{row:?}");
    }
}

#[test]
fn frames_are_those_of_the_document() {
    for row in rows("### Frames") {
        let [kind, tag, digits, connection, port, bytes] = row[..] else { panic!("{row:?}") };
        let nonce = Nonce(u128::from_str_radix(digits, 16).unwrap().to_be_bytes());
        let connection = || connection.parse().unwrap();
        let frame = match kind {
            "HELLO" => {
                let port = port.parse().unwrap();
                let (session, connection) = (session(tag), connection());
                Frame::Hello(Hello { session, nonce, connection, port })
            }
            "COMMIT" => Frame::Commit(nonce),
            "ACK" => Frame::Ack(Choice { nonce, connection: connection() }),
            _ => panic!("no frame: {kind}"),
        };
        assert_eq!(hex(&frame.encode()), bytes, "{row:?}");
        let mut decoder = Decoder::default();
        let mut rest = &frame.encode()[..];
        let mut read = None;
        while !rest.is_empty() {
            let (piece, left) = rest.split_at(decoder.wants());
            (read, rest) = (decoder.push(piece).unwrap(), left);
        }
        assert_eq!(read, Some(frame));
    }
}

#[test]
fn versions_limits_and_lengths_are_those_of_the_document() {
    for n in [20_741_u64, 20_000] {
        let limit = (1_u64 << 32) / n * n;
        assert!(PROTOCOL.contains(&format!("| {n} | {limit} |")), "{n}");
    }
    assert!(PROTOCOL.starts_with(&format!("# The protocol, version {VERSION}\n")));
    let lengths: Vec<usize> = table("## 5. Frames")
        .iter()
        .map(|row| row.rsplit(' ').nth(1).unwrap().parse().unwrap())
        .collect();
    assert_eq!(lengths, [MAX_FRAME, 22, 26]);
}

#[test]
fn a_reference_written_from_the_document_alone_prints_its_vectors() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/schedule.py");
    let output = Command::new("python3")
        .arg(script)
        .env("PYTHONIOENCODING", "utf-8")
        .output()
        .expect("python3 runs; scripts/setup --test installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let headings = [
        "### Session tags",
        "### Clock to buckets",
        "### Bucket to ports\n",
        "### Bucket to ports by",
        "### Frames",
    ];
    let expected: Vec<&str> = headings.into_iter().flat_map(table).collect();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed.lines().collect::<Vec<_>>(), expected);
}
