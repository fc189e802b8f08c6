//! From a file to a scenario.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use toml::de::DeTable;

use super::error::{Checked, Error, Problem};
use super::keys::{self, NAME_HELP, is_name};
use super::tree::Section;
use super::{Scenario, expect, setup, sweep};

/// Larger files are no scenarios, but something else whose path was given by mistake.
const MAX_BYTES: u64 = 1024 * 1024;

impl Scenario {
    /// Reads and checks a scenario file.
    ///
    /// # Errors
    /// When the file cannot be read, and for everything that is wrong with its content.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let bytes = read_bytes(path).map_err(|error| Error::unreadable(path, &error))?;
        let file = path.display().to_string();
        if bytes.len() as u64 > MAX_BYTES {
            return Err(Error::whole_file(
                format!("{file} is larger than 1 MiB"),
                "a scenario is a short TOML file: is this the right path?",
            ));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Self::parse(&file, &text),
            Err(error) => Err(not_utf8(&file, &error)),
        }
    }

    /// Checks a scenario. `file` is its path: for messages, and for its name if it gives none.
    ///
    /// # Errors
    /// For everything that is wrong with `text`.
    pub(crate) fn parse(file: &str, text: &str) -> Result<Self, Error> {
        scenario(file, text).map_err(|problem| Error::new(file, text.to_owned(), problem))
    }
}

fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn not_utf8(file: &str, error: &std::string::FromUtf8Error) -> Error {
    let at = error.utf8_error().valid_up_to();
    let byte = error.as_bytes()[at];
    // Up to the place of the error the lossy text is the same, so the place is right in it too.
    let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
    let problem = Problem::new(
        at..at + char::REPLACEMENT_CHARACTER.len_utf8(),
        "the file is not UTF-8 text",
        format!("byte 0x{byte:02x}"),
        "a scenario is a TOML file, and TOML files are UTF-8: save it with that encoding",
    );
    Error::new(file, text, problem)
}

fn scenario(file: &str, text: &str) -> Checked<Scenario> {
    let tree = DeTable::parse(text).map_err(|error| syntax(&error, text))?;
    let tree = tree.get_ref();
    let root = Section::root(tree).only(keys::ROOT)?;
    if root.is_empty() {
        return Err(Problem::new(0..0, "the scenario is empty", "nothing here", TRIALS_HELP));
    }
    // What stands in the file must be right, even where every cell has another value.
    setup::read(&root)?;
    let axes = sweep::axes(&root)?;
    let cells = sweep::cells(tree, &axes)?;
    let expectations = expect::read(&root, &axes)?;
    let question = match root.get("question") {
        Some(value) => Some(value.text("what the scenario asks, in quotes")?.to_owned()),
        None => None,
    };
    let seed = match root.get("seed") {
        Some(value) => Some(value.whole(0, u64::MAX, SEED_HELP)?),
        None => None,
    };
    let name = name(file, &root)?;
    // Last, because `trials` is missed here if it stands in a section by mistake.
    let trials = root.require("trials", TRIALS_HELP)?.whole(1, 1_000_000, TRIALS_HELP)?;
    let trials = u32::try_from(trials).expect("checked to be at most a million");
    let file = file.to_owned();
    let source = text.to_owned();
    Ok(Scenario { name, file, question, source, trials, seed, cells, expectations })
}

const TRIALS_HELP: &str = "`trials` says how often each cell is tried, a whole number from 1 to \
    1000000: write `trials = 100` above the first [section]";
const SEED_HELP: &str = "`seed` is a whole number from 0 to 18446744073709551615, such as \
    `seed = 42`; without it each run draws its own";

fn name(file: &str, root: &Section<'_, '_>) -> Checked<String> {
    if let Some(value) = root.get("name") {
        let name = value.text(NAME_HELP)?;
        if !is_name(name) {
            let message = format!("\"{name}\" cannot be the name of a scenario");
            return Err(value.problem(message, "not a name", NAME_HELP));
        }
        return Ok(name.to_owned());
    }
    let stem = Path::new(file).file_stem().unwrap_or_default().to_string_lossy();
    if is_name(&stem) {
        return Ok(stem.into_owned());
    }
    Err(Problem::new(
        0..0,
        format!("the scenario needs a name: \"{stem}\", from its file name, cannot be one"),
        "needs `name`",
        format!("write `name = \"my-scenario\"` as the first line; {NAME_HELP}"),
    ))
}

/// What the TOML parser says, in the words of somebody who may not know TOML well.
fn syntax(error: &toml::de::Error, text: &str) -> Problem {
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
    Problem::new(span, message, label, help)
}
