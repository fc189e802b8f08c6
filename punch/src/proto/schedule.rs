//! From a bucket to ports: both peers derive the same list. `PROTOCOL.md` states it exactly.

use std::{collections::BTreeSet, fmt, ops::RangeInclusive, str::FromStr};

use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};

use super::{
    bucket::{Buckets, Rule},
    names::{self, UnknownName},
    time::WallTime,
    wire::SessionTag,
};

/// Number of ports of one bucket under the `rolling` rule. Two buckets have as many as the one of
/// the article. At a loss of 30 %, the first of 8 ports is connected as early as without loss.
pub(super) const ROLLING_PORTS: usize = 8;

/// Number of ports of the one bucket under the `article` rule.
const ARTICLE_PORTS: usize = 16;

/// The article's multiplier.
const LARGE_PRIME: i128 = 2_654_435_761;

/// The article's modulus: 2³² − 1.
const BOUNDARY_MODULUS: i128 = 0xFFFF_FFFF;

/// The ports from which a schedule draws: a range, except some ports in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortSpace {
    /// In ascending order, and apart from each other.
    parts: Vec<RangeInclusive<u16>>,
}

impl PortSpace {
    /// The range of the `rolling` rule, a constant of the protocol: 2024 to 32767, which is below
    /// Linux's default ephemeral range. It leaves out 5060, 5061 and 10000 to 20000, where NATs may
    /// have application level gateways for SIP and RTP.
    pub fn rolling() -> Self {
        Self { parts: vec![2024..=5059, 5062..=9999, 20_001..=32_767] }
    }

    /// The range of the article's program: 30000 to 49999.
    pub fn article() -> Self {
        Self { parts: vec![30_000..=49_999] }
    }

    /// Number of ports.
    fn size(&self) -> u32 {
        self.parts.iter().map(size).sum()
    }

    /// The port with this index, in ascending order from 0.
    fn port(&self, mut index: u32) -> Option<u16> {
        for part in &self.parts {
            if index < size(part) {
                return u16::try_from(u32::from(*part.start()) + index).ok();
            }
            index -= size(part);
        }
        None
    }
}

fn size(part: &RangeInclusive<u16>) -> u32 {
    u32::from(*part.end()) - u32::from(*part.start()) + 1
}

/// The generator that turns a boundary into ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Schedule {
    /// ChaCha20. `PROTOCOL.md` states how.
    #[default]
    ChaCha20,
    /// Python's `random.Random(boundary)`, as in the article's published program. It ignores the
    /// session and the port space: its ports are always those of [`PortSpace::article`].
    #[cfg(feature = "mt19937")]
    Mt19937,
}

impl Schedule {
    /// Every schedule with its name, which [`Display`](fmt::Display) writes and [`FromStr`] reads.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("chacha20", Self::ChaCha20),
        #[cfg(feature = "mt19937")]
        ("mt19937", Self::Mt19937),
    ];
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(names::name(Self::NAMES, *self))
    }
}

impl FromStr for Schedule {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        names::parse(Self::NAMES, name)
    }
}

impl Schedule {
    /// `count` distinct ports for a bucket, in the order in which they are drawn.
    pub fn ports(
        self,
        bucket: i64,
        session: SessionTag,
        space: &PortSpace,
        count: usize,
    ) -> Vec<u16> {
        match self {
            Self::ChaCha20 => ports(bucket, session, space, count),
            #[cfg(feature = "mt19937")]
            Self::Mt19937 => mt19937_ports(bucket, count),
        }
    }
}

/// The ports of one bucket, in the order in which they are drawn.
pub fn bucket_ports(rule: Rule, schedule: Schedule, bucket: i64, session: SessionTag) -> Vec<u16> {
    let (space, count) = match rule {
        Rule::Rolling => (PortSpace::rolling(), ROLLING_PORTS),
        Rule::Article => (PortSpace::article(), ARTICLE_PORTS),
    };
    schedule.ports(bucket, session, &space, count)
}

/// The ports of all buckets in use when the clock reads `wall`.
pub fn scheduled_ports(
    buckets: Buckets,
    schedule: Schedule,
    wall: WallTime,
    session: SessionTag,
) -> BTreeSet<u16> {
    let ports = |bucket| bucket_ports(buckets.rule(), schedule, bucket, session);
    buckets.at(wall).flat_map(ports).collect()
}

/// The ports of the published program: 30000 plus `randint(0, 19999)`, until `count` are distinct.
///
/// CPython seeds MT19937 with the 32-bit words of the integer. It takes the upper 15 bits of each
/// output, and skips values of 20000 or more.
#[cfg(feature = "mt19937")]
fn mt19937_ports(bucket: i64, count: usize) -> Vec<u16> {
    const BASE: u16 = 30_000;
    const RANGE: u16 = 20_000;
    const BITS: u32 = 15;
    let mut generator = rand_mt::Mt::new_with_key([boundary(bucket)]);
    let count = count.min(RANGE.into());
    let mut drawn = Vec::with_capacity(count);
    let mut seen = BTreeSet::new();
    while drawn.len() < count {
        let top = u16::try_from(generator.next_u32() >> (32 - BITS)).expect("15 bits fit in 16");
        if top < RANGE && seen.insert(top) {
            drawn.push(BASE + top);
        }
    }
    drawn
}

