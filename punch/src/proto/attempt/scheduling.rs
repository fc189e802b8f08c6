//! Ports of an attempt and their sockets: which ports are in use by the clock, and when each
//! connects.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Attempt, HANDSHAKE,
    interface::{Action, PortSource},
    port::{
        COURTESY, PortPolicy, RESYN, RESYN_SPREAD, ROTATION_TIME, Rotation, Slot, SlotState,
        SynRetry,
    },
};
use crate::proto::{
    bucket::Buckets,
    connection::SocketId,
    event::EventKind,
    schedule::numbered_ports,
    time::{MonoTime, WallTime},
};

impl Attempt {
    /// Changes the ports in use to those of the clock, if these are others.
    pub(super) fn look_at_clock(&mut self, now: MonoTime, wall: WallTime) {
        let PortSource::Clock { buckets, .. } = &self.config.ports else { return };
        let Some(change) = buckets.next_change(wall) else { return };
        self.next_ports = Some(now + change.since(wall));
        if self.lanes != first_buckets(*buckets, wall) {
            self.schedule_ports(now, wall);
        }
    }

    /// Has the connecting sockets inspected.
    pub(super) fn inspect(&mut self) {
        for slot in self.slots.values() {
            if let SlotState::Connecting { socket, .. } = slot.state {
                self.actions.push_back(Action::Inspect { socket });
            }
        }
    }

    /// Puts the ports of this reading of the clock into use, and takes the others out of use.
    pub(super) fn schedule_ports(&mut self, now: MonoTime, wall: WallTime) {
        let (buckets, ports) = self.ports_at(wall);
        if let PortSource::Clock { buckets, .. } = &self.config.ports {
            self.lanes = first_buckets(*buckets, wall);
            self.next_ports = buckets
                .next_change(wall)
                .map(|change| now + change.since(wall));
        }
        self.report(now, EventKind::Ports { buckets, ports: ports.keys().copied().collect() });

        let left: Vec<u16> = self
            .slots
            .keys()
            .copied()
            .filter(|port| !ports.contains_key(port))
            .collect();
        for port in left {
            self.leave_port(now, port);
        }
        let kept = self
            .slots
            .values()
            .filter(|slot| slot.scheduled && slot.is_bound());
        let due = now + COURTESY * u32::try_from(kept.count()).unwrap_or(u32::MAX);
        let mut new = Vec::new();
        for (port, policy) in ports {
            if let Some(slot) = self.slots.get_mut(&port) {
                (slot.scheduled, slot.policy) = (true, policy);
            } else {
                self.slots.insert(port, Slot::new(policy, due));
                new.push(port);
            }
        }
        for port in new {
            self.slot_timeout(now, port);
        }
    }

    /// Buckets in use and the policies of their ports.
    fn ports_at(&self, wall: WallTime) -> (Vec<i64>, BTreeMap<u16, PortPolicy>) {
        let (buckets, rule, numbered) = match &self.config.ports {
            PortSource::Fixed(ports) => {
                (Vec::new(), None, ports.iter().copied().enumerate().collect())
            }
            PortSource::Clock { buckets, schedule } => {
                let numbered = numbered_ports(*buckets, *schedule, wall, self.config.session);
                (buckets.in_use(wall).collect(), Some(buckets.rule()), numbered)
            }
        };
        let mut policies: BTreeMap<u16, PortPolicy> = BTreeMap::new();
        for (number, port) in numbered {
            let policy = PortPolicy::new(rule, number);
            policies
                .entry(port)
                .and_modify(|other| *other = other.merge(policy))
                .or_insert(policy);
        }
        (buckets, policies)
    }

    pub(super) fn ports_in_use(&self) -> usize {
        self.slots.values().filter(|slot| slot.scheduled).count()
    }

    /// Takes a port out of use that no bucket in use has. A SYN in flight gets [`HANDSHAKE`] to be
    /// answered. If the socket were closed first, the answer would meet no socket, and the RST of
    /// this side would abort the peer's attempt too.
    fn leave_port(&mut self, now: MonoTime, port: u16) {
        let Some(slot) = self.slots.get_mut(&port) else { return };
        if !slot.scheduled {
            return;
        }
        slot.scheduled = false;
        match slot.state {
            SlotState::Connecting { socket, half_open, .. } => {
                let resyn = Some(now + HANDSHAKE);
                slot.state = SlotState::Connecting { socket, resyn, half_open };
            }
            SlotState::Up { .. } => self.unlisten(port),
            SlotState::Paused { .. } | SlotState::Unavailable { .. } => self.forget_port(port),
        }
    }

