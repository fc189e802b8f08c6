//! Ports of an attempt: their state, and their retry policies.
//!
//! The policy of a port follows from its index in the list of its bucket. Both peers derive the
//! same list, and so the same policies. Section 4 of `PROTOCOL.md` has the same tables.

use std::time::Duration;

use crate::proto::{bucket::Rule, connection::SocketId, schedule::ROLLING_PORTS, time::MonoTime};

use SynRetry::{Fresh, Kernel, Rotating};

/// Policy for unanswered SYNs, by a port's index in its bucket, modulo 8.
///
/// A fresh SYN less than one round trip after the last one destroys the handshake in progress, so
/// that half of the ports never send one.
const ROTATION: [SynRetry; 8] =
    [Kernel, Fresh, Kernel, Rotating, Kernel, Rotating, Kernel, Rotating];

/// The same under the `article` rule.
const ARTICLE_ROTATION: [SynRetry; 8] = [Kernel; 8];

/// Number of eager ports, which are the first in each bucket's list.
///
/// If both NATs answer with RST, two SYNs must cross on their way. The rate at which they cross on
/// one port is proportional to the product of both peers' rates on that port. Therefore a peer
/// sends most of its SYNs on few ports, the same on both sides. There are two, since another
/// program may use one of them.
const EAGER_PORTS: usize = 2;

/// Pauses after refusals on an eager port. The pause grows after some six seconds: by then the
/// peer has most likely not been started.
const EAGER_BACKOFF: Backoff =
    Backoff { prompt: 5, pause: Duration::from_millis(34), patient: 175, factor: 2 };

/// Pauses after refusals on any other port. The pause grows after one second: if both NATs refuse,
/// these ports matter only if the eager ones cannot be used.
///
/// With both constants, 16 ports send at most 250 SYNs in any second. If there are more ports
/// (fixed ones), this pause grows with their number.
const BACKOFF: Backoff =
    Backoff { prompt: 0, pause: Duration::from_millis(140), patient: 7, factor: 4 };

/// Number of ports for which the pauses are made: those of two buckets.
const USUAL_PORTS: usize = 2 * ROLLING_PORTS;

/// Pauses after errors of this machine (a 4-tuple in use, no route), which sent nothing, and after
/// connections that ended. As with [`BACKOFF`], the pause grows with the number of ports: a host
/// that accepts and closes each connection gets no more SYNs than one that refuses them.
const LOCAL_BACKOFF: Backoff =
    Backoff { prompt: 0, pause: Duration::from_millis(100), patient: 20, factor: 5 };

/// Time after which a port that could not be bound is tried again: the program that holds it may
/// have ended.
pub(super) const BIND_PAUSE: Duration = Duration::from_secs(5);

/// Time that a socket may spend in SYN_RECV before it is reset, by a port's index in its bucket,
/// modulo 8.
///
/// A SYN of anyone in the peer's name brings a socket into SYN_RECV, with a sequence number that
/// the peer never sent: without a limit the port would be lost for the two minutes that the kernel
/// waits. A handshake takes one round trip there, and with each lost segment a second more. A reset
/// destroys the handshake in progress, so that some ports wait for long.
const HALF_OPEN_LIMITS: [Duration; 8] = {
    [
        Duration::from_millis(2_500),
        Duration::from_millis(1_500),
        Duration::from_secs(5),
        Duration::from_millis(1_500),
        Duration::from_millis(2_500),
        Duration::from_millis(1_500),
        Duration::from_secs(10),
        Duration::from_millis(1_500),
    ]
};

/// Minimum time after which a socket in SYN_SENT is replaced by a fresh one.
///
/// With [`RESYN_SPREAD`] it ends shortly before the kernel would repeat the SYN. A fresh SYN right
/// after that repeat would destroy the handshake which the repeat has begun.
pub(super) const RESYN: Duration = Duration::from_millis(850);

/// Maximum of the random time that is added to [`RESYN`].
pub(super) const RESYN_SPREAD: Duration = Duration::from_millis(140);

/// Time from the start of an attempt in which rotating ports send fresh SYNs sooner: in rotation,
/// one per [`TURN`].
///
/// The earlier peer then completes its handshake one round trip after the later peer starts, not
/// one and a half: one of these SYNs reaches the later peer right after its start and is answered.
pub(super) const ROTATION_TIME: Duration = Duration::from_secs(5);

/// Time between the turns of two rotating ports.
const TURN: Duration = Duration::from_millis(20);

/// Minimum time between two turns of one port. On paths with a shorter round trip no handshake is
/// destroyed; on longer ones the other ports connect.
const MIN_ROUND: Duration = Duration::from_millis(120);

/// Maximum delay of a turn that leaves the port its next turn.
const MAX_TURN_DELAY: Duration = Duration::from_millis(10);

/// Delay of a new port for each port that the attempt has already.
///
/// Processes of two accounts of one machine cannot share a port. Whoever has fewer is first at the
/// next one, so that the later of two attempts has its first port when the next lane changes, and
/// in the end both have some.
pub(super) const COURTESY: Duration = Duration::from_millis(3);

/// A port in use.
#[derive(Debug)]
pub(super) struct Slot {
    /// Retry policy.
    pub(super) policy: PortPolicy,
    /// Whether a bucket in use has this port. If not, the slot is removed with its socket.
    pub(super) scheduled: bool,
    /// Whether the port is listened on.
    pub(super) listening: bool,
    /// Time of the latest connect.
    pub(super) connected_at: Option<MonoTime>,
    /// Number of refusals that arrived on this port.
    pub(super) refusals: u32,
    /// Number of errors of this machine, and of connections that ended.
    pub(super) local_errors: u32,
    /// State of the port.
    pub(super) state: SlotState,
}

