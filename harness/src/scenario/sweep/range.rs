//! Ranges of swept values: `{ from = 0, to = 40, step = 5 }`.

use toml::de::{DeTable, DeValue};

use super::super::error::Checked;
use super::super::language::{RANGE, RANGE_KEYS};
use super::super::tree::{Value, as_f64, as_i128};

/// Limit of the numbers in a range.
const MAX_NUMBER: f64 = 1e12;

/// Whether a table is a range, not a part of a path.
pub(in super::super) fn is_range(table: &DeTable<'_>) -> bool {
    RANGE_KEYS.keys.iter().any(|key| {
        table
            .get(key.name)
            .is_some_and(|value| !value.get_ref().is_table())
    })
}

/// Evenly spaced numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Range {
    from: f64,
    step: f64,
    /// Number of values, at least one.
    pub(super) count: u64,
    /// Digits after the point, as in `from` and `step`. `None` if all three are whole numbers: then
    /// the values are whole numbers too.
    decimals: Option<usize>,
}

impl Range {
    /// Reads a range.
    pub(super) fn read(value: Value<'_, '_>) -> Checked<Self> {
        let path = value.path().to_owned();
        let section = value.clone().of(&RANGE).section(&RANGE_KEYS)?;
        let number = |key: &str| {
            let value = section.require(key)?;
            let number = match value.raw() {
                DeValue::Integer(integer) => as_f64(integer).filter(|_| as_i128(integer).is_some()),
                DeValue::Float(float) => float.as_str().parse().ok(),
                DeValue::String(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_)
                | DeValue::Array(_)
                | DeValue::Table(_) => return Err(value.not("a number", RANGE.help)),
            };
            let number: Option<f64> = number.filter(|number: &f64| number.abs() < MAX_NUMBER);
            let number = number.ok_or_else(|| {
                value.problem(format!("`{}` is out of range", value.path()), "no bound", RANGE.help)
            })?;
            Ok((number, decimals(value.raw())))
        };
        let ((from, from_decimals), (to, to_decimals), (step, step_decimals)) =
            (number("from")?, number("to")?, number("step")?);
        if step == 0.0 {
            let step = section.require("step")?;
            return Err(step.problem(
                format!("the steps of `{path}` are zero"),
                "zero",
                RANGE.help,
            ));
        }
        // Slightly more than the quotient, since 0.3 / 0.1 is slightly less than 3.
        let steps = ((to - from) / step + 1e-9).floor();
        if steps < 0.0 {
            let message = format!("the range of `{path}` never gets from {from} to {to}");
            let help = format!("{}; a range that falls has a negative step", RANGE.help);
            return Err(value.problem(message, format!("{step} leads away from it"), help));
        }
        if steps >= MAX_NUMBER {
            let message = format!("the range of `{path}` has more than {MAX_NUMBER} values");
            return Err(value.problem(message, "too many steps", RANGE.help));
        }
        let whole = [from_decimals, to_decimals, step_decimals]
            .iter()
            .all(Option::is_none);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to MAX_NUMBER"
        )]
        let count = steps as u64 + 1;
        let decimals = from_decimals
            .unwrap_or(0)
            .max(step_decimals.unwrap_or(0))
            .max(1);
        Ok(Self { from, step, count, decimals: (!whole).then_some(decimals) })
    }

    /// The values as a TOML list.
    pub(super) fn text(&self) -> String {
        let value = |index: u64| {
            let value = self.from + self.step * index as f64;
            format!("{value:.*}", self.decimals.unwrap_or(0))
        };
        let values: Vec<String> = (0..self.count).map(value).collect();
        format!("[{}]", values.join(","))
    }
}

/// Digits after the point; `None` of a whole number.
fn decimals(value: &DeValue<'_>) -> Option<usize> {
    /// Limit of the digits: an exponent may ask for thousands.
    const MAX_DIGITS: i64 = 15;
    let DeValue::Float(float) = value else { return None };
    let (digits, exponent) = float
        .as_str()
        .split_once(['e', 'E'])
        .unwrap_or((float.as_str(), "0"));
    let written = digits
        .split_once('.')
        .map_or(0, |(_, fraction)| fraction.len());
    let exponent: i64 = exponent.parse().unwrap_or(0);
    let decimals = i64::try_from(written)
        .unwrap_or(MAX_DIGITS)
        .saturating_sub(exponent)
        .clamp(0, MAX_DIGITS);
    usize::try_from(decimals).ok()
}
