//! Reading the tree of a TOML file: every value knows its path and its place in the text.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::error::{Checked, Problem, Problems, did_you_mean, list};
use super::keys::{self, Number, join};
use crate::named::Named;

/// A value in the tree, with its path for messages.
#[derive(Debug, Clone)]
pub(super) struct Value<'t, 's> {
    path: String,
    node: &'t Spanned<DeValue<'s>>,
    problems: &'t Problems,
}

impl<'t, 's> Value<'t, 's> {
    /// Its dotted path.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The same value, by another path.
    pub(super) fn at(self, path: String) -> Self {
        Self { path, ..self }
    }

    /// The value and its place.
    pub(super) fn node(&self) -> &'t Spanned<DeValue<'s>> {
        self.node
    }

    /// The value itself.
    pub(super) fn raw(&self) -> &'t DeValue<'s> {
        self.node.get_ref()
    }

    /// A problem with this value.
    pub(super) fn problem(
        &self,
        message: impl Into<String>,
        label: impl Into<String>,
        help: impl Into<String>,
    ) -> Problem {
        Problem::new(self.node.span(), message, label, help)
    }

    /// The problem that it is of another type than `wanted`.
    pub(super) fn not(&self, wanted: &str, help: impl Into<String>) -> Problem {
        let found = type_name(self.raw());
        self.problem(
            format!("`{}` must be {wanted}, not {found}", self.path),
            format!("this is {found}"),
            help,
        )
    }

    /// A number within the bounds of `spec`.
    pub(super) fn number(&self, spec: &Number) -> Checked<f64> {
        let (number, written) = match self.raw() {
            DeValue::Integer(integer) => (as_f64(integer), integer.to_string()),
            DeValue::Float(float) => (float.as_str().parse().ok(), float.as_str().to_owned()),
            DeValue::String(_) => {
                let help = format!("{}, without quotes and unit", spec.help());
                return Err(self.not("a number", help));
            }
            DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                return Err(self.not("a number", spec.help()));
            }
        };
        let number = number.unwrap_or(f64::INFINITY);
        if (spec.min..=spec.max).contains(&number) {
            // Adding zero turns -0.0 into 0.0.
            return Ok(number + 0.0);
        }
        if number.is_nan() {
            let message = format!("`{}` is not a number: {written}", self.path);
            return Err(self.problem(message, "must be a number", spec.help()));
        }
        let message = format!("`{}` is out of range: {written}", self.path);
        let mut help = spec.help();
        if spec.unit.is_empty() && (1.0..=100.0).contains(&number) {
            help = format!("{help}; {number}% is `{} = {}`", spec.key, number / 100.0);
        }
        Err(self.problem(message, format!("must be {}", spec.range()), help))
    }

    /// A whole number from `min` to `max`.
    pub(super) fn whole(&self, min: u64, max: u64, help: &str) -> Checked<u64> {
        let DeValue::Integer(integer) = self.raw() else {
            return Err(self.not("a whole number", help));
        };
        as_i128(integer)
            .and_then(|number| u64::try_from(number).ok())
            .filter(|number| (min..=max).contains(number))
            .ok_or_else(|| {
                let message = format!("`{}` is out of range: {integer}", self.path);
                self.problem(message, format!("must be from {min} to {max}"), help)
            })
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, help: &str) -> Checked<bool> {
        self.raw()
            .as_bool()
            .ok_or_else(|| self.not("`true` or `false`", help))
    }

    /// A string.
    pub(super) fn text(&self, help: &str) -> Checked<&'t str> {
        self.raw()
            .as_str()
            .ok_or_else(|| self.not("a string", help))
    }

    /// One of the names of `T`.
    pub(super) fn choice<T: Named>(&self) -> Checked<T> {
        let names: Vec<&str> = T::NAMES.iter().map(|(name, _)| *name).collect();
        let quoted = |name: &&str| format!("\"{name}\"");
        let all = names.iter().map(quoted).collect::<Vec<_>>().join(", ");
        let name = self.text(&format!("one of {all}"))?;
        let found = T::NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value).ok_or_else(|| {
            self.problem(
                format!("unknown value \"{name}\" for `{}`", self.path),
                "unknown value",
                format!("{}it is one of {all}", did_you_mean(name, &names)),
            )
        })
    }

    /// The items of a list; in messages they go by the path of the list.
    pub(super) fn items(&self, help: &str) -> Checked<Vec<Self>> {
        let DeValue::Array(items) = self.raw() else {
            return Err(self.not("a list", help));
        };
        let item = |node| Self { path: self.path.clone(), node, problems: self.problems };
        Ok(items.iter().map(item).collect())
    }

    /// A table whose keys are checked later, or never.
    pub(super) fn table(self, help: &str) -> Checked<Section<'t, 's>> {
        match self.raw() {
            DeValue::Table(table) => Ok(Section {
                path: self.path,
                span: self.node.span(),
                table: Some(table),
                problems: self.problems,
            }),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => Err(self.not("a table", help)),
        }
    }

    /// A table that has none but these keys.
    pub(super) fn section(self, known: &[&str]) -> Checked<Section<'t, 's>> {
        let help = format!("write [{}] and below it its keys: {}", self.path, list(known));
        Ok(self.table(&help)?.only(known))
    }
}

/// A table in the tree. One that is not in the file is empty.
#[derive(Debug, Clone)]
pub(super) struct Section<'t, 's> {
    path: String,
    span: Range<usize>,
    table: Option<&'t DeTable<'s>>,
    problems: &'t Problems,
}

