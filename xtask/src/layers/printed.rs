//! What divan prints -> times. In: the tree that a benchmark writes to its standard output. Out: the fastest time of each leaf.
//! Never: a line that looks like a benchmark and is left out; it is an error.

/// One benchmark and its fastest time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Timed {
    /// Names from the root of the tree to its leaf, with slashes between them.
    pub(crate) name: String,
    pub(crate) fastest_ns: f64,
}

/// The leaves of one tree.
///
/// Shape: a head `NAME fastest │ slowest │ …`, then per line a branch, `├─ ` or `╰─ ` behind three letters for each level, a name,
/// and unless others hang from it `TIME UNIT │ …`.
/// Errors: which line is none of that.
pub(crate) fn leaves(printed: &str) -> Result<Vec<Timed>, String> {
    let mut leaves = Vec::new();
    let mut path: Vec<String> = Vec::new();
    for line in printed.lines().filter(|line| !line.trim().is_empty()) {
        if path.is_empty() {
            path.extend(root(line));
            continue;
        }
        let unknown = || format!("`{line}` is no line of a tree of benchmarks");
        let (depth, rest) = branch(line).ok_or_else(unknown)?;
        let cell = rest.split('│').next().unwrap_or(rest).trim();
        let (name, fastest_ns) = name_and_time(cell);
        if name.is_empty() || depth > path.len() {
            return Err(unknown());
        }
        path.truncate(depth);
        path.push(name.to_owned());
        leaves.extend(fastest_ns.map(|fastest_ns| Timed { name: path.join("/"), fastest_ns }));
    }
    if leaves.is_empty() {
        return Err(format!("there is no benchmark in `{}`", printed.trim()));
    }
    Ok(leaves)
}

/// The name in the head; what stands before the head is not for us.
fn root(line: &str) -> Option<String> {
    let (name, _) = line.split_once(" fastest ")?;
    Some(name.trim().to_owned())
}

/// How deep a line hangs, and what hangs there.
fn branch(line: &str) -> Option<(usize, &str)> {
    let (mut depth, mut rest) = (1, line);
    loop {
        if let Some(hanging) = rest.strip_prefix("├─ ").or_else(|| rest.strip_prefix("╰─ "))
        {
            return Some((depth, hanging));
        }
        rest = rest.strip_prefix("│  ").or_else(|| rest.strip_prefix("   "))?;
        depth += 1;
    }
}

fn name_and_time(cell: &str) -> (&str, Option<f64>) {
    let time = || {
        let (before, unit) = cell.rsplit_once(' ')?;
        let (name, number) = before.trim_end().rsplit_once(' ')?;
        let unit_ns = match unit {
            "ps" => 1e-3,
            "ns" => 1.0,
            "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            _ => return None,
        };
        Some((name.trim_end(), number.parse::<f64>().ok()? * unit_ns))
    };
    time().map_or((cell, None), |(name, fastest_ns)| (name, Some(fastest_ns)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "\
Timer precision: 20 ns
decode                fastest       │ slowest       │ median        │ mean          │ samples │ iters
├─ insert                           │               │               │               │         │
│  ├─ with schema     16.31 ns      │ 21.24 ns      │ 16.63 ns      │ 16.92 ns      │ 100     │ 12800
│  ╰─ without_schema  16.07 ns      │ 20.22 ns      │ 16.62 ns      │ 16.65 ns      │ 100     │ 12800
├─ plain              0.541 ns      │ 11.6 ns       │ 0.544 ns      │ 0.654 ns      │ 100     │ 409600
╰─ slow                             │               │               │               │         │
   ╰─ 1               407.1 µs      │ 20.67 ms      │ 442.5 µs      │ 1.474 ms      │ 100     │ 100

";

    #[test]
    fn each_leaf_has_its_path_and_its_fastest_time() {
        let leaves = leaves(PRINTED).unwrap();
        let names: Vec<&str> = leaves.iter().map(|leaf| leaf.name.as_str()).collect();
        let expected = [
            "decode/insert/with schema",
            "decode/insert/without_schema",
            "decode/plain",
            "decode/slow/1",
        ];
        assert_eq!(names, expected);
        let times: Vec<f64> = leaves.iter().map(|leaf| leaf.fastest_ns).collect();
        assert!(
            (times[0] - 16.31).abs() < 1e-9 && (times[3] - 407_100.0).abs() < 1e-6,
            "{times:?}"
        );
    }

    #[test]
    fn what_is_no_tree_is_an_error_and_not_an_empty_list() {
        assert!(leaves("").is_err());
        assert!(leaves("error: no such benchmark\n").is_err());
        let torn = PRINTED.replace("├─ plain", "plain");
        assert!(leaves(&torn).unwrap_err().contains("plain"), "the line is not named");
    }

    #[test]
    fn every_unit_comes_to_nanoseconds() {
        for (cell, expected_ns) in
            [("a 500 ps", 0.5), ("a 3.2 ns", 3.2), ("a 1 µs", 1e3), ("a 1 ms", 1e6), ("a 2 s", 2e9)]
        {
            let (name, time_ns) = name_and_time(cell);
            assert_eq!(name, "a");
            assert!((time_ns.unwrap() - expected_ns).abs() < 1e-6, "{cell}: {time_ns:?}");
        }
    }
}
