//! The two peers of a trial, and the version of IP that they speak.

use std::{
    fmt,
    ops::{Index, IndexMut},
};

use serde::{Deserialize, Serialize};

use crate::named::Named;

/// The version of IP in the whole lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// IPv4: NATs translate addresses.
    V4,
    /// IPv6: NATs are stateful firewalls that translate nothing.
    V6,
}

impl Named for Family {
    const NAMES: &'static [(&'static str, Self)] = &[("ipv4", Self::V4), ("ipv6", Self::V6)];
}

/// One of the two peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    /// Peer a.
    A,
    /// Peer b.
    B,
}

impl Side {
    /// Both sides, peer a first.
    pub(crate) const BOTH: [Self; 2] = [Self::A, Self::B];

    /// 0 or 1.
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::A => 0,
            Self::B => 1,
        }
    }

    /// The other side.
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// `a` or `b`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One value for each of the two peers; serialised as an array of two.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub(crate) struct Pair<T>([T; 2]);

#[allow(dead_code, reason = "one vocabulary for all folders, whichever of it each of them needs")]
impl<T> Pair<T> {
    /// The values of peers a and b.
    pub(crate) const fn new(a: T, b: T) -> Self {
        Self([a, b])
    }

    /// The value of each side, peer a first.
    pub(crate) fn from_fn(of: impl FnMut(Side) -> T) -> Self {
        Self(Side::BOTH.map(of))
    }

    /// References to both values.
    pub(crate) fn as_ref(&self) -> Pair<&T> {
        Pair(self.0.each_ref())
    }

    /// Mutable references to both values.
    pub(crate) fn as_mut(&mut self) -> Pair<&mut T> {
        Pair(self.0.each_mut())
    }

    /// The results of a function of both values, peer a first.
    pub(crate) fn map<U>(self, of: impl FnMut(T) -> U) -> Pair<U> {
        Pair(self.0.map(of))
    }

    /// The values of two pairs, side by side.
    pub(crate) fn zip<U>(self, other: Pair<U>) -> Pair<(T, U)> {
        let [a, b] = self.0;
        let [other_a, other_b] = other.0;
        Pair::new((a, other_a), (b, other_b))
    }

    /// Each side with its value, peer a first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (Side, &T)> + ExactSizeIterator {
        Side::BOTH.into_iter().zip(&self.0)
    }

    /// Each side with its value to be changed, peer a first.
    pub(crate) fn iter_mut(
        &mut self,
    ) -> impl DoubleEndedIterator<Item = (Side, &mut T)> + ExactSizeIterator {
        Side::BOTH.into_iter().zip(&mut self.0)
    }

    /// The values without their sides, peer a first.
    pub(crate) fn values(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }

    /// The values of peers a and b, to be taken apart: `let [a, b] = pair.into_array()`.
    pub(crate) fn into_array(self) -> [T; 2] {
        self.0
    }
}

impl<T> From<[T; 2]> for Pair<T> {
    fn from(values: [T; 2]) -> Self {
        Self(values)
    }
}

impl<T> Index<Side> for Pair<T> {
    type Output = T;

    fn index(&self, side: Side) -> &T {
        &self.0[side.index()]
    }
}

impl<T> IndexMut<Side> for Pair<T> {
    fn index_mut(&mut self, side: Side) -> &mut T {
        &mut self.0[side.index()]
    }
}

/// Each side with its value, peer a first.
impl<T> IntoIterator for Pair<T> {
    type Item = (Side, T);
    type IntoIter = std::iter::Zip<std::array::IntoIter<Side, 2>, std::array::IntoIter<T, 2>>;

    fn into_iter(self) -> Self::IntoIter {
        Side::BOTH.into_iter().zip(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_has_a_name_a_place_and_another_side() {
        for (index, side) in Side::BOTH.into_iter().enumerate() {
            assert_eq!(side.index(), index);
            assert_eq!(side.to_string(), side.name());
            assert_ne!(side.other(), side);
            assert_eq!(side.other().other(), side);
        }
        assert_eq!(Side::BOTH.map(Side::name), ["a", "b"]);
    }

    #[test]
    fn a_pair_is_indexed_by_side() {
        let mut pair = Pair::from_fn(Side::name);
        assert_eq!(pair, Pair::new("a", "b"));
        pair[Side::B] = "c";
        assert_eq!((pair[Side::A], pair[Side::B]), ("a", "c"));
        assert_eq!(Pair::from(pair.into_array()), pair);
    }

    #[test]
    fn a_pair_made_of_pairs_keeps_the_sides_apart() {
        let mut lengths = Pair::new("one".to_owned(), "three".to_owned());
        lengths.as_mut().map(|text| text.push('!'));
        let sizes = lengths.as_ref().map(String::len);
        assert_eq!(sizes, Pair::new(4, 6));
        assert_eq!(sizes.zip(Pair::new('x', 'y')), Pair::new((4, 'x'), (6, 'y')));
        let listed: Vec<_> = sizes.iter().collect();
        assert_eq!(listed, [(Side::A, &4), (Side::B, &6)]);
        assert!(sizes.values().eq(&[4, 6]));
        let mut counted = sizes;
        for (side, count) in counted.iter_mut() {
            *count += side.index();
        }
        assert_eq!(counted.into_iter().collect::<Vec<_>>(), [(Side::A, 4), (Side::B, 7)]);
    }

    #[test]
    fn a_pair_is_an_array_of_two_in_json() {
        let pair = Pair::new(1, 2);
        let text = serde_json::to_string(&pair).unwrap();
        assert_eq!(text, "[1,2]");
        assert_eq!(serde_json::from_str::<Pair<i32>>(&text).unwrap(), pair);
        assert!(serde_json::from_str::<Pair<i32>>("[1]").is_err());
        assert!(serde_json::from_str::<Pair<i32>>("[1,2,3]").is_err());
    }
}
