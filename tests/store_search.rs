//! The search in storage: which conversations hold the words, and that a page's scan has its bounds.
#![allow(clippy::unwrap_used, reason = "a suite that cannot go on stops")]

mod support;

use claude_agent_service::domain::{Page, SearchTerms};
use claude_agent_service::store::Store;
use claude_agent_service::store::reads::Listing;
use claude_agent_service::store::search::{MAX_SCANNED_BYTES, MAX_SCANNED_CONVERSATIONS};
use serde_json::Value;
use support::{Rusqlite, admission, admit, exchange, session, store};

fn page(store: &Store<Rusqlite>, words: &str, limit: u32, page: &Page) -> Listing<String> {
    store.search(&SearchTerms::try_from(words.to_owned()).unwrap(), limit, page).unwrap()
}

fn ids(listing: &Listing<String>) -> Vec<String> {
    let list: Vec<Value> = serde_json::from_str(&listing.json).unwrap();
    list.iter().map(|conversation| conversation["session_id"].as_str().unwrap().to_owned()).collect()
}

fn found(store: &Store<Rusqlite>, words: &str) -> Vec<String> {
    let listing = page(store, words, 50, &Page::default());
    assert_eq!(listing.next, None);
    ids(&listing)
}

fn said(prompt: &str, answer: &str) -> Store<Rusqlite> {
    let (store, _) = store();
    exchange(&store, 1, "a", prompt, answer);
    store
}

#[test]
fn a_conversation_is_found_by_what_either_side_said() {
    let store = said("Where do capybaras live?", "In South America, near water.");
    assert_eq!(found(&store, "capybaras"), ["a"]);
    assert_eq!(found(&store, "near water."), ["a"]);
    assert_eq!(found(&store, "alpacas"), Vec::<String>::new());
}

#[test]
fn a_conversation_is_found_by_its_title() {
    let store = said("q", "a");
    store
        .update_conversation(&session("a"), Some(&"Tax return".to_owned().try_into().unwrap()), None, support::NOW)
        .unwrap();
    assert_eq!(found(&store, "tax"), ["a"]);
}

#[test]
fn all_the_words_must_be_there_in_whatever_message() {
    let store = said("Where do capybaras live?", "In South America, near water.");
    assert_eq!(found(&store, "america capybaras"), ["a"]);
    assert_eq!(found(&store, "america capybaras fire"), Vec::<String>::new());
}

#[test]
fn case_does_not_matter_beyond_ascii_too() {
    let store = said("GRÖSSE und Übermut, ÉCOLE", "ПРИВЕТ, мир. Ελλάδα");
    for words in ["größe".replace('ß', "ss").as_str(), "ÜBERMUT", "école", "Привет МИР", "ελλάδα", "und"]
    {
        assert_eq!(found(&store, words), ["a"], "{words}");
    }
}

#[test]
fn what_is_special_in_patterns_is_itself() {
    let store = said("100% of under_score 'quoted' \"double\" back\\slash [a]*", "x");
    for words in ["100%", "under_score", "'quoted'", "\"double\"", "back\\slash", "[a]*"] {
        assert_eq!(found(&store, words), ["a"], "{words}");
    }
    for words in ["1%0", "under%score", "b*h", "_"] {
        let hits = usize::from(words == "_");
        assert_eq!(found(&store, words).len(), hits, "{words}");
    }
}

#[test]
fn a_long_word_is_found() {
    let word = "x".repeat(200);
    assert_eq!(found(&said(&format!("before {word} after"), "a"), &word), ["a"]);
}

#[test]
fn matches_come_newest_access_first_and_page_by_page() {
    let (store, _) = store();
    for n in 1..=9_u32 {
        let prompt = if n % 2 == 1 { "odd one" } else { "even one" };
        exchange(&store, n.into(), &format!("c{n}"), prompt, "a");
    }
    let first = page(&store, "odd", 2, &Page::default());
    let second = page(&store, "odd", 2, first.next.as_ref().unwrap());
    let third = page(&store, "odd", 2, second.next.as_ref().unwrap());
    assert_eq!([ids(&first), ids(&second), ids(&third)], [vec!["c9", "c7"], vec!["c5", "c3"], vec!["c1"]]);
    assert_eq!(third.next, None);
    assert_eq!(ids(&page(&store, "odd", 2, &Page { after: None, skip: 3 })), ["c3", "c1"]);
}

#[test]
fn a_page_of_a_search_scans_a_bounded_number_of_bytes_and_the_next_goes_on() {
    let (store, _) = store();
    let third = "x".repeat(usize::try_from(MAX_SCANNED_BYTES).unwrap() / 3 + 1);
    exchange(&store, 1, "needle", "needle", "a");
    for n in 2..=5 {
        admit(&store, &admission(n, &format!("hay{n}"), &third)).unwrap();
    }
    let first = page(&store, "needle", 50, &Page::default());
    assert_eq!(ids(&first), Vec::<String>::new());
    let second = page(&store, "needle", 50, first.next.as_ref().unwrap());
    assert_eq!((ids(&second), second.next), (vec!["needle".to_owned()], None));
}

#[test]
fn a_page_of_a_search_scans_a_bounded_number_of_conversations_and_skips_over_its_end() {
    let (store, sql) = store();
    // Three more than a page scans; every second one matches.
    sql.run(&format!(
        "with recursive n(n) as (select 1 union all select n + 1 from n where n <= {MAX_SCANNED_CONVERSATIONS} + 2) \
         insert into conversations (session_id, title, created_at, last_accessed_at) \
         select 'c' || n, iif(n % 2, 'odd', 'even'), n, n from n"
    ));
    // One more than match in the first page: it is the first that the second page leaves out.
    let skip = MAX_SCANNED_CONVERSATIONS / 2 + 1;
    let first = page(&store, "odd", 50, &Page { after: None, skip });
    assert_eq!(ids(&first), Vec::<String>::new());
    let second = page(&store, "odd", 50, first.next.as_ref().unwrap());
    assert_eq!((ids(&second), second.next), (vec!["c1".to_owned()], None));
}

#[test]
fn a_conversation_larger_than_a_pages_bound_is_scanned_whole() {
    let (store, _) = store();
    let large = "x".repeat(usize::try_from(MAX_SCANNED_BYTES).unwrap());
    exchange(&store, 1, "old", "needle", "a");
    exchange(&store, 2, "large", "needle", &large);
    let first = page(&store, "needle", 50, &Page::default());
    assert_eq!(ids(&first), ["large"]);
    assert_eq!(ids(&page(&store, "needle", 50, first.next.as_ref().unwrap())), ["old"]);
}

#[test]
fn the_list_of_what_was_found_is_read_by_its_ids() {
    let (store, sql) = store();
    exchange(&store, 1, "a", "needle", "x");
    page(&store, "needle", 50, &Page::default());
    let plan = sql.plan_of_last().join("\n");
    assert!(plan.contains("SEARCH conversations USING PRIMARY KEY (session_id=?)"), "{plan}");
}
