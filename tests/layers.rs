//! Who may know whom, as `src/` says it: each layer names only the layers below it, and the runtime is named in one place.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The top-level modules, and those of the crate that each may name.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("account", &["agent", "config", "digest", "domain", "log", "store", "workspace"]),
    ("agent", &["domain"]),
    ("api", &["account", "config", "digest", "directory", "domain"]),
    ("config", &["agent", "domain"]),
    ("digest", &[]),
    ("directory", &["config", "digest", "domain", "log", "store"]),
    ("domain", &[]),
    ("gateway", &["config", "domain"]),
    ("lib", &["account"]),
    ("log", &["domain"]),
    (
        "platform",
        &["account", "agent", "api", "config", "digest", "directory", "domain", "gateway", "log", "store", "workspace"],
    ),
    ("store", &["domain", "workspace"]),
    ("workspace", &["agent", "domain"]),
];

/// The crates of the runtime, and who may name them.
const RUNTIME: &[&str] =
    &["worker::", "worker_sys::", "js_sys::", "web_sys::", "wasm_bindgen::", "console_error_panic_hook::"];
const RUNTIME_IS_KNOWN_TO: &[&str] = &["lib", "platform"];

/// Every source file by the top-level module that it belongs to, with its code lines.
fn sources() -> BTreeMap<String, Vec<(PathBuf, String)>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut open, mut found) = (vec![root.clone()], BTreeMap::<String, Vec<_>>::new());
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let first = path.strip_prefix(&root).unwrap().components().next().unwrap();
                let module = Path::new(first.as_os_str()).file_stem().unwrap().to_str().unwrap().to_owned();
                let text = fs::read_to_string(&path).unwrap();
                let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
                found.entry(module).or_default().push((path, code.join("\n")));
            }
        }
    }
    found
}

/// The top-level modules that code names by `crate::`.
fn named(code: &str) -> impl Iterator<Item = &str> {
    let paths = code.match_indices("crate::").filter(|(at, _)| !code[..*at].ends_with(['$', '_']));
    paths.map(|(at, prefix)| {
        let rest = &code[at + prefix.len()..];
        let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    })
}

#[test]
fn every_layer_names_only_the_layers_that_it_may() {
    for (module, files) in sources() {
        let rule = MAY_NAME.iter().find(|(name, _)| *name == module);
        let (_, may) = rule.unwrap_or_else(|| panic!("{module} has no rule in tests/layers.rs"));
        for (path, code) in files {
            for other in named(&code).filter(|other| *other != module) {
                assert!(may.contains(&other), "{} names crate::{other}", path.display());
            }
        }
    }
}

#[test]
fn modules_are_named_one_at_a_time() {
    // `use crate::{a, b}` would hide names from the rule above.
    for (path, code) in sources().into_values().flatten() {
        assert!(!code.contains("crate::{"), "{}", path.display());
        assert!(!code.contains("super::super::super"), "{}", path.display());
    }
}

#[test]
fn the_runtime_is_known_to_the_platform_alone() {
    for (module, files) in sources() {
        if RUNTIME_IS_KNOWN_TO.contains(&module.as_str()) {
            continue;
        }
        for (path, code) in files {
            for name in RUNTIME {
                let known = code
                    .match_indices(name)
                    .any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
                assert!(!known, "{} names {name}", path.display());
            }
        }
    }
}

#[test]
fn no_layer_below_the_platform_reads_a_clock_or_makes_randomness() {
    for (module, files) in sources() {
        if module == "platform" {
            continue;
        }
        for (path, code) in files {
            for call in ["SystemTime::now", "Instant::now", "Utc::now", "now_v7", "new_v4", "thread_rng"] {
                assert!(!code.contains(call), "{} calls {call}", path.display());
            }
        }
    }
}

#[test]
fn statements_are_in_the_store_alone() {
    let verbs = ["\"select ", "\"insert into ", "\"update ", "\"delete from ", "\"create table"];
    for (module, files) in sources() {
        if module == "store" {
            continue;
        }
        for (path, code) in files {
            for verb in verbs {
                assert!(!code.contains(verb), "{} holds SQL: {verb}", path.display());
            }
        }
    }
}

#[test]
fn every_file_opens_by_saying_what_it_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (path, _) in sources().into_values().flatten() {
        let text = fs::read_to_string(&path).unwrap();
        let opening = text.lines().take_while(|line| line.starts_with("//!")).count();
        let long = path == root.join("lib.rs");
        assert!((1..=5).contains(&opening) || long, "{} opens with {opening} lines", path.display());
    }
}

/// The module that a file is, as `crate::` names it; none for the crate's root.
fn module_of(path: &Path) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let names = path.strip_prefix(root).unwrap().with_extension("");
    let mut names: Vec<String> = names.iter().map(|name| name.to_str().unwrap().to_owned()).collect();
    if matches!(names.last().map(String::as_str), Some("mod" | "lib")) {
        names.pop();
    }
    names
}

/// What a file's `use` declarations name, each as a whole path from the crate's root.
fn used(module: &[String], code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for declaration in code.split(';').filter_map(|part| part.rsplit_once("use ").map(|(_, path)| path)) {
        let (head, group) = declaration.split_once('{').unwrap_or((declaration, ""));
        let mut base: Vec<String> = head.trim().split("::").filter(|n| !n.is_empty()).map(str::to_owned).collect();
        let mut from = module.to_vec();
        match base.first().map(String::as_str) {
            Some("crate") => from.clear(),
            Some("super") => drop(from.pop()),
            _ => continue,
        }
        base.remove(0);
        from.append(&mut base);
        found.push(from.clone());
        // The first level of a group: what stands in its own braces is of the same file or below it.
        for item in group.split([',', '{', '}']) {
            let item = item.trim().split([':', ' ']).next().unwrap_or_default();
            found.push(from.iter().cloned().chain([item.to_owned()]).collect());
        }
    }
    found
}

#[test]
fn no_two_files_import_each_other() {
    let files: Vec<(Vec<String>, String)> =
        sources().into_values().flatten().map(|(path, code)| (module_of(&path), code)).collect();
    // What a file takes from its own folder's `mod.rs`, and that from it, is one room's.
    let kin = |a: &[String], b: &[String]| a.starts_with(b) || b.starts_with(a);
    let imports = |from: &(Vec<String>, String), to: &[String]| {
        used(&from.0, &from.1).iter().any(|path| {
            path.starts_with(to) && files.iter().all(|(file, _)| file.len() <= to.len() || !path.starts_with(file))
        })
    };
    let mut circles = Vec::new();
    for (at, a) in files.iter().enumerate() {
        for b in files.iter().skip(at + 1).filter(|b| !kin(&a.0, &b.0)) {
            if imports(a, &b.0) && imports(b, &a.0) {
                circles.push(format!("{} and {}", a.0.join("::"), b.0.join("::")));
            }
        }
    }
    assert_eq!(circles, Vec::<String>::new());
}
