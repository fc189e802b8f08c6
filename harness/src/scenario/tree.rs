//! Reading the tree of a TOML file: every value knows its path and its place in the text.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::error::{Checked, Problem, Problems, did_you_mean, list};
use super::key::{self, DefaultValue, KEY, Key, Section, quoted};
use super::language::ROOT;
use super::places::{self, join};
use crate::named::Named;

/// A value in the tree, with its path for messages and the key that says what is right.
#[derive(Debug, Clone)]
pub(super) struct Value<'t, 's> {
    path: String,
    key: &'static Key,
    node: &'t Spanned<DeValue<'s>>,
    problems: &'t Problems,
}

impl<'t, 's> Value<'t, 's> {
    /// Dotted path.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The same value, by another path.
    pub(super) fn at(self, path: String) -> Self {
        Self { path, ..self }
    }

    /// The same value, as one of another key.
    pub(super) fn of(self, key: &'static Key) -> Self {
        Self { key, ..self }
    }

    /// Key of the value in the language.
    pub(super) fn key(&self) -> &'static Key {
        self.key
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

    /// A problem with this value; the help is that of its key.
    pub(super) fn wrong(&self, message: impl Into<String>, label: impl Into<String>) -> Problem {
        self.problem(message, label, self.key.help())
    }

    /// The problem that the value has another type than `wanted`.
    pub(super) fn not(&self, wanted: &str, help: impl Into<String>) -> Problem {
        let found = type_name(self.raw());
        self.problem(
            format!("`{}` must be {wanted}, not {found}", self.path),
            format!("this is {found}"),
            help,
        )
    }

    /// The value of a type, or the problem that it has another type.
    fn typed<T>(&self, value: Option<T>, wanted: &str) -> Checked<T> {
        value.ok_or_else(|| self.not(wanted, self.key.help()))
    }

    /// A number within the bounds of its key.
    pub(super) fn number(&self) -> Checked<f64> {
        self.number_of(self.key)
    }

    /// A number within the bounds of a key.
    pub(super) fn number_of(&self, key: &Key) -> Checked<f64> {
        let bounds = key.bounds();
        let (parsed, written) = match self.raw() {
            DeValue::Integer(integer) => (as_f64(integer), integer.to_string()),
            DeValue::Float(float) => (float.as_str().parse().ok(), float.as_str().to_owned()),
            DeValue::String(_) => {
                let help = format!("{}, without quotes and unit", key.help());
                return Err(self.not("a number", help));
            }
            DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                return Err(self.not("a number", key.help()));
            }
        };
        let number = parsed.unwrap_or(f64::INFINITY);
        if (bounds.min..=bounds.max).contains(&number) {
            // Adding zero turns -0.0 into 0.0.
            return Ok(number + 0.0);
        }
        if number.is_nan() {
            let message = format!("`{}` is not a number: {written}", self.path);
            return Err(self.problem(message, "must be a number", key.help()));
        }
        let message = format!("`{}` is out of range: {written}", self.path);
        let mut help = key.help();
        if bounds.unit.is_empty() && (1.0..=100.0).contains(&number) {
            help = format!("{help}; {number}% is `{} = {}`", key.name, number / 100.0);
        }
        Err(self.problem(message, format!("must be {}", bounds.range()), help))
    }

    /// A whole number within the bounds of its key.
    pub(super) fn whole(&self) -> Checked<u64> {
        let (min, max) = self.key.whole_bounds();
        self.whole_within(min, max)
    }

    /// A whole number from `min` to `max`.
    pub(super) fn whole_within(&self, min: u64, max: u64) -> Checked<u64> {
        let DeValue::Integer(integer) = self.raw() else {
            return self.typed(None, "a whole number");
        };
        as_i128(integer)
            .and_then(|number| u64::try_from(number).ok())
            .filter(|number| (min..=max).contains(number))
            .ok_or_else(|| {
                let message = format!("`{}` is out of range: {integer}", self.path);
                self.wrong(message, format!("must be from {min} to {max}"))
            })
    }

    /// `true` or `false`.
    pub(super) fn flag(&self) -> Checked<bool> {
        self.typed(self.raw().as_bool(), "`true` or `false`")
    }

    /// A string.
    pub(super) fn text(&self) -> Checked<&'t str> {
        self.typed(self.raw().as_str(), "a string")
    }

    /// One of the names of `T`.
    pub(super) fn choice<T: Named>(&self) -> Checked<T> {
        let name = self.text()?;
        let found = T::NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let names = key::names::<T>();
            self.problem(
                format!("unknown value \"{name}\" for `{}`", self.path),
                "unknown value",
                format!("{}it is one of {}", did_you_mean(name, &names), quoted(&names)),
            )
        })
    }

    /// The items of a list, with the path of the list for messages.
    pub(super) fn items(&self) -> Checked<Vec<Self>> {
        let items = self.typed(self.raw().as_array(), "a list")?;
        Ok(items
            .iter()
            .map(|node| Self { node, ..self.clone() })
            .collect())
    }

    /// A table whose keys are free, or checked later.
    pub(super) fn table(self) -> Checked<Table<'t, 's>> {
        let table = self.typed(self.raw().as_table(), "a table")?;
        Ok(Table {
            path: self.path,
            key: self.key,
            section: None,
            span: self.node.span(),
            table: Some(table),
            problems: self.problems,
        })
    }

    /// A table with the keys of a section only.
    pub(super) fn section(self, section: &'static Section) -> Checked<Table<'t, 's>> {
        if !self.raw().is_table() {
            let names = list(&section.names());
            let help = format!("write [{}] and below it its keys: {names}", self.path);
            return Err(self.not("a table", help));
        }
        Ok(self.table()?.only(section))
    }
}

