//! The order of the modules of both crates, as `ARCHITECTURE.md` states it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

#[test]
fn modules_of_the_harness_use_only_layers_to_their_left() {
    assert_eq!(violations("harness"), Vec::<String>::new());
}

#[test]
fn modules_of_punch_use_only_layers_to_their_left() {
    assert_eq!(violations("punch"), Vec::<String>::new());
}

#[test]
fn every_form_of_a_path_to_another_module_is_found() {
    let text = "use crate::{\n    nat::{Nat, rules},\n    wan,\n};\nfn f() { crate::lab::g() }\n\
        use super::super::report::x;\nuse super::sibling;\n// crate::run\nlet s = supercrate::y;\n\
        #[cfg(test)]\nmod tests {\n    use crate::commands::z;\n}\nuse super::super::{a, b};\n";
    let found = used(&production(text), 2);
    let expected =
        [(1, "nat"), (1, "wan"), (5, "lab"), (6, "report"), (14, "a"), (14, "b")].map(owned);
    assert_eq!(found, expected);
}

fn owned((line, name): (usize, &str)) -> (usize, String) {
    (line, name.to_owned())
}

/// Each use of a module that is not to the left, and each module that has no layer.
fn violations(package: &str) -> Vec<String> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let layers = layers(&fs::read_to_string(workspace.join("ARCHITECTURE.md")).unwrap(), package);
    let src = workspace.join(package).join("src");
    let mut sources = BTreeMap::new();
    read(&src, &src, &mut sources);
    let tests = test_modules(&sources);
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for (module, (file, text)) in &sources {
        let is_test = (1..=module.len()).any(|depth| tests.contains(&module[..depth]));
        let Some(own) = module.first().filter(|_| !is_test) else { continue };
        seen.insert(own.clone());
        let shown = file.strip_prefix(workspace).unwrap().display();
        let Some(layer) = layers.get(own) else {
            wrong.push(format!("{shown}: `{own}` is in none of the layers of ARCHITECTURE.md"));
            continue;
        };
        let depth = if own == "lib" { 0 } else { module.len() };
        for (line, other) in used(&production(text), depth) {
            // What is no module is an item of the crate's root.
            let other = if layers.contains_key(&other) { other } else { "lib".to_owned() };
            if other != *own && layers.get(&other).is_none_or(|below| below >= layer) {
                wrong.push(format!("{shown}:{line}: `{own}` uses `{other}`"));
            }
        }
    }
    let gone = layers.keys().filter(|layer| !seen.contains(*layer));
    wrong.extend(gone.map(|layer| format!("ARCHITECTURE.md: there is no module `{layer}`")));
    wrong
}

/// The number of each module's layer, from the block ```` ```layers ```` in the package's section.
fn layers(architecture: &str, package: &str) -> BTreeMap<String, usize> {
    let section = architecture
        .split_once(&format!("\n## {package}\n"))
        .unwrap()
        .1;
    let block = section.split_once("```layers\n").unwrap().1;
    let line = block.split_once("```").unwrap().0;
    let layers = line.split('→').enumerate();
    let modules =
        layers.flat_map(|(number, layer)| layer.split('·').map(move |module| (number, module)));
    modules
        .map(|(number, module)| (module.trim().to_owned(), number))
        .collect()
}

type Sources = BTreeMap<Vec<String>, (PathBuf, String)>;

/// Every source file below a folder, by the path of its module.
fn read(src: &Path, folder: &Path, sources: &mut Sources) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(src, &path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative = path.strip_prefix(src).unwrap().with_extension("");
            let mut module: Vec<String> = relative
                .iter()
                .map(|part| part.to_str().unwrap().to_owned())
                .collect();
            module.pop_if(|last| last == "mod");
            let text = fs::read_to_string(&path).unwrap();
            sources.insert(module, (path, text));
        }
    }
}

/// The modules that are declared for tests only, in files of their own.
fn test_modules(sources: &Sources) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    for (module, (_, text)) in sources {
        for declared in text.split("#[cfg(test)]\n").skip(1) {
            let line = declared.lines().next().unwrap_or_default();
            let name = line
                .strip_suffix(';')
                .and_then(|line| line.split_once("mod "));
            if let Some((_, name)) = name {
                let parent = if module.as_slice() == ["lib"] { &[][..] } else { module };
                found.insert([parent, &[name.to_owned()]].concat());
            }
        }
    }
    found
}

/// A source text with its lines, but without comments and without tests.
fn production(text: &str) -> String {
    let mut kept = String::new();
    let (mut for_tests, mut in_tests) = (false, false);
    for line in text.lines() {
        in_tests |= for_tests && line.contains("mod ") && line.ends_with('{');
        for_tests = line == "#[cfg(test)]";
        if !in_tests && !line.trim_start().starts_with("//") {
            kept += line;
        }
        in_tests &= line != "}";
        kept.push('\n');
    }
    kept
}

/// The modules and items below the crate's root that a module `depth` below it names, with lines.
fn used(text: &str, depth: usize) -> Vec<(usize, String)> {
    let to_root = "super::".repeat(depth);
    let mut found = Vec::new();
    for start in ["crate::", &to_root] {
        for (at, _) in text.match_indices(start).filter(|_| !start.is_empty()) {
            let before = text[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':')) {
                continue;
            }
            let line = text[..at].matches('\n').count() + 1;
            let names = first_names(&text[at + start.len()..]);
            found.extend(names.into_iter().map(|name| (line, name)));
        }
    }
    found.sort();
    found
}

/// The first name of each path in a tree of imports, or that of a single path.
fn first_names(tree: &str) -> Vec<String> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let name = |text: &str| {
        text.split(|c| !is_name(c))
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    let Some(group) = tree.strip_prefix('{') else { return vec![name(tree)] };
    let mut depth = 1_u32;
    let first = group.chars().take_while(|c| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        depth > 0
    });
    let group: String = first.collect();
    let mut level = 0_u32;
    let paths = group.split(|c| {
        match c {
            '{' => level += 1,
            '}' => level -= 1,
            _ => {}
        }
        c == ',' && level == 0
    });
    paths
        .map(|path| name(path.trim()))
        .filter(|name| !name.is_empty())
        .collect()
}
