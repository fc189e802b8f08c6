//! The frames of the election. `PROTOCOL.md` states them exactly.
//!
//! Every frame begins with six bytes: magic `PNCH`, version, kind. Its length follows from its
//! kind, so that a reader never takes a byte beyond the frame: the next byte may be the user's.

use std::fmt;

/// Version of the protocol. The session tag depends on it, so that different versions do not meet.
pub const VERSION: u8 = 1;

const MAGIC: [u8; 4] = *b"PNCH";
const HEADER: usize = 6;
const HELLO: u8 = 1;
const COMMIT: u8 = 2;
const ACK: u8 = 3;

/// Length of the longest frame in bytes.
pub const MAX_FRAME: usize = HEADER + 30;

/// Hash of the protocol version and the session name. It keeps pairs apart that punch between the
/// same addresses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionTag(u64);

impl SessionTag {
    /// The tag of a session: the 64-bit FNV-1a hash of `punch/1:` and the name. The default session
    /// has the empty name.
    pub fn new(name: &str) -> Self {
        let prefix = format!("punch/{VERSION}:");
        let hash = prefix
            .bytes()
            .chain(name.bytes())
            .fold(0xcbf2_9ce4_8422_2325_u64, |h, byte| {
                (h ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
        Self(hash)
    }

    /// The bytes of the tag on the wire: big-endian.
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

impl Default for SessionTag {
    fn default() -> Self {
        Self::new("")
    }
}

impl fmt::Debug for SessionTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionTag({:016x})", self.0)
    }
}

/// 128 random bits that name one run of one peer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce(pub [u8; 16]);

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nonce({:032x})", u128::from_be_bytes(self.0))
    }
}

/// First frame in each direction of each connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hello {
    /// The sender's session.
    pub session: SessionTag,
    /// The sender's nonce.
    pub nonce: Nonce,
    /// The sender's own number for this connection, unique within its run.
    pub connection: u32,
    /// The sender's local port. If the receiver sees another one, a NAT has changed it.
    pub port: u16,
}

/// Name of a connection, as one of its ends has given it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Choice {
    /// Nonce of that end's run.
    pub nonce: Nonce,
    /// Number of the connection in that run.
    pub connection: u32,
}

/// A frame of the election.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Frame {
    /// The sender's identity.
    Hello(Hello),
    /// The leader connects with the run of this nonce, and with no other.
    Commit(Nonce),
    /// The follower has chosen this connection, by the number that its HELLO gave to it.
    Ack(Choice),
}

impl Frame {
    /// The bytes of the frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(MAX_FRAME);
        bytes.extend_from_slice(&MAGIC);
        bytes.push(VERSION);
        match self {
            Self::Hello(hello) => {
                bytes.push(HELLO);
                bytes.extend_from_slice(&hello.session.to_bytes());
                bytes.extend_from_slice(&hello.nonce.0);
                bytes.extend_from_slice(&hello.connection.to_be_bytes());
                bytes.extend_from_slice(&hello.port.to_be_bytes());
            }
            Self::Commit(follower) => {
                bytes.push(COMMIT);
                bytes.extend_from_slice(&follower.0);
            }
            Self::Ack(choice) => {
                bytes.push(ACK);
                bytes.extend_from_slice(&choice.nonce.0);
                bytes.extend_from_slice(&choice.connection.to_be_bytes());
            }
        }
        bytes
    }
}

/// Reason for which bytes are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WireError {
    /// The bytes belong to another protocol.
    NotPunch,
    /// The frame is of another version of this protocol.
    Version(u8),
    /// The frame is of an unknown kind.
    Kind(u8),
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPunch => write!(f, "the peer's bytes are not those of this protocol"),
            Self::Version(version) => {
                write!(f, "the peer speaks version {version}, this is version {VERSION}")
            }
            Self::Kind(kind) => write!(f, "unknown frame kind {kind}"),
        }
    }
}

impl std::error::Error for WireError {}

/// Decoder of frames from a byte stream. It holds at most one frame.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Decoder {
    buffer: [u8; MAX_FRAME],
    filled: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { buffer: [0; MAX_FRAME], filled: 0 }
    }
}

impl Decoder {
    /// Number of bytes that may be taken from the stream: up to the end of the header, or of the
    /// frame.
    pub fn wants(&self) -> usize {
        self.expected() - self.filled
    }

