//! What the naming of topics does to records: their topic, the names of their schemas, and the field that names the table.

use std::sync::Arc;

use envelope::{
    EncoderSettings, EnvelopeError, KeyField, OldRow, Rewrite, Scratch, Table, TablePlan,
    TopicForm, TopicNaming, TopicParts, TopicRouting,
};
use serde_json::{Value, json};

use crate::promises::{base, column, inserted, plain_settings, position, row, table};
use crate::replay::OwnedRecord;

/// `item_s<number>` goes to `item`, and its keys say `S<number>`.
fn sharded(settings: EncoderSettings, key_field: Option<&str>) -> EncoderSettings {
    let value = Rewrite::new(".*_s([0-9]+)", "S$1").unwrap();
    let routing = TopicRouting {
        topic: Rewrite::new("(.*)_s[0-9]+", "$1").unwrap(),
        key_field: key_field.map(|name| KeyField { name: name.to_owned(), value: Some(value) }),
    };
    let form = TopicForm::Routed(Box::new(routing));
    let topic_naming = TopicNaming { parts: TopicParts::SchemaAndTable, form };
    EncoderSettings { topic_naming, ..settings }
}

fn shard(key: Vec<usize>) -> Table {
    let columns = vec![column("id", base("int4"), true), column("v", base("text"), false)];
    Table { name: "item_s7".to_owned(), key, ..table(columns) }
}

fn compile(key: Vec<usize>, settings: EncoderSettings) -> Result<TablePlan, EnvelopeError> {
    TablePlan::compile(shard(key), &Arc::new(settings))
}

fn parsed(bytes: Option<&Vec<u8>>) -> Value {
    serde_json::from_slice(bytes.unwrap()).unwrap()
}

#[test]
fn a_rewritten_name_is_the_topic_and_begins_the_names_of_the_schemas() {
    let settings = EncoderSettings::new("shop", "postgres", "1");
    let plan = compile(vec![0], sharded(settings, Some("shard_id"))).unwrap();
    assert_eq!(plan.topic(), "shop.public.item");
    let records = inserted(&plan, &[Some("1"), Some("a")]).unwrap();
    let key = parsed(records[0].key.as_ref());
    let expected = json!({
        "schema": {
            "type": "struct",
            "fields": [
                {"type": "int32", "optional": false, "field": "id"},
                {"type": "string", "optional": false, "field": "shard_id"},
            ],
            "optional": false,
            "name": "shop.public.item.Key",
        },
        "payload": {"id": 1, "shard_id": "S7"},
    });
    assert_eq!(key, expected);
    let value = parsed(records[0].value.as_ref());
    assert_eq!(value["schema"]["name"], "shop.public.item.Envelope");
    assert_eq!(value["schema"]["fields"][0]["name"], "shop.public.item.Value");
    assert_eq!(value["payload"]["source"]["table"], "item_s7", "the source is what it was");
}

#[test]
fn a_table_without_key_gets_the_field_that_names_it_and_nothing_else() {
    let plan = compile(Vec::new(), sharded(plain_settings(), Some("shard_id"))).unwrap();
    let records = inserted(&plan, &[Some("1"), Some("a")]).unwrap();
    assert_eq!(records[0].key.as_deref(), Some(&br#"{"shard_id":"S7"}"#[..]));
    let without = compile(Vec::new(), sharded(plain_settings(), None)).unwrap();
    assert_eq!(inserted(&without, &[Some("1"), None]).unwrap()[0].key, None);
}

#[test]
fn the_header_of_a_key_change_names_the_table_too() {
    let plan = compile(vec![0], sharded(plain_settings(), Some("shard_id"))).unwrap();
    let mut records = Vec::new();
    let (old, new) = (row(&[Some("1"), None]), row(&[Some("2"), None]));
    let out = &mut |record: envelope::Record<'_>| records.push(OwnedRecord::new(record));
    plan.update(&position(), OldRow::Key(&old), &new, out, &mut Scratch::default()).unwrap();
    let (name, value) = &records[0].headers[0];
    assert_eq!(
        (name.as_str(), &value[..]),
        ("__debezium.newkey", &br#"{"id":2,"shard_id":"S7"}"#[..])
    );
    assert_eq!(records[2].key.as_deref(), Some(&br#"{"id":2,"shard_id":"S7"}"#[..]));
}

#[test]
fn a_key_column_of_the_same_name_is_refused() {
    let error = compile(vec![0], sharded(plain_settings(), Some("id"))).unwrap_err();
    assert_eq!(error.code(), "EN012");
    assert!(compile(vec![0], sharded(plain_settings(), Some("v"))).is_ok(), "v is in no key");
}
