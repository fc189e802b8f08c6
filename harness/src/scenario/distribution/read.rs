//! Distributions in a scenario file, with what is wrong about them.

use super::super::error::Checked;
use super::super::key::{DefaultValue, Key, Kind, NumberRange};
use super::super::language::DISTRIBUTION;
use super::super::tree::{Table, Value};
use super::Distribution;

impl Table<'_, '_> {
    /// The number of a key or its distribution, or its default.
    pub(in crate::scenario) fn distribution(&self, name: &str) -> Distribution {
        let default = |default: DefaultValue| default.number().map(Distribution::Fixed);
        self.or_default(name, read, default)
    }
}

/// The distribution of a value: a number, or a table of one distribution.
fn read(value: &Value<'_, '_>) -> Checked<Distribution> {
    let key = value.key();
    if !value.raw().is_table() {
        return Ok(Distribution::Fixed(value.number()?));
    }
    let section = value.clone().section(&DISTRIBUTION)?;
    let kinds: Vec<_> = section.entries().collect();
    let [(kind, how)] = kinds.as_slice() else {
        let message = format!("`{}` needs one distribution, not {}", value.path(), kinds.len());
        return Err(value.problem(message, "one of them", help(key)));
    };
    match kind.get_ref().as_ref() {
        "uniform" => uniform(how, key),
        "normal" => normal(how, key),
        "exponential" => exponential(how, key),
        "choice" => choice(how, key),
        // Reported as an unknown key.
        _ => Ok(Distribution::Fixed(key.default.number().unwrap_or_default())),
    }
}

/// Help text that names all distributions.
fn help(key: &Key) -> String {
    let examples: Vec<String> = DISTRIBUTION
        .keys
        .iter()
        .map(|Key { name, example, .. }| format!("{{ {name} = {example} }}"))
        .collect();
    let [first, middle @ .., last] = examples.as_slice() else { return key.help() };
    let middle: String = middle
        .iter()
        .map(|example| format!(", `{example}`"))
        .collect();
    format!(
        "{}; or drawn anew for each trial, `{} = {first}`{middle} or `{last}`",
        key.help(),
        key.name
    )
}

fn uniform(bounds: &Value<'_, '_>, key: &Key) -> Checked<Distribution> {
    let items = bounds.items()?;
    let [first, second] = items.as_slice() else {
        let message = format!("`{}` must have two bounds, not {}", bounds.path(), items.len());
        return Err(bounds.wrong(message, "must be [low, high]"));
    };
    let (low, high) = (first.number_of(key)?, second.number_of(key)?);
    if low > high {
        return Err(bounds.problem(
            format!("`{}` has a lower bound above the upper one", bounds.path()),
            format!("{low} is more than {high}"),
            format!("write the lower bound first: [{high}, {low}]"),
        ));
    }
    Ok(Distribution::Uniform(low, high))
}

fn normal(value: &Value<'_, '_>, key: &Key) -> Checked<Distribution> {
    let section = value.clone().section(value.key().section())?;
    let place = section.require("mean")?;
    let mean = place.number_of(key)?;
    let sd = positive(&section, "sd", key)?;
    let (low, high) = bounds(value, &section, key, key.bounds().min)?;
    if !(low..=high).contains(&mean) {
        return Err(place.problem(
            format!("`{}` lies outside of its bounds, {low} and {high}", place.path()),
            "not among the values",
            "let the mean be between `min` and `max`",
        ));
    }
    Ok(Distribution::Normal { mean, sd, low, high })
}

fn exponential(value: &Value<'_, '_>, key: &Key) -> Checked<Distribution> {
    let section = value.clone().section(value.key().section())?;
    let mean = positive(&section, "mean", key)?;
    let (low, high) = bounds(value, &section, key, key.bounds().min.max(0.0))?;
    Ok(Distribution::Exponential { mean, low, high })
}

fn choice(value: &Value<'_, '_>, key: &Key) -> Checked<Distribution> {
    let items = value.items()?;
    if items.is_empty() {
        let message = format!("`{}` has nothing to choose from", value.path());
        return Err(value.wrong(message, "empty"));
    }
    items
        .iter()
        .map(|item| item.number_of(key))
        .collect::<Checked<_>>()
        .map(Distribution::Choice)
}

/// `min` and `max`. The defaults are `lowest` and the upper bound of the key.
fn bounds(
    value: &Value<'_, '_>,
    section: &Table<'_, '_>,
    key: &Key,
    lowest: f64,
) -> Checked<(f64, f64)> {
    let bound = |name: &str| section.given(name, |value| value.number_of(key));
    let low = bound("min")?.unwrap_or(lowest);
    let high = bound("max")?.unwrap_or(key.bounds().max);
    if low > high {
        let message = format!("`{}` has a `min` above its `max`", value.path());
        let label = format!("{low} is more than {high}");
        return Err(value.problem(message, label, "let `min` be the lower one"));
    }
    Ok((low, high))
}

/// A width above 0, in the unit of `key`.
fn positive(section: &Table<'_, '_>, name: &str, key: &Key) -> Checked<f64> {
    let value = section.require(name)?;
    let kind = Kind::Number(NumberRange { min: 0.0, ..*key.bounds() });
    let width = value.number_of(&Key { kind, ..*key })?;
    if width == 0.0 {
        let message = format!("`{}` must be above 0", value.path());
        return Err(value.problem(message, "zero", "a value that never varies is a plain number"));
    }
    Ok(width)
}