impl<'t, 's> Section<'t, 's> {
    /// The whole file; what is found wrong with it is noted in `problems`.
    pub(super) fn root(table: &'t DeTable<'s>, problems: &'t Problems) -> Self {
        Self { path: String::new(), span: 0..0, table: Some(table), problems }
    }

    /// What is found wrong.
    pub(super) fn problems(&self) -> &'t Problems {
        self.problems
    }

    /// The value, or `None` after its problem is noted.
    pub(super) fn noted<T>(&self, checked: Checked<T>) -> Option<T> {
        self.problems.noted(checked)
    }

    /// Notes every key but these as a problem.
    pub(super) fn only(self, known: &[&str]) -> Self {
        for key in self
            .keys()
            .filter(|key| !known.contains(&key.get_ref().as_ref()))
        {
            self.problems
                .note(keys::unknown(&self.path, key.get_ref(), known, key.span()));
        }
        self
    }

    /// Its keys, in the order of the file.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'t Spanned<DeString<'s>>> + use<'t, 's> {
        self.table.into_iter().flat_map(DeTable::keys)
    }

    /// Its keys and values, in the order of the file.
    pub(super) fn entries(
        &self,
    ) -> impl Iterator<Item = (&'t Spanned<DeString<'s>>, Value<'t, 's>)> {
        self.table
            .into_iter()
            .flat_map(DeTable::iter)
            .map(|(key, node)| {
                let path = join(&self.path, key.get_ref());
                (key, Value { path, node, problems: self.problems })
            })
    }

    /// Whether it has no keys at all.
    pub(super) fn is_empty(&self) -> bool {
        self.table.is_none_or(|table| table.is_empty())
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<Value<'t, 's>> {
        let node = self.table?.get(key)?;
        Some(Value { path: join(&self.path, key), node, problems: self.problems })
    }

    /// The value of a key that must be there.
    pub(super) fn require(&self, key: &str, help: &str) -> Checked<Value<'t, 's>> {
        self.get(key).ok_or_else(|| {
            let message = format!("`{}` is missing", join(&self.path, key));
            Problem::new(self.span.clone(), message, format!("needs `{key}`"), help)
        })
    }

    /// A table in this one that has none but these keys; empty if it is not there, or no table.
    pub(super) fn section(&self, key: &str, known: &[&str]) -> Self {
        let found = self
            .get(key)
            .and_then(|value| self.noted(value.section(known)));
        found.unwrap_or_else(|| Self {
            path: join(&self.path, key),
            span: 0..0,
            table: None,
            problems: self.problems,
        })
    }

    /// The number of a key, or its default.
    pub(super) fn number(&self, spec: &Number) -> Checked<f64> {
        self.get(spec.key)
            .map_or(Ok(spec.default), |value| value.number(spec))
    }

    /// One of the names of `T`, or its default.
    pub(super) fn choice<T: Named>(&self, key: &str, default: T) -> Checked<T> {
        self.get(key).map_or(Ok(default), |value| value.choice())
    }
}

/// What a value is, in the words of the language's users.
pub(super) fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A whole number, unless it is larger than any that means something.
pub(super) fn as_i128(integer: &toml::de::DeInteger<'_>) -> Option<i128> {
    i128::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// A whole number as a decimal one.
pub(super) fn as_f64(integer: &toml::de::DeInteger<'_>) -> Option<f64> {
    as_i128(integer).map(|number| number as f64)
}

/// The value as reports hold it. Numbers that JSON has no word for become `null`; no checked
/// value is such a number.
pub(super) fn to_json(value: &DeValue<'_>) -> serde_json::Value {
    match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(integer) => as_i128(integer)
            .and_then(serde_json::Number::from_i128)
            .map_or(serde_json::Value::Null, serde_json::Value::Number),
        DeValue::Float(float) => float
            .as_str()
            .parse::<f64>()
            .map_or(serde_json::Value::Null, Into::into),
        DeValue::Boolean(flag) => (*flag).into(),
        DeValue::Datetime(time) => time.to_string().into(),
        DeValue::Array(items) => items.iter().map(|item| to_json(item.get_ref())).collect(),
        DeValue::Table(table) => table
            .iter()
            .map(|(key, item)| (key.get_ref().to_string(), to_json(item.get_ref())))
            .collect(),
    }
}

/// Puts `value` at `path` below `table`. Tables that are missing on the way, and values that are
/// in the way, become tables which stand at `place`; except that a string `nat` becomes the table
/// that it is short for.
pub(super) fn put<'s>(
    table: &mut DeTable<'s>,
    path: &[&str],
    place: &Range<usize>,
    value: Spanned<DeValue<'s>>,
) {
    let Some((first, rest)) = path.split_first() else { return };
    let key = Spanned::new(place.clone(), DeString::Owned((*first).to_owned()));
    if rest.is_empty() {
        table.insert(key, value);
        return;
    }
    let is_nat = *first == "nat";
    let empty = || DeValue::Table(DeTable::new());
    let below = table
        .entry(key)
        .or_insert_with(|| Spanned::new(place.clone(), empty()));
    if let (true, DeValue::String(_)) = (is_nat, below.get_ref()) {
        expand_nat(below);
    } else if !below.get_ref().is_table() {
        *below = Spanned::new(place.clone(), empty());
    }
    if let DeValue::Table(below) = below.get_mut() {
        put(below, rest, place, value);
    }
}

/// `"home"` → `{ name = "home" }`
pub(super) fn expand_nat(nat: &mut Spanned<DeValue<'_>>) {
    let name = nat.clone();
    let mut table = DeTable::new();
    table.insert(Spanned::new(name.span(), "name".into()), name);
    *nat.get_mut() = DeValue::Table(table);
}
