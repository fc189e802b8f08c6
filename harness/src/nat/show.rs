//! NATs as text: the catalogue, and a single NAT with its rules.

use std::{fmt::Write, net::IpAddr};

use serde_json::{Value, json};

use super::{
    Allocation, Filtering, Mapping, Nat, NatSpec, Timeouts,
    catalogue::{self, CATALOGUE, CatalogueEntry},
    keys, rfc,
    rules::{self, LAN, Rules, Tool, WAN},
};
use crate::{
    named::Named,
    peers::Family,
    ui::{
        style::Style,
        table::{self, Column},
        wrap::{indented, paragraph},
    },
};

/// Sign for a behaviour that a NAT does not have.
const NONE: &str = "-";

/// The meaning of what the table abbreviates.
const ABBREVIATIONS: &str = "EI endpoint-independent, AD address-dependent, APD \
    address-and-port-dependent (RFC 4787); preserving-ovl. preserving-overloading; time-outs in \
    seconds for SYNs/established/closed connections, where they are not the kernel's.";

/// The catalogue as a table, or as two where one is too wide, and below it the equipment that each
/// NAT stands for.
pub(crate) fn list(style: Style) -> String {
    const HEADINGS: [[&str; 2]; 8] = [
        ["NAT", ""],
        ["mapping", ""],
        ["filtering", ""],
        ["allocation", ""],
        ["unsolicited", ""],
        ["sim.", "open"],
        ["hairpin", ""],
        ["time-", "outs"],
    ];
    let rows: Vec<[String; 8]> = CATALOGUE.iter().map(row).collect();
    let column = |(index, heading): (usize, [&str; 2])| {
        Column::left(heading, rows.iter().map(|row| row[index].clone()).collect())
    };
    let columns: Vec<Column> = HEADINGS.into_iter().enumerate().map(column).collect();
    let mut text = if table::fits(&columns, style) {
        table::plain(&columns, style)
    } else {
        let (left, others) = columns.split_at(5);
        let right = [&columns[..1], others].concat();
        table::plain(left, style) + "\n" + &table::plain(&right, style)
    };
    text.push('\n');
    text += &paragraph("", ABBREVIATIONS, style.width);
    text.push('\n');
    let names = CATALOGUE.iter().map(|entry| entry.name.len());
    let name_width = names.max().unwrap_or(0);
    for CatalogueEntry { name, summary, .. } in CATALOGUE {
        text += &paragraph(&format!(" {name:name_width$}  "), summary, style.width);
    }
    style.encode(text)
}

fn row(entry: &CatalogueEntry) -> [String; 8] {
    let Some(nat) = &entry.spec else {
        return [entry.name, NONE, NONE, NONE, NONE, NONE, NONE, NONE].map(str::to_owned);
    };
    let allocation = match nat.allocation {
        // The full name is wide, and this is the usual allocation.
        Allocation::PreservingOverloading => "preserving-ovl.".to_owned(),
        Allocation::Preserving
        | Allocation::FixedDelta(_)
        | Allocation::Block(_)
        | Allocation::Random
        | Allocation::Sequential => nat.allocation.to_string(),
    };
    [
        entry.name.to_owned(),
        short_mapping(nat.mapping).to_owned(),
        short_filtering(nat.filtering).to_owned(),
        allocation,
        nat.unsolicited.name().to_owned(),
        if nat.simultaneous_open { "yes" } else { "no" }.to_owned(),
        nat.hairpin.name().to_owned(),
        short_timeouts(nat.timeouts),
    ]
}

fn short_mapping(mapping: Mapping) -> &'static str {
    match mapping {
        Mapping::EndpointIndependent => "EI",
        Mapping::AddressDependent => "AD",
        Mapping::AddressAndPortDependent => "APD",
    }
}

fn short_filtering(filtering: Filtering) -> &'static str {
    match filtering {
        Filtering::EndpointIndependent => "EI",
        Filtering::AddressDependent => "AD",
        Filtering::AddressAndPortDependent => "APD",
    }
}

fn short_timeouts(timeouts: Timeouts) -> String {
    if timeouts == Timeouts::default() {
        return NONE.to_owned();
    }
    let Timeouts { syn_s, established_s, close_s } = timeouts;
    [syn_s, established_s, close_s]
        .map(|seconds| seconds.map_or(NONE.to_owned(), |seconds| seconds.to_string()))
        .join("/")
}

/// The catalogue for programs.
pub(crate) fn list_json() -> Value {
    CATALOGUE
        .iter()
        .map(|CatalogueEntry { name, summary, spec }| {
            let mut entry = json!({ "name": name, "stands_for": summary });
            if let Some(nat) = spec {
                entry["behaviour"] = behaviour_json(nat);
                entry["breaks"] = rfc::broken(nat).into();
            }
            entry
        })
        .collect()
}

/// A NAT in the keys of a scenario.
pub(crate) fn behaviour_json(nat: &NatSpec) -> Value {
    let mut value = json!({
        (keys::MAPPING): nat.mapping.name(),
        (keys::FILTERING): nat.filtering.name(),
        (keys::ALLOCATION): nat.allocation.name(),
        (keys::UNSOLICITED): nat.unsolicited.name(),
        (keys::SIMULTANEOUS_OPEN): nat.simultaneous_open,
        (keys::HAIRPIN): nat.hairpin.name(),
        (keys::ICMP_LIMIT): nat.icmp_limit,
    });
    match nat.allocation {
        Allocation::FixedDelta(delta) => value[keys::DELTA] = delta.into(),
        Allocation::Block(block) => value[keys::BLOCK] = json!([block.first, block.last]),
        Allocation::Preserving
        | Allocation::PreservingOverloading
        | Allocation::Random
        | Allocation::Sequential => {}
    }
    let Timeouts { syn_s, established_s, close_s } = nat.timeouts;
    for (key, seconds) in [
        (keys::SYN_TIMEOUT_S, syn_s),
        (keys::ESTABLISHED_TIMEOUT_S, established_s),
        (keys::CLOSE_TIMEOUT_S, close_s),
    ] {
        if let Some(seconds) = seconds {
            value[key] = seconds.into();
        }
    }
    value
}

