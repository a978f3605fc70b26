//! Publications: what they hold, and the statements that make them hold exactly what is captured.
//!
//! Statements are text first, so that `check` can print what a start would run. Never here: which tables to capture.
//! Source: PostgreSQL manual, `CREATE PUBLICATION`, `ALTER PUBLICATION`.

use tokio_postgres::Row;

use crate::name::quote_identifier;
use crate::{Connection, PostgresError, TableName};

/// Which operations a publication publishes.
#[expect(clippy::struct_excessive_bools, reason = "four independent switches of PostgreSQL's own")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishOperations {
    /// Inserts.
    pub insert: bool,
    /// Updates.
    pub update: bool,
    /// Deletes.
    pub delete: bool,
    /// Truncates.
    pub truncate: bool,
}

impl PublishOperations {
    /// Everything, PostgreSQL's default.
    pub const ALL: Self = Self { insert: true, update: true, delete: true, truncate: true };
}

/// One publication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicationState {
    /// Its name.
    pub name: String,
    /// The owning role.
    pub owner: String,
    /// `FOR ALL TABLES`.
    pub all_tables: bool,
    /// The tables it lists itself, by name; a root stands for its partitions. Empty with `all_tables`.
    pub tables: Vec<TableName>,
    /// The schemas of `FOR TABLES IN SCHEMA` (PostgreSQL 15 and later).
    pub schemas: Vec<String>,
    /// The tables whose changes it publishes now, under the name they are published as.
    pub published_tables: Vec<TableName>,
    /// What it publishes of them.
    pub publish: PublishOperations,
    /// `publish_via_partition_root`.
    pub via_root: bool,
}

/// Which tables a publication shall hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicationTables {
    /// Exactly these.
    Exactly(Vec<TableName>),
    /// Whatever there is in these schemas, now and later, and these others (PostgreSQL 15 and later).
    Schemas {
        /// The schemas.
        schemas: Vec<String>,
        /// Tables of other schemas.
        tables: Vec<TableName>,
    },
    /// Whatever there is, now and later. Stops updates of tables without replica identity.
    All,
}

const READ: &str = "\
SELECT p.oid, pg_get_userbyid(p.pubowner)::text, p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, \
       p.pubviaroot \
FROM pg_publication p WHERE p.pubname = $1::text::name";

const READ_TABLES: &str = "\
SELECT n.nspname::text, c.relname::text \
FROM pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
WHERE r.prpubid = $1 ORDER BY 1, 2";

const READ_SCHEMAS: &str = "\
SELECT n.nspname::text FROM pg_publication_namespace p JOIN pg_namespace n ON n.oid = p.pnnspid \
WHERE p.pnpubid = $1 ORDER BY 1";

const READ_PUBLISHED: &str = "\
SELECT schemaname::text, tablename::text FROM pg_publication_tables WHERE pubname = $1::text::name ORDER BY 1, 2";

/// `FOR TABLES IN SCHEMA` exists from here on.
const VERSION_NUM_SCHEMAS: u32 = 150_000;

/// Reads a publication; `None` when there is none of this name.
pub async fn read(
    connection: &Connection,
    name: &str,
) -> Result<Option<PublicationState>, PostgresError> {
    const ACTION: &str = "read the publication";
    let rows = connection.query(ACTION, READ, &[&name]).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let oid: u32 = row.get(0);
    let tables = connection.query(ACTION, READ_TABLES, &[&oid]).await?;
    let published = connection.query(ACTION, READ_PUBLISHED, &[&name]).await?;
    let schemas = if connection.server_version_num() >= VERSION_NUM_SCHEMAS {
        connection.query(ACTION, READ_SCHEMAS, &[&oid]).await?
    } else {
        Vec::new()
    };
    let named = |rows: &[Row]| {
        let name = |row: &Row| TableName::new(row.get::<_, String>(0), row.get::<_, String>(1));
        rows.iter().map(name).collect()
    };
    Ok(Some(PublicationState {
        name: name.to_owned(),
        owner: row.get(1),
        all_tables: row.get(2),
        tables: named(&tables),
        schemas: schemas.iter().map(|row| row.get(0)).collect(),
        published_tables: named(&published),
        publish: PublishOperations {
            insert: row.get(3),
            update: row.get(4),
            delete: row.get(5),
            truncate: row.get(6),
        },
        via_root: row.get(7),
    }))
}

