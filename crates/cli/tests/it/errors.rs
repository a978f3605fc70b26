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
    assert_snapshot!(failure(&tributary(&["tail", "topic"])));
}

#[test]
fn a_setting_without_value_is_misuse() {
    assert_snapshot!(failure(&tributary(&["run", "--set", "snapshot.mode"])));
}
