//! Properties of a NAT: the expected value and the observed one.

use std::fmt;

/// Result of the verification of a NAT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    /// All properties, in a fixed order.
    pub(crate) checks: Vec<Check>,
}

/// One property of a NAT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    /// Name of the property.
    pub(crate) property: String,
    /// The value that the NAT's description asks for.
    pub(crate) expected: String,
    /// The observed value, in the same words.
    pub(crate) observed: String,
}

impl Check {
    pub(super) fn new(property: &str, expected: &str, observed: &str) -> Self {
        let [property, expected, observed] = [property, expected, observed].map(str::to_owned);
        Self { property, expected, observed }
    }

    /// Whether the observed value is the expected one.
    pub(crate) fn holds(&self) -> bool {
        self.expected == self.observed
    }
}

/// The difference, in one clause.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { property, expected, observed } = self;
        write!(f, "{property} should be \"{expected}\", and was seen to be \"{observed}\"")
    }
}

impl Report {
    /// The properties in which the NAT differs from its description.
    pub(crate) fn differences(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| !check.holds())
    }
}
