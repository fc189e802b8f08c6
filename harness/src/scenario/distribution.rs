//! Reading values that may be drawn anew for each trial.

use super::Draw;
use super::error::Checked;
use super::keys::{self, Number};
use super::tree::{Section, Value};

/// A number, or how it is drawn.
pub(super) fn read(section: &Section<'_, '_>, spec: &Number) -> Checked<Draw> {
    let Some(value) = section.get(spec.key) else { return Ok(Draw::Fixed(spec.default)) };
    if !value.raw().is_table() {
        return Ok(Draw::Fixed(value.number(spec)?));
    }
    let help = help(spec);
    let section = value.clone().section(keys::DRAW)?;
    let kinds: Vec<_> = section.entries().collect();
    let [(kind, how)] = kinds.as_slice() else {
        let message = format!("`{}` needs one distribution, not {}", value.path(), kinds.len());
        return Err(value.problem(message, "one of them", help));
    };
    match kind.get_ref().as_ref() {
        "uniform" => uniform(how, spec, &help),
        "normal" => normal(how.clone(), spec, &help),
        "exponential" => exponential(how.clone(), spec, &help),
        "choice" => choice(how, spec, &help),
        // Noted as an unknown key.
        _ => Ok(Draw::Fixed(spec.default)),
    }
}

fn help(spec: &Number) -> String {
    format!(
        "{}; or drawn anew for each trial, `{key} = {{ uniform = [0, 2] }}`, \
         `{{ normal = {{ mean = 1, sd = 0.5 }} }}`, `{{ exponential = {{ mean = 2 }} }}` or \
         `{{ choice = [0, 1, 5] }}`",
        spec.help(),
        key = spec.key
    )
}

fn uniform(bounds: &Value<'_, '_>, spec: &Number, help: &str) -> Checked<Draw> {
    let items = bounds.items(help)?;
    let [low, high] = items.as_slice() else {
        let message = format!("`{}` must have two bounds, not {}", bounds.path(), items.len());
        return Err(bounds.problem(message, "must be [low, high]", help));
    };
    let (low, high) = (low.number(spec)?, high.number(spec)?);
    if low > high {
        return Err(bounds.problem(
            format!("`{}` has a lower bound above the upper one", bounds.path()),
            format!("{low} is more than {high}"),
            format!("write the lower bound first: [{high}, {low}]"),
        ));
    }
    Ok(Draw::Uniform(low, high))
}

fn normal(value: Value<'_, '_>, spec: &Number, help: &str) -> Checked<Draw> {
    let section = value.clone().section(keys::NORMAL)?;
    let mean = section.require("mean", help)?;
    let (mean, place) = (mean.number(spec)?, mean);
    let sd = positive(&section, "sd", spec, help)?;
    let (low, high) = bounds(&value, &section, spec, spec.min)?;
    if !(low..=high).contains(&mean) {
        return Err(place.problem(
            format!("`{}` lies outside of its bounds, {low} and {high}", place.path()),
            "not among the values",
            "let the mean be between `min` and `max`",
        ));
    }
    Ok(Draw::Normal { mean, sd, low, high })
}

fn exponential(value: Value<'_, '_>, spec: &Number, help: &str) -> Checked<Draw> {
    let section = value.clone().section(keys::EXPONENTIAL)?;
    let mean = positive(&section, "mean", spec, help)?;
    let (low, high) = bounds(&value, &section, spec, spec.min.max(0.0))?;
    Ok(Draw::Exponential { mean, low, high })
}

fn choice(value: &Value<'_, '_>, spec: &Number, help: &str) -> Checked<Draw> {
    let items = value.items(help)?;
    if items.is_empty() {
        let message = format!("`{}` has nothing to choose from", value.path());
        return Err(value.problem(message, "empty", help));
    }
    items
        .iter()
        .map(|item| item.number(spec))
        .collect::<Checked<_>>()
        .map(Draw::Choice)
}

/// `min` and `max`: by default `lowest`, and the greatest that the key allows.
fn bounds(
    value: &Value<'_, '_>,
    section: &Section<'_, '_>,
    spec: &Number,
    lowest: f64,
) -> Checked<(f64, f64)> {
    let bound = |key: &str, default| section.get(key).map_or(Ok(default), |it| it.number(spec));
    let (low, high) = (bound("min", lowest)?, bound("max", spec.max)?);
    if low > high {
        let message = format!("`{}` has a `min` above its `max`", value.path());
        let label = format!("{low} is more than {high}");
        return Err(value.problem(message, label, "let `min` be the lower one"));
    }
    Ok((low, high))
}

/// A width in the unit of `spec`: above 0.
fn positive(section: &Section<'_, '_>, key: &str, spec: &Number, help: &str) -> Checked<f64> {
    let value = section.require(key, help)?;
    let width = Number { min: 0.0, ..*spec };
    let number = value.number(&width)?;
    if number == 0.0 {
        let message = format!("`{}` must be above 0", value.path());
        return Err(value.problem(message, "zero", "a value that never varies is a plain number"));
    }
    Ok(number)
}
