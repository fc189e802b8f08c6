//! Text of others on a terminal: control characters are shown, and do nothing.
//!
//! Names of files, values of scenarios and words of subjects may contain escape sequences, line
//! feeds, and characters that change the direction of text.

use std::path::Path;

/// Whether a character does something to a terminal or to the text around it instead of being
/// shown: the control characters, line and paragraph separators, and the marks of direction
/// (Unicode Standard Annex #9).
pub(crate) fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
                | '\u{feff}'
        )
}

/// The text on one line, with each unprintable character as an escape such as `\n` or `\u{1b}`.
pub(crate) fn escaped(text: &str) -> String {
    escaped_but(text, |_| false)
}

/// [`escaped`] for text of several lines.
pub(crate) fn escaped_lines(text: &str) -> String {
    escaped_but(text, |character| character == '\n')
}

/// A path for a message, on one line.
pub(crate) fn shown(path: &Path) -> String {
    escaped(&path.to_string_lossy())
}

/// A text of the same length in bytes, in which each unprintable character but line feed and tab
/// is replaced by a printable one: places in the text stay right.
pub(crate) fn masked(text: &str) -> String {
    let replace = |character: char| match character {
        '\n' | '\t' => character,
        _ if !is_unprintable(character) => character,
        _ => match character.len_utf8() {
            1 => '?',
            2 => '¿',
            _ => char::REPLACEMENT_CHARACTER,
        },
    };
    text.chars().map(replace).collect()
}

fn escaped_but(text: &str, is_kept: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if is_unprintable(character) && !is_kept(character) {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVIL: &str = "a\u{1b}[31m\r\n\u{202e}\u{85}ü\u{7f}";

    #[test]
    fn nothing_that_acts_on_a_terminal_is_left() {
        assert_eq!(escaped(EVIL), "a\\u{1b}[31m\\r\\n\\u{202e}\\u{85}ü\\u{7f}");
        assert_eq!(escaped_lines("a\nb\u{1b}"), "a\nb\\u{1b}");
        assert_eq!(shown(Path::new("a\n.toml")), "a\\n.toml");
        assert_eq!(escaped("häuser = \"x\""), "häuser = \"x\"");
    }

    #[test]
    fn a_masked_text_keeps_its_places() {
        let masked = masked(EVIL);
        assert_eq!(masked, "a?[31m?\n\u{fffd}¿ü?");
        assert_eq!(masked.len(), EVIL.len());
    }
}
