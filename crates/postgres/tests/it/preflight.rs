//! Each finding, provoked once.

use std::collections::HashMap;

use embedded::PostgresOptions;
use postgres::preflight::{Expectations, Finding, PublicationOwner, Severity, check};
use postgres::publication::{PublicationTables, PublishOperations};
use postgres::{Connection, ReplicationConnection, TableName, connect};

use crate::support::{PLAIN_SLOT, config, server, session, slot_name, start};

fn expect(tables: &[&str]) -> Expectations {
    let tables: Vec<_> = tables.iter().map(|name| TableName::new("public", *name)).collect();
    Expectations {
        slot: slot_name("s"),
        publication: "p".to_owned(),
        publication_owner: PublicationOwner::Filtered,
        publication_tables: exactly(&tables),
        tables,
        publish: PublishOperations { truncate: false, ..PublishOperations::ALL },
        via_root: false,
        snapshot: true,
        batches: true,
        snapshot_columns: HashMap::new(),
    }
}

fn exactly(tables: &[TableName]) -> PublicationTables {
    PublicationTables::Exactly(tables.iter().cloned().map(Into::into).collect())
}

async fn findings(sql: &Connection, expectations: &Expectations) -> Vec<Finding> {
    let findings = check(sql, expectations).await.unwrap();
    let severities: Vec<Severity> = findings.iter().map(|finding| finding.severity).collect();
    assert!(severities.is_sorted_by(|a, b| a >= b), "worst first: {severities:?}");
    // The limit of kept WAL is always told.
    findings.into_iter().filter(|finding| finding.code != "PG051").collect()
}

fn codes(findings: &[Finding]) -> Vec<(&str, &str)> {
    findings.iter().map(|finding| (finding.code, finding.subject.as_str())).collect()
}

fn fix(finding: &Finding) -> &str {
    finding.fix.as_deref().unwrap()
}

