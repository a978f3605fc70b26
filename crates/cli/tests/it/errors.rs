//! Bad input gets an error that says what, where, why and how to mend it; misuse exits with 2.

use std::fs;

use insta::assert_snapshot;

use crate::{failure, tributary, tributary_with};

/// Runs `run --config` on a file with this content.
fn run_config(content: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("connector.json");
    fs::write(&path, content).unwrap();
    let output =
        tributary(&["run", "--config", path.to_str().unwrap(), "--store", "kafka://127.0.0.1:9"]);
    failure(&output)
}

#[test]
fn all_problems_of_a_connector_json_are_reported_at_once() {
    let shown = run_config(
        r#"{"name": "shop", "config": {
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "plugin.name": "decoderbufs",
            "database.hostname": "127.0.0.1", "database.user": "cdc", "database.dbname": "shop",
            "topic.prefix": "shop",
            "tabel.include.list": "public.orders",
            "table.include.list": "public.(orders",
            "schema.include.list": "(?!audit).*",
            "decimal.handling.mode": "bogus",
            "slot.drop.on.stop": true,
            "producer.override.compresion.type": "lz4",
            "value.converter": "io.confluent.connect.avro.AvroConverter"
        }}"#,
    );
    assert_snapshot!(shown);
}

#[test]
fn a_file_that_is_no_json_says_where() {
    assert_snapshot!(run_config("{\"name\": \"shop\",\n  config: {}}"));
}

#[test]
fn a_file_that_does_not_exist_is_named() {
    assert_snapshot!(failure(&tributary(&["run", "--config", "/nowhere/connector.json"])));
}

#[test]
fn run_without_anything_says_what_it_needs() {
    assert_snapshot!(failure(&tributary(&["run"])));
}

#[test]
fn run_without_source_and_store_asks_for_both() {
    assert_snapshot!(failure(&tributary(&["run", "--table", "public.orders"])));
}

#[test]
fn the_environment_stands_in_for_source_and_store() {
    let variables =
        [("DATABASE_URL", "postgres://cdc@127.0.0.1:9/shop"), ("KAFKA_URL", "gopher://h")];
    assert_snapshot!(failure(&tributary_with(&["run", "--table", "public.orders"], &variables)));
}

#[test]
fn config_and_table_exclude_each_other() {
    assert_snapshot!(failure(&tributary(&[
        "run",
        "--config",
        "a.json",
        "--table",
        "public.orders"
    ])));
}

#[test]
fn tail_without_store_says_where_to_name_it() {
    assert_snapshot!(failure(&tributary(&["tail", "topic", "--from", "end"])));
}

#[test]
fn a_setting_without_value_is_misuse() {
    assert_snapshot!(failure(&tributary(&["run", "--set", "snapshot.mode"])));
}

/// Runs `snapshot` for a connector that is given by these flags.
fn snapshot(arguments: &[&str]) -> String {
    let connector = [
        "snapshot",
        "--source",
        "postgres://cdc@127.0.0.1:9/shop",
        "--store",
        "kafka://127.0.0.1:9",
    ];
    failure(&tributary(&[&connector, arguments].concat()))
}

#[test]
fn a_snapshot_of_a_connector_that_reads_no_signals_says_what_to_set() {
    assert_snapshot!(snapshot(&[
        "--name",
        "shop",
        "--set",
        "signal.enabled.channels=source",
        "--table",
        "public.orders"
    ]));
}

#[test]
fn waiting_for_a_snapshot_needs_notifications() {
    assert_snapshot!(snapshot(&["--name", "shop", "--table", "orders", "--wait"]));
}

#[test]
fn a_snapshot_without_a_connector_or_a_wish_is_misuse() {
    for (arguments, lacks) in [
        (&["--table", "public.orders"][..], "<NAME|--config <FILE>|--name <NAME>>"),
        (&["--name", "shop"], "<--table <SCHEMA.TABLE>|--pause|--resume|--stop>"),
        (&["--name", "shop", "--pause", "--table", "a"], "--pause' cannot be used with '--table"),
        (&["--name", "shop", "--stop", "--blocking"], "cannot be used with"),
        (&["--name", "shop", "--where", "true", "--resume"], "cannot be used with"),
    ] {
        let told = snapshot(arguments);
        assert!(told.starts_with("exit 2") && told.contains(lacks), "{arguments:?}: {told}");
    }
}
