//! The NAT of a peer: a name of the catalogue, or a table in the terms of [`crate::nat`].

use toml::de::DeValue;

use super::error::{Checked, did_you_mean, list};
use super::keys;
use super::tree::{Section, Value};
use crate::nat::{
    Allocation, Nat, NatSpec, PortBlock, catalogue,
    possible::{DELTAS, MIN_BLOCK, impossible},
};

/// A NAT by its name alone, or as a table that also says what differs from the catalogue.
pub(super) fn read(value: Value<'_, '_>) -> Checked<Nat> {
    if let DeValue::String(_) = value.raw() {
        return named(&value);
    }
    if !value.raw().is_table() {
        return Err(value.not("the name of a NAT, or a table", help()));
    }
    let whole = value.clone();
    let section = value.section(keys::NAT)?;
    let nat = match section.get("name") {
        Some(name) => named(&name)?,
        None => Nat::home(),
    };
    let spec = match nat {
        Nat::Behind(spec) => described(&section, spec)?,
        Nat::Public => return public_host(&section),
    };
    if let Some(contradiction) = impossible(&spec) {
        let place = section.get(contradiction.key).unwrap_or(whole);
        let label = "contradicts the rest of this NAT";
        return Err(place.problem(contradiction.reason, label, contradiction.instead));
    }
    Ok(Nat::Behind(spec))
}

/// What a table says of a NAT, on top of `base`.
fn described(section: &Section<'_, '_>, base: NatSpec) -> Checked<NatSpec> {
    let allocation = allocation(section, base.allocation)?;
    // Whoever names only the allocation means the NATs that are known to have it.
    let mapping = match section.get("allocation") {
        Some(_) => allocation.usual_mapping(),
        None => base.mapping,
    };
    let mut spec = NatSpec {
        mapping: section.choice("mapping", mapping)?,
        filtering: section.choice("filtering", base.filtering)?,
        allocation,
        unsolicited: section.choice("unsolicited", base.unsolicited)?,
        hairpin: section.choice("hairpin", base.hairpin)?,
        ..base
    };
    if let Some(value) = section.get("simultaneous_open") {
        spec.simultaneous_open = value.flag(SIMULTANEOUS_OPEN_HELP)?;
    }
    if let Some(value) = section.get("icmp_limit") {
        spec.icmp_limit = value.flag(ICMP_LIMIT_HELP)?;
    }
    let timeouts = &mut spec.timeouts;
    for (key, timeout, what) in [
        ("syn_timeout_s", &mut timeouts.syn_s, "a SYN that nobody answers"),
        ("established_timeout_s", &mut timeouts.established_s, "an idle connection"),
        ("close_timeout_s", &mut timeouts.close_s, "a connection that was closed"),
    ] {
        if let Some(value) = section.get(key) {
            let help = format!(
                "`{key}` is how long the NAT remembers {what}: whole seconds from 1 to \
                 {MAX_TIMEOUT_S}, such as `{key} = 5`"
            );
            let seconds = value.whole(1, MAX_TIMEOUT_S, &help)?;
            *timeout = Some(u32::try_from(seconds).expect("checked to be less"));
        }
    }
    Ok(spec)
}

/// A day.
pub(super) const MAX_TIMEOUT_S: u64 = 86_400;

const SIMULTANEOUS_OPEN_HELP: &str = "`simultaneous_open` says whether a SYN from outside may meet \
    one from inside, or every SYN from outside is dropped: true or false, without quotes";

const ICMP_LIMIT_HELP: &str = "`icmp_limit` says whether the NAT limits its ICMP errors as Linux \
    does, or answers every single SYN: true or false, without quotes";

/// The allocation, with its numbers.
fn allocation(section: &Section<'_, '_>, base: Allocation) -> Checked<Allocation> {
    let mut allocation: Allocation = section.choice("allocation", base)?;
    for (key, wanted) in [("delta", "fixed-delta"), ("block", "block")] {
        let Some(value) = section.get(key) else { continue };
        match (&mut allocation, key) {
            (Allocation::FixedDelta(delta), "delta") => *delta = self::delta(&value)?,
            (Allocation::Block(block), "block") => *block = self::block(&value)?,
            _ => {
                return Err(value.problem(
                    format!("`{}` has no meaning with allocation \"{allocation}\"", value.path()),
                    "belongs to another allocation",
                    format!("write `allocation = \"{wanted}\"`, or leave `{key}` out"),
                ));
            }
        }
    }
    Ok(allocation)
}

fn delta(value: &Value<'_, '_>) -> Checked<u16> {
    let (least, most) = (*DELTAS.start(), *DELTAS.end());
    let help = format!(
        "`delta` is what the NAT adds to the inside port: a whole number from {least} to {most}, \
         such as `delta = 1000`"
    );
    let delta = value.whole(least.into(), most.into(), &help)?;
    Ok(u16::try_from(delta).expect("checked to be within the bounds"))
}

fn block(value: &Value<'_, '_>) -> Checked<PortBlock> {
    let help = format!(
        "`block` is the lowest and the highest outside port, from 1024 to 65535 and at least \
         {MIN_BLOCK} ports: `block = [61440, 61951]`"
    );
    let items = value.items(&help)?;
    let [first, last] = items.as_slice() else {
        let message = format!("`{}` must have two ports, not {}", value.path(), items.len());
        return Err(value.problem(message, "must be [lowest, highest]", help));
    };
    let port = |value: &Value<'_, '_>| {
        let port = value.whole(1024, 65_535, &help)?;
        Ok(u16::try_from(port).expect("checked to be a port"))
    };
    Ok(PortBlock { first: port(first)?, last: port(last)? })
}

/// A public host has no NAT whose behaviour could be described.
fn public_host(section: &Section<'_, '_>) -> Checked<Nat> {
    for key in keys::NAT.iter().filter(|key| **key != "name") {
        if let Some(value) = section.get(key) {
            return Err(value.problem(
                format!("`{}` has no meaning without a NAT", value.path()),
                "the NAT is \"none\"",
                "leave it out where the NAT is \"none\"; to sweep NATs with and without it, sweep \
                 `nat` itself: [\"none\", { name = \"home\", unsolicited = \"reset\" }]",
            ));
        }
    }
    Ok(Nat::Public)
}

fn named(value: &Value<'_, '_>) -> Checked<Nat> {
    let name = value.text(&help())?;
    Nat::named(name).ok_or_else(|| {
        let help = did_you_mean(name, &catalogue::names()) + &help();
        value.problem(format!("there is no NAT \"{name}\""), "unknown NAT", help)
    })
}

fn help() -> String {
    format!("the NATs are {}", list(&catalogue::names()))
}
