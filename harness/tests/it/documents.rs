//! Documents of the project: links lead somewhere, scenarios are valid, commands exist.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::test_dir::TestDir;

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// All Markdown files of the project. Build results and hidden folders are left out.
fn pages(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                found.extend(pages(&path));
            }
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

/// Anchors of a page's headings, as GitHub makes them.
fn anchors(page: &str) -> Vec<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title
                .chars()
                .filter(|character| character.is_alphanumeric() || "- _".contains(*character));
            kept.collect::<String>().replace(' ', "-")
        })
        .collect()
}

/// Targets of a page's links within the project.
fn links(page: &str) -> Vec<&str> {
    page.split("](")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(')')?.0))
        .filter(|target| !target.contains("://"))
        .collect()
}

#[test]
fn every_link_between_documents_leads_to_a_file_and_a_heading() {
    let pages = pages(&project());
    assert!(pages.len() >= 8, "{pages:?}");
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for link in links(&text) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.with_file_name(file) };
            assert!(target.exists(), "{}: {link}", page.display());
            if !anchor.is_empty() {
                let headings = anchors(&fs::read_to_string(&target).unwrap());
                assert!(headings.contains(&anchor.to_owned()), "{}: {link}", page.display());
            }
        }
    }
}

#[test]
fn the_scenarios_in_the_readme_are_valid() {
    let dir = TestDir::new();
    let readme = fs::read_to_string(project().join("README.md")).unwrap();
    let blocks: Vec<&str> = readme
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(blocks.len() >= 2, "{readme}");
    for block in blocks {
        // An excerpt lacks the only key that every scenario needs.
        let missing = if block.contains("trials = ") { "" } else { "trials = 1\n" };
        dir.write("readme.toml", &format!("{missing}{block}"));
        dir.harness(&["check", "readme.toml"]).assert_code(0);
    }
}

#[test]
fn the_readme_lists_every_command() {
    let dir = TestDir::new();
    let readme = fs::read_to_string(project().join("README.md")).unwrap();
    let help = dir.harness(&["--help"]);
    let commands = help
        .stdout
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        // The description of a command may take several lines, which are indented further.
        .filter(|line| !line.starts_with("   "))
        .map(|line| line.split_whitespace().next().unwrap());
    let listed: Vec<&str> = commands
        .filter(|command| !["run", "help"].contains(command))
        .collect();
    assert!(listed.len() >= 10, "{}", help.stdout);
    for command in listed {
        assert!(readme.contains(&format!("| `harness {command}")), "{command}");
    }
}
