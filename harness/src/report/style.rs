//! How text for people may look: width, colours, characters.

/// What the place that shows a report can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    /// Columns to stay within.
    pub width: usize,
    /// Whether escape sequences for colours are understood and wanted.
    pub color: bool,
    /// Whether characters beyond ASCII can be shown.
    pub unicode: bool,
}

impl Style {
    /// Width where none is known: a file or a pipe.
    pub(crate) const DEFAULT_WIDTH: usize = 100;
    /// Narrower than this nothing can be laid out.
    const MIN_WIDTH: usize = 60;

    /// The style of standard output. Only its own width counts: what goes into a file must not
    /// depend on the terminal that other streams are at.
    pub(crate) fn of_stdout(is_terminal: bool) -> Self {
        let size = is_terminal.then(terminal_size::terminal_size).flatten();
        let width = size.map(|(width, _)| width.0);
        Self::detect(is_terminal, |name| std::env::var(name).ok(), width)
    }

    /// Decides from the output and the environment: colours only on a terminal, without a
    /// (non-empty) `NO_COLOR` (<https://no-color.org>) and unless `TERM=dumb`; characters beyond
    /// ASCII only if the locale is UTF-8.
    pub(crate) fn detect(
        is_terminal: bool,
        env: impl Fn(&str) -> Option<String>,
        width: Option<u16>,
    ) -> Self {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        let locale = set("LC_ALL")
            .or_else(|| set("LC_CTYPE"))
            .or_else(|| set("LANG"));
        let charset = locale.unwrap_or_default().to_lowercase();
        let dumb = env("TERM").is_some_and(|term| term == "dumb");
        Self {
            width: width
                .map_or(Self::DEFAULT_WIDTH, usize::from)
                .max(Self::MIN_WIDTH),
            color: is_terminal && !dumb && set("NO_COLOR").is_none(),
            unicode: charset.ends_with("utf-8") || charset.ends_with("utf8"),
        }
    }

    /// The text in the ink, if colours are wanted.
    pub(super) fn paint(self, ink: Ink, text: &str) -> String {
        if self.color { format!("\x1b[{}m{text}\x1b[0m", ink.code()) } else { text.to_owned() }
    }

    /// The text on the colour of a rate, from red to green, if colours are wanted; bold if it is
    /// marked.
    pub(super) fn shade(self, rate: f64, marked: bool, text: &str) -> String {
        if !self.color {
            return text.to_owned();
        }
        // Of the 256 colours; lighter with the rate too, for those who cannot tell red from green.
        let background = match rate {
            _ if rate < 0.1 => 174,
            _ if rate < 0.5 => 216,
            _ if rate < 0.9 => 222,
            _ if rate < 0.99 => 192,
            _ => 157,
        };
        let bold = if marked { "1;" } else { "" };
        format!("\x1b[{bold}38;5;16;48;5;{background}m{text}\x1b[0m")
    }

    /// Replaces the typographic characters of reports, one for one, if only ASCII can be shown.
    pub(super) fn encode(self, text: String) -> String {
        if self.unicode || text.is_ascii() {
            return text;
        }
        let replace = |character| match character {
            '–' | '·' | '─' => '-',
            '▼' => 'v',
            '▲' => '^',
            '×' => 'x',
            '…' => '~',
            other => other,
        };
        text.chars().map(replace).collect()
    }
}

/// What a piece of text is, rather than its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    /// Headings.
    Bold,
    /// What can be skipped.
    Faint,
    /// All is well.
    Good,
    /// Open.
    Doubtful,
    /// Wrong.
    Bad,
}

impl Ink {
    /// Parameters of the SGR sequence (ECMA-48, 8.3.117); the 16 colours of the user's own theme.
    fn code(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Faint => "2",
            Self::Good => "32",
            Self::Doubtful => "33",
            Self::Bad => "1;31",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(is_terminal: bool, variables: &[(&str, &str)]) -> Style {
        let env = |name: &str| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Style::detect(is_terminal, env, None)
    }

    #[test]
    fn colours_need_a_terminal_that_wants_them() {
        assert!(detect(true, &[("TERM", "xterm-256color")]).color);
        assert!(!detect(false, &[("TERM", "xterm-256color")]).color);
        assert!(!detect(true, &[("TERM", "dumb")]).color);
        assert!(!detect(true, &[("NO_COLOR", "1")]).color);
        assert!(detect(true, &[("NO_COLOR", "")]).color);
    }

    #[test]
    fn the_first_locale_variable_that_is_set_decides() {
        assert!(detect(false, &[("LANG", "en_US.UTF-8")]).unicode);
        assert!(detect(false, &[("LANG", "C.utf8")]).unicode);
        assert!(!detect(false, &[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")]).unicode);
        assert!(detect(false, &[("LC_ALL", ""), ("LANG", "en_US.UTF-8")]).unicode);
        assert!(!detect(false, &[]).unicode);
    }

    #[test]
    fn the_width_is_known_or_assumed_but_never_absurd() {
        assert_eq!(Style::detect(true, |_| None, Some(132)).width, 132);
        assert_eq!(Style::detect(true, |_| None, Some(0)).width, 60);
        assert_eq!(Style::detect(false, |_| None, None).width, 100);
    }

    #[test]
    fn ascii_replaces_one_for_one() {
        let style = Style { width: 100, color: false, unicode: false };
        assert_eq!(style.encode("3 × [95.7–99.5] · ─…".to_owned()), "3 x [95.7-99.5] - -~");
    }
}
