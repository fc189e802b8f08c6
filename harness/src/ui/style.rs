//! Width, colours and characters of text on a terminal.

use std::io::{IsTerminal, stdout};

use anstyle::{Ansi256Color, AnsiColor};

/// Abilities of the output that shows a report.
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
    /// Width for a file or a pipe.
    pub(crate) const DEFAULT_WIDTH: usize = 100;
    /// Minimum width of a layout.
    const MIN_WIDTH: usize = 60;

    /// The style of standard output. The terminals of other streams do not matter, so that a report
    /// in a file does not depend on the terminal.
    pub(crate) fn of_stdout() -> Self {
        let is_terminal = stdout().is_terminal();
        let size = is_terminal.then(terminal_size::terminal_size).flatten();
        let width = size.map(|(width, _)| width.0);
        Self::detect(is_terminal, |name| std::env::var(name).ok(), width)
    }

    /// The style for an output and an environment.
    ///
    /// Colours need a terminal other than `TERM=dumb`, or `CLICOLOR_FORCE`
    /// (<https://bixense.com/clicolors>) with a value other than `0`; `NO_COLOR`
    /// (<https://no-color.org>) with any value beats both. Characters beyond ASCII need a UTF-8
    /// locale.
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
        let understood = is_terminal && env("TERM").is_none_or(|term| term != "dumb");
        let forced = set("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        Self {
            width: width
                .map_or(Self::DEFAULT_WIDTH, usize::from)
                .max(Self::MIN_WIDTH),
            color: (understood || forced) && set("NO_COLOR").is_none(),
            unicode: charset.ends_with("utf-8") || charset.ends_with("utf8"),
        }
    }

    /// The text in the ink, if colours are wanted.
    pub(crate) fn paint(self, ink: Ink, text: &str) -> String {
        self.styled(ink.style(), text)
    }

    /// The text on the colour of a rate, from red to green, if colours are wanted; bold if it is
    /// marked.
    pub(crate) fn shade(self, rate: f64, marked: bool, text: &str) -> String {
        // Lighter with the rate, for readers who cannot tell red from green.
        let background = match rate {
            _ if rate < 0.1 => 174,
            _ if rate < 0.5 => 216,
            _ if rate < 0.9 => 222,
            _ if rate < 0.99 => 192,
            _ => 157,
        };
        let colors = Ansi256Color(16).on(Ansi256Color(background));
        self.styled(if marked { colors.bold() } else { colors }, text)
    }

    fn styled(self, style: anstyle::Style, text: &str) -> String {
        if self.color { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// The text with its typographic characters replaced, one for one, if only ASCII can be shown.
    pub(crate) fn encode(self, text: String) -> String {
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

/// Meaning of a piece of text, which decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ink {
    /// A heading.
    Bold,
    /// Text that can be skipped.
    Faint,
    /// A good result.
    Good,
    /// An open result.
    Doubtful,
    /// A bad result.
    Bad,
}

impl Ink {
    /// One of the 16 colours of the user's own theme.
    fn style(self) -> anstyle::Style {
        match self {
            Self::Bold => anstyle::Style::new().bold(),
            Self::Faint => anstyle::Style::new().dimmed(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Doubtful => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default().bold(),
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
    fn clicolor_force_needs_no_terminal_but_yields_to_no_color() {
        assert!(detect(false, &[("CLICOLOR_FORCE", "1")]).color);
        assert!(detect(true, &[("CLICOLOR_FORCE", "1"), ("TERM", "dumb")]).color);
        assert!(!detect(false, &[("CLICOLOR_FORCE", "0")]).color);
        assert!(!detect(false, &[("CLICOLOR_FORCE", "")]).color);
        assert!(!detect(true, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).color);
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
    fn a_width_is_at_least_60_and_100_where_there_is_none() {
        assert_eq!(Style::detect(true, |_| None, Some(132)).width, 132);
        assert_eq!(Style::detect(true, |_| None, Some(0)).width, 60);
        assert_eq!(Style::detect(false, |_| None, None).width, 100);
    }

    #[test]
    fn ascii_replaces_typographic_characters_one_for_one() {
        let style = Style { width: 100, color: false, unicode: false };
        assert_eq!(style.encode("3 × [95.7–99.5] · ─…".to_owned()), "3 x [95.7-99.5] - -~");
    }

    #[test]
    fn without_colours_text_stays_as_it_is() {
        let style = Style { width: 100, color: false, unicode: true };
        assert_eq!(style.paint(Ink::Bad, "FAIL") + &style.shade(0.5, true, " 50"), "FAIL 50");
    }
}
