//! The OpenAPI document, and the pages that show it.

use std::{collections::BTreeSet, fs, path::Path};

use reqwest::Method;
use serde_json::Value;
use uuid::Uuid;

use crate::harness::{Shop, repository};

const COMMITTED: &str = include_str!("../../docs/openapi.json");

#[tokio::test]
async fn the_document_is_the_committed_one_and_is_tagged() {
    let shop = Shop::start().await;
    let visitor = shop.visitor();
    let reply = visitor.get("/openapi.json").await;
    let etag = reply.header("etag").to_owned();
    assert_eq!(reply.header("content-type"), "application/json");
    let committed: Value = serde_json::from_str(COMMITTED).expect("JSON");
    assert!(reply.expect(200) == committed, "docs/openapi.json is not up to date: run .ci/openapi");
    let known = visitor.call(Method::GET, "/openapi.json", None, &[("if-none-match", &etag)]).await;
    assert_eq!(known.status, 304);
    shop.finish().await;
}

#[tokio::test]
async fn each_path_of_the_document_knows_the_methods_that_it_says() {
    let shop = Shop::start().await;
    let visitor = shop.visitor();
    let document = visitor.get("/openapi.json").await.expect(200);
    for (path, operations) in document["paths"].as_object().expect("paths") {
        let mut said: BTreeSet<String> = operations.as_object().expect("operations").keys().cloned().collect();
        if said.contains("get") {
            said.insert("head".into());
        }
        let id = Uuid::nil().to_string();
        let path = path.replace("{id}", &id).replace("{image_id}", &id).replace("{key}", &id);
        let reply = visitor.call("BREW".parse().expect("a method"), &path, None, &[]).await;
        let known: BTreeSet<String> = reply.header("allow").to_lowercase().split(',').map(str::to_owned).collect();
        assert_eq!(known, said, "{path}");
        reply.problem(405, "method_not_allowed");
    }
    shop.finish().await;
}

/// Those that no operation of its own has: the document tells of them in its description.
const EVERYWHERE: [&str; 1] = ["method_not_allowed"];

#[test]
fn each_code_of_a_problem_is_in_the_document() {
    let mut codes = BTreeSet::new();
    gather(&repository("api/src"), &mut codes);
    assert!(codes.len() > 30, "{codes:?}");
    for code in codes {
        let place =
            if EVERYWHERE.contains(&code.as_str()) { format!("`{code}`") } else { format!("\"const\": \"{code}\"") };
        assert!(COMMITTED.contains(&place), "{code} is not in docs/openapi.json");
    }
}

/// The codes of all kinds of problems in the sources below a folder: those of `Kind::new(…)`, and those of the table of kinds.
fn gather(folder: &Path, codes: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("it can be read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            gather(&path, codes);
            continue;
        }
        let source = fs::read_to_string(&path).expect("text");
        let made = source.split("Kind::new(").skip(1).filter_map(|after| after.split('"').nth(1));
        codes.extend(made.filter(|code| is_code(code)).map(str::to_owned));
        if let Some((_, table)) = source.split_once("\n    kinds! {\n") {
            let table = table.split('}').next().expect("it ends");
            codes.extend(table.lines().filter_map(|line| line.split('"').nth(1)).map(str::to_owned));
        }
    }
}

fn is_code(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

#[tokio::test]
async fn the_pages_load_nothing_from_elsewhere() {
    let shop = Shop::start().await;
    let visitor = shop.visitor();
    let page = visitor.get("/docs").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    assert!(!page.raw.contains("://") && !page.raw.contains("style="), "{}", page.raw);
    let references = ["src=\"", "href=\""].into_iter().flat_map(|before| page.raw.split(before).skip(1));
    let references: Vec<_> = references.filter_map(|after| after.split('"').next()).collect();
    assert_eq!(references.len(), 4, "{references:?}");
    for reference in references {
        assert!(reference.starts_with("/docs/"), "{reference}");
        let file = visitor.get(reference).await;
        assert_eq!(file.status, 200, "{reference}");
        assert!(file.raw.len() > 50 && !file.header("content-type").contains("octet"), "{reference}");
    }
    for nothing in ["/docs/", "/docs/index.html", "/docs/..%2fstart.js", "/docs/start.js/x"] {
        visitor.get(nothing).await.problem(404, "not_found");
    }
    shop.finish().await;
}
