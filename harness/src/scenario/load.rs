//! Loading a file: bytes to text to a tree, and the errors on the way.

use std::io::{self, Read};
use std::path::Path;

use toml::de::DeTable;

use super::error::{Error, LINKED, Problem};
use super::source_map::SourceMap;
use crate::regular;

/// Size limit of scenario files. A larger file is something else, named by mistake.
const MAX_BYTES: u64 = 1024 * 1024;

/// The text of a scenario file.
///
/// # Errors
/// The file cannot be read, or is not a short text.
pub(super) fn text(path: &Path) -> Result<String, Error> {
    let bytes = read_bytes(path).map_err(|error| Error::unreadable(path, &error))?;
    let file = path.display().to_string();
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::whole_file(
            format!("{file} is larger than 1 MiB"),
            "a scenario is a short TOML file: is this the right path?",
        ));
    }
    String::from_utf8(bytes).map_err(|error| match is_quotable(path, path) {
        true => not_utf8(&file, &error),
        false => Error::whole_file(format!("{file} is not UTF-8 text"), LINKED),
    })
}

/// The text of a file that a scenario extends.
///
/// # Errors
/// The file cannot be read, or is not a short text.
pub(super) fn extended_text(path: &Path) -> io::Result<String> {
    let bytes = read_bytes(path)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8 text"))
}

/// Whether messages may quote a file of the scenario `scenario`: it lies in the folder of that one,
/// at any depth and by no link that leads out of it. A text that is in no file may be quoted.
///
/// Otherwise a check of the scenarios of others would show any file that they name.
pub(super) fn is_quotable(file: &Path, scenario: &Path) -> bool {
    let folder = match scenario.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    match (file.canonicalize(), folder.canonicalize()) {
        (Ok(real), Ok(folder)) => real.starts_with(folder),
        _ => file == scenario,
    }
}

/// The tree of a text as far as it is TOML, with places from the beginning of the text, and the
/// syntax errors, with places from `base` on.
pub(super) fn tree(text: &str, base: usize) -> (DeTable<'_>, Vec<Problem>) {
    let (tree, errors) = DeTable::parse_recoverable(text);
    let problems = first_of_each_line(&errors, text).map(|error| syntax(error, text, base));
    (tree.into_inner(), problems.collect())
}

fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    regular::open(path)?
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn not_utf8(file: &str, error: &std::string::FromUtf8Error) -> Error {
    let at = error.utf8_error().valid_up_to();
    let byte = error.as_bytes()[at];
    // Up to the error the lossy text is the same, so the place is right in it too.
    let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
    let problem = Problem::new(
        at..at + char::REPLACEMENT_CHARACTER.len_utf8(),
        "the file is not UTF-8 text",
        format!("byte 0x{byte:02x}"),
        "a scenario is a TOML file, and TOML files are UTF-8: save it with that encoding",
    );
    let mut sources = SourceMap::default();
    sources.add(file, text);
    Error::of(&sources, vec![problem]).expect("there is a problem")
}

/// The first error of each line: one mistake often makes the rest of its line look wrong.
fn first_of_each_line<'e>(
    errors: &'e [toml::de::Error],
    text: &str,
) -> impl Iterator<Item = &'e toml::de::Error> {
    let line = |error: &toml::de::Error| {
        let start = error.span().map_or(0, |span| span.start);
        text.as_bytes()[..start.min(text.len())]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
    };
    let lines: Vec<usize> = errors.iter().map(line).collect();
    let is_first = move |number: usize| !lines[..number].contains(&lines[number]);
    errors
        .iter()
        .enumerate()
        .filter(move |(number, _)| is_first(*number))
        .map(|(_, error)| error)
}

/// Message and help for an error of the TOML parser, for readers who may not know TOML well.
fn syntax(error: &toml::de::Error, text: &str, base: usize) -> Problem {
    const TOML: &str = "see https://toml.io for how TOML is written";
    let span = error.span().unwrap_or_default();
    let here = text.get(span.clone()).unwrap_or_default();
    let (wrong, expected) = match error.message().split_once(", expected ") {
        Some((wrong, expected)) => (wrong, format!("expected {expected}")),
        None => (error.message(), "here".to_owned()),
    };
    let (message, label, help) = match wrong {
        "string values must be quoted" if here.is_empty() => (
            "a value is missing".to_owned(),
            "expected a value",
            "after `=` comes a number, a string in quotes, true, false, [a list] or {a table}",
        ),
        "string values must be quoted" => (
            format!("`{here}` is not a value"),
            "not a value",
            "a string needs quotes, and a number has no unit behind it: the unit is in the key",
        ),
        "duplicate key" => (
            format!("`{here}` is there twice"),
            "the second time",
            "each key and each [section] may be there once: put both together",
        ),
        _ => (format!("this is not TOML: {wrong}"), expected.as_str(), TOML),
    };
    Problem::new(span.start + base..span.end + base, message, label, help)
}
