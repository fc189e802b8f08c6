//! Criteria of expectations: conditions on the trials of a cell.

use std::fmt;
use std::str::FromStr;

use crate::moments::Moment;

/// A criterion for the trials of a cell; `events.jsonl` holds it in words.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Criterion {
    /// `theory`: each trial that theory decides ends as predicted.
    Theory,
    /// `>= 0.95`: bound on the share of trials that succeed.
    Success(Bound),
    /// `theory >= 0.99`: bound on the share of the decided trials that end as predicted.
    AsTheorySays(Bound),
    /// `connected_ms p50 <= 54.5`: bound on a quantile of a time of the successes.
    Time(Time, Quantile, Bound),
    /// `cause no-common-port >= 0.9`: bound on the share of the failures that have the cause.
    Cause(String, Bound),
    /// `causes no-common-port, refused`: no failure has another cause.
    Causes(Vec<String>),
}

/// A comparison with a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bound {
    /// Comparison.
    pub sign: Sign,
    /// Number on the right-hand side.
    pub value: f64,
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// `>=`
    AtLeast,
    /// `>`
    MoreThan,
    /// `<=`
    AtMost,
    /// `<`
    LessThan,
}

impl Sign {
    /// Whether the comparison is a lower bound.
    pub(crate) fn is_lower(self) -> bool {
        matches!(self, Self::AtLeast | Self::MoreThan)
    }

    fn symbol(self) -> &'static str {
        match self {
            Self::AtLeast => ">=",
            Self::MoreThan => ">",
            Self::AtMost => "<=",
            Self::LessThan => "<",
        }
    }
}

/// A time of a success, from the later peer's first SYN on the WAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time {
    /// End of the measured time.
    pub moment: Moment,
    /// Unit.
    pub unit: TimeUnit,
}

/// The unit of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeUnit {
    /// Milliseconds.
    Milliseconds,
    /// Round-trip times of the trial's configured delays.
    RoundTrips,
}

impl fmt::Display for TimeUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Milliseconds => "in milliseconds",
            Self::RoundTrips => "in round trips",
        })
    }
}

impl Time {
    /// Keys of an expectation with a bound on a time: the names of the moment and of the unit.
    pub(crate) const KEYS: &'static [(&'static str, Self)] = &[
        ("up_ms", Self::new(Moment::Up, TimeUnit::Milliseconds)),
        ("up_rtt", Self::new(Moment::Up, TimeUnit::RoundTrips)),
        ("connected_ms", Self::new(Moment::Connected, TimeUnit::Milliseconds)),
        ("connected_rtt", Self::new(Moment::Connected, TimeUnit::RoundTrips)),
        ("chosen_ms", Self::new(Moment::Chosen, TimeUnit::Milliseconds)),
        ("chosen_rtt", Self::new(Moment::Chosen, TimeUnit::RoundTrips)),
        ("returned_ms", Self::new(Moment::Returned, TimeUnit::Milliseconds)),
        ("returned_rtt", Self::new(Moment::Returned, TimeUnit::RoundTrips)),
    ];

    const fn new(moment: Moment, unit: TimeUnit) -> Self {
        Self { moment, unit }
    }

    fn key(self) -> &'static str {
        let found = Self::KEYS.iter().find(|(_, time)| *time == self);
        found.expect("KEYS has every time").0
    }
}

/// A quantile, such as `p50`, the median: 50 % of the values are at most this value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Quantile {
    percent: f64,
}

impl Quantile {
    /// Share of the values at or below the quantile, above 0 and below 1.
    pub(crate) fn share(self) -> f64 {
        self.percent / 100.0
    }
}

/// Reason why a text is no criterion.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum CriterionError {
    /// Not one of the four comparisons.
    #[error("`{0}` begins with none of >=, >, <= and <")]
    Comparison(String),
    /// No number after the comparison.
    #[error("`{0}` is not a number")]
    Number(String),
    /// The number is no rate.
    #[error("{0} is not a rate from 0 to 1")]
    Rate(String),
    /// The number is no time.
    #[error("{0} is not a time")]
    Time(String),
    /// A bound that no value meets.
    #[error("nothing can be {0}")]
    Impossible(String),
    /// No quantile.
    #[error("`{0}` is not a quantile: p50 is the median, p99 what 99 % stay below")]
    Quantile(String),
    /// A criterion that this version does not know.
    #[error("`{0}` is no demand")]
    Unknown(String),
}

