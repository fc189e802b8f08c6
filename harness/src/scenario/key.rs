//! Keys and sections of the scenario language: their types, and the texts that describe them.

use super::criterion::Time;
use super::error::list;
use crate::named::Named;
use crate::nat::catalogue;
use crate::nat::possible::MIN_BLOCK;

/// A table of a scenario file, and the keys that it may have.
#[derive(Debug)]
pub(super) struct Section {
    /// Description, as a noun phrase.
    pub about: &'static str,
    /// The keys in the order of messages and documents.
    pub keys: &'static [Key],
}

impl Section {
    /// The key of a name, if the section has it.
    pub(super) fn find(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The key of a name that the section has.
    pub(super) fn key(&self, name: &str) -> &'static Key {
        self.find(name)
            .expect("the reader asks for keys of the table only")
    }

    /// The names of the keys.
    pub(super) fn names(&self) -> Vec<&'static str> {
        self.keys.iter().map(|key| key.name).collect()
    }
}

/// A key of a section. Help texts, the schema and the README's tables are made of its texts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    /// Name, with the unit last.
    pub name: &'static str,
    /// Values that it takes.
    pub kind: Kind,
    /// Value of a scenario that does not have the key.
    pub default: DefaultValue,
    /// Description, as a phrase that continues "is", or "says" where it begins with "whether".
    pub about: &'static str,
    /// Continuation of `about` for the schema and the README, with the punctuation before it.
    pub note: &'static str,
    /// Section of the README that says more, such as `#how-many-trials`.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test writes the README's tables"))]
    pub see: &'static str,
    /// A value in TOML.
    pub example: &'static str,
    /// Help text, where the one that follows from the other fields would not do.
    pub help: &'static str,
}

/// What the fields of a key hold that its entry does not give.
pub(super) const KEY: Key = Key {
    name: "",
    kind: Kind::Text,
    default: DefaultValue::None,
    about: "",
    note: "",
    see: "",
    example: "",
    help: "",
};

