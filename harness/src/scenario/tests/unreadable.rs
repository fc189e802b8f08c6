//! Files that cannot be read as text.

use super::*;

fn read(path: &Path) -> String {
    let error = Scenario::read(path, &Overrides::default()).expect_err("this is no scenario");
    rendered(&error).replace(path.to_str().unwrap(), "PATH")
}

#[test]
fn missing_file() {
    insta::assert_snapshot!(read(Path::new("/nowhere/at-all.toml")));
}

#[test]
fn directory() {
    insta::assert_snapshot!(read(tempfile::tempdir().unwrap().path()));
}

#[test]
fn not_utf8() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"trials = 10\nquestion = \"na\xefve?\"\n").unwrap();
    insta::assert_snapshot!(read(file.path()));
}

#[test]
fn endless_file() {
    insta::assert_snapshot!(read(Path::new("/dev/zero")));
}
