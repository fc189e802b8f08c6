//! Requirements of RFC 4787 (UDP) and RFC 5382 (TCP) that a NAT breaks.

use super::{Hairpin, Mapping, NatSpec, Unsolicited};

/// Linux's time-out after a SYN without an answer, in seconds.
const LINUX_SYN_S: u32 = 120;

/// Shortest time-outs that RFC 5382 REQ-5 allows, in seconds: established, and otherwise.
const ESTABLISHED_S: u32 = 7440;
const TRANSITORY_S: u32 = 240;

/// The requirements that a NAT breaks, each with its content. Recommendations are left out, such as
/// that of RFC 4787 REQ-8 on filtering.
pub(crate) fn broken(nat: &NatSpec) -> Vec<&'static str> {
    let timeouts = nat.timeouts;
    let forgets = timeouts.syn_s.unwrap_or(LINUX_SYN_S) < TRANSITORY_S
        || timeouts
            .close_s
            .is_some_and(|seconds| seconds < TRANSITORY_S)
        || timeouts
            .established_s
            .is_some_and(|seconds| seconds < ESTABLISHED_S);
    let rules = [
        (
            nat.mapping != Mapping::EndpointIndependent,
            "RFC 4787 REQ-1, RFC 5382 REQ-1: mapping is endpoint-independent",
        ),
        (
            nat.allocation.follows_inside_port(),
            "RFC 4787 REQ-3, RFC 5382 REQ-7: two inside hosts never share a port",
        ),
        (
            nat.hairpin != Hairpin::External,
            "RFC 4787 REQ-9, RFC 5382 REQ-8: hairpin, with the outside address as source",
        ),
        (!nat.simultaneous_open, "RFC 5382 REQ-2: simultaneous open works"),
        (
            nat.unsolicited != Unsolicited::Drop,
            "RFC 5382 REQ-4: an unsolicited SYN gets no answer for 6 s",
        ),
        (
            forgets,
            "RFC 5382 REQ-5: connections are remembered for 2 h 4 min, opening and closing ones \
             for 4 min",
        ),
    ];
    rules
        .into_iter()
        .filter(|(broken, _)| *broken)
        .map(|(_, requirement)| requirement)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nat::{Timeouts, catalogue::find};

    #[test]
    fn full_cone_breaks_only_the_time_outs_of_linux() {
        let mut nat = find("full-cone").unwrap().spec.unwrap();
        assert_eq!(broken(&nat).len(), 1);
        nat.timeouts = Timeouts { syn_s: Some(240), ..Timeouts::default() };
        assert_eq!(broken(&nat), Vec::<&str>::new());
    }
}
