//! Words of a POSIX shell, for commands that a reader copies.

use std::path::Path;

/// The path as one word. Bytes that are not UTF-8 become U+FFFD, as wherever a path is shown.
pub(crate) fn quoted_path(path: &Path) -> String {
    shell_words::quote(&path.to_string_lossy()).into_owned()
}

/// The command line of these words, each in quotes where a shell would split or expand it.
pub(crate) fn command_line(words: &[String]) -> String {
    shell_words::join(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_a_shell_would_split_is_quoted() {
        for (word, expected) in [
            ("--rule=rolling", "--rule=rolling"),
            ("203.0.113.1:0", "203.0.113.1:0"),
            ("", "''"),
            ("two words", "'two words'"),
            ("it's", r"'it'\''s'"),
            ("$HOME", "'$HOME'"),
            ("a;b", "'a;b'"),
        ] {
            assert_eq!(command_line(&[word.to_owned()]), expected);
        }
    }

    #[test]
    fn a_path_is_one_word() {
        let word = |path: &str| quoted_path(Path::new(path));
        assert_eq!(word("target/harness/2026-skew"), "target/harness/2026-skew");
        assert_eq!(word("my runs/it's"), r"'my runs/it'\''s'");
    }

    #[test]
    fn a_command_line_is_read_back_as_its_words() {
        let words = ["punch", "two words", "it's", ""].map(str::to_owned);
        assert_eq!(shell_words::split(&command_line(&words)).unwrap(), words);
    }
}
