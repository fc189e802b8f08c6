//! Names of the values that users choose, and their parsing.

use std::fmt;

/// The error of a text that names none of the values of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownName {
    given: String,
    names: Vec<&'static str>,
}

impl UnknownName {
    /// The text `given`, where one of `names` was expected.
    pub(crate) fn new(given: &str, names: &[&'static str]) -> Self {
        Self { given: given.to_owned(), names: names.to_owned() }
    }
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is none of {}", self.given, self.names.join(", "))
    }
}

impl std::error::Error for UnknownName {}

/// The name of `value` in a table that has every value of the type.
pub(super) fn name<T: Copy + PartialEq>(table: &[(&'static str, T)], value: T) -> &'static str {
    let entry = table.iter().find(|(_, other)| *other == value);
    entry.map_or("", |(name, _)| name)
}

/// The value that `given` names.
pub(super) fn parse<T: Copy>(table: &[(&'static str, T)], given: &str) -> Result<T, UnknownName> {
    let entry = table.iter().find(|(name, _)| *name == given);
    entry.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
        UnknownName::new(given, &names)
    })
}
