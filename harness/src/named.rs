//! Values with names in the scenario language and in reports.

/// A type whose values have names in the language.
pub(crate) trait Named: Copy + PartialEq + 'static {
    /// Each value and its name.
    const NAMES: &'static [(&'static str, Self)];

    /// The name of this value.
    fn name(self) -> &'static str {
        let named = Self::NAMES.iter().find(|(_, value)| *value == self);
        named.expect("NAMES has every value of the type").0
    }
}
