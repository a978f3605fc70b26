//! Delete events that are made of a record alone, compared with those that are made of the row.

use envelope::{EncoderSettings, OldRow, Scratch, SourcePosition, TablePlan, VanishedRow};
use serde_json::Value;

use crate::promises::{base, column, compile, inserted, plain_settings, position, row};
use crate::replay::OwnedRecord;

const VALUES: [Option<&str>; 3] = [Some("7"), Some("a \"b\" \u{e9}\n"), None];

fn plan(settings: EncoderSettings) -> TablePlan {
    let columns = vec![
        column("id", base("int8"), true),
        column("note", base("text"), false),
        column("price", base("numeric"), false),
    ];
    compile(columns, settings).unwrap()
}

/// The records of the row's delete, as the stream has them where the whole old row is logged.
fn deleted(plan: &TablePlan) -> Vec<OwnedRecord> {
    let mut records = Vec::new();
    let mut out = |record: envelope::Record<'_>| records.push(OwnedRecord::new(record));
    let values = row(&VALUES);
    plan.delete(&position(), OldRow::Full(&values), &mut out, &mut Scratch::default()).unwrap();
    records
}

fn vanished(plan: &TablePlan, schema: Option<&[u8]>, after: &[u8]) -> Vec<OwnedRecord> {
    let mut records = Vec::new();
    let mut out = |record: envelope::Record<'_>| records.push(OwnedRecord::new(record));
    let insert = inserted(plan, &VALUES).unwrap();
    let gone = VanishedRow {
        key: insert[0].key.as_deref().unwrap(),
        schema,
        row: after,
        event_id: "0/20:0/10:3",
    };
    let at = SourcePosition { event_id: None, ..position() };
    plan.vanished(&at, &gone, &mut out, &mut Scratch::default());
    records
}

fn part<'a>(value: &'a [u8], from: &str, to: &str) -> &'a [u8] {
    let text = std::str::from_utf8(value).unwrap();
    let start = text.find(from).unwrap() + from.len();
    let length = text[start..].find(to).unwrap();
    &value[start..start + length]
}

fn same(left: &[OwnedRecord], right: &[OwnedRecord]) {
    assert_eq!(left.len(), right.len());
    for (left, right) in left.iter().zip(right) {
        let text = |value: &Option<Vec<u8>>| value.clone().map(|it| String::from_utf8(it).unwrap());
        assert_eq!(text(&left.key), text(&right.key));
        assert_eq!(text(&left.value), text(&right.value));
        assert_eq!(left.headers, right.headers);
    }
}

#[test]
fn a_vanished_row_gives_the_records_of_its_delete_byte_for_byte() {
    let event_id_header = Some("id".to_owned());
    let bare = plan(EncoderSettings { event_id_header, ..plain_settings() });
    let insert = inserted(&bare, &VALUES).unwrap();
    let after = part(insert[0].value.as_deref().unwrap(), "\"after\":", ",\"source\"");
    same(&vanished(&bare, None, after), &deleted(&bare));

    let with_schemas = plan(EncoderSettings::new("shop", "postgres", "1"));
    let insert = inserted(&with_schemas, &VALUES).unwrap();
    let value = insert[0].value.as_deref().unwrap();
    let schema = part(value, "{\"schema\":", ",\"payload\":");
    let after = part(value, "\"after\":", ",\"source\":{\"version\"");
    same(&vanished(&with_schemas, Some(schema), after), &deleted(&with_schemas));
}

#[test]
fn tombstones_and_deletes_that_are_not_wanted_are_not_made() {
    let no_tombstones = plan(EncoderSettings { tombstones_on_delete: false, ..plain_settings() });
    assert_eq!(vanished(&no_tombstones, None, b"{}").len(), 1);
    let mut settings = plain_settings();
    settings.skipped_operations.delete = true;
    assert_eq!(vanished(&plan(settings), None, b"{}").len(), 0);
}

#[test]
fn the_form_of_a_key_is_what_its_keys_are_made_of() {
    for settings in [plain_settings(), EncoderSettings::new("shop", "postgres", "1")] {
        let plan = plan(settings);
        let key = inserted(&plan, &VALUES).unwrap().remove(0).key.unwrap();
        let form = plan.key_form().unwrap();
        let payload = key.strip_prefix(&form.head[..]).unwrap().strip_suffix(form.close).unwrap();
        let payload: Value = serde_json::from_slice(payload).unwrap();
        assert_eq!(payload, serde_json::json!({"id": 7}));
        assert_eq!(form.fields, [("id".to_owned(), "int64")]);
    }
}