/// State of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SlotState {
    /// A socket is connecting. At `resyn` it is replaced by a fresh one, or given up if no bucket
    /// in use has the port. `half_open`: when it was first seen in SYN_RECV.
    Connecting { socket: SocketId, resyn: Option<MonoTime>, half_open: Option<MonoTime> },
    /// The next connect is due at this time.
    Paused { until: MonoTime },
    /// A connection that this port has opened is established.
    Up { socket: SocketId },
    /// The port is not bound, or cannot be; the next try is due at this time.
    Unavailable { until: MonoTime },
}

/// Retry policy of a port. It follows from the port's index in the list of its bucket, so that both
/// peers derive the same one.
#[derive(Debug, Clone, Copy)]
pub(super) struct PortPolicy {
    /// Who repeats an unanswered SYN.
    pub(super) retry: SynRetry,
    /// Whether the pauses after refusals are short.
    eager: bool,
    /// Time that a socket may spend in SYN_RECV.
    pub(super) half_open_limit: Duration,
}

/// Who repeats an unanswered SYN. A port of two buckets has the later of its two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SynRetry {
    /// The attempt, by fresh sockets, in rotation during [`ROTATION_TIME`].
    Rotating,
    /// The attempt, by fresh sockets.
    Fresh,
    /// The kernel.
    Kernel,
}

/// Mean pauses after the refusals on a port.
#[derive(Debug)]
struct Backoff {
    /// Number of refusals that are each answered by a fresh socket at once.
    prompt: u32,
    /// Mean pause after each further refusal.
    pause: Duration,
    /// Number of refusals after which the pause grows.
    patient: u32,
    /// Factor by which it grows.
    factor: u32,
}

/// Place of a port among the rotating ones.
#[derive(Debug)]
pub(super) struct Rotation {
    /// Index of the port among the rotating ports, in ascending order.
    pub(super) rank: u32,
    /// Number of rotating ports.
    pub(super) count: u32,
}

impl Slot {
    /// A port that is bound at `due`.
    pub(super) fn new(policy: PortPolicy, due: MonoTime) -> Self {
        let state = SlotState::Unavailable { until: due };
        Self {
            policy,
            scheduled: true,
            listening: false,
            connected_at: None,
            refusals: 0,
            local_errors: 0,
            state,
        }
    }

    /// Whether this attempt holds the port.
    pub(super) fn is_bound(&self) -> bool {
        !matches!(self.state, SlotState::Unavailable { .. })
    }

    /// Whether the port takes turns with others.
    pub(super) fn is_rotating(&self) -> bool {
        self.scheduled && self.policy.retry == Rotating
    }

    /// Counts a refusal, and returns the mean pause that follows it. `ports` is the number of ports
    /// in use.
    pub(super) fn refused(&mut self, ports: usize) -> Duration {
        self.refusals = self.refusals.saturating_add(1);
        let (backoff, load) =
            if self.policy.eager { (EAGER_BACKOFF, 1) } else { (BACKOFF, port_load(ports)) };
        backoff.mean_pause(self.refusals, load)
    }

    /// Counts an error of this machine or a connection that ended, and returns the mean pause that
    /// follows it. `ports` is the number of ports in use.
    pub(super) fn failed_locally(&mut self, ports: usize) -> Duration {
        self.local_errors = self.local_errors.saturating_add(1);
        LOCAL_BACKOFF.mean_pause(self.local_errors, port_load(ports))
    }
}

/// Number of ports in use as a multiple of the usual number, rounded up.
fn port_load(ports: usize) -> u32 {
    u32::try_from(ports.div_ceil(USUAL_PORTS).max(1)).unwrap_or(u32::MAX)
}

impl PortPolicy {
    /// Policy of the port with this index in its bucket, or in the list of fixed ports.
    pub(super) fn new(rule: Option<Rule>, index: usize) -> Self {
        let rotation = match rule {
            Some(Rule::Article) => ARTICLE_ROTATION,
            Some(Rule::Rolling) | None => ROTATION,
        };
        Self {
            retry: rotation[index % rotation.len()],
            eager: index < EAGER_PORTS,
            half_open_limit: HALF_OPEN_LIMITS[index % HALF_OPEN_LIMITS.len()],
        }
    }

    /// Policy of a port that two buckets have.
    pub(super) fn merge(self, other: Self) -> Self {
        Self {
            retry: self.retry.max(other.retry),
            eager: self.eager || other.eager,
            half_open_limit: self.half_open_limit.max(other.half_open_limit),
        }
    }
}

impl Backoff {
    /// Mean of the random pause after refusal number `refusals`, if there are `load` times the
    /// usual number of ports.
    fn mean_pause(&self, refusals: u32, load: u32) -> Duration {
        if refusals <= self.prompt {
            Duration::ZERO
        } else if refusals <= self.patient {
            self.pause.saturating_mul(load)
        } else {
            self.pause.saturating_mul(load).saturating_mul(self.factor)
        }
    }
}

impl Rotation {
    /// The first turn of a port that is at least a round later than `since`, less
    /// [`MAX_TURN_DELAY`]. Both are times from the start of the attempt.
    pub(super) fn turn_after(&self, since: Duration) -> Duration {
        let round = MIN_ROUND.max(TURN * self.count);
        let first = TURN * self.rank;
        let soonest = (since + round).saturating_sub(first + MAX_TURN_DELAY);
        let rounds = u32::try_from(soonest.as_nanos().div_ceil(round.as_nanos()));
        first + round * rounds.unwrap_or(u32::MAX)
    }
}
