//! What an expectation demands of the success rate.

use std::str::FromStr;

/// A bound on a success rate between 0 and 1, or the demand that every trial goes as theory says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Criterion {
    /// `theory`: each trial the oracle decides goes as it says.
    Theory,
    /// `>= r`.
    AtLeast(f64),
    /// `> r`.
    MoreThan(f64),
    /// `<= r`.
    AtMost(f64),
    /// `< r`.
    LessThan(f64),
}

/// A criterion that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no criterion: write `theory` or a bound such as `>= 0.95`, `> 0.9`, `<= 0.1`")]
pub(crate) struct CriterionError(String);

impl FromStr for Criterion {
    type Err = CriterionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || CriterionError(text.to_owned());
        let trimmed = text.trim();
        if trimmed == "theory" {
            return Ok(Self::Theory);
        }
        let digits = trimmed.trim_start_matches(['<', '>', '=']);
        let bound: f64 = digits.trim().parse().map_err(|_| error())?;
        if !(0.0..=1.0).contains(&bound) {
            return Err(error());
        }
        match &trimmed[..trimmed.len() - digits.len()] {
            ">=" => Ok(Self::AtLeast(bound)),
            ">" => Ok(Self::MoreThan(bound)),
            "<=" => Ok(Self::AtMost(bound)),
            "<" => Ok(Self::LessThan(bound)),
            _ => Err(error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form() {
        assert_eq!("theory".parse(), Ok(Criterion::Theory));
        assert_eq!(">= 0.95".parse(), Ok(Criterion::AtLeast(0.95)));
        assert_eq!("> 0.9".parse(), Ok(Criterion::MoreThan(0.9)));
        assert_eq!("<=0.1".parse(), Ok(Criterion::AtMost(0.1)));
        assert_eq!("< 1".parse(), Ok(Criterion::LessThan(1.0)));
    }

    #[test]
    fn refuses_what_is_no_rate() {
        for text in ["", "0.9", ">= 95", "> -0.1", "=> 0.9", ">= nan", ">= 95 %"] {
            assert!(text.parse::<Criterion>().is_err(), "{text}");
        }
    }
}