/// Runs what a finding suggests, statement by statement, without what follows as a comment.
async fn mend(sql: &Connection, finding: &Finding) {
    let statements = fix(finding).split("  --").next().unwrap();
    for statement in statements.split("; ") {
        sql.batch_execute(statement).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_is_ready_has_no_findings_but_the_wal_limit() {
    let server = server().await;
    let sql = session(&server).await;
    sql.batch_execute("CREATE TABLE a (id int PRIMARY KEY)").await.unwrap();
    let all = check(&sql, &expect(&["a"])).await.unwrap();
    assert_eq!(codes(&all), [("PG051", "max_slot_wal_keep_size")]);
    assert_eq!(all[0].severity, Severity::Info);
    mend(&sql, &all[0]).await;
}

/// A copy for reading in batches needs a slot beside the connector's own, which may be there already.
#[tokio::test]
async fn a_missing_slot_for_batches_is_good_to_know() {
    let server = start(PostgresOptions::default().set("max_replication_slots", "1")).await;
    let sql = session(&server).await;
    sql.batch_execute("CREATE TABLE a (id int PRIMARY KEY)").await.unwrap();
    for make_slot in ["SELECT 1", "SELECT pg_create_logical_replication_slot('s', 'pgoutput')"] {
        sql.batch_execute(make_slot).await.unwrap();
        let found = findings(&sql, &expect(&["a"])).await;
        assert_eq!(codes(&found), [("PG061", "max_replication_slots")]);
        assert_eq!(found[0].severity, Severity::Info);
    }
    let only_streams = Expectations { batches: false, ..expect(&["a"]) };
    assert!(findings(&sql, &only_streams).await.is_empty());
}

#[tokio::test]
async fn what_is_wrong_with_the_server_is_found_at_once() {
    let options = PostgresOptions::default()
        .set("wal_level", "replica")
        .set("max_replication_slots", "1")
        .set("max_wal_senders", "1");
    let server = start(options).await;
    let sql = session(&server).await;
    for statement in [
        "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
        "SELECT pg_create_physical_replication_slot('other')",
    ] {
        sql.batch_execute(statement).await.unwrap();
    }
    let _only = ReplicationConnection::connect(&config(&server)).await.unwrap();
    let latin = connect(&config(&server).with_dbname("latin")).await.unwrap();
    let found = findings(&latin, &expect(&[])).await;
    assert_eq!(
        codes(&found),
        [
            ("PG013", "wal_level"),
            ("PG049", "latin"),
            ("PG041", "max_wal_senders"),
            ("PG040", "max_replication_slots"),
        ]
    );
    assert_eq!(fix(&found[3]), "SELECT pg_drop_replication_slot('other');");
    for finding in [&found[0], &found[2], &found[3]] {
        mend(&latin, finding).await;
    }
}

#[tokio::test]
async fn a_plain_role_is_told_every_grant_it_needs() {
    let options = PostgresOptions {
        pg_hba: Some("host all all all trust".to_owned()),
        ..PostgresOptions::default()
    };
    let server = start(options).await;
    let admin = session(&server).await;
    admin
        .batch_execute(
            "CREATE ROLE owner; CREATE ROLE cdc LOGIN; CREATE SCHEMA app AUTHORIZATION owner;
             CREATE TABLE app.a (id int PRIMARY KEY); ALTER TABLE app.a OWNER TO owner;
             ALTER TABLE app.a ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
        )
        .await
        .unwrap();
    let config = config(&server).with_user("cdc").with_dbname("postgres");
    let sql = connect(&config).await.unwrap();
    let tables = vec![TableName::new("app", "a")];
    let publication_tables = exactly(&tables);
    let expectations = Expectations { tables, publication_tables, ..expect(&[]) };
    let found = findings(&sql, &expectations).await;
    assert_eq!(
        codes(&found),
        [
            ("PG042", "cdc"),
            ("PG043", "app.a"),
            ("PG056", "app.a"),
            ("PG044", "publication p"),
            ("PG045", "app.a"),
        ]
    );
    for finding in &found {
        mend(&admin, finding).await;
    }
    assert_eq!(codes(&findings(&sql, &expectations).await), []);
}

#[tokio::test]
async fn tables_that_cannot_be_captured_well_are_found() {
    let server = server().await;
    let sql = session(&server).await;
    sql.batch_execute(
        "CREATE TABLE bare (id int);
         CREATE UNLOGGED TABLE fleeting (id int PRIMARY KEY);
         CREATE TABLE \"Cased\" (id int PRIMARY KEY);
         CREATE TABLE root (id int) PARTITION BY RANGE (id);
         CREATE TABLE leaf PARTITION OF root FOR VALUES FROM (0) TO (9);
         CREATE TABLE uq (id int UNIQUE); ALTER TABLE uq REPLICA IDENTITY FULL",
    )
    .await
    .unwrap();
    let found = findings(&sql, &expect(&["bare", "fleeting", "cased", "root", "uq"])).await;
    assert_eq!(
        codes(&found),
        [
            ("PG054", "public.cased"),
            ("PG016", "public.bare"),
            ("PG055", "public.fleeting"),
            ("PG016", "public.leaf"),
            ("PG048", "public.bare"),
            ("PG059", "public.root"),
            ("PG048", "public.root"),
        ]
    );
    assert!(found[0].message.contains("public.Cased"), "{}", found[0].message);
    for index in [1, 2, 3] {
        mend(&sql, &found[index]).await;
    }
    let inserts = PublishOperations { update: false, delete: false, ..PublishOperations::ALL };
    let left = Expectations { publish: inserts, ..expect(&["bare"]) };
    assert_eq!(codes(&findings(&sql, &left).await), [("PG048", "public.bare")]);
}

#[tokio::test]
async fn a_publication_of_somebody_else_is_compared_with_what_is_captured() {
    let server = server().await;
    let sql = session(&server).await;
    sql.batch_execute(
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY);
         CREATE TABLE extra (id int); CREATE TABLE fine (id int PRIMARY KEY)",
    )
    .await
    .unwrap();
    let existing =
        Expectations { publication_owner: PublicationOwner::Existing, ..expect(&["a", "b"]) };
    let found = findings(&sql, &existing).await;
    assert_eq!(codes(&found), [("PG014", "publication p")]);
    mend(&sql, &found[0]).await;
    assert_eq!(codes(&findings(&sql, &existing).await), []);

    sql.batch_execute(
        "ALTER PUBLICATION p SET TABLE a, extra, fine; ALTER PUBLICATION p SET (publish = 'insert, update')",
    )
    .await
    .unwrap();
    let found = findings(&sql, &existing).await;
    assert_eq!(
        codes(&found),
        [
            ("PG046", "public.b"),
            ("PG053", "public.extra"),
            ("PG057", "publication p"),
            ("PG053", "public.fine"),
        ]
    );
    for finding in &found {
        mend(&sql, finding).await;
    }
    assert_eq!(codes(&findings(&sql, &existing).await), []);

    let rooted = Expectations { via_root: true, ..existing };
    let found = findings(&sql, &rooted).await;
    assert_eq!(codes(&found), [("PG058", "publication p")]);
    mend(&sql, &found[0]).await;
    assert_eq!(codes(&findings(&sql, &rooted).await), []);
}

#[tokio::test]
async fn a_publication_of_ours_shows_what_a_start_would_run() {
    let server = server().await;
    let sql = session(&server).await;
    sql.batch_execute(
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY);
         CREATE PUBLICATION p FOR TABLE ONLY a WITH (publish = 'insert, update, delete')",
    )
    .await
    .unwrap();
    let found = findings(&sql, &expect(&["a", "b"])).await;
    assert_eq!(codes(&found), [("PG046", "publication p")]);
    assert_eq!(found[0].severity, Severity::Info);
    assert_eq!(fix(&found[0]), "ALTER PUBLICATION \"p\" ADD TABLE ONLY \"public\".\"b\";");
    mend(&sql, &found[0]).await;
    assert_eq!(codes(&findings(&sql, &expect(&["a", "b"])).await), []);
}