impl Bound {
    /// Help text on bounds of rates.
    pub(crate) const RATE_HELP: &str = "write a comparison (>=, >, <= or <) and a rate from 0 to \
        1, such as \">= 0.95\"";

    /// A bound on a rate.
    ///
    /// # Errors
    /// When the text is no comparison with a rate, or one that no rate meets.
    pub(crate) fn rate(text: &str) -> Result<Self, CriterionError> {
        let (bound, number) = Self::parse(text)?;
        if !(0.0..=1.0).contains(&bound.value) || bound.value.is_sign_negative() {
            return Err(CriterionError::Rate(number));
        }
        match bound {
            Self { sign: Sign::MoreThan, value: 1.0 }
            | Self { sign: Sign::LessThan, value: 0.0 } => {
                Err(CriterionError::Impossible(text.trim().to_owned()))
            }
            bound => Ok(bound),
        }
    }

    /// A bound on a time.
    ///
    /// # Errors
    /// When the text is no comparison with a time, or one that no time meets.
    pub(crate) fn time(text: &str) -> Result<Self, CriterionError> {
        let (bound, number) = Self::parse(text)?;
        if !(0.0..f64::INFINITY).contains(&bound.value) || bound.value.is_sign_negative() {
            return Err(CriterionError::Time(number));
        }
        if bound == (Self { sign: Sign::LessThan, value: 0.0 }) {
            return Err(CriterionError::Impossible(text.trim().to_owned()));
        }
        Ok(bound)
    }

    fn parse(text: &str) -> Result<(Self, String), CriterionError> {
        let trimmed = text.trim();
        let is_sign = |symbol: char| matches!(symbol, '<' | '>' | '=');
        let end = trimmed
            .find(|symbol| !is_sign(symbol))
            .unwrap_or(trimmed.len());
        let (symbols, rest) = trimmed.split_at(end);
        let sign = match symbols {
            ">=" => Sign::AtLeast,
            ">" => Sign::MoreThan,
            "<=" => Sign::AtMost,
            "<" => Sign::LessThan,
            _ => return Err(CriterionError::Comparison(trimmed.to_owned())),
        };
        let number = rest.trim();
        // A number with a plus sign or with a point at its end is a mistake.
        let value = number
            .parse()
            .ok()
            .filter(|_| !number.starts_with('+') && !number.ends_with('.'))
            .ok_or_else(|| CriterionError::Number(number.to_owned()))?;
        Ok((Self { sign, value }, number.to_owned()))
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.sign.symbol(), self.value)
    }
}

impl FromStr for Quantile {
    type Err = CriterionError;

    fn from_str(text: &str) -> Result<Self, CriterionError> {
        let digits = text.strip_prefix('p').unwrap_or_default();
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let are_digits =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_written_well = whole.len() <= 2 && are_digits(whole) && are_digits(fraction);
        let percent = is_written_well
            .then(|| digits.parse::<f64>().ok())
            .flatten();
        percent
            .filter(|percent| *percent > 0.0 && *percent < 100.0)
            .map(|percent| Self { percent })
            .ok_or_else(|| CriterionError::Quantile(text.to_owned()))
    }
}

impl fmt::Display for Quantile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.percent)
    }
}

impl FromStr for Criterion {
    type Err = CriterionError;

