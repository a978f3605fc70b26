//! `docs/reference/differences.md` and what the runner of the recordings excuses are one list.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What is between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// Method: each row of the page's first table stands for its case in each of its groups at each of its places.
#[test]
fn the_page_lists_exactly_the_values_that_the_runner_excuses() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(own.join("../../docs/reference/differences.md")).unwrap();
    let section = page.split("\n## ").find(|section| section.starts_with("Values of our own"));
    let mut listed = BTreeSet::new();
    for row in section.unwrap().lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        assert_eq!(cells.len(), 6, "{row}");
        for group in quoted(cells[1]) {
            for place in quoted(cells[2]) {
                listed.insert(format!("{group}/{} {place}", quoted(cells[0])[0]));
            }
        }
    }
    let deviations = fs::read_to_string(own.join("golden/deviations.txt")).unwrap();
    let excused: BTreeSet<String> = deviations
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    assert!(!excused.is_empty());
    assert_eq!(listed, excused);
}