/// The article's `stable_boundary`: (bucket · 2654435761) mod (2³² − 1), never negative.
pub fn boundary(bucket: i64) -> u32 {
    let boundary = (i128::from(bucket) * LARGE_PRIME).rem_euclid(BOUNDARY_MODULUS);
    u32::try_from(boundary).expect("a remainder of 2³² − 1 fits in 32 bits")
}

/// `count` distinct ports of `space` for a bucket and a session, in the order in which they are
/// drawn.
///
/// The ChaCha20 key is the boundary (4 bytes, little-endian), 4 zero bytes, the session tag
/// (8 bytes, as on the wire) and 16 zero bytes. Nonce and counter are zero. The key stream is read
/// as 32-bit words, little-endian. Let n be the number of ports of the space. A word w gives the
/// port with index w mod n. It is skipped if it is not below the largest multiple of n that is at
/// most 2³², or if its port was drawn before. If `count` is more than n, all n ports are drawn.
pub fn ports(bucket: i64, session: SessionTag, space: &PortSpace, count: usize) -> Vec<u16> {
    let n = space.size();
    let mut key = [0; 32];
    key[..4].copy_from_slice(&boundary(bucket).to_le_bytes());
    key[8..16].copy_from_slice(&session.to_bytes());
    let mut stream = ChaCha20Rng::from_seed(key);

    let limit = u32::MAX - (u32::MAX % n + 1) % n;
    let count = count.min(n as usize);
    let mut drawn = Vec::with_capacity(count);
    let mut seen = BTreeSet::new();
    while drawn.len() < count {
        let word = stream.next_u32();
        if let Some(port) = space.port(word % n)
            && word <= limit
            && seen.insert(port)
        {
            drawn.push(port);
        }
    }
    drawn
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn boundaries_are_those_of_the_published_program() {
        let published =
            [(-1, 1_640_531_534), (0, 0), (1, 2_654_435_761), (23_809_523, 1_830_701_273)];
        for (bucket, expected) in published {
            assert_eq!(boundary(bucket), expected, "bucket {bucket}");
        }
    }

    #[test]
    fn the_rolling_space_leaves_out_ports_of_sip_and_rtp() {
        let space = PortSpace::rolling();
        assert_eq!(space.size(), 20_741);
        let ports: Vec<u16> = (0..).map_while(|index| space.port(index)).collect();
        assert_eq!(ports.len(), 20_741);
        assert!(ports.is_sorted());
        for port in [2023, 5060, 5061, 10_000, 20_000, 32_768] {
            assert!(!ports.contains(&port), "{port}");
        }
        for port in [2024, 5059, 5062, 9_999, 20_001, 32_767] {
            assert!(ports.contains(&port), "{port}");
        }
    }

    #[test]
    fn a_count_above_the_size_of_the_space_gives_all_its_ports() {
        let space = PortSpace { parts: vec![4000..=4000, 4002..=4003] };
        let mut all = ports(7, SessionTag::default(), &space, 8);
        all.sort_unstable();
        assert_eq!(all, [4000, 4002, 4003]);
    }

    /// The published program's ports, for every time in the vectors.
    #[cfg(feature = "mt19937")]
    #[test]
    fn mt19937_gives_the_ports_of_the_published_program() {
        use std::time::Duration;

        let file = include_str!("../../tests/vectors/reference-schedule.json");
        let file: serde_json::Value = serde_json::from_str(file).unwrap();
        let buckets = Buckets::new(Rule::Article, Duration::from_secs(20));
        let vectors = file["vectors"].as_array().unwrap();
        assert_eq!(vectors.len(), 13);
        for vector in vectors {
            let now = WallTime::from_secs(vector["now"].as_i64().unwrap());
            let bucket = *buckets.at(now).start();
            assert_eq!(bucket, vector["bucket"].as_i64().unwrap(), "{now:?}");
            assert_eq!(u64::from(boundary(bucket)), vector["boundary"].as_u64().unwrap());
            let space = PortSpace::article();
            let mut ports = Schedule::Mt19937.ports(bucket, SessionTag::default(), &space, 16);
            ports.sort_unstable_by_key(|port| std::cmp::Reverse(*port));
            let published: Vec<u16> = serde_json::from_value(vector["ports"].clone()).unwrap();
            assert_eq!(ports, published, "{now:?}");
        }
    }

    proptest! {
        #[test]
        fn drawn_ports_are_distinct_and_of_the_space(bucket: i64) {
            let space = PortSpace::rolling();
            let mut drawn = ports(bucket, SessionTag::default(), &space, 8);
            prop_assert!(drawn.iter().all(|port| space.parts.iter().any(|part| part.contains(port))));
            drawn.sort_unstable();
            drawn.dedup();
            prop_assert_eq!(drawn.len(), 8);
        }
    }
}
