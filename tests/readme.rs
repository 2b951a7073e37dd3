//! The README's tables of configuration against `Config`: every var that is read is in them and no other, with the default it has
//! and an example that is taken.
#![allow(clippy::unwrap_used, reason = "a suite that cannot go on stops")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use claude_agent_service::config::Config;

/// A row: the var, its default and its example, each as the table says it.
struct Row {
    name: String,
    default: String,
    example: String,
}

fn section() -> String {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    readme.split("\n## ").find(|section| section.starts_with("Configuration\n")).unwrap().to_owned()
}

fn rows() -> Vec<Row> {
    let section = section();
    let lines = section.lines().filter(|line| line.starts_with("| `"));
    lines
        .map(|line| {
            let mut cells = line.trim_matches('|').split('|').map(str::trim);
            let name = cells.next().unwrap().split('`').nth(1).unwrap().to_owned();
            let [default, example] = [cells.next().unwrap().to_owned(), cells.next().unwrap().to_owned()];
            Row { name, default, example }
        })
        .collect()
}

/// What a cell says where it is nothing but a value.
fn value(cell: &str) -> Option<&str> {
    let value = cell.strip_prefix('`')?.strip_suffix('`')?;
    (!value.contains(['`', '…'])).then_some(value)
}

fn with(name: &str, value: &str) -> Result<Config, String> {
    Config::parse(|asked| (asked == name).then(|| value.to_owned())).map_err(|error| error.to_string())
}

#[test]
fn every_var_that_is_read_is_in_the_readme_and_no_other() {
    let read = RefCell::new(BTreeSet::new());
    let secret = "s".repeat(32);
    Config::parse(|name| {
        read.borrow_mut().insert(name.to_owned());
        (name == "JWT_SECRET").then(|| secret.clone())
    })
    .unwrap();
    let told: BTreeSet<String> = rows().into_iter().map(|row| row.name).collect();
    assert_eq!(told, read.into_inner());
}

#[test]
fn every_default_of_the_readme_is_the_default() {
    let nothing_set = format!("{:?}", with("", "").unwrap());
    let rows = rows();
    let told: Vec<_> = rows.iter().filter_map(|row| Some((&row.name, value(&row.default)?))).collect();
    assert!(told.len() >= 9, "the defaults are found");
    for (name, default) in told {
        assert_eq!(format!("{:?}", with(name, default).unwrap()), nothing_set, "{name}");
    }
}

#[test]
fn every_example_of_the_readme_is_taken_and_changes_something() {
    let nothing_set = format!("{:?}", with("", "").unwrap());
    let rows = rows();
    let told: Vec<_> = rows.iter().filter_map(|row| Some((&row.name, value(&row.example)?))).collect();
    assert!(told.len() >= 19, "the examples are found");
    for (name, example) in told {
        let config = with(name, example).unwrap();
        // These count for tokens, and there are none without a JWT_SECRET.
        if !name.starts_with("JWT_") {
            assert_ne!(format!("{config:?}"), nothing_set, "{name}");
        }
    }
}

#[test]
fn the_example_of_servers_is_taken() {
    let section = section();
    let line = section.lines().find(|line| line.ends_with("secret put MCP_SERVERS")).unwrap();
    with("MCP_SERVERS", line.split('\'').nth(1).unwrap()).unwrap();
}
