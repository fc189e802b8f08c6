//! Words of a POSIX shell, for commands that a reader copies.
//!
//! Written here rather than taken from `shell-words` or `shlex`: both put `--rule=rolling` in
//! quotes, and `shell-words` leaves `!` and `{a,b}` to an interactive shell, which expands them.

use std::{fmt::Write as _, path::Path};

use super::escape::is_unprintable;

/// The word, in quotes where a shell would split or expand it. Unprintable characters become
/// escapes of dollar-single-quotes (POSIX.1-2024, 2.2.4).
pub(crate) fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=./:,+@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    if word.chars().any(is_unprintable) {
        return with_escapes(word);
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn with_escapes(word: &str) -> String {
    let mut out = "$'".to_owned();
    for character in word.chars() {
        if is_unprintable(character) {
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                let _infallible = write!(out, "\\{byte:03o}");
            }
        } else {
            if matches!(character, '\'' | '\\') {
                out.push('\\');
            }
            out.push(character);
        }
    }
    out + "'"
}

/// The path as one word. Bytes that are not UTF-8 become U+FFFD, as wherever a path is shown.
pub(crate) fn quoted_path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// The command line of these words.
pub(crate) fn command_line(words: &[String]) -> String {
    words
        .iter()
        .map(|word| quoted(word))
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_a_shell_would_split_or_expand_is_quoted() {
        for (word, expected) in [
            ("--rule=rolling", "--rule=rolling"),
            ("", "''"),
            ("two words", "'two words'"),
            ("it's", r"'it'\''s'"),
            ("$HOME", "'$HOME'"),
            ("a;b", "'a;b'"),
            ("{a,b}", "'{a,b}'"),
            ("no!", "'no!'"),
            ("\u{1b}[1m it's\n\u{202e}", r"$'\033[1m it\'s\012\342\200\256'"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }

    #[test]
    fn a_path_is_one_word() {
        let word = |path: &str| quoted_path(Path::new(path));
        assert_eq!(word("target/harness/2026-skew"), "target/harness/2026-skew");
        assert_eq!(word("my runs/it's"), r"'my runs/it'\''s'");
    }

    #[test]
    fn a_command_line_has_spaces_between_its_words_only() {
        let words = ["punch", "two words", ""].map(str::to_owned);
        assert_eq!(command_line(&words), "punch 'two words' ''");
    }
}
