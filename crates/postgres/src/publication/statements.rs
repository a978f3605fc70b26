//! The statements that make a publication, and those that bring it to what it shall hold.
//!
//! In: what is there, and what is wanted. Out: statements as text. The comment of a publication says which column lists and
//! row filters are ours: only those are ever changed. Never: a statement where nothing differs.

use std::collections::BTreeSet;

use super::{PublicationState, PublicationTables, PublishOperations, PublishedTable, quoted};
use crate::name::{quote_identifier, quote_literal};
use crate::{Connection, PostgresError, TableName};

/// Begins our part of a publication's comment; the tables follow, one a line.
const OURS: &str = "tributary keeps these column lists and row filters:";

/// `CREATE PUBLICATION …` for these tables.
pub fn create_statement(
    name: &str,
    tables: &PublicationTables,
    publish: PublishOperations,
    via_root: bool,
) -> String {
    let objects = match tables {
        PublicationTables::All => " FOR ALL TABLES".to_owned(),
        PublicationTables::Exactly(tables) if tables.is_empty() => String::new(),
        PublicationTables::Exactly(tables) => format!(" FOR TABLE {}", objects(tables)),
        PublicationTables::Schemas { schemas, tables } if tables.is_empty() => {
            format!(" FOR TABLES IN SCHEMA {}", quoted(schemas))
        }
        PublicationTables::Schemas { schemas, tables } => {
            format!(" FOR TABLES IN SCHEMA {}, TABLE {}", quoted(schemas), objects(tables))
        }
    };
    let name = quote_identifier(name);
    format!("CREATE PUBLICATION {name}{objects} WITH ({});", options(publish, via_root))
}

/// `CREATE PUBLICATION …`, and the comment that says what of it is ours.
pub fn create_statements(
    name: &str,
    tables: &PublicationTables,
    publish: PublishOperations,
    via_root: bool,
) -> Vec<String> {
    let mut statements = vec![create_statement(name, tables, publish, via_root)];
    statements.extend(comment_statement(name, None, listed(tables).1));
    statements
}

/// The statements that turn `current` into a publication of exactly this; empty when it is so already.
///
/// `FOR ALL TABLES` can only be had, or lost, by making the publication anew: then a slot that stands before this point
/// cannot read on, because it sees the catalog as it was. What stays is not touched, so row filters and column lists that
/// somebody else gave to tables that stay survive ([`left_alone`]).
pub fn alter_statements(
    current: &PublicationState,
    tables: &PublicationTables,
    publish: PublishOperations,
    via_root: bool,
) -> Vec<String> {
    let name = quote_identifier(&current.name);
    if current.all_tables != (*tables == PublicationTables::All) {
        let mut statements = vec![format!("DROP PUBLICATION {name};")];
        statements.extend(create_statements(&current.name, tables, publish, via_root));
        return statements;
    }
    let (schemas, wanted) = listed(tables);
    let remade = remade(current, tables);
    let gone = |table: &&PublishedTable| {
        !wanted.iter().any(|wanted| wanted.table == table.table) || remade.contains(&table.table)
    };
    let new =
        |table: &&PublishedTable| !current.lists(&table.table) || remade.contains(&table.table);
    let added: Vec<PublishedTable> = wanted.iter().filter(new).cloned().collect();
    let dropped: Vec<PublishedTable> = current.tables.iter().filter(gone).cloned().collect();
    let dropped: Vec<_> =
        dropped.into_iter().map(|gone| PublishedTable::from(gone.table)).collect();
    let change = |change: &str, objects: String| {
        (!objects.is_empty()).then(|| format!("ALTER PUBLICATION {name} {change} {objects};"))
    };
    let add = [
        change("ADD TABLES IN SCHEMA", quoted(&without(schemas, &current.schemas))),
        change("ADD TABLE", objects(&added)),
    ];
    let drop = [
        change("DROP TABLE", objects(&dropped)),
        change("DROP TABLES IN SCHEMA", quoted(&without(&current.schemas, schemas))),
    ];
    let options = [options_statement(current, publish, via_root)];
    let parts = current.tables.iter().chain(wanted).any(|table| !table.is_whole());
    let comment = comment_statement(&current.name, Some(current), wanted);
    let ordered = if parts {
        // PostgreSQL takes neither a column list beside a whole schema nor a table that is there already, and a row filter
        // of a partitioned table only with `publish_via_partition_root`.
        drop.into_iter().chain(options).chain(add).flatten().collect::<Vec<_>>()
    } else {
        // What is there more of comes first, so that nothing is left out in between.
        add.into_iter().chain(drop).chain(options).flatten().collect()
    };
    ordered.into_iter().chain(comment).collect()
}

