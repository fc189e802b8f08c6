//! `harness doctor`.

use super::{CommandError, prepare, print_line};
use crate::{
    doctor::{self, Missing},
    exit::Exit,
    named::Named,
    nat::{
        NatSpec, Unsolicited,
        catalogue::CATALOGUE,
        possible::impossible_with_ipv6,
        rules::{self, Tool},
    },
    peers::Family,
};

/// `harness doctor`.
pub(crate) fn doctor() -> Result<Exit, CommandError> {
    let (needed, tables) = nats(Family::V4);
    prepare::machine(&needed)?;
    print_line("this machine can run scenarios: namespaces, TUN devices and NAT rules work");
    // Most scenarios do not need these NATs.
    if let Err(missing) = buildable(&tables) {
        let names: Vec<&str> = tables.iter().map(|(_, nat)| nat.name).collect();
        print_line(&format!("except the NATs {}: {missing}", names.join(", ")));
    }
    let (needed, tables) = nats(Family::V6);
    if let Err(missing) = buildable(&needed) {
        print_line(&format!("except those with IPv6: {missing}"));
    } else if let Err(missing) = buildable(&tables) {
        let names: Vec<&str> = tables.iter().map(|(_, nat)| nat.name).collect();
        print_line(&format!(
            "except with IPv6 those with the NATs {}: {missing}",
            names.join(", ")
        ));
    }
    Ok(Exit::Success)
}

type Kinds = Vec<(Family, NatSpec)>;

/// NATs with each answer to unsolicited packets, and those of the catalogue: first the NATs that
/// need only iptables, then the others.
fn nats(family: Family) -> (Kinds, Kinds) {
    let answers = Unsolicited::NAMES
        .iter()
        .map(|(_, answer)| NatSpec::home(*answer));
    let possible = |nat: &NatSpec| family == Family::V4 || impossible_with_ipv6(nat).is_none();
    let catalogue = CATALOGUE
        .iter()
        .filter_map(|entry| entry.spec)
        .filter(possible);
    answers
        .chain(catalogue)
        .map(|nat| (family, nat))
        .partition(|(family, nat)| rules::tool(*family, nat) != Tool::Nft)
}

fn buildable(nats: &Kinds) -> Result<(), Missing> {
    match nats
        .iter()
        .find_map(|(family, nat)| doctor::tool_of(*family, nat))
    {
        Some(missing) => Err(missing),
        None => doctor::probe(nats),
    }
}
