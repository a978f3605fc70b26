//! What the fuzzers have found and kept, once more: no parser breaks its promise again.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use fuzzed::TARGETS;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// What is in a folder, without endings.
fn names(folder: &Path) -> std::io::Result<BTreeSet<String>> {
    let entries = fs::read_dir(folder)?;
    let name = |path: PathBuf| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    entries.map(|entry| Ok(name(entry?.path()))).collect()
}

#[test]
fn every_parser_takes_what_was_kept_of_it() {
    for target in TARGETS {
        let mut files = 0;
        for entry in fs::read_dir(fuzz().join("corpus").join(target.name)).unwrap() {
            let path = entry.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            let run = target.run;
            let result = std::panic::catch_unwind(|| run(&bytes));
            assert!(result.is_ok(), "{}", path.display());
            files += 1;
        }
        assert!(files > 0, "{} has no corpus", target.name);
    }
}

#[test]
fn every_parser_has_a_fuzzer_and_every_corpus_a_parser() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(names(&fuzz().join("fuzz_targets")).unwrap(), targets);
    assert_eq!(names(&fuzz().join("corpus")).unwrap(), targets);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for target in targets {
        assert!(manifest.contains(&format!("\nname = \"{target}\"\n")), "{target}");
    }
}