/// `ALTER PUBLICATION … SET (…)`, if the options differ.
pub fn options_statement(
    current: &PublicationState,
    publish: PublishOperations,
    via_root: bool,
) -> Option<String> {
    (current.publish != publish || current.via_root != via_root)
        .then(|| same_options_statement(&PublicationState { publish, via_root, ..current.clone() }))
}

/// `ALTER PUBLICATION … SET (…)` with the options it has: it changes nothing, and makes every walsender look anew at what is
/// published.
pub fn same_options_statement(current: &PublicationState) -> String {
    let name = quote_identifier(&current.name);
    format!("ALTER PUBLICATION {name} SET ({});", options(current.publish, current.via_root))
}

/// Tables that are there and are taken out and in again, because what is published of them differs and is ours.
pub fn remade(current: &PublicationState, tables: &PublicationTables) -> Vec<TableName> {
    pairs(current, tables)
        .filter(|(found, wanted)| is_ours(current, found) && differs(current, found, wanted))
        .map(|(found, _)| found.table.clone())
        .collect()
}

/// Tables of which a part shall be published, and already is, by somebody else's doing.
pub fn left_alone<'a>(
    current: &'a PublicationState,
    tables: &'a PublicationTables,
) -> Vec<&'a PublishedTable> {
    pairs(current, tables)
        .filter(|(found, wanted)| !wanted.is_whole() && !is_ours(current, found))
        .map(|(_, wanted)| wanted)
        .collect()
}

/// Runs statements of this file, all in one transaction.
pub async fn apply(connection: &Connection, statements: &[String]) -> Result<(), PostgresError> {
    if statements.is_empty() {
        return Ok(());
    }
    // One simple query is one transaction.
    let script = statements.join("\n");
    connection.run(format!("run `{script}`"), &script).await
}

/// Tables that are there and wanted: as they are, and as they shall be.
fn pairs<'a>(
    current: &'a PublicationState,
    tables: &'a PublicationTables,
) -> impl Iterator<Item = (&'a PublishedTable, &'a PublishedTable)> {
    let (_, wanted) = listed(tables);
    wanted.iter().filter_map(move |wanted| {
        let found = current.tables.iter().find(|found| found.table == wanted.table)?;
        Some((found, wanted))
    })
}

/// Whole schemas and single tables.
fn listed(tables: &PublicationTables) -> (&[String], &[PublishedTable]) {
    match tables {
        PublicationTables::All => (&[], &[]),
        PublicationTables::Exactly(tables) => (&[], tables),
        PublicationTables::Schemas { schemas, tables } => (schemas, tables),
    }
}

/// Whether nobody else gave the table a column list or a row filter.
fn is_ours(current: &PublicationState, found: &PublishedTable) -> bool {
    found.is_whole() || line_of(current, &found.table).is_some()
}

/// The server shows a row filter in words of its own, so the comment says what it was made of.
fn differs(current: &PublicationState, found: &PublishedTable, wanted: &PublishedTable) -> bool {
    columns_of(found) != columns_of(wanted)
        || found.row_filter.is_some() != wanted.row_filter.is_some()
        || (wanted.row_filter.is_some()
            && line_of(current, &found.table) != Some(line(wanted).as_str()))
}

/// The column list, whose order does not count.
fn columns_of(table: &PublishedTable) -> Option<BTreeSet<&String>> {
    table.columns.as_ref().map(|columns| columns.iter().collect())
}

/// What the comment says of a table.
fn line_of<'a>(current: &'a PublicationState, table: &TableName) -> Option<&'a str> {
    let (_, ours) = current.comment.as_deref()?.split_once(OURS)?;
    let begin = format!("ONLY {} ", table.quoted());
    ours.lines().find(|line| line.starts_with(&begin))
}

fn line(table: &PublishedTable) -> String {
    table.object().replace(['\n', '\r'], " ")
}