    /// Takes bytes, at most [`Self::wants`] of them (more are a mistake of the caller and are not
    /// looked at), and returns the frame they complete.
    ///
    /// # Errors
    /// The bytes are no frame of this protocol; the connection is of no further use.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Option<Frame>, WireError> {
        let taken = bytes.len().min(self.wants());
        self.buffer[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
        self.filled += taken;
        self.check_header()?;
        if self.filled < HEADER || self.wants() > 0 {
            return Ok(None);
        }
        self.filled = 0;
        Ok(Some(self.parse()))
    }

    fn check_header(&self) -> Result<(), WireError> {
        let magic = self.filled.min(MAGIC.len());
        if self.buffer[..magic] != MAGIC[..magic] {
            return Err(WireError::NotPunch);
        }
        if self.filled > 4 && self.buffer[4] != VERSION {
            return Err(WireError::Version(self.buffer[4]));
        }
        if self.filled > 5 && !matches!(self.buffer[5], HELLO | COMMIT | ACK) {
            return Err(WireError::Kind(self.buffer[5]));
        }
        Ok(())
    }

    fn expected(&self) -> usize {
        match self.buffer[5] {
            _ if self.filled < HEADER => HEADER,
            HELLO => HEADER + 30,
            COMMIT => HEADER + 16,
            _ => HEADER + 20,
        }
    }

    fn parse(&self) -> Frame {
        match self.buffer[5] {
            HELLO => Frame::Hello(Hello {
                session: SessionTag(u64::from_be_bytes(self.field(HEADER))),
                nonce: Nonce(self.field(14)),
                connection: self.connection(30),
                port: u16::from_be_bytes(self.field(34)),
            }),
            COMMIT => Frame::Commit(Nonce(self.field(HEADER))),
            _ => Frame::Ack(Choice {
                nonce: Nonce(self.field(HEADER)),
                connection: self.connection(22),
            }),
        }
    }

    fn connection(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.field(at))
    }

    fn field<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut field = [0; N];
        field.copy_from_slice(&self.buffer[at..at + N]);
        field
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames() -> impl Strategy<Value = Frame> {
        let commit = any::<[u8; 16]>().prop_map(|nonce| Frame::Commit(Nonce(nonce)));
        let ack = (any::<[u8; 16]>(), any::<u32>())
            .prop_map(|(nonce, connection)| Frame::Ack(Choice { nonce: Nonce(nonce), connection }));
        let hello = (any::<u64>(), any::<[u8; 16]>(), any::<u32>(), any::<u16>()).prop_map(
            |(tag, nonce, connection, port)| {
                let (session, nonce) = (SessionTag(tag), Nonce(nonce));
                Frame::Hello(Hello { session, nonce, connection, port })
            },
        );
        prop_oneof![hello, commit, ack]
    }

    /// Feeds `stream` in pieces of at most `piece` bytes, taking only what is wanted.
    fn decode(stream: &[u8], piece: usize) -> Result<Vec<Frame>, WireError> {
        let mut decoder = Decoder::default();
        let mut frames = Vec::new();
        let mut rest = stream;
        while !rest.is_empty() {
            let taken = decoder.wants().min(piece).min(rest.len());
            frames.extend(decoder.push(&rest[..taken])?);
            rest = &rest[taken..];
        }
        Ok(frames)
    }

    proptest! {
        #[test]
        fn frames_are_decoded_from_pieces_of_any_size(
            sent in prop::collection::vec(frames(), 0..4), piece in 1_usize..50,
        ) {
            let stream: Vec<u8> = sent.iter().flat_map(Frame::encode).collect();
            prop_assert_eq!(decode(&stream, piece), Ok(sent));
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(
            stream in prop::collection::vec(any::<u8>(), 0..200), piece in 1_usize..50,
        ) {
            let _ = decode(&stream, piece);
        }
    }

    #[test]
    fn other_protocols_and_versions_are_recognised_by_their_first_bytes() {
        assert_eq!(decode(b"GET / HTTP/1.1\r\n", 1), Err(WireError::NotPunch));
        assert_eq!(decode(b"PNCH\x02", 5), Err(WireError::Version(2)));
        assert_eq!(decode(b"PNCH\x01\x09", 6), Err(WireError::Kind(9)));
    }

    #[test]
    fn different_sessions_have_different_tags() {
        assert_ne!(SessionTag::new("a"), SessionTag::new("b"));
        assert_eq!(SessionTag::new(""), SessionTag::default());
    }
}
