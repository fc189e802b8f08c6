//! Names of a NAT's behaviours, as scenarios, reports and contradictions write them.

pub(crate) const NAME: &str = "name";
pub(crate) const MAPPING: &str = "mapping";
pub(crate) const FILTERING: &str = "filtering";
pub(crate) const ALLOCATION: &str = "allocation";
pub(crate) const DELTA: &str = "delta";
pub(crate) const BLOCK: &str = "block";
pub(crate) const UNSOLICITED: &str = "unsolicited";
pub(crate) const SIMULTANEOUS_OPEN: &str = "simultaneous_open";
pub(crate) const HAIRPIN: &str = "hairpin";
pub(crate) const SYN_TIMEOUT_S: &str = "syn_timeout_s";
pub(crate) const ESTABLISHED_TIMEOUT_S: &str = "established_timeout_s";
pub(crate) const CLOSE_TIMEOUT_S: &str = "close_timeout_s";
pub(crate) const ICMP_LIMIT: &str = "icmp_limit";