/// `COMMENT ON PUBLICATION …`, if the comment differs. What somebody else wrote before our part stays.
fn comment_statement(
    name: &str,
    current: Option<&PublicationState>,
    wanted: &[PublishedTable],
) -> Option<String> {
    let found = current.and_then(|current| current.comment.as_deref()).unwrap_or_default();
    let theirs = found.split_once(OURS).map_or(found, |(theirs, _)| theirs).trim_end();
    let is_mine = |table: &&PublishedTable| {
        let there = current.and_then(|current| {
            let found = current.tables.iter().find(|found| found.table == table.table)?;
            Some(is_ours(current, found))
        });
        !table.is_whole() && there != Some(false)
    };
    let lines: Vec<String> = wanted.iter().filter(is_mine).map(line).collect();
    let mut comment = theirs.to_owned();
    if !lines.is_empty() {
        let gap = if theirs.is_empty() { "" } else { "\n" };
        comment = format!("{theirs}{gap}{OURS}\n{}", lines.join("\n"));
    }
    (comment != found.trim_end()).then(|| {
        let comment = if comment.is_empty() { "NULL".to_owned() } else { quote_literal(&comment) };
        format!("COMMENT ON PUBLICATION {} IS {comment};", quote_identifier(name))
    })
}

/// What is in `list` and not in `other`.
fn without<T: Clone + PartialEq>(list: &[T], other: &[T]) -> Vec<T> {
    list.iter().filter(|item| !other.contains(item)).cloned().collect()
}

fn objects(tables: &[PublishedTable]) -> String {
    let objects: Vec<String> = tables.iter().map(PublishedTable::object).collect();
    objects.join(", ")
}

