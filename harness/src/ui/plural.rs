//! Numbers with a noun in the singular or the plural.

use std::fmt::Display;

/// A noun, or any phrase, after 1 and after every other number.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Noun<'a> {
    /// A noun whose plural ends in `s`.
    Regular(&'a str),
    /// The phrase after 1, and the phrase after every other number.
    Irregular(&'a str, &'a str),
}

impl<'a> From<&'a str> for Noun<'a> {
    fn from(noun: &'a str) -> Self {
        Self::Regular(noun)
    }
}

impl<'a> From<(&'a str, &'a str)> for Noun<'a> {
    fn from((one, several): (&'a str, &'a str)) -> Self {
        Self::Irregular(one, several)
    }
}

impl<'a> Noun<'a> {
    /// The form after 1.
    pub(crate) fn singular(self) -> &'a str {
        match self {
            Self::Regular(one) | Self::Irregular(one, _) => one,
        }
    }
}

/// A whole number with its noun: `1 trial`, `2 trials`, `2 properties`.
pub(crate) fn count<'a>(number: impl Display, noun: impl Into<Noun<'a>>) -> String {
    let number = number.to_string();
    match noun.into() {
        noun if number == "1" => format!("{number} {}", noun.singular()),
        Noun::Regular(one) => format!("{number} {one}s"),
        Noun::Irregular(_, several) => format!("{number} {several}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_takes_the_plural() {
        assert_eq!(count(0, "trial"), "0 trials");
        assert_eq!(count(1_u64, "trial"), "1 trial");
        assert_eq!(count(11_usize, "trial"), "11 trials");
    }

    #[test]
    fn a_phrase_may_have_a_plural_of_its_own() {
        let property = ("property", "properties");
        assert_eq!([1, 2].map(|number| count(number, property)), ["1 property", "2 properties"]);
    }
}
