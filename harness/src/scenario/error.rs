//! Mistakes in scenario files: message, place, and what would be right.

use std::cell::RefCell;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use miette::{Diagnostic, NamedSource, SourceSpan};

use super::source_map::{SourceMap, Unquotable};
use crate::ui::escape::{escaped, shown};

/// All mistakes of a scenario. As a [`Diagnostic`] the first one points into the file, and the
/// others are related to it.
#[derive(Debug, Clone, thiserror::Error, Diagnostic)]
#[error("{message}")]
pub(crate) struct Error {
    message: String,
    label: Box<str>,
    #[help]
    help: Box<str>,
    #[source_code]
    text: Option<Arc<NamedSource<String>>>,
    #[label("{label}")]
    span: Option<SourceSpan>,
    #[related]
    others: Vec<Self>,
}

impl Error {
    /// Problems at places of `sources`, in the order of the text; `None` without problems.
    pub(super) fn of(sources: &SourceMap, problems: Vec<Problem>) -> Option<Self> {
        let mut problems = without_quotes(sources, problems);
        problems.sort_by_key(|problem| sources.order(&problem.span));
        let mut errors = problems
            .into_iter()
            .map(|problem| Self::at(sources, problem));
        let first = errors.next()?;
        Some(Self { others: errors.collect(), ..first })
    }

    fn at(sources: &SourceMap, problem: Problem) -> Self {
        let [message, label, help] =
            [problem.message, problem.label, problem.help].map(|text| escaped(&text));
        if sources.unquotable(&problem.span).is_some() {
            return Self::whole_file(message, &help);
        }
        let (text, span) = sources.locate(&problem.span);
        Self {
            message,
            label: label.into(),
            help: help.into(),
            text: Some(text),
            span: Some(span.into()),
            others: Vec::new(),
        }
    }

    /// Each problem by itself, in the order of the text.
    pub(crate) fn each(self) -> Vec<Self> {
        let mut first = self;
        let others = std::mem::take(&mut first.others);
        std::iter::once(first).chain(others).collect()
    }

    /// The file could not be read at all.
    pub(super) fn unreadable(file: &Path, error: &std::io::Error) -> Self {
        Self::whole_file(
            format!("cannot read the scenario {}: {error}", shown(file)),
            "give the path of a scenario file, such as scenarios/hello.toml",
        )
    }

    /// The file as a whole is not a scenario.
    pub(super) fn whole_file(message: String, help: &str) -> Self {
        let (message, help) = (escaped(&message), help.into());
        Self { message, label: Box::default(), help, text: None, span: None, others: Vec::new() }
    }
}

/// Help for a scenario of which nothing may be quoted.
pub(super) const LINKED: &str = "it is a link that leads out of its folder, so that nothing of it \
    is shown here: `harness check` with the path of the file itself says more";

/// Problems in which no text is quoted that must not be: those of one such text become one, at the
/// place where the text is named.
fn without_quotes(sources: &SourceMap, problems: Vec<Problem>) -> Vec<Problem> {
    let mut outside: Vec<Unquotable> = Vec::new();
    let is_quotable = |problem: &Problem| match sources.unquotable(&problem.span) {
        None => true,
        Some(place) => {
            outside.push(place);
            false
        }
    };
    let mut told: Vec<Problem> = problems.into_iter().filter(is_quotable).collect();
    outside.sort_by(|one, other| (&one.name, one.line).cmp(&(&other.name, other.line)));
    outside.dedup_by(|one, other| (&one.name, one.line) == (&other.name, other.line));
    for of_one in outside.chunk_by(|one, other| one.name == other.name) {
        let Unquotable { name, named_at, line } = &of_one[0];
        let more = match of_one.len() - 1 {
            0 => String::new(),
            1 => " and 1 more line".to_owned(),
            more => format!(" and {more} more lines"),
        };
        let help = if named_at.is_some() {
            format!(
                "it lies outside of the scenario's folder, so that nothing of it is shown here: \
                 `harness check {name}` says more"
            )
        } else {
            LINKED.to_owned()
        };
        let message = format!("{name} is wrong in line {line}{more}");
        told.push(Problem::new(named_at.clone().unwrap_or(0..0), message, "this file", help));
    }
    told
}

