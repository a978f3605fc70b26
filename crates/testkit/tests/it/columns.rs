//! What settings do to single columns, from the table to the topic.

use serde_json::json;
use testkit::stack::Stack;
use testkit::{Result, event};

/// Method: the same person is there before the snapshot and comes again in the stream, changes and goes.
#[tokio::test]
async fn a_masked_value_never_leaves_in_clear_neither_by_snapshot_nor_by_stream() -> Result<()> {
    let database = Stack::shared()?.database("masks").await?;
    let session = database
        .with(
            "create table person (id int primary key, email text, name varchar(20), note text);
             alter table person replica identity full;
             insert into person values (1, 'ada@example.org', 'Ada', 'Ada likes engines')",
        )
        .await?;
    let connector = database
        .connector()?
        .set("column.mask.hash.v2.SHA-256.with.salt.CzQMA0cB5K", r".*\.email")
        .set("column.mask.with.4.chars", "public.person.name")
        .set("column.truncate.to.3.chars", "public.person.note");
    let mut process = connector.start_streaming().await?;
    session
        .run(
            "insert into person values (2, 'ada@example.org', 'Ada', 'Ada likes engines');
             update person set name = 'Ada Lovelace', note = 'Adam' where id = 2; delete from person where id = 2",
        )
        .await?;
    let events = database.events("public.person").await?;
    assert_eq!(event::story(&events), "r(1) c(2) u(2) d(2) ∅(2)");
    let masked = json!({
        "email": "a1fc710d5d7a405c2e95e72e26241e82999bda97caf766123d06f4927faec5f0",
        "name": "****",
        "note": "Ada",
    });
    for event in &events[..4] {
        let payload = event.payload();
        for row in [&payload["before"], &payload["after"]].into_iter().filter(|row| !row.is_null())
        {
            for column in ["email", "name", "note"] {
                assert_eq!(row[column], masked[column], "{payload}");
            }
        }
    }
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn an_update_of_left_out_columns_gives_no_event_where_that_is_wanted() -> Result<()> {
    let database = Stack::shared()?.database("unchanged").await?;
    let session = database
        .with(
            "create table item (id int primary key, price int, seen int);
             alter table item replica identity full; insert into item values (1, 10, 0)",
        )
        .await?;
    let connector = database
        .connector()?
        .set("skip.messages.without.change", "true")
        .set("column.exclude.list", "public.item.seen");
    let mut process = connector.start_streaming().await?;
    session.run("update item set seen = 1; update item set price = 11; update item set seen = 2, id = 2").await?;
    assert_eq!(event::story(&database.events("public.item").await?), "r(1) u(1) d(1) ∅(1) c(2)");
    process.terminate().await?;
    Ok(())
}
