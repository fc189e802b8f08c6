//! What an expectation demands of the success rate of a cell.

use std::fmt;
use std::str::FromStr;

/// A demand on the success rate of a cell: `theory`, or a bound such as `>= 0.95`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Criterion {
    /// Each trial ends as the oracle says.
    Theory,
    /// `>=`: the rate is at least this.
    AtLeast(f64),
    /// `>`: the rate is more than this.
    MoreThan(f64),
    /// `<=`: the rate is at most this.
    AtMost(f64),
    /// `<`: the rate is less than this.
    LessThan(f64),
}

/// Why a text is no criterion; its message says what was wrong, [`CriterionError::HELP`] what
/// would be right.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum CriterionError {
    /// Neither `theory` nor one of the four comparisons.
    #[error("`{0}` begins with none of >=, >, <= and <, and is not `theory`")]
    Comparison(String),
    /// What follows the comparison is no number.
    #[error("`{0}` is not a number")]
    Number(String),
    /// The number is no rate.
    #[error("{0} is not a rate from 0 to 1")]
    Rate(String),
    /// Above 1 or below 0: no rate ever is.
    #[error("no rate can be {0}")]
    Impossible(String),
}

impl CriterionError {
    /// How a criterion is written.
    pub(crate) const HELP: &str = "write a comparison (>=, >, <= or <) and a rate from 0 to 1, \
        such as \">= 0.95\", or \"theory\"";
}

impl FromStr for Criterion {
    type Err = CriterionError;

    fn from_str(text: &str) -> Result<Self, CriterionError> {
        let text = text.trim();
        if text == "theory" {
            return Ok(Self::Theory);
        }
        let is_sign = |symbol: char| matches!(symbol, '<' | '>' | '=');
        let (sign, number) = text.split_at(text.find(|c| !is_sign(c)).unwrap_or(text.len()));
        let criterion: fn(f64) -> Self = match sign {
            ">=" => Self::AtLeast,
            ">" => Self::MoreThan,
            "<=" => Self::AtMost,
            "<" => Self::LessThan,
            _ => return Err(CriterionError::Comparison(text.to_owned())),
        };
        let number = number.trim();
        let rate: f64 = number.parse().map_err(|_| CriterionError::Number(number.to_owned()))?;
        if !(0.0..=1.0).contains(&rate) {
            return Err(CriterionError::Rate(number.to_owned()));
        }
        if (sign == ">" && rate == 1.0) || (sign == "<" && rate == 0.0) {
            return Err(CriterionError::Impossible(text.to_owned()));
        }
        Ok(criterion(rate))
    }
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Theory => f.write_str("theory"),
            Self::AtLeast(rate) => write!(f, ">= {rate}"),
            Self::MoreThan(rate) => write!(f, "> {rate}"),
            Self::AtMost(rate) => write!(f, "<= {rate}"),
            Self::LessThan(rate) => write!(f, "< {rate}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_comparison_is_read_with_and_without_blanks() {
        for (text, criterion) in [
            ("theory", Criterion::Theory),
            (">= 0.95", Criterion::AtLeast(0.95)),
            (">=0.95", Criterion::AtLeast(0.95)),
            ("  > 0 ", Criterion::MoreThan(0.0)),
            ("<= 1", Criterion::AtMost(1.0)),
            ("<  0.5", Criterion::LessThan(0.5)),
        ] {
            assert_eq!(text.parse(), Ok(criterion), "{text}");
        }
    }

    #[test]
    fn a_criterion_reads_back_as_it_is_shown() {
        for text in ["theory", ">= 0.95", "> 0.5", "<= 0.25", "< 1"] {
            assert_eq!(text.parse::<Criterion>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_criterion_is_refused_with_its_reason() {
        for (text, message) in [
            ("", "`` begins with none of >=, >, <= and <, and is not `theory`"),
            ("= 1", "`= 1` begins with none of >=, >, <= and <, and is not `theory`"),
            ("=> 0.9", "`=> 0.9` begins with none of >=, >, <= and <, and is not `theory`"),
            (">= 95%", "`95%` is not a number"),
            (">=", "`` is not a number"),
            (">= 95", "95 is not a rate from 0 to 1"),
            (">= nan", "nan is not a rate from 0 to 1"),
            ("< -0.1", "-0.1 is not a rate from 0 to 1"),
            ("> 1", "no rate can be > 1"),
            ("< 0", "no rate can be < 0"),
        ] {
            assert_eq!(text.parse::<Criterion>().unwrap_err().to_string(), message);
        }
    }
}
