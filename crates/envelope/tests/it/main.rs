//! Streams captured from a real PostgreSQL, encoded and compared with what the real Debezium connector made of the same
//! SQL. In: `captured/<group>/<case>.json` (frames and the catalog of their moment) and the recordings of `testkit`.
//! No server is needed. `TRIBUTARY_CAPTURED` and `TRIBUTARY_GOLDEN` name other folders.

#![expect(
    clippy::unwrap_used,
    reason = "what the fixtures hold is known; anything else fails the test"
)]

mod avro;
mod columns;
mod compare;
mod defaults;
mod extremes;
mod fixture;
mod naming;
mod promises;
mod replay;
mod room;
mod vanished;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Where records differ from the recordings on purpose: `group/case`, the end of the path, why.
const DEVIATIONS: &str = include_str!("../../../testkit/golden/deviations.txt");

fn folder(variable: &str, own: &str) -> PathBuf {
    std::env::var_os(variable)
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(own), PathBuf::from)
}

fn read(path: &Path) -> Value {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap()
}

/// The ends of the paths at which a case differs on purpose.
fn deviations(case: &str) -> Vec<&'static str> {
    let lines = DEVIATIONS.lines().filter_map(|line| line.split_once(' '));
    lines.filter(|(name, _)| *name == case).filter_map(|(_, rest)| rest.split(' ').next()).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Differences of every captured case, by `group/case`.
fn differences() -> BTreeMap<String, Vec<String>> {
    let captured = folder("TRIBUTARY_CAPTURED", "tests/captured");
    let golden = folder("TRIBUTARY_GOLDEN", "../testkit/golden");
    let mut all = BTreeMap::new();
    for group in entries(&captured).iter().filter(|path| path.is_dir()) {
        let group_name = group.file_name().unwrap().to_str().unwrap();
        let config = read(&golden.join(group_name).join("_group.json"));
        for case in entries(group) {
            let id = case.file_stem().unwrap().to_str().unwrap();
            let recorded = read(&golden.join(group_name).join(format!("{id}.json")));
            let found = match replay::records(&config, &fixture::load(&read(&case))) {
                Ok(records) => compare::differences(&recorded, &records),
                Err(error) => vec![error.to_string()],
            };
            all.insert(format!("{group_name}/{id}"), found);
        }
    }
    all
}

#[test]
fn captured_streams_become_the_recorded_events() {
    let mut cases = 0;
    let mut wrong = Vec::new();
    for (case, mut differences) in differences() {
        cases += 1;
        for path_end in deviations(&case) {
            let found = differences.len();
            let meant = format!("{path_end}: ");
            differences.retain(|difference| !difference.contains(&meant));
            if differences.len() == found {
                wrong
                    .push(format!("{case}: no longer differs at {path_end}; take it off the list"));
            }
        }
        if !differences.is_empty() {
            wrong.push(format!("{case}:\n  {}", differences.join("\n  ")));
        }
    }
    assert!(cases > 0, "no captured case found");
    assert!(wrong.is_empty(), "{} of {cases} cases:\n{}", wrong.len(), wrong.join("\n"));
}
