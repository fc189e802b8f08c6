//! What is wrong with a scenario file, where, and what would be right.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use miette::{Diagnostic, NamedSource, SourceSpan};

/// Why a scenario cannot be used. As a [`Diagnostic`] it points into the file.
#[derive(Debug, Clone, thiserror::Error, Diagnostic)]
#[error("{message}")]
pub(crate) struct Error {
    message: String,
    label: String,
    #[help]
    help: String,
    #[source_code]
    text: Option<Arc<NamedSource<String>>>,
    #[label("{label}")]
    span: Option<SourceSpan>,
}

impl Error {
    /// A problem at a place of `text`, which is the content of `file`.
    pub(super) fn new(file: &str, text: String, problem: Problem) -> Self {
        Self {
            message: problem.message,
            label: problem.label,
            help: problem.help,
            text: Some(Arc::new(NamedSource::new(file, text))),
            span: Some(problem.span.into()),
        }
    }

    /// The file could not be read at all.
    pub(super) fn unreadable(file: &Path, error: &std::io::Error) -> Self {
        Self::whole_file(
            format!("cannot read the scenario {}: {error}", file.display()),
            "give the path of a scenario file, such as scenarios/hello.toml",
        )
    }

    /// The file as a whole is not a scenario.
    pub(super) fn whole_file(message: String, help: &str) -> Self {
        Self { message, label: String::new(), help: help.to_owned(), text: None, span: None }
    }
}

/// A problem at a place in the text: an [`Error`] that does not yet know its file.
#[derive(Debug)]
pub(super) struct Problem {
    /// What is wrong, in one line.
    message: String,
    /// What to say at the place itself.
    label: String,
    /// What would be right.
    help: String,
    /// The place, in bytes.
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
}

/// The result of checking a part of a scenario.
pub(super) type Checked<T> = Result<T, Problem>;

/// The name that was probably meant, if one is similar enough.
pub(super) fn nearest<'n>(wrong: &str, names: &[&'n str]) -> Option<&'n str> {
    /// Below it, suggestions begin to have nothing to do with the word.
    const SIMILAR: f64 = 0.8;
    names
        .iter()
        .map(|name| (strsim::jaro_winkler(wrong, name), *name))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|x, y| x.0.total_cmp(&y.0))
        .map(|(_, name)| name)
}

/// The beginning of a help text: the name that was probably meant, or nothing.
pub(crate) fn did_you_mean(wrong: &str, names: &[&str]) -> String {
    nearest(wrong, names).map_or(String::new(), |name| format!("did you mean `{name}`? "))
}

/// Names as a reader expects them: `a`, `b`, `c`.
pub(crate) fn list(names: &[impl AsRef<str>]) -> String {
    names.iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}
