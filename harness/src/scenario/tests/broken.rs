//! Reports of `check` on files as a user could have written them.

use super::*;

#[test]
fn everything_wrong_with_a_file_is_told_at_once() {
    // Tests run in the folder of their crate; an absolute path would be wrapped elsewhere.
    let folder = Path::new("src/scenario/tests/broken");
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.collect();
    files.sort();
    assert!(files.len() >= 20);
    for file in files {
        let error = Scenario::read(&file, &Overrides::default()).expect_err("it is broken");
        let each: Vec<String> = error.each().iter().map(rendered).collect();
        let report = each.join("\n");
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        insta::assert_snapshot!(format!("broken_{name}"), report);
    }
}