/// The values that a key takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// A string.
    Text,
    /// The path of a file.
    File,
    /// A name that [`is_name`] accepts.
    Name,
    /// A number.
    Number(NumberRange),
    /// A number, or a table of [`super::language::DISTRIBUTION`].
    Distribution(NumberRange),
    /// A whole number.
    Whole { unit: &'static str, min: u64, max: u64 },
    /// `true` or `false`.
    Flag,
    /// One of these names.
    Choice(fn() -> Vec<&'static str>),
    /// The name of a NAT of the catalogue.
    NatName,
    /// The name of a NAT, or a table of its behaviours.
    Nat(&'static Section),
    /// A list of the lowest and the highest port.
    Ports,
    /// A list of at least `min` strings: a program and its arguments.
    Command { min: u64 },
    /// A section, merged key by key with that of the file below.
    Section(&'static Section),
    /// Sections of any name.
    Named(&'static Section),
    /// A list of sections.
    List(&'static Section),
    /// Paths and the values that they are swept over.
    Sweep,
    /// Groups of swept paths that vary together.
    Zip,
    /// A table that replaces that of the file below as a whole.
    Table(&'static Section),
    /// In a distribution: a list of the lowest and the highest value.
    Interval,
    /// In a distribution: a list of values.
    Values,
    /// In a distribution: a value.
    Value,
    /// In a distribution: a distance between values, above 0.
    Width,
    /// A number without bounds.
    AnyNumber,
    /// Swept paths and the values that select a cell.
    Conditions,
    /// A bound on a rate, or `"theory"`.
    Success,
    /// A bound on a rate.
    Rate,
    /// Causes, and a bound on the rate of each.
    Shares,
    /// A list of causes.
    Causes,
    /// NumberRange on quantiles of a time.
    Quantiles(Time),
}

/// The bounds of a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct NumberRange {
    /// In words, such as `seconds`; empty for a fraction.
    pub unit: &'static str,
    pub min: f64,
    pub max: f64,
}

impl NumberRange {
    /// `milliseconds from 0 to 10000`
    pub(super) fn range(&self) -> String {
        let blank = if self.unit.is_empty() { "" } else { " " };
        format!("{}{blank}from {} to {}", self.unit, self.min, self.max)
    }
}

/// The value of a scenario that does not have the key.
#[derive(Debug, Clone, Copy)]
pub(super) enum DefaultValue {
    /// The key must be there, unless a file below has it.
    Required,
    /// No value.
    None,
    Number(f64),
    Whole(u64),
    Flag(bool),
    /// One of the names of the key's kind.
    Name(&'static str),
    /// A value that depends on others, in words for the README.
    Words(
        #[cfg_attr(not(test), expect(dead_code, reason = "a test writes the README's tables"))]
        &'static str,
    ),
}

impl DefaultValue {
    pub(super) fn number(self) -> Option<f64> {
        if let Self::Number(number) = self { Some(number) } else { None }
    }

    pub(super) fn whole(self) -> Option<u64> {
        if let Self::Whole(number) = self { Some(number) } else { None }
    }

    pub(super) fn flag(self) -> Option<bool> {
        if let Self::Flag(flag) = self { Some(flag) } else { None }
    }

    /// The value of `T` that it names.
    pub(super) fn choice<T: Named>(self) -> Option<T> {
        let Self::Name(name) = self else { return None };
        let found = T::NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value)
    }
}

impl Key {
    /// The bounds of a number, or of what it is drawn from.
    pub(super) fn bounds(&self) -> &NumberRange {
        let (Kind::Number(bounds) | Kind::Distribution(bounds)) = &self.kind else {
            panic!("`{}` is no number in the table", self.name)
        };
        bounds
    }

    /// The lowest and the highest whole number.
    pub(super) fn whole_bounds(&self) -> (u64, u64) {
        let Kind::Whole { min, max, .. } = self.kind else {
            panic!("`{}` is no whole number in the table", self.name)
        };
        (min, max)
    }

    /// The keys of a section.
    pub(super) fn section(&self) -> &'static Section {
        let (Kind::Section(section) | Kind::Table(section) | Kind::Nat(section)) = self.kind else {
            panic!("`{}` is no section in the table", self.name)
        };
        section
    }

    /// Whether its value is a table or a list of tables with a heading of its own.
    pub(super) fn is_section(&self) -> bool {
        use Kind::{List, Named, Section, Sweep};
        matches!(self.kind, Section(_) | Named(_) | List(_) | Sweep)
    }

    /// Whether a sweep can vary it, or what is below it.
    pub(super) fn is_swept(&self) -> bool {
        matches!(self.kind, Kind::Section(_) | Kind::Named(_))
    }

    /// What would be right, in a sentence.
    pub(super) fn help(&self) -> String {
        if !self.help.is_empty() {
            return self.help.to_owned();
        }
        let Self { name, about, example, .. } = self;
        match &self.kind {
            Kind::Number(bounds) | Kind::Distribution(bounds) => {
                format!("`{name}` is {about}: {}, such as `{name} = {example}`", bounds.range())
            }
            Kind::Whole { unit, min, max } => {
                let numbers =
                    if unit.is_empty() { "a whole number" } else { &format!("whole {unit}") };
                format!(
                    "`{name}` is {about}: {numbers} from {min} to {max}, such as `{name} = {example}`"
                )
            }
            Kind::Flag => format!("`{name}` says {about}: true or false, without quotes"),
            Kind::Choice(names) => format!("one of {}", quoted(&names())),
            Kind::Name => NAME_HELP.to_owned(),
            Kind::Nat(_) | Kind::NatName => format!("the NATs are {}", list(&catalogue::names())),
            Kind::Ports => format!(
                "`{name}` is {about}, from 1024 to 65535 and at least {MIN_BLOCK} ports: \
                 `{name} = {example}`"
            ),
            Kind::Table(_) | Kind::Interval | Kind::Values => {
                format!("`{{ {name} = {example} }}` is {about}")
            }
            Kind::Text
            | Kind::File
            | Kind::Command { .. }
            | Kind::Section(_)
            | Kind::Named(_)
            | Kind::List(_)
            | Kind::Sweep
            | Kind::Zip
            | Kind::Value
            | Kind::Width
            | Kind::AnyNumber
            | Kind::Conditions
            | Kind::Success
            | Kind::Rate
            | Kind::Shares
            | Kind::Causes
            | Kind::Quantiles(_) => {
                format!("`{name}` is {about}: `{name} = {example}`")
            }
        }
    }

    /// Description in a sentence, for the schema.
    pub(super) fn description(&self) -> String {
        sentence(&self.text())
    }

    /// Description without its unit, for the README.
    pub(super) fn phrase(&self) -> String {
        let Kind::Quantiles(time) = self.kind else {
            return format!("{}{}", self.about, self.note);
        };
        format!("bounds on quantiles of the time until {}, {}", time.moment.event(), time.unit)
    }

    fn text(&self) -> String {
        let (Kind::Number(NumberRange { unit, .. })
        | Kind::Distribution(NumberRange { unit, .. })
        | Kind::Whole { unit, .. }) = self.kind
        else {
            return self.phrase();
        };
        if unit.is_empty() {
            self.phrase()
        } else {
            format!("{}, in {unit}{}", self.about, self.note)
        }
    }
}

/// A phrase with a capital letter and a full stop; nothing of nothing.
pub(super) fn sentence(phrase: &str) -> String {
    let mut letters = phrase.chars();
    match letters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), letters.as_str()),
        None => String::new(),
    }
}

/// The names of all values of a type.
pub(super) fn names<T: Named>() -> Vec<&'static str> {
    T::NAMES.iter().map(|(name, _)| *name).collect()
}

/// Names as a file has them: `"a", "b"`.
pub(super) fn quoted(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    quoted.join(", ")
}

/// The rule of [`is_name`].
pub(super) const NAME_HELP: &str =
    "a name has 1 to 64 characters out of the letters a to z, the digits and `-`";

/// Whether a text may name a scenario or a host: names appear in paths of files and in commands.
pub(super) fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}
