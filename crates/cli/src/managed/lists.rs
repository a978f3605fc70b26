//! Table and column lists with literal names put in and taken out. Pure.
//!
//! In: a comma-separated list of regular expressions, names. Out: the list with them, or without. What the user wrote as an expression stays
//! as it is. Source: Debezium, `table.include.list`, `column.exclude.list`.

use connector::spec::{literal, qualified};

use crate::error::CliError;

/// The list with these names in it; one that is there already stays once.
pub(super) fn with(list: &str, names: &[String], parts: usize) -> String {
    let mut entries = entries(list);
    for name in names {
        let entry = literal(&qualified(name, parts));
        if !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    entries.join(",")
}

/// The list without these names.
///
/// Errors: [`CliError::NotListed`] for a name that is not in it as such; an expression may still admit it.
pub(super) fn without(
    key: &'static str,
    list: &str,
    names: &[String],
    parts: usize,
) -> Result<String, CliError> {
    let mut entries = entries(list);
    for name in names {
        let name = qualified(name, parts);
        let before = entries.len();
        let entry = literal(&name);
        entries.retain(|found| *found != entry && *found != name);
        if entries.len() == before {
            return Err(CliError::NotListed { key, name, list: list.to_owned() });
        }
    }
    Ok(entries.join(","))
}

fn entries(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn names_come_and_go_and_expressions_stay() {
        let list = with(r"public[.]a.*", &names(&["orders", "shop.items", "orders"]), 2);
        assert_eq!(list, r"public[.]a.*,public\.orders,shop\.items");
        let list = without("table.include.list", &list, &names(&["public.orders"]), 2).unwrap();
        assert_eq!(list, r"public[.]a.*,shop\.items");
    }

    #[test]
    fn a_name_that_is_not_listed_is_told() {
        let gone = without("table.include.list", "public[.].*", &names(&["orders"]), 2);
        assert!(matches!(gone, Err(CliError::NotListed { .. })));
    }
}