    pub(super) fn listen(&mut self, port: u16) {
        if let Some(slot) = self.slots.get_mut(&port).filter(|_| self.config.listen) {
            slot.listening = true;
            self.actions.push_back(Action::Listen { port });
        }
    }

    fn unlisten(&mut self, port: u16) {
        let slot = self.slots.get_mut(&port);
        if slot.is_some_and(|slot| std::mem::take(&mut slot.listening)) {
            self.actions.push_back(Action::Unlisten { port });
        }
    }

    fn forget_port(&mut self, port: u16) {
        self.unlisten(port);
        self.slots.remove(&port);
    }

    fn connect(&mut self, now: MonoTime, port: u16) {
        self.statistics.connects += 1;
        let socket = self.new_socket(port);
        let resyn = self.resyn(now, port);
        let Some(slot) = self.slots.get_mut(&port) else { return };
        slot.state = SlotState::Connecting { socket, resyn, half_open: None };
        slot.connected_at = Some(now);
        self.actions.push_back(Action::Connect { socket, port });
        self.report(now, EventKind::Connect { port });
    }

    /// Time at which the SYN that a port sends at `now` is followed by a fresh one.
    fn resyn(&mut self, now: MonoTime, port: u16) -> Option<MonoTime> {
        let since = now.since(self.started);
        match self.slots.get(&port)?.policy.retry {
            SynRetry::Kernel => None,
            SynRetry::Rotating if since < ROTATION_TIME => {
                Some(self.started + self.rotation(port).turn_after(since))
            }
            SynRetry::Rotating | SynRetry::Fresh => Some(now + RESYN + self.uniform(RESYN_SPREAD)),
        }
    }

    /// Place of a port among the rotating ones.
    fn rotation(&self, port: u16) -> Rotation {
        let mut rotation = Rotation { rank: 0, count: 0 };
        for (&other, _) in self.slots.iter().filter(|(_, slot)| slot.is_rotating()) {
            rotation.count += 1;
            rotation.rank += u32::from(other < port);
        }
        rotation
    }

    pub(super) fn slot_timeout(&mut self, now: MonoTime, port: u16) {
        let Some(slot) = self.slots.get_mut(&port) else { return };
        match slot.state {
            SlotState::Paused { until } if now >= until => self.connect(now, port),
            SlotState::Unavailable { until } if now >= until => {
                self.listen(port);
                self.connect(now, port);
            }
            SlotState::Connecting { socket, resyn: Some(due), half_open } if now >= due => {
                // If the socket has to stay, the action is repeated after another interval.
                let resyn = Some(now + RESYN);
                slot.state = SlotState::Connecting { socket, resyn, half_open };
                self.actions.push_back(Action::Abandon { socket });
            }
            SlotState::Paused { .. }
            | SlotState::Connecting { .. }
            | SlotState::Up { .. }
            | SlotState::Unavailable { .. } => {}
        }
    }

    /// Forgets a socket that failed on this machine or whose connection ended, and connects its
    /// port anew after a pause.
    pub(super) fn drop_failed(&mut self, now: MonoTime, socket: SocketId) {
        let in_use = self.ports_in_use();
        let port = self.sockets.get(&socket).copied();
        let slot = port.and_then(|port| self.slots.get_mut(&port));
        let pause = slot.map_or(Duration::ZERO, |slot| slot.failed_locally(in_use));
        self.drop_socket(now, socket, pause);
    }

    /// Forgets a socket, and connects its port again after a random pause, which is uniform between
    /// half and one and a half times `mean`.
    pub(super) fn drop_socket(&mut self, now: MonoTime, socket: SocketId, mean: Duration) {
        let Some(port) = self.sockets.remove(&socket) else { return };
        let pause = mean / 2 + self.uniform(mean);
        let Some(slot) = self.slots.get_mut(&port) else { return };
        let own = match slot.state {
            SlotState::Connecting { socket: own, .. } | SlotState::Up { socket: own } => own,
            SlotState::Paused { .. } | SlotState::Unavailable { .. } => return,
        };
        if own != socket {
            return;
        }
        if !slot.scheduled {
            self.forget_port(port);
        } else if pause.is_zero() {
            self.connect(now, port);
        } else {
            slot.state = SlotState::Paused { until: now + pause };
        }
    }
}

/// The first bucket in use of each lane.
fn first_buckets(buckets: Buckets, wall: WallTime) -> Vec<i64> {
    (0..buckets.lanes())
        .map(|lane| *buckets.at(wall, lane).start())
        .collect()
}