fn options(publish: PublishOperations, via_root: bool) -> String {
    let operations = [
        (publish.insert, "insert"),
        (publish.update, "update"),
        (publish.delete, "delete"),
        (publish.truncate, "truncate"),
    ];
    let named: Vec<&str> = operations.iter().filter(|item| item.0).map(|item| item.1).collect();
    format!("publish = '{}', publish_via_partition_root = {via_root}", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(tables: &[&str]) -> PublicationState {
        PublicationState {
            name: "p".to_owned(),
            owner: "o".to_owned(),
            all_tables: false,
            tables: tables.iter().map(|name| TableName::new("s", *name).into()).collect(),
            schemas: Vec::new(),
            published_tables: Vec::new(),
            publish: PublishOperations::ALL,
            via_root: false,
            comment: None,
        }
    }

    fn exactly(tables: &[&str]) -> PublicationTables {
        PublicationTables::Exactly(state(tables).tables)
    }

    #[test]
    fn a_publication_is_created_for_exactly_its_tables() {
        let publish = PublishOperations { truncate: false, ..PublishOperations::ALL };
        assert_eq!(
            create_statement("My \"pub", &exactly(&["a", "B c"]), publish, true),
            "CREATE PUBLICATION \"My \"\"pub\" FOR TABLE ONLY \"s\".\"a\", ONLY \"s\".\"B c\" \
             WITH (publish = 'insert, update, delete', publish_via_partition_root = true);"
        );
    }

    #[test]
    fn only_differences_are_altered() {
        let all = PublishOperations::ALL;
        let alter =
            |tables: &[&str]| alter_statements(&state(&["a", "b"]), &exactly(tables), all, false);
        assert_eq!(alter(&["b", "a"]), Vec::<String>::new());
        assert_eq!(
            alter(&["b", "c"]),
            [
                "ALTER PUBLICATION \"p\" ADD TABLE ONLY \"s\".\"c\";",
                "ALTER PUBLICATION \"p\" DROP TABLE ONLY \"s\".\"a\";"
            ]
        );
        let options = alter_statements(&state(&["a"]), &exactly(&["a"]), all, true);
        assert_eq!(options.len(), 1);
        assert!(options[0].ends_with("publish_via_partition_root = true);"), "{options:?}");
    }

    #[test]
    fn a_whole_schema_takes_the_place_of_its_tables_and_back() {
        let whole = PublicationTables::Schemas {
            schemas: vec!["s".to_owned()],
            tables: vec![TableName::new("t", "x").into()],
        };
        let all = PublishOperations::ALL;
        assert_eq!(
            alter_statements(&state(&["a"]), &whole, all, false),
            [
                "ALTER PUBLICATION \"p\" ADD TABLES IN SCHEMA \"s\";",
                "ALTER PUBLICATION \"p\" ADD TABLE ONLY \"t\".\"x\";",
                "ALTER PUBLICATION \"p\" DROP TABLE ONLY \"s\".\"a\";",
            ]
        );
        let current = PublicationState { schemas: vec!["s".to_owned()], ..state(&[]) };
        assert_eq!(
            alter_statements(&current, &exactly(&["a"]), all, false),
            [
                "ALTER PUBLICATION \"p\" ADD TABLE ONLY \"s\".\"a\";",
                "ALTER PUBLICATION \"p\" DROP TABLES IN SCHEMA \"s\";",
            ]
        );
        let create = create_statement("p", &whole, all, false);
        assert!(
            create.contains("FOR TABLES IN SCHEMA \"s\", TABLE ONLY \"t\".\"x\" WITH"),
            "{create}"
        );
    }

    #[test]
    fn all_tables_needs_a_new_publication() {
        let statements = alter_statements(
            &state(&["a"]),
            &PublicationTables::All,
            PublishOperations::ALL,
            false,
        );
        assert_eq!(statements.len(), 2);
        assert_eq!(statements[0], "DROP PUBLICATION \"p\";");
        assert!(statements[1].contains("FOR ALL TABLES"), "{statements:?}");
    }

    fn part(columns: &[&str], row_filter: Option<&str>) -> PublishedTable {
        PublishedTable {
            table: TableName::new("s", "a"),
            columns: (!columns.is_empty())
                .then(|| columns.iter().map(|&column| column.to_owned()).collect()),
            row_filter: row_filter.map(str::to_owned),
        }
    }

    const COMMENT: &str = "tributary keeps these column lists and row filters:\n\
                           ONLY \"s\".\"a\" (\"id\", \"b\") WHERE (b = 'x')";

    #[test]
    fn parts_of_tables_are_published_and_the_comment_says_so() {
        let wanted = PublicationTables::Exactly(vec![part(&["id", "b"], Some("b = 'x'"))]);
        let publish = PublishOperations::ALL;
        let create = create_statements("p", &wanted, publish, false);
        assert!(
            create[0].contains("FOR TABLE ONLY \"s\".\"a\" (\"id\", \"b\") WHERE (b = 'x') WITH"),
            "{create:?}"
        );
        let comment = COMMENT.replace('\'', "''");
        assert_eq!(create[1], format!("COMMENT ON PUBLICATION \"p\" IS '{comment}';"));
        let made = PublicationState {
            tables: vec![part(&["b", "id"], Some("(b = 'x'::text)"))],
            comment: Some(COMMENT.to_owned()),
            ..state(&[])
        };
        assert_eq!(alter_statements(&made, &wanted, publish, false), Vec::<String>::new());
        let other = PublicationTables::Exactly(vec![part(&["id", "b"], Some("b = 'y'"))]);
        let statements = alter_statements(&made, &other, publish, false);
        assert_eq!(statements[0], "ALTER PUBLICATION \"p\" DROP TABLE ONLY \"s\".\"a\";");
        assert!(statements[1].ends_with("(\"id\", \"b\") WHERE (b = 'y');"), "{statements:?}");
        assert!(statements[2].starts_with("COMMENT ON"), "{statements:?}");
        let whole = alter_statements(&made, &exactly(&["a"]), publish, false);
        assert_eq!(whole[1], "ALTER PUBLICATION \"p\" ADD TABLE ONLY \"s\".\"a\";");
        assert_eq!(whole[2], "COMMENT ON PUBLICATION \"p\" IS NULL;");
    }

    #[test]
    fn parts_that_somebody_else_chose_are_left_alone() {
        let theirs = PublicationState {
            tables: vec![part(&["id"], None)],
            comment: Some("by the DBA".to_owned()),
            ..state(&[])
        };
        let all = PublishOperations::ALL;
        let wanted = PublicationTables::Exactly(vec![part(&["id", "b"], None)]);
        assert_eq!(alter_statements(&theirs, &wanted, all, false), Vec::<String>::new());
        assert_eq!(left_alone(&theirs, &wanted), [&part(&["id", "b"], None)]);
        assert_eq!(alter_statements(&theirs, &exactly(&["a"]), all, false), Vec::<String>::new());
        let whole = PublicationState { tables: state(&["a"]).tables, ..theirs };
        let statements = alter_statements(&whole, &wanted, all, false);
        assert_eq!(statements.len(), 3);
        assert!(statements[2].contains("IS 'by the DBA\ntributary keeps these"), "{statements:?}");
    }
}
