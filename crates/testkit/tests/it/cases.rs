//! `docs/reference/cases.md` names a test for every case, and every test it names is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use testkit::Result;

/// Number of cases by section.
const SECTIONS: [(char, u32); 8] =
    [('A', 20), ('B', 60), ('C', 13), ('D', 17), ('E', 15), ('F', 15), ('G', 18), ('H', 20)];

#[test]
fn every_case_is_listed_once_and_names_what_exists() -> Result<()> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(workspace.join("docs/reference/cases.md")).unwrap();
    let mut sources = String::new();
    collect(&workspace.join("crates"), &mut sources)?;
    let mut listed = BTreeSet::new();
    for row in page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| case")) {
        let cells: Vec<&str> = row.trim_matches(['|', ' ']).splitn(2, " | ").collect();
        let [case, place] = cells[..] else { panic!("{row}") };
        assert!(listed.insert(case.to_owned()), "{case} is listed twice");
        assert!(!place.trim().is_empty(), "{case} names nothing");
        for recording in named(place, "recording `") {
            let file = workspace.join(format!("crates/testkit/golden/{recording}.json"));
            assert!(file.exists(), "{case}: there is no recording {recording}");
        }
        for test in named(place, "test `") {
            assert!(sources.contains(&format!("fn {test}(")), "{case}: there is no test {test}");
        }
    }
    let expected: BTreeSet<String> = SECTIONS
        .iter()
        .flat_map(|(section, count)| {
            (1..=*count).map(move |number| format!("{section}{number:02}"))
        })
        .collect();
    assert_eq!(listed, expected);
    Ok(())
}

/// What stands between the mark and the next backtick.
fn named<'a>(place: &'a str, mark: &str) -> Vec<&'a str> {
    place.split(mark).skip(1).filter_map(|rest| rest.split('`').next()).collect()
}

fn collect(folder: &Path, sources: &mut String) -> Result<()> {
    for entry in fs::read_dir(folder)?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, sources)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&fs::read_to_string(&path)?);
        }
    }
    Ok(())
}
