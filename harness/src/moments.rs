//! The moments at which the times of a success end, and a value for each of them.

use std::ops::{Index, IndexMut};

use crate::named::Named;

/// End of a measured time; all times begin with the later peer's first SYN on the WAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The first port is up on either side.
    Up,
    /// The first port is up on both sides.
    Connected,
    /// Both sides know the chosen connection.
    Chosen,
    /// Bytes may flow on both sides.
    Returned,
}

impl Moment {
    /// All moments, in the order of a trial.
    pub(crate) const ALL: [Self; 4] = [Self::Up, Self::Connected, Self::Chosen, Self::Returned];

    /// Description that continues "the time until".
    pub(crate) fn event(self) -> &'static str {
        match self {
            Self::Up => "the first port is up on either side",
            Self::Connected => "the first port is up on both sides",
            Self::Chosen => "both sides know which connection it is",
            Self::Returned => "bytes may flow on both sides",
        }
    }
}

impl Named for Moment {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("up", Self::Up),
        ("connected", Self::Connected),
        ("chosen", Self::Chosen),
        ("returned", Self::Returned),
    ];
}

/// One value for each moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct PerMoment<T> {
    /// Value of [`Moment::Up`].
    pub up: T,
    /// Value of [`Moment::Connected`].
    pub connected: T,
    /// Value of [`Moment::Chosen`].
    pub chosen: T,
    /// Value of [`Moment::Returned`].
    pub returned: T,
}

impl<T> PerMoment<T> {
    /// References to all values.
    pub(crate) fn as_ref(&self) -> PerMoment<&T> {
        let Self { up, connected, chosen, returned } = self;
        PerMoment { up, connected, chosen, returned }
    }

    /// The results of a function of each value, in the order of [`Moment::ALL`].
    pub(crate) fn map<U>(self, mut of: impl FnMut(T) -> U) -> PerMoment<U> {
        let Self { up, connected, chosen, returned } = self;
        PerMoment {
            up: of(up),
            connected: of(connected),
            chosen: of(chosen),
            returned: of(returned),
        }
    }
}

impl<T> Index<Moment> for PerMoment<T> {
    type Output = T;

    fn index(&self, moment: Moment) -> &T {
        match moment {
            Moment::Up => &self.up,
            Moment::Connected => &self.connected,
            Moment::Chosen => &self.chosen,
            Moment::Returned => &self.returned,
        }
    }
}

impl<T> IndexMut<Moment> for PerMoment<T> {
    fn index_mut(&mut self, moment: Moment) -> &mut T {
        match moment {
            Moment::Up => &mut self.up,
            Moment::Connected => &mut self.connected,
            Moment::Chosen => &mut self.chosen,
            Moment::Returned => &mut self.returned,
        }
    }
}

/// Each moment with its value, in the order of [`Moment::ALL`].
impl<T> IntoIterator for PerMoment<T> {
    type Item = (Moment, T);
    type IntoIter = std::iter::Zip<std::array::IntoIter<Moment, 4>, std::array::IntoIter<T, 4>>;

    fn into_iter(self) -> Self::IntoIter {
        let Self { up, connected, chosen, returned } = self;
        Moment::ALL
            .into_iter()
            .zip([up, connected, chosen, returned])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_moment_has_a_name() {
        assert_eq!(Moment::ALL.map(|moment| (moment.name(), moment)), Moment::NAMES);
    }

    #[test]
    fn each_value_is_found_under_its_moment() {
        let mut names = PerMoment::<&str>::default();
        for moment in Moment::ALL {
            names[moment] = moment.name();
        }
        assert_eq!((names.up, names.returned), ("up", "returned"));
        let lengths = names.as_ref().map(|name| name.len());
        for (moment, length) in lengths {
            assert_eq!(names[moment], moment.name());
            assert_eq!(length, moment.name().len());
        }
    }
}