    fn from_str(text: &str) -> Result<Self, CriterionError> {
        let text = text.trim();
        if text == "theory" {
            return Ok(Self::Theory);
        }
        let Some((first, rest)) = text.split_once(' ') else {
            return Bound::rate(text).map(Self::Success);
        };
        let unknown = || CriterionError::Unknown(text.to_owned());
        if let Some((_, time)) = Time::KEYS.iter().find(|(key, _)| *key == first) {
            let (quantile, bound) = rest.split_once(' ').ok_or_else(unknown)?;
            return Ok(Self::Time(*time, quantile.parse()?, Bound::time(bound)?));
        }
        match first {
            "theory" => Bound::rate(rest).map(Self::AsTheorySays),
            "cause" => {
                let (kind, bound) = rest.split_once(' ').ok_or_else(unknown)?;
                Ok(Self::Cause(kind.to_owned(), Bound::rate(bound)?))
            }
            "causes" => Ok(Self::Causes(rest.split(", ").map(str::to_owned).collect())),
            _ => Bound::rate(text).map(Self::Success),
        }
    }
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Theory => f.write_str("theory"),
            Self::Success(bound) => bound.fmt(f),
            Self::AsTheorySays(bound) => write!(f, "theory {bound}"),
            Self::Time(time, quantile, bound) => write!(f, "{} {quantile} {bound}", time.key()),
            Self::Cause(kind, bound) => write!(f, "cause {kind} {bound}"),
            Self::Causes(kinds) => write!(f, "causes {}", kinds.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::named::Named;

    #[test]
    fn each_comparison_is_read_with_and_without_blanks() {
        for (text, sign, value) in [
            (">= 0.95", Sign::AtLeast, 0.95),
            (">=0.95", Sign::AtLeast, 0.95),
            ("  > 0 ", Sign::MoreThan, 0.0),
            ("<= 1", Sign::AtMost, 1.0),
            ("<  0.5", Sign::LessThan, 0.5),
        ] {
            assert_eq!(text.parse(), Ok(Criterion::Success(Bound { sign, value })), "{text}");
        }
    }

    #[test]
    fn a_time_has_a_key_for_every_moment_in_either_unit() {
        let units = [("ms", TimeUnit::Milliseconds), ("rtt", TimeUnit::RoundTrips)];
        let keys = Moment::ALL.into_iter().flat_map(|moment| {
            let key =
                move |(unit, of)| (format!("{}_{unit}", moment.name()), Time::new(moment, of));
            units.map(key)
        });
        let listed = Time::KEYS.iter().map(|&(key, time)| (key.to_owned(), time));
        assert!(keys.eq(listed));
    }

    #[test]
    fn a_criterion_reads_back_as_it_is_shown() {
        for text in [
            "theory",
            ">= 0.95",
            "> 0.5",
            "<= 0.25",
            "< 1",
            "theory >= 0.99",
            "up_ms p50 <= 28",
            "up_rtt p90 < 1.5",
            "connected_ms p50 <= 54.5",
            "returned_rtt p99.9 < 3",
            "cause no-common-port >= 0.9",
            "causes no-common-port",
            "causes no-common-port, refused",
        ] {
            assert_eq!(text.parse::<Criterion>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_invalid_criterion_is_refused_with_its_reason() {
        for (text, message) in [
            ("", "`` begins with none of >=, >, <= and <"),
            ("= 1", "`= 1` begins with none of >=, >, <= and <"),
            ("=> 0.9", "`=> 0.9` begins with none of >=, >, <= and <"),
            (">= 95%", "`95%` is not a number"),
            (">=", "`` is not a number"),
            (">= 95", "95 is not a rate from 0 to 1"),
            (">= nan", "nan is not a rate from 0 to 1"),
            ("< -0.1", "-0.1 is not a rate from 0 to 1"),
            ("> 1", "nothing can be > 1"),
            ("< 0", "nothing can be < 0"),
            ("theory >= 2", "2 is not a rate from 0 to 1"),
            ("connected_ms p50 <= inf", "inf is not a time"),
            ("connected_ms p50 < 0", "nothing can be < 0"),
            (
                "connected_ms p100 <= 5",
                "`p100` is not a quantile: p50 is the median, p99 what 99 % stay below",
            ),
            (
                "connected_ms p99. <= 5",
                "`p99.` is not a quantile: p50 is the median, p99 what 99 % stay below",
            ),
            (">= 1.", "`1.` is not a number"),
            (">= +1", "`+1` is not a number"),
            (">= -0", "-0 is not a rate from 0 to 1"),
            ("connected_ms p50", "`connected_ms p50` is no demand"),
            ("cause refused", "`cause refused` is no demand"),
        ] {
            assert_eq!(text.parse::<Criterion>().unwrap_err().to_string(), message);
        }
    }
}
