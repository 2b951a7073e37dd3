//! The codes of the public contract against the end-to-end tests: their table is the source's, and each code is provoked by a test.
#![allow(clippy::unwrap_used, reason = "a suite that cannot go on stops")]

use std::fs;
use std::path::{Path, PathBuf};

use claude_agent_service::api::problem::Code;

/// What nothing on this machine has provoked so far: a platform without a free instance, and one that resets an object.
const PLATFORM_ONLY: [Code; 1] = [Code::AtCapacity];

fn end_to_end() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e")
}

/// The texts of the end-to-end tests that provoke codes: the table itself and the fuzz, which takes what comes, are none.
fn tests() -> Vec<String> {
    let topics = fs::read_dir(end_to_end().join("topics")).unwrap();
    let files = fs::read_dir(end_to_end()).unwrap().chain(topics).map(|entry| entry.unwrap().path());
    let provoke = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        path.is_file() && !["codes.ts", "fuzz.test.ts"].contains(&name)
    };
    files.filter(provoke).map(|path| fs::read_to_string(path).unwrap()).collect()
}

#[test]
fn the_end_to_end_tests_know_every_code_as_it_is() {
    let table = fs::read_to_string(end_to_end().join("codes.ts")).unwrap();
    let entries: Vec<&str> = table.lines().filter(|line| line.starts_with("  ")).map(str::trim).collect();
    let line = |(at, code): (usize, &Code)| {
        // A word that has two statuses: the second's key is both.
        let again = Code::ALL.iter().take(at).any(|before| before.as_str() == code.as_str());
        let key = if again { format!("\"{} {}\"", code.as_str(), code.status()) } else { code.as_str().to_owned() };
        format!("{key}: [{}, \"{}\"],", code.status(), code.title())
    };
    let source: Vec<String> = Code::ALL.iter().enumerate().map(line).collect();
    assert_eq!(entries, source);
}

#[test]
fn every_code_is_provoked_by_an_end_to_end_test() {
    let tests = tests();
    let quoted = |code: &Code| format!("\"{}\"", code.as_str());
    let missing: Vec<&str> = Code::ALL
        .iter()
        .filter(|code| !tests.iter().any(|text| text.contains(&quoted(code))))
        .map(|code| code.as_str())
        .collect();
    let only_there: Vec<&str> = PLATFORM_ONLY.iter().map(|code| code.as_str()).collect();
    assert_eq!(missing, only_there, "a code of PLATFORM_ONLY that a test provokes by now is to be struck from there");
}
