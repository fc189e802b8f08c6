//! The NAT of a peer: a name of the catalogue, or a table in the terms of [`crate::nat`].

use toml::de::DeValue;

use super::error::{Checked, did_you_mean};
use super::language::NAT;
use super::tree::{Table, Value};
use crate::named::Named;
use crate::nat::{Allocation, Nat, NatSpec, PortBlock, catalogue, keys, possible::impossible};

/// A NAT by its name, or as a table with the differences from the catalogue.
pub(super) fn read(value: Value<'_, '_>) -> Checked<Nat> {
    if let DeValue::String(_) = value.raw() {
        return named(&value);
    }
    if !value.raw().is_table() {
        return Err(value.not("the name of a NAT, or a table", value.key().help()));
    }
    let whole = value.clone();
    let section = value.section(&NAT)?;
    let nat = match section.get(keys::NAME) {
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

/// The NAT of a table: `base` with the differences.
fn described(section: &Table<'_, '_>, base: NatSpec) -> Checked<NatSpec> {
    let allocation = allocation(section, base.allocation)?;
    // An allocation alone stands for the known NATs that have it.
    let mapping = match section.get(keys::ALLOCATION) {
        Some(_) => allocation.usual_mapping(),
        None => base.mapping,
    };
    let flag = |key, base| Ok(section.given(key, Value::flag)?.unwrap_or(base));
    let mut timeouts = base.timeouts;
    for (key, timeout) in [
        (keys::SYN_TIMEOUT_S, &mut timeouts.syn_s),
        (keys::ESTABLISHED_TIMEOUT_S, &mut timeouts.established_s),
        (keys::CLOSE_TIMEOUT_S, &mut timeouts.close_s),
    ] {
        if let Some(seconds) = section.given(key, Value::whole)? {
            *timeout = Some(u32::try_from(seconds).expect("checked to be at most a day"));
        }
    }
    Ok(NatSpec {
        name: base.name,
        mapping: choice(section, keys::MAPPING, mapping)?,
        filtering: choice(section, keys::FILTERING, base.filtering)?,
        allocation,
        unsolicited: choice(section, keys::UNSOLICITED, base.unsolicited)?,
        simultaneous_open: flag(keys::SIMULTANEOUS_OPEN, base.simultaneous_open)?,
        hairpin: choice(section, keys::HAIRPIN, base.hairpin)?,
        timeouts,
        icmp_limit: flag(keys::ICMP_LIMIT, base.icmp_limit)?,
    })
}

fn choice<T: Named>(section: &Table<'_, '_>, key: &str, base: T) -> Checked<T> {
    Ok(section.given(key, Value::choice)?.unwrap_or(base))
}

/// Allocation with its numbers.
fn allocation(section: &Table<'_, '_>, base: Allocation) -> Checked<Allocation> {
    let mut allocation: Allocation = choice(section, keys::ALLOCATION, base)?;
    for (key, wanted) in [(keys::DELTA, "fixed-delta"), (keys::BLOCK, "block")] {
        let Some(value) = section.get(key) else { continue };
        match (&mut allocation, key) {
            (Allocation::FixedDelta(delta), keys::DELTA) => *delta = port(value.whole()?),
            (Allocation::Block(block), keys::BLOCK) => *block = self::block(&value)?,
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

fn block(value: &Value<'_, '_>) -> Checked<PortBlock> {
    let items = value.items()?;
    let [first, last] = items.as_slice() else {
        let message = format!("`{}` must have two ports, not {}", value.path(), items.len());
        return Err(value.wrong(message, "must be [lowest, highest]"));
    };
    let item = |value: &Value<'_, '_>| Ok(port(value.whole_within(1024, 65_535)?));
    Ok(PortBlock { first: item(first)?, last: item(last)? })
}

fn port(number: u64) -> u16 {
    u16::try_from(number).expect("checked to be at most 65535")
}

/// Reports behaviours beside the name `none`: a public host has no NAT.
fn public_host(section: &Table<'_, '_>) -> Checked<Nat> {
    for key in NAT.keys.iter().filter(|key| key.name != keys::NAME) {
        if let Some(value) = section.get(key.name) {
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
    let name = value.text()?;
    Nat::named(name).ok_or_else(|| {
        let help = did_you_mean(name, &catalogue::names()) + &value.key().help();
        value.problem(format!("there is no NAT \"{name}\""), "unknown NAT", help)
    })
}
