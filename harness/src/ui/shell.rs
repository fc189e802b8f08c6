//! Words of a POSIX shell, for commands that a reader copies.
//!
//! Written here rather than taken from `shell-words` or `shlex`: both put `--rule=rolling` in
//! quotes, and `shell-words` leaves `!` and `{a,b}` to an interactive shell, which expands them.

use std::path::Path;

/// The word, in quotes where a shell would split or expand it.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=./:,+@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
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
