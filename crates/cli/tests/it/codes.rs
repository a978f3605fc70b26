//! Every error code in the sources has a page, and `explain` prints it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use insta::assert_snapshot;

use crate::{failure, stdout, tributary};

const FAMILIES: [&str; 10] = ["WA", "EN", "NT", "PG", "KA", "RG", "CO", "CF", "EM", "CL"];

#[test]
fn explain_prints_the_page_of_a_code() {
    let page = stdout(&tributary(&["explain", "cf001"]));
    assert!(page.starts_with("# CF001: "), "{page}");
    assert!(page.contains("## Fix"), "{page}");
}

#[test]
fn a_code_nobody_knows_is_misuse() {
    assert_snapshot!(failure(&tributary(&["explain", "CL999"])));
}

/// Method: every `XY123` of a known family in the sources' text, against the files of `docs/errors`.
#[test]
fn every_code_in_the_sources_has_a_page() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut used = BTreeSet::new();
    for room in fs::read_dir(root.join("crates")).unwrap() {
        collect(&room.unwrap().path().join("src"), &mut used);
    }
    let missing: Vec<_> = used
        .into_iter()
        .filter(|code| !root.join(format!("docs/errors/{code}.md")).is_file())
        .collect();
    assert_eq!(missing, Vec::<String>::new(), "codes without a page in docs/errors");
}

#[test]
fn every_page_has_its_code_as_title_and_says_cause_signs_and_cure() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = path.file_stem().unwrap().to_string_lossy();
        assert!(text.starts_with(&format!("# {code}: ")), "{}", path.display());
        for section in ["Cause", "How to see it", "Fix"] {
            assert!(text.contains(&format!("## {section}")), "{} has no {section}", path.display());
        }
    }
}

/// Codes in brackets at the beginning of an error's text, or as a string of their own.
fn collect(folder: &Path, used: &mut BTreeSet<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, used);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            // What follows is tests; they make up codes.
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            used.extend(
                text.split(['[', ']', '"']).filter(|word| is_code(word)).map(str::to_owned),
            );
        }
    }
}

fn is_code(word: &str) -> bool {
    word.len() == 5
        && word.is_char_boundary(2)
        && FAMILIES.contains(&&word[..2])
        && word[2..].bytes().all(|byte| byte.is_ascii_digit())
}