/// Description of a NAT and the shell script that makes a router with the address `wan` behave so.
/// Comments have lines of up to `width` columns.
pub(crate) fn script(nat: &Nat, family: Family, wan: IpAddr, width: usize) -> String {
    let mut text = comment(&title(nat), width);
    let Some(nat) = nat.spec() else { return text };
    for (what, value) in [
        ("mapping", nat.mapping.name().to_owned()),
        ("filtering", nat.filtering.name().to_owned()),
        ("allocation", nat.allocation.to_string()),
        ("unsolicited", nat.unsolicited.name().to_owned()),
        ("simultaneous open", if nat.simultaneous_open { "yes" } else { "no" }.to_owned()),
        ("hairpin", nat.hairpin.name().to_owned()),
        ("time-outs", in_words(nat.timeouts)),
    ] {
        let _ = writeln!(text, "#   {what:<18} {value}");
    }
    for requirement in rfc::broken(nat) {
        text += &comment(&format!("breaks {requirement}"), width);
    }
    if family == Family::V6 {
        text += &comment("with IPv6 a stateful firewall: nothing is translated", width);
    }
    let Rules { tool, text: rules, sysctls } = rules::rules(family, wan, nat);
    text += &comment(
        &format!(
            "Interface {WAN} has the address {wan}; inside hosts are behind interfaces whose names \
             begin with {LAN}. To be run as root in a network namespace of its own."
        ),
        width,
    );
    let program = [&[tool.program()], arguments(tool)].concat().join(" ");
    let _ = write!(text, "{program} <<'RULES'\n{rules}RULES\n");
    for rules::Sysctl { name, value } in sysctls {
        let _ = writeln!(text, "sysctl -w {name}={value}");
    }
    text
}

/// A NAT for programs: its behaviour, the program that loads its rules, and the kernel variables.
pub(crate) fn rules_json(nat: &Nat, family: Family, wan: IpAddr) -> Value {
    let Some(nat) = nat.spec() else { return json!({ "nat": "none" }) };
    let mut value = json!({ "nat": nat.to_string() });
    let Rules { tool, text, sysctls } = rules::rules(family, wan, nat);
    let sysctls: serde_json::Map<String, Value> = sysctls
        .into_iter()
        .map(|rules::Sysctl { name, value }| (name.to_owned(), value.into()))
        .collect();
    value["behaviour"] = behaviour_json(nat);
    value["family"] = family.name().into();
    value["wan_interface"] = WAN.into();
    value["wan_address"] = wan.to_string().into();
    value["lan_interface_prefix"] = LAN.into();
    value["program"] = tool.program().into();
    value["arguments"] = arguments(tool).into();
    value["stdin"] = text.into();
    value["sysctls"] = sysctls.into();
    value
}

/// The name, with the equipment that the NAT stands for if it is of the catalogue.
fn title(nat: &Nat) -> String {
    let text = nat.to_string();
    match catalogue::find(&text) {
        Some(entry) => format!("{text}: {}", entry.summary),
        None => text,
    }
}

fn arguments(tool: Tool) -> &'static [&'static str] {
    tool.arguments()
}

fn comment(text: &str, width: usize) -> String {
    indented("# ", "#   ", text, width)
}

fn in_words(timeouts: Timeouts) -> String {
    let word = |what, seconds: Option<u32>| match seconds {
        Some(seconds) => format!("{what} {seconds} s"),
        None => format!("{what} as the kernel's"),
    };
    let Timeouts { syn_s, established_s, close_s } = timeouts;
    if timeouts == Timeouts::default() {
        return "the kernel's".to_owned();
    }
    [word("SYN", syn_s), word("established", established_s), word("closed", close_s)].join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wan(family: Family) -> IpAddr {
        let text = match family {
            Family::V4 => "198.51.100.1",
            Family::V6 => "2001:db8:ff:1::1",
        };
        text.parse().unwrap()
    }

    #[test]
    fn the_catalogue_as_a_table() {
        let style = Style { width: 100, color: false, unicode: true };
        insta::assert_snapshot!(list(style));
        insta::assert_snapshot!(list(Style { width: 80, ..style }));
    }

    #[test]
    fn the_catalogue_for_programs() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&list_json()).unwrap());
    }

    #[test]
    fn nats_with_their_rules() {
        let shown = |name, family| script(&Nat::named(name).unwrap(), family, wan(family), 100);
        let all = [
            shown("none", Family::V4),
            shown("home-reject", Family::V4),
            shown("full-cone", Family::V4),
            shown("short-timeouts", Family::V6),
        ];
        insta::assert_snapshot!(all.join("\n"));
    }

    #[test]
    fn a_nat_with_its_rules_for_programs() {
        let value = rules_json(&Nat::named("fixed-delta").unwrap(), Family::V4, wan(Family::V4));
        insta::assert_snapshot!(serde_json::to_string_pretty(&value).unwrap());
    }
}
