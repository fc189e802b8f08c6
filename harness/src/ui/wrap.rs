//! Text in lines of a limited width.

use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

use super::escape::is_unprintable;

/// The text in lines of at most `width` columns, with a line feed at the end. The first line begins
/// with `first`; the others are indented by the width of `first`.
///
/// A word that is longer than a line stays whole. Unprintable characters are left out, since
/// evidence may quote a program that writes escape sequences.
pub(crate) fn paragraph(first: &str, text: &str, width: usize) -> String {
    let rest = " ".repeat(textwrap::core::display_width(first));
    indented(first, &rest, text, width)
}

/// [`paragraph`] with `rest` before every line but the first.
pub(crate) fn indented(first: &str, rest: &str, text: &str, width: usize) -> String {
    let words = text.split_whitespace().map(|word| {
        word.chars()
            .filter(|character| !is_unprintable(*character))
            .collect::<String>()
    });
    let text = words.collect::<Vec<_>>().join(" ");
    if text.is_empty() {
        return format!("{first}\n");
    }
    // Words break at spaces only, so that names such as `icmp-reject` stay whole.
    let options = Options::new(width)
        .initial_indent(first)
        .subsequent_indent(rest)
        .break_words(false)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    textwrap::fill(&text, options) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_begin_under_the_first_word() {
        assert_eq!(paragraph("  5 × ", "one two three", 13), "  5 × one two\n      three\n");
        assert_eq!(paragraph("", "  ", 10), "\n");
        assert_eq!(paragraph("pass: ", "", 10), "pass: \n");
    }

    #[test]
    fn a_word_longer_than_the_line_stays_whole() {
        assert_eq!(
            paragraph("", "a symmetric-preserving NAT", 12),
            "a\nsymmetric-preserving\nNAT\n"
        );
    }

    #[test]
    fn escape_sequences_are_left_out() {
        assert_eq!(paragraph("", "\u{1b}[1mbold\u{1b}[0m \u{7}", 20), "[1mbold[0m\n");
    }

    #[test]
    fn every_line_but_the_first_has_its_own_indent() {
        assert_eq!(indented("# ", "#   ", "one two three", 9), "# one two\n#   three\n");
    }
}