#[tokio::test]
async fn publishing_all_tables_is_shown_to_hurt_those_without_identity() {
    let server = server().await;
    let sql = session(&server).await;
    sql.batch_execute(
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE bare (id int); CREATE ROLE cdc LOGIN REPLICATION;
         GRANT SELECT ON a TO cdc",
    )
    .await
    .unwrap();
    let cdc = connect(&config(&server).with_user("cdc").with_dbname("postgres")).await.unwrap();
    let all = Expectations { publication_owner: PublicationOwner::AllTables, ..expect(&["a"]) };
    let found = findings(&cdc, &all).await;
    assert_eq!(codes(&found), [("PG044", "publication p"), ("PG053", "public.bare")]);
    mend(&sql, &found[1]).await;
    mend(&sql, &found[0]).await;
    let left = findings(&cdc, &all).await;
    assert_eq!(codes(&left), [("PG053", "public.bare")]);
    assert_eq!(left[0].severity, Severity::Info);
}

#[tokio::test]
async fn a_slot_that_cannot_be_used_is_found() {
    let server = server().await;
    let sql = session(&server).await;
    sql.batch_execute("SELECT pg_create_physical_replication_slot('s')").await.unwrap();
    let found = findings(&sql, &expect(&[])).await;
    assert_eq!(codes(&found), [("PG026", "slot s")]);
    mend(&sql, &found[0]).await;

    let mut walsender = ReplicationConnection::connect(&config(&server)).await.unwrap();
    let created = walsender.create_slot(&slot_name("s"), PLAIN_SLOT).await.unwrap();
    assert_eq!(codes(&findings(&sql, &expect(&[])).await), []);
    let (slot, options) = (slot_name("s"), crate::support::options());
    let from = created.consistent_point;
    let feedback = postgres::Feedback::default();
    let _stream = walsender.start_replication(&slot, from, &options, feedback).await.unwrap();
    let found = findings(&sql, &expect(&[])).await;
    assert_eq!(codes(&found), [("PG011", "slot s")]);
}

#[tokio::test]
async fn a_way_in_that_lets_only_sql_through_is_found() {
    let options = PostgresOptions {
        pg_hba: Some("local all all trust\nhost all all all trust".to_owned()),
        ..PostgresOptions::default()
    };
    let server = start(options).await;
    let sql = session(&server).await;
    std::fs::write(server.data_dir().join("pg_hba.conf"), "host all all all reject\n").unwrap();
    sql.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    crate::support::eventually("the new pg_hba.conf", async || {
        connect(&config(&server)).await.err().map(|_| ())
    })
    .await;
    let found = findings(&sql, &expect(&[])).await;
    assert_eq!(found[0].code, "PG052", "{found:?}");
    assert!(fix(&found[0]).contains("host \"postgres\" \"postgres\""), "{}", fix(&found[0]));
}

/// Whoever captures two columns of three needs to read no more than those.
#[tokio::test]
async fn a_role_that_may_read_only_what_is_captured_is_enough() {
    let server = server().await;
    let admin = session(&server).await;
    admin
        .batch_execute(
            "CREATE ROLE cdc LOGIN REPLICATION; CREATE TABLE a (id int PRIMARY KEY, note text, secret text);
             GRANT SELECT (id, note) ON a TO cdc; CREATE PUBLICATION p FOR TABLE a",
        )
        .await
        .unwrap();
    let sql = connect(&config(&server).with_user("cdc").with_dbname("postgres")).await.unwrap();
    let publication_owner = PublicationOwner::Existing;
    let whole = Expectations { publication_owner, ..expect(&["a"]) };
    let found = findings(&sql, &whole).await;
    assert!(codes(&found).contains(&("PG043", "public.a")), "{found:?}");
    let columns = vec!["id".to_owned(), "note".to_owned()];
    let snapshot_columns = [(TableName::new("public", "a"), columns)].into();
    let found = findings(&sql, &Expectations { snapshot_columns, ..whole }).await;
    assert!(!codes(&found).contains(&("PG043", "public.a")), "{found:?}");
}