/// `CREATE PUBLICATION …` for these tables.
///
/// `ONLY` keeps tables out that inherit from a captured one; the partitions of a partitioned table are in with it.
pub fn create_statement(
    name: &str,
    tables: &PublicationTables,
    publish: PublishOperations,
    via_root: bool,
) -> String {
    let objects = match tables {
        PublicationTables::All => " FOR ALL TABLES".to_owned(),
        PublicationTables::Exactly(tables) if tables.is_empty() => String::new(),
        PublicationTables::Exactly(tables) => format!(" FOR TABLE {}", only(tables)),
        PublicationTables::Schemas { schemas, tables } if tables.is_empty() => {
            format!(" FOR TABLES IN SCHEMA {}", quoted(schemas))
        }
        PublicationTables::Schemas { schemas, tables } => {
            format!(" FOR TABLES IN SCHEMA {}, TABLE {}", quoted(schemas), only(tables))
        }
    };
    let name = quote_identifier(name);
    format!("CREATE PUBLICATION {name}{objects} WITH ({});", options(publish, via_root))
}

/// The statements that turn `current` into a publication of exactly this; empty when it is so already.
///
/// `FOR ALL TABLES` can only be had, or lost, by making the publication anew: then a slot that stands before this point
/// cannot read on, because it sees the catalog as it was. What stays is not touched, so row filters and column lists of
/// tables that stay survive.
pub fn alter_statements(
    current: &PublicationState,
    tables: &PublicationTables,
    publish: PublishOperations,
    via_root: bool,
) -> Vec<String> {
    let name = quote_identifier(&current.name);
    let wanted: (&[String], &[TableName]) = match tables {
        PublicationTables::All => (&[], &[]),
        PublicationTables::Exactly(tables) => (&[], tables),
        PublicationTables::Schemas { schemas, tables } => (schemas, tables),
    };
    if current.all_tables != (*tables == PublicationTables::All) {
        let create = create_statement(&current.name, tables, publish, via_root);
        return vec![format!("DROP PUBLICATION {name};"), create];
    }
    let (schemas, tables) = wanted;
    // What is there more of comes first, so that nothing is left out in between.
    let changes = [
        ("ADD TABLES IN SCHEMA", quoted(&without(schemas, &current.schemas))),
        ("ADD TABLE", only(&without(tables, &current.tables))),
        ("DROP TABLE", only(&without(&current.tables, tables))),
        ("DROP TABLES IN SCHEMA", quoted(&without(&current.schemas, schemas))),
    ];
    let mut statements: Vec<String> = changes
        .into_iter()
        .filter(|(_, objects)| !objects.is_empty())
        .map(|(change, objects)| format!("ALTER PUBLICATION {name} {change} {objects};"))
        .collect();
    if current.publish != publish || current.via_root != via_root {
        statements.push(format!("ALTER PUBLICATION {name} SET ({});", options(publish, via_root)));
    }
    statements
}

/// What is in `list` and not in `other`.
fn without<T: Clone + PartialEq>(list: &[T], other: &[T]) -> Vec<T> {
    list.iter().filter(|item| !other.contains(item)).cloned().collect()
}

fn quoted(schemas: &[String]) -> String {
    let quoted: Vec<String> = schemas.iter().map(|schema| quote_identifier(schema)).collect();
    quoted.join(", ")
}

fn only(tables: &[TableName]) -> String {
    let quoted: Vec<String> =
        tables.iter().map(|table| format!("ONLY {}", table.quoted())).collect();
    quoted.join(", ")
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

/// Runs statements of [`create_statement`] and [`alter_statements`], all in one transaction.
pub async fn apply(connection: &Connection, statements: &[String]) -> Result<(), PostgresError> {
    if statements.is_empty() {
        return Ok(());
    }
    // One simple query is one transaction.
    let script = statements.join("\n");
    connection.run(format!("run `{script}`"), &script).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(tables: &[&str]) -> PublicationState {
        PublicationState {
            name: "p".to_owned(),
            owner: "o".to_owned(),
            all_tables: false,
            tables: tables.iter().map(|name| TableName::new("s", *name)).collect(),
            schemas: Vec::new(),
            published_tables: Vec::new(),
            publish: PublishOperations::ALL,
            via_root: false,
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
            tables: vec![TableName::new("t", "x")],
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
}