/// A problem at a place in the text, without its file.
#[derive(Debug)]
pub(super) struct Problem {
    /// Message in one line.
    message: String,
    /// Label at the place.
    label: String,
    /// Help: what would be right.
    help: String,
    /// Place in bytes: see [`SourceMap`].
    span: Range<usize>,
}

impl Problem {
    pub(super) fn new(
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self { message: message.into(), label: label.into(), help: help.into(), span }
    }

    /// The problem with a further sentence of help, unless the help has it already.
    pub(super) fn with_more_help(mut self, sentence: &str) -> Self {
        if !self.help.contains(sentence) {
            self.help = format!("{}; {sentence}", self.help);
        }
        self
    }

    /// Message and help, for a report at another place.
    pub(super) fn into_message_and_help(self) -> (String, String) {
        (self.message, self.help)
    }
}

/// The result of checking a part of a scenario.
pub(super) type Checked<T> = Result<T, Problem>;

/// Problems found so far. Reading continues after a problem with a valid value in its place, so
/// that all problems are reported at once.
#[derive(Debug, Default)]
pub(super) struct Problems(RefCell<Vec<Problem>>);

impl Problems {
    /// Limit of the reported problems. A problem in thousands of cells is one mistake.
    const MAX_PROBLEMS: usize = 100;

    /// Reports a problem once: each cell of a sweep finds it again.
    pub(super) fn report(&self, problem: Problem) {
        let mut all = self.0.borrow_mut();
        let known = all
            .iter()
            .any(|other| other.span == problem.span && other.message == problem.message);
        if !known && all.len() < Self::MAX_PROBLEMS {
            all.push(problem);
        }
    }

    /// The value, or `None` after the problem is reported.
    pub(super) fn or_report<T>(&self, checked: Checked<T>) -> Option<T> {
        checked.map_err(|problem| self.report(problem)).ok()
    }

    /// Whether a problem is about a key of this name, at a wrong place or misspelt.
    pub(super) fn mention_key(&self, key: &str) -> bool {
        let (name, meant) = (format!("{key}`"), format!("did you mean `{key}`"));
        let is_on = |problem: &Problem| {
            problem.message.ends_with(&name) || problem.help.starts_with(&meant)
        };
        self.0.borrow().iter().any(is_on)
    }

    /// Number of reported problems.
    pub(super) fn count(&self) -> usize {
        self.0.borrow().len()
    }

    /// Whether the limit is reached.
    pub(super) fn is_full(&self) -> bool {
        self.count() >= Self::MAX_PROBLEMS
    }

    /// All problems.
    pub(super) fn into_vec(self) -> Vec<Problem> {
        self.0.into_inner()
    }
}

/// The known name that is most similar to a word, if it is similar enough.
pub(super) fn nearest<'n>(wrong: &str, names: &[&'n str]) -> Option<&'n str> {
    /// Below this similarity, suggestions have nothing in common with the word.
    const SIMILAR: f64 = 0.8;
    names
        .iter()
        .map(|name| (strsim::jaro_winkler(wrong, name), *name))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|x, y| x.0.total_cmp(&y.0))
        .map(|(_, name)| name)
}

/// Beginning of a help text: the most similar name, or nothing.
pub(crate) fn did_you_mean(wrong: &str, names: &[&str]) -> String {
    nearest(wrong, names).map_or(String::new(), |name| format!("did you mean `{name}`? "))
}

/// Names in a text: `a`, `b`, `c`.
pub(crate) fn list(names: &[impl AsRef<str>]) -> String {
    names
        .iter()
        .map(|name| format!("`{}`", name.as_ref()))
        .collect::<Vec<_>>()
        .join(", ")
}