/// A table in the tree; empty if the file does not have it.
#[derive(Debug, Clone)]
pub(super) struct Table<'t, 's> {
    path: String,
    /// Key of the table.
    key: &'static Key,
    /// Keys that the table may have; `None` if they are free.
    section: Option<&'static Section>,
    span: Range<usize>,
    table: Option<&'t DeTable<'s>>,
    problems: &'t Problems,
}

impl<'t, 's> Table<'t, 's> {
    /// The whole file; `problems` collects its problems.
    pub(super) fn root(table: &'t DeTable<'s>, problems: &'t Problems) -> Self {
        let path = String::new();
        let whole =
            Self { path, key: &KEY, section: None, span: 0..0, table: Some(table), problems };
        whole.only(&ROOT)
    }

    /// Collected problems.
    pub(super) fn problems(&self) -> &'t Problems {
        self.problems
    }

    /// The value, or `None` after its problem is reported.
    pub(super) fn or_report<T>(&self, checked: Checked<T>) -> Option<T> {
        self.problems.or_report(checked)
    }

    /// Reports every key that a section does not have.
    pub(super) fn only(self, section: &'static Section) -> Self {
        for key in self.keys() {
            if section.find(key.get_ref()).is_none() {
                let problem = places::unknown(&self.path, key.get_ref(), section, key.span());
                self.problems.report(problem);
            }
        }
        Self { section: Some(section), ..self }
    }

    /// Keys in the order of the file.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'t Spanned<DeString<'s>>> + use<'t, 's> {
        self.table.into_iter().flat_map(DeTable::keys)
    }

    /// Keys and values in the order of the file.
    pub(super) fn entries(
        &self,
    ) -> impl Iterator<Item = (&'t Spanned<DeString<'s>>, Value<'t, 's>)> {
        self.table
            .into_iter()
            .flat_map(DeTable::iter)
            .map(|(key, node)| (key, self.value(key.get_ref(), node)))
    }

    fn value(&self, name: &str, node: &'t Spanned<DeValue<'s>>) -> Value<'t, 's> {
        let key = self.section.and_then(|section| section.find(name));
        let path = join(&self.path, name);
        Value { path, key: key.unwrap_or(self.key), node, problems: self.problems }
    }

    /// Whether the table has no keys.
    pub(super) fn is_empty(&self) -> bool {
        self.table.is_none_or(|table| table.is_empty())
    }

    /// The value of a key.
    pub(super) fn get(&self, name: &str) -> Option<Value<'t, 's>> {
        Some(self.value(name, self.table?.get(name)?))
    }

    /// The value of a key that must be there.
    pub(super) fn require(&self, name: &str) -> Checked<Value<'t, 's>> {
        self.get(name).ok_or_else(|| {
            let message = format!("`{}` is missing", join(&self.path, name));
            let described = self
                .section
                .and_then(|section| section.find(name))
                .filter(|key| !key.help.is_empty());
            let help = described.unwrap_or(self.key).help();
            Problem::new(self.span.clone(), message, format!("needs `{name}`"), help)
        })
    }

    /// A section of this table; empty if it is missing or no table.
    pub(super) fn section(&self, name: &str) -> Self {
        let key = self.key_of(name);
        let section = key.section();
        let found = self
            .get(name)
            .and_then(|value| self.or_report(value.section(section)));
        found.unwrap_or_else(|| Self {
            path: join(&self.path, name),
            key,
            section: Some(section),
            span: 0..0,
            table: None,
            problems: self.problems,
        })
    }

    /// The key with a name that the section has.
    pub(super) fn key_of(&self, name: &str) -> &'static Key {
        let section = self
            .section
            .expect("only sections are read by names of keys");
        section.key(name)
    }

    /// The value of a key, if it is there.
    pub(super) fn given<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Value<'t, 's>) -> Checked<T>,
    ) -> Checked<Option<T>> {
        self.get(name).map(|value| read(&value)).transpose()
    }

    /// The value of a key, or its default if the value is missing or wrong.
    pub(super) fn or_default<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Value<'t, 's>) -> Checked<T>,
        default: impl FnOnce(DefaultValue) -> Option<T>,
    ) -> T {
        self.or_report(self.given(name, read))
            .flatten()
            .or_else(|| default(self.key_of(name).default))
            .expect("the table has a default of the type that is read")
    }

    /// The number of a key, or its default.
    pub(super) fn number(&self, name: &str) -> f64 {
        self.or_default(name, Value::number, DefaultValue::number)
    }

    /// The whole number of a key, or its default.
    pub(super) fn whole(&self, name: &str) -> u64 {
        self.or_default(name, Value::whole, DefaultValue::whole)
    }

    /// The flag of a key, or its default.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.or_default(name, Value::flag, DefaultValue::flag)
    }

    /// The value of `T` that a key names, or its default.
    pub(super) fn choice<T: Named>(&self, name: &str) -> T {
        self.or_default(name, Value::choice, DefaultValue::choice)
    }
}

/// Name of the type of a value in messages.
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

/// A whole number; `None` if it is larger than any valid value.
pub(super) fn as_i128(integer: &toml::de::DeInteger<'_>) -> Option<i128> {
    i128::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// A whole number as a decimal one.
pub(super) fn as_f64(integer: &toml::de::DeInteger<'_>) -> Option<f64> {
    as_i128(integer).map(|number| number as f64)
}

/// The value in JSON, for reports. NaN and infinity become `null`; no checked value is such a
/// number.
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

/// Inserts `value` at `path` below `table`. Missing tables on the path, and values in their place,
/// become tables at `place`. A string `nat` becomes the table that it abbreviates.
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
