//! Texts of a scenario: its file, the files that it extends, and flags of the command line.
//!
//! All texts share one space of places, end to end, so that a place in any text is one number. A
//! value keeps its place when trees are merged, and a problem is reported where the value was
//! written.

use std::ops::Range;
use std::sync::Arc;

use miette::NamedSource;

use crate::ui::escape::{escaped, masked};

/// Texts in the order in which they were added: the scenario's own file first.
#[derive(Debug, Default)]
pub(super) struct SourceMap(Vec<Source>);

#[derive(Debug)]
struct Source {
    text: String,
    /// Name and text for messages, without characters that act on a terminal. Places are the same.
    shown: Arc<NamedSource<String>>,
    /// Place of its first byte.
    base: usize,
    /// Whether messages may quote it.
    quoting: Quoting,
}

/// Whether messages may quote a text.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Quoting {
    Allowed,
    /// They must not. The place is where the text is named in one that they may quote, if there is
    /// any.
    Forbidden {
        named_at: Option<Range<usize>>,
    },
}

/// Place in a text that messages must not quote.
#[derive(Debug)]
pub(super) struct Unquotable {
    /// Name of the text.
    pub name: String,
    /// Place where the text is named, in a text that may be quoted, if there is any.
    pub named_at: Option<Range<usize>>,
    /// Line, from 1.
    pub line: usize,
}

impl SourceMap {
    /// Adds a text with its name in messages. Returns the place of its first byte.
    pub(super) fn add(&mut self, name: &str, text: String) -> usize {
        self.add_source(name, text, Quoting::Allowed)
    }

    /// [`SourceMap::add`] for a text that messages must not quote, and that is named at `place` if
    /// it is not the first one.
    pub(super) fn add_unquotable(
        &mut self,
        name: &str,
        text: String,
        place: Option<Range<usize>>,
    ) -> usize {
        let named_at = place.and_then(|place| match &self.source(&place).quoting {
            Quoting::Allowed => Some(place),
            Quoting::Forbidden { named_at } => named_at.clone(),
        });
        self.add_source(name, text, Quoting::Forbidden { named_at })
    }

    fn add_source(&mut self, name: &str, text: String, quoting: Quoting) -> usize {
        // One more than the length: the end of a text is not the beginning of the next one.
        let base = self
            .0
            .last()
            .map_or(0, |last| last.base + last.text.len() + 1);
        let shown = Arc::new(NamedSource::new(escaped(name), masked(&text)));
        self.0.push(Source { text, shown, base, quoting });
        base
    }

    /// Each text and the place of its first byte.
    pub(super) fn texts(&self) -> impl Iterator<Item = (usize, &str)> {
        self.0
            .iter()
            .map(|source| (source.base, source.text.as_str()))
    }

    /// The text of a place, and the place within it.
    pub(super) fn locate(&self, span: &Range<usize>) -> (Arc<NamedSource<String>>, Range<usize>) {
        let source = self.source(span);
        (Arc::clone(&source.shown), span.start - source.base..span.end - source.base)
    }

    /// What may be said of a place in a text that messages must not quote; `None` for other places.
    pub(super) fn unquotable(&self, span: &Range<usize>) -> Option<Unquotable> {
        let source = self.source(span);
        let Quoting::Forbidden { named_at } = source.quoting.clone() else { return None };
        let before = &source.text.as_bytes()[..span.start - source.base];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Some(Unquotable { name: source.shown.name().to_owned(), named_at, line })
    }

    fn source(&self, span: &Range<usize>) -> &Source {
        let found = self.0.iter().rev().find(|source| source.base <= span.start);
        found.expect("the first text begins at 0")
    }

    /// Sort key of problems: the place, with problems of the whole file last.
    pub(super) fn order(&self, span: &Range<usize>) -> (bool, usize) {
        (*span == (0..0), span.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_leads_back_to_its_text() {
        let mut sources = SourceMap::default();
        assert_eq!(sources.add("one", "abc".to_owned()), 0);
        assert_eq!(sources.add("two", "de".to_owned()), 4);
        for (span, name, place) in
            [(0..1, "one", 0..1), (3..3, "one", 3..3), (4..6, "two", 0..2), (6..6, "two", 2..2)]
        {
            let (text, found) = sources.locate(&span);
            assert_eq!((text.name(), found), (name, place), "{span:?}");
        }
    }
}
