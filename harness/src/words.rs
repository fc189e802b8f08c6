//! Words that messages of every kind share.

use std::fmt::Display;

/// `1 trial`, `2 trials`; `number` is a whole one, of whatever type.
pub(crate) fn count(number: impl Display, noun: &str) -> String {
    match number.to_string().as_str() {
        "1" => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular_and_none_is_not() {
        assert_eq!(count(0, "trial"), "0 trials");
        assert_eq!(count(1_u64, "trial"), "1 trial");
        assert_eq!(count(11_usize, "trial"), "11 trials");
    }
}
