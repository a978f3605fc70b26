//! Publications hold exactly what they are told to.

use postgres::publication::{
    PublicationState, PublicationTables, PublishOperations, PublishedTable, RowFilterFlaw,
    alter_statements, apply, create_statement, create_statements, read, row_filter_flaw,
};
use postgres::{Connection, TableName};

use crate::support::{server, session};

const TABLES: &str = "\
CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE \"B b\" (id int PRIMARY KEY);
CREATE TABLE child () INHERITS (a);
CREATE TABLE root (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE leaf PARTITION OF root FOR VALUES FROM (0) TO (10)";

fn named(names: &[&str]) -> Vec<PublishedTable> {
    names.iter().map(|name| TableName::new("public", *name).into()).collect()
}

fn names(tables: &[PublishedTable]) -> Vec<TableName> {
    tables.iter().map(|table| table.table.clone()).collect()
}

async fn state(sql: &Connection) -> PublicationState {
    read(sql, "My \"p").await.unwrap().unwrap()
}

#[tokio::test]
async fn a_publication_becomes_exactly_what_is_asked_again_and_again() {
    let server = server().await;
    let sql = session(&server).await;
    sql.batch_execute(TABLES).await.unwrap();
    assert_eq!(read(&sql, "My \"p").await.unwrap(), None);

    let publish = PublishOperations { truncate: false, ..PublishOperations::ALL };
    let first = PublicationTables::Exactly(named(&["B b", "a"]));
    let create = create_statement("My \"p", &first, publish, true);
    apply(&sql, &[create]).await.unwrap();
    let made = state(&sql).await;
    assert_eq!(made.tables, named(&["B b", "a"]), "and not the table that inherits");
    assert_eq!(made.published_tables, names(&made.tables));
    assert_eq!((made.publish, made.via_root, made.all_tables), (publish, true, false));
    assert!(alter_statements(&made, &first, publish, true).is_empty());

    let second = PublicationTables::Exactly(named(&["a", "root"]));
    let statements = alter_statements(&made, &second, PublishOperations::ALL, false);
    apply(&sql, &statements).await.unwrap();
    let altered = state(&sql).await;
    assert_eq!(altered.tables, named(&["a", "root"]));
    assert_eq!(
        altered.published_tables,
        names(&named(&["a", "leaf"])),
        "under the partition's own name"
    );
    assert_eq!((altered.publish, altered.via_root), (PublishOperations::ALL, false));
    assert!(alter_statements(&altered, &second, PublishOperations::ALL, false).is_empty());

    let all = alter_statements(&altered, &PublicationTables::All, PublishOperations::ALL, false);
    apply(&sql, &all).await.unwrap();
    assert!(state(&sql).await.all_tables);
    let back = alter_statements(&state(&sql).await, &first, publish, true);
    apply(&sql, &back).await.unwrap();
    assert_eq!(state(&sql).await.tables, made.tables);
}

#[tokio::test]
async fn whole_schemas_are_taken_in_and_out() {
    let server = server().await;
    let sql = session(&server).await;
    if sql.server_version_num() < 150_000 {
        return;
    }
    sql.batch_execute(TABLES).await.unwrap();
    sql.batch_execute("CREATE SCHEMA s; CREATE PUBLICATION \"My \"\"p\" FOR TABLES IN SCHEMA s")
        .await
        .unwrap();
    let before = state(&sql).await;
    assert_eq!(before.schemas, ["s"]);
    let wanted = PublicationTables::Exactly(named(&["a"]));
    let statements = alter_statements(&before, &wanted, PublishOperations::ALL, false);
    apply(&sql, &statements).await.unwrap();
    let after = state(&sql).await;
    assert_eq!((&after.tables, &after.schemas), (&named(&["a"]), &Vec::new()));
    let wanted = PublicationTables::Schemas {
        schemas: vec!["public".to_owned()],
        tables: vec![TableName::new("s", "x").into()],
    };
    sql.batch_execute("CREATE TABLE s.x (id int PRIMARY KEY)").await.unwrap();
    let statements = alter_statements(&after, &wanted, PublishOperations::ALL, false);
    apply(&sql, &statements).await.unwrap();
    sql.batch_execute("CREATE TABLE later (id int PRIMARY KEY)").await.unwrap();
    let whole = state(&sql).await;
    assert_eq!(whole.schemas, ["public"]);
    assert_eq!(whole.tables, [TableName::new("s", "x").into()]);
    assert!(whole.published_tables.contains(&TableName::new("public", "later")));
    assert!(alter_statements(&whole, &wanted, PublishOperations::ALL, false).is_empty());
    let create = create_statement("again", &wanted, PublishOperations::ALL, false);
    apply(&sql, &[create]).await.unwrap();
}

#[tokio::test]
async fn all_statements_are_applied_or_none() {
    let server = server().await;
    let sql = session(&server).await;
    sql.batch_execute(TABLES).await.unwrap();
    let publish = PublishOperations::ALL;
    let good = PublicationTables::Exactly(named(&["a"]));
    let bad = PublicationTables::Exactly(named(&["missing"]));
    let statements =
        [create_statement("p", &good, publish, false), create_statement("q", &bad, publish, false)];
    let error = apply(&sql, &statements).await.unwrap_err();
    assert_eq!(error.code(), "PG021", "{error}");
    assert_eq!(read(&sql, "p").await.unwrap(), None);
}

/// The application's own statements work while a part is published, and what was not asked for is not taken away.
#[tokio::test]
async fn parts_of_tables_are_published_remade_and_given_back() {
    let server = server().await;
    let sql = session(&server).await;
    if sql.server_version_num() < 150_000 {
        return;
    }
    sql.batch_execute("CREATE TABLE a (id int PRIMARY KEY, b text, secret text); INSERT INTO a VALUES (1, 'x', 's')")
        .await
        .unwrap();
    let part = |columns: Option<&[&str]>, row_filter: Option<&str>| {
        PublicationTables::Exactly(vec![PublishedTable {
            table: TableName::new("public", "a"),
            columns: columns.map(|columns| columns.iter().map(ToString::to_string).collect()),
            row_filter: row_filter.map(str::to_owned),
        }])
    };
    let publish = PublishOperations::ALL;
    let first = part(Some(&["id", "b"]), Some("id > 0"));
    apply(&sql, &create_statements("My \"p", &first, publish, false)).await.unwrap();
    let made = state(&sql).await;
    assert_eq!(made.tables[0].columns.as_deref(), Some(&["id".to_owned(), "b".to_owned()][..]));
    assert_eq!(made.tables[0].row_filter.as_deref(), Some("(id > 0)"));
    assert_eq!(alter_statements(&made, &first, publish, false), Vec::<String>::new());
    sql.batch_execute("UPDATE a SET secret = 't'; DELETE FROM a").await.unwrap();

    for wanted in [part(Some(&["id"]), None), part(None, Some("id > 1")), part(None, None)] {
        let statements = alter_statements(&state(&sql).await, &wanted, publish, false);
        assert!(!statements.is_empty(), "{wanted:?}");
        apply(&sql, &statements).await.unwrap();
        let altered = state(&sql).await;
        assert_eq!(alter_statements(&altered, &wanted, publish, false), Vec::<String>::new());
    }
    assert_eq!(state(&sql).await.comment, None);
    sql.batch_execute("ALTER PUBLICATION \"My \"\"p\" SET TABLE a (id)").await.unwrap();
    let theirs = state(&sql).await;
    assert_eq!(alter_statements(&theirs, &first, publish, false), Vec::<String>::new());
}

/// A row filter over what is not logged of old rows makes PostgreSQL refuse updates: it is recognised before it is there.
#[tokio::test]
async fn a_row_filter_that_would_break_updates_is_recognised_without_running_anything() {
    let server = server().await;
    let sql = session(&server).await;
    sql.batch_execute("CREATE TABLE a (id int PRIMARY KEY, b text)").await.unwrap();
    let (table, all) = (TableName::new("public", "a"), ["id".to_owned(), "b".to_owned()]);
    let mut found = Vec::new();
    for condition in ["id % 2 = 0", "b = 'x' OR id > 5", "c > 1", "id > ", "id = $1", "a.id > 1"] {
        let flaw = row_filter_flaw(&sql, &table, condition, &all, &all[..1]).await.unwrap();
        found.push(flaw.map(|flaw| match flaw {
            RowFilterFlaw::BeyondIdentity => "identity".to_owned(),
            RowFilterFlaw::Invalid(why) => why,
        }));
    }
    assert_eq!(found[..2], [None, Some("identity".to_owned())]);
    assert_eq!(found[2].as_deref(), Some("column \"c\" does not exist"));
    assert!(found[3..].iter().all(Option::is_some), "{found:?}");
}
