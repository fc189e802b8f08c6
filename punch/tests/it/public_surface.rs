//! The public API of the library is the one in `public-api.txt`. A change of the API fails this
//! test until the file is written again, so that each change is a decision.
//!
//! The API is read from the JSON of rustdoc, which is an unstable output. `RUSTC_BOOTSTRAP` makes a
//! stable toolchain write it. Its format changes with Rust, and the crate `public-api`, which reads
//! it, follows. Paths of the standard library may change too: the first line of the file has the
//! version of Rust.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

const ACCEPT: &str = "\
If this is meant, write the file anew and commit it:
    UPDATE_PUBLIC_API=1 cargo test -p punch --test it public_surface
";

const REMEDY: &str = "\
The format of rustdoc's JSON changes with Rust. For a newer toolchain:
    cargo update -p public-api
With any other one, leave this test out:
    cargo nextest run -E 'not test(/^public_surface::/)'
";

#[test]
fn the_public_api_is_the_one_in_the_file() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("public-api.txt");
    let version = toolchain();
    let surface = surface(&rustdoc_json());
    if std::env::var_os("UPDATE_PUBLIC_API").is_some() {
        std::fs::write(&file, format!("# Rust {version}\n{surface}")).unwrap();
        return;
    }
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let (header, agreed) = text.split_once('\n').unwrap_or_default();
    let written_by = header.trim_start_matches("# ");
    let changes = changes(agreed, &surface);
    assert!(
        changes.is_empty(),
        "the public surface of `punch` differs from punch/public-api.txt:\n\n{changes}\n{ACCEPT}\
         (The file is by {written_by}, this is Rust {version}: another version may write the same \
         surface otherwise.)"
    );
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
}

/// Version of the toolchain, such as `1.95.0`.
fn toolchain() -> String {
    let output = cargo().arg("--version").output().expect("cargo runs");
    let version = String::from_utf8_lossy(&output.stdout);
    version.split(' ').nth(1).unwrap_or_default().to_owned()
}

/// Path of the JSON of this library with all features. It is made in a target folder of its own,
/// since `RUSTC_BOOTSTRAP` has cargo build every dependency anew.
fn rustdoc_json() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("public-api");
    let output = cargo()
        .args(["rustdoc", "--locked", "--lib", "--all-features", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .args(["--", "-Z", "unstable-options", "--output-format", "json", "--cap-lints", "warn"])
        .env("RUSTC_BOOTSTRAP", "1")
        .output()
        .expect("cargo runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "rustdoc writes no JSON of `punch`:\n{said}\n{REMEDY}");
    target.join("doc/punch.json")
}

/// The public items, one a line.
fn surface(json: &Path) -> String {
    let read = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .build();
    match read {
        Ok(surface) => without_members_of_traits(&surface.to_string()),
        Err(error) => panic!(
            "rustdoc's JSON of Rust {} has format {}, which cannot be read: {error}\n\n{REMEDY}",
            toolchain(),
            format_version(json)
        ),
    }
}

/// Leaves out what an implementation of a trait has: it follows from the trait.
fn without_members_of_traits(surface: &str) -> String {
    let mut kept = String::new();
    let mut implementor = None;
    for line in surface.lines() {
        if line.starts_with("impl") {
            implementor = line
                .split_once(" for ")
                .map(|(_, name)| format!(" {name}::"));
        } else if implementor.as_ref().is_some_and(|name| line.contains(name)) {
            continue;
        }
        if !line.contains("StructuralPartialEq") {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

fn format_version(json: &Path) -> String {
    let text = std::fs::read_to_string(json).unwrap_or_default();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    document["format_version"].to_string()
}

/// Lines that only one text has: `-` the first, `+` the second.
fn changes(agreed: &str, found: &str) -> String {
    let only_in = |sign, these: &str, those: &str| -> String {
        let those: Vec<&str> = those.lines().collect();
        these
            .lines()
            .filter(|line| !those.contains(line))
            .map(|line| format!("{sign} {line}\n"))
            .collect()
    };
    only_in('-', agreed, found) + &only_in('+', found, agreed)
}
