//! The documents against the sources: every variable that is read is in the tables of `docs/configuration.md` and no other, with the
//! default it has and an example that is accepted; routes, codes and dependencies are those that there are; links lead somewhere.
#![allow(clippy::unwrap_used, reason = "a suite that cannot go on stops")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use claude_agent_service::api::problem::Code;
use claude_agent_service::config::Config;
use claude_agent_service::store::schema::{ACCOUNT, DIRECTORY, Migration};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}

/// The documents, by their paths below the root.
fn documents() -> Vec<String> {
    let docs =
        fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let docs = docs.map(|name| format!("docs/{name}"));
    docs.chain(
        [
            "README.md",
            "container/README.md",
            "dev/model/README.md",
            "clients/typescript/README.md",
            "console/README.md",
        ]
        .map(str::to_owned),
    )
    .collect()
}

/// What stands in backticks, outside of blocks of code.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    prose(text).flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// The lines outside of blocks of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .scan(false, |in_block, line| {
            let fence = line.starts_with("```");
            *in_block ^= fence;
            Some((!fence && !*in_block).then_some(line))
        })
        .flatten()
}

/// A row: the var, its default and its example, each as the table says it.
struct Row {
    name: String,
    default: String,
    example: String,
}

fn rows() -> Vec<Row> {
    let text = read("docs/configuration.md");
    let lines = text.lines().filter(|line| line.starts_with("| `"));
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
fn every_variable_that_is_read_is_in_the_tables_and_no_other() {
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
fn every_default_of_the_tables_is_the_default() {
    let nothing_set = format!("{:?}", with("", "").unwrap());
    let rows = rows();
    let told: Vec<_> = rows.iter().filter_map(|row| Some((&row.name, value(&row.default)?))).collect();
    assert!(told.len() >= 9, "the defaults are found");
    for (name, default) in told {
        assert_eq!(format!("{:?}", with(name, default).unwrap()), nothing_set, "{name}");
    }
}

#[test]
fn every_example_of_the_tables_is_accepted_and_changes_something() {
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
fn the_example_of_servers_is_accepted() {
    let text = read("docs/configuration.md");
    let line = text.lines().find(|line| line.ends_with("secret put MCP_SERVERS")).unwrap();
    with("MCP_SERVERS", line.split('\'').nth(1).unwrap()).unwrap();
}

#[test]
fn every_route_is_in_the_table_and_no_other() {
    let contract = read("docs/api.md");
    let told: BTreeSet<&str> = contract
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .filter(|r| r.contains(" /"))
        .collect();
    let openapi: serde_json::Value = serde_json::from_str(&read("public/openapi.json")).unwrap();
    let operations = openapi["paths"].as_object().unwrap().iter().flat_map(|(path, operations)| {
        operations.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    assert_eq!(told.into_iter().map(str::to_owned).collect::<BTreeSet<String>>(), operations.collect());
}

#[test]
fn every_code_is_in_the_table_with_its_status() {
    let contract = read("docs/api.md");
    let rows = contract.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    let told: BTreeSet<(u16, &str)> = rows
        .filter_map(|(status, codes)| Some((status.parse().ok()?, codes)))
        .flat_map(|(status, codes)| quoted(codes).map(move |code| (status, code)))
        .collect();
    assert_eq!(told, Code::ALL.iter().map(|code| (code.status(), code.as_str())).collect());
}

#[test]
fn every_direct_dependency_is_in_the_tables_and_no_other() {
    let mut direct = BTreeSet::new();
    for manifest in ["Cargo.toml", "dev/bindgen/Cargo.toml"] {
        let text = read(manifest);
        let tables = text.split("\n[").filter(|table| table.split(']').next().unwrap().ends_with("dependencies"));
        direct.extend(tables.flat_map(|table| {
            table
                .lines()
                .skip(1)
                .filter_map(|line| line.split_once(" = "))
                .map(|(name, _)| name.to_owned())
                .collect::<Vec<_>>()
        }));
    }
    for manifest in
        ["package.json", "container/package.json", "clients/typescript/package.json", "console/package.json"]
    {
        let package: serde_json::Value = serde_json::from_str(&read(manifest)).unwrap();
        let tables = ["dependencies", "devDependencies"].iter().filter_map(|table| package[table].as_object());
        direct.extend(tables.flat_map(|table| table.keys().cloned().collect::<Vec<_>>()));
    }
    let text = read("docs/architecture.md");
    let tables = text.split("\n## Dependencies\n").nth(1).unwrap();
    let names = tables.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let told: BTreeSet<String> = names.flat_map(quoted).map(str::to_owned).collect();
    assert_eq!(told, direct);
}

#[test]
fn every_script_and_test_that_a_document_names_exists() {
    let package: serde_json::Value = serde_json::from_str(&read("package.json")).unwrap();
    let mut found = 0;
    for document in documents().into_iter().filter(|document| !document.starts_with("container/")) {
        let text = read(&document);
        for words in text.lines().map(|line| line.split([' ', '`']).collect::<Vec<_>>()) {
            for pair in words.windows(3) {
                let exists = match pair {
                    ["npm", "run", script] => package["scripts"].get(script.trim_end_matches(';')).is_some(),
                    ["node", "--test", path] => root().join(path.trim_matches('"')).exists(),
                    [_, "--test", suite] => is_suite(suite),
                    _ => continue,
                };
                assert!(exists, "{document}: {}", pair.join(" "));
                found += 1;
            }
        }
    }
    assert!(found >= 12, "scripts and tests are found");
}

/// The part of a document under that heading, up to the next heading that is no deeper.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let level = heading.split(' ').next().unwrap();
    let part = text.split(&format!("\n{heading}\n")).nth(1).unwrap();
    let end = part.match_indices("\n#").find(|(at, _)| part[at + 1..].split(' ').next().unwrap().len() <= level.len());
    &part[..end.map_or(part.len(), |(at, _)| at)]
}

#[test]
fn every_event_is_in_the_tables() {
    let openapi: serde_json::Value = serde_json::from_str(&read("public/openapi.json")).unwrap();
    let events = |path: &str| {
        let stream = &openapi["paths"][path]["get"]["responses"]["200"]["content"]["text/event-stream"]["schema"];
        stream["oneOf"].as_array().unwrap().iter().map(|event| event["properties"]["event"]["const"].clone()).collect()
    };
    let types = openapi["components"]["schemas"]["EventType"]["oneOf"].as_array().unwrap();
    let types: Vec<_> = types.iter().map(|kind| kind["const"].clone()).collect();
    let named: [(&str, Vec<serde_json::Value>); 3] = [
        ("## Events", events("/conversations/{session_id}/events")),
        ("### The account's feed", events("/events")),
        ("## Webhooks", types),
    ];
    let text = read("docs/api.md");
    for (heading, names) in named {
        let told: BTreeSet<&str> = quoted(section(&text, heading)).flat_map(|words| words.split([' ', ':'])).collect();
        for name in names {
            assert!(told.contains(name.as_str().unwrap()), "{heading} does not name {name}");
        }
    }
}

#[test]
fn every_table_of_the_databases_is_told_of_and_no_other() {
    let made = |migrations: &[Migration]| -> BTreeSet<String> {
        let sql: String = migrations.iter().map(|migration| migration.sql).collect();
        let names = sql.split("create table ").skip(1).map(|rest| rest.split([' ', '(']).next().unwrap().to_owned());
        names.collect()
    };
    let text = read("docs/storage-and-purge.md");
    let tables = section(&text, "### The tables");
    let told = |head: &str| -> BTreeSet<String> {
        let rows = tables.lines().skip_while(|line| !line.starts_with(head)).skip(2);
        let cells = rows.take_while(|line| line.starts_with('|')).map(|line| line.split('|').nth(1).unwrap());
        cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
    };
    assert_eq!(told("| table of an account"), made(ACCOUNT));
    assert_eq!(told("| table of a directory shard"), made(DIRECTORY));
}

/// The events that a source logs: fields of a line, and what is given to functions that log.
fn events_of(source: &str) -> BTreeSet<&str> {
    let code = source.split("#[cfg(test)]\nmod tests").next().unwrap();
    let calls =
        ["event: ", "log(", "log_turn_problem(", "log_wait(", "log_left(", "log_failure(", "log_delivery(", "settle("];
    let calls = calls.iter().chain(&["finish(", "let (event, ", "let event = "]);
    let after = calls.flat_map(|call| code.match_indices(call).map(|(at, call)| &code[at + call.len()..]));
    let within = after.map(|rest| rest.split([';', '}']).next().unwrap());
    let words = within.filter_map(|text| text.split('"').nth(1));
    let is_event = |word: &&str| word.contains('_') && word.bytes().all(|c| c.is_ascii_lowercase() || c == b'_');
    words.filter(is_event).collect()
}

#[test]
fn every_event_of_the_log_is_in_the_tables_and_no_other() {
    let text = read("docs/log.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let told: BTreeSet<&str> =
        rows.flat_map(|names| names.split("`, `")).map(|name| name.trim_end_matches('`')).collect();
    let (mut open, mut code) = (vec![root().join("src")], String::new());
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if !path.starts_with(root().join("src/api")) {
            let source = fs::read_to_string(path).unwrap();
            for event in events_of(&source) {
                assert!(told.contains(event), "docs/log.md lacks {event}");
            }
            code.push_str(&source);
        }
    }
    for event in told {
        assert!(code.contains(&format!("\"{event}\"")), "docs/log.md has {event}, which nothing logs");
    }
}

/// A suite of `cargo test` is a file in `tests`, or a folder with a `main.rs`.
fn is_suite(name: &str) -> bool {
    let tests = root().join("tests");
    tests.join(format!("{name}.rs")).exists() || tests.join(name).join("main.rs").exists()
}

/// What GitHub makes of a heading: lower case, without punctuation, with `-` for each space.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_link_between_the_documents_leads_to_a_file_and_a_heading() {
    let mut found = 0;
    for document in documents() {
        let text = read(&document);
        let links = prose(&text).flat_map(|line| line.split("](").skip(1)).map(|rest| rest.split(')').next().unwrap());
        for link in links.filter(|link| !link.contains("://")) {
            let (path, heading) = link.split_once('#').map_or((link, None), |(path, heading)| (path, Some(heading)));
            let from = root().join(&document);
            let target = if path.is_empty() { from } else { from.parent().unwrap().join(path) };
            assert!(target.exists(), "{document}: {link}");
            if let Some(heading) = heading {
                let text = fs::read_to_string(&target).unwrap();
                let mut headings = prose(&text).filter(|line| line.starts_with('#'));
                assert!(
                    headings.any(|line| anchor(line.trim_start_matches('#').trim_start()) == heading),
                    "{document}: {link}"
                );
            }
            found += 1;
        }
    }
    assert!(found >= 20, "links are found");
}

#[test]
fn every_document_is_linked_to_by_the_readme() {
    let readme = read("README.md");
    for document in documents().into_iter().filter(|document| document != "README.md") {
        assert!(readme.contains(&format!("]({document})")), "{document}");
    }
}
