//! What settings do to single columns, beyond the recordings: masks, excluded keys, names that collide, updates that change
//! nothing.

use std::sync::Arc;

use envelope::{
    Column, ColumnTreatment, EncoderSettings, HashAlgorithm, HashInput, Mask, NameAdjustment,
    OldRow, Salt, Scratch, TablePlan,
};
use pgoutput::TupleValue;
use serde_json::{Value, json};

use crate::promises::{
    after, base, column, compile, inserted, plain_settings, position, row, table,
};
use crate::replay::OwnedRecord;

fn masked(name: &str, type_name: &str, not_null: bool, mask: Mask) -> Column {
    let treatment = ColumnTreatment { mask: Some(mask), source_type: false };
    Column { treatment, ..column(name, base(type_name), not_null) }
}

fn sha256() -> Mask {
    Mask::Hash {
        algorithm: HashAlgorithm::Sha256,
        input: HashInput::Utf8,
        salt: Salt::new("CzQMA0cB5K"),
    }
}

fn updated(plan: &TablePlan, before: OldRow<'_>, after: &[TupleValue<'_>]) -> Vec<Value> {
    let mut records = Vec::new();
    plan.update(
        &position(),
        before,
        after,
        &mut |record| records.push(OwnedRecord::new(record)),
        &mut Scratch::default(),
    )
    .unwrap();
    records.iter().filter_map(|record| record.value.as_deref()).map(parsed).collect()
}

fn parsed(json: &[u8]) -> Value {
    serde_json::from_slice(json).unwrap()
}

/// NULL must not tell more than any other value, and neither must a value that was not sent.
#[test]
fn asterisks_hide_null_missing_and_unavailable_values() {
    let hidden = masked("secret", "text", false, Mask::Asterisks { length: 3 });
    let plan = compile(vec![column("id", base("int4"), true), hidden], plain_settings()).unwrap();
    assert_eq!(after(&inserted(&plan, &[Some("1"), None]).unwrap())["secret"], "***");
    let new = [TupleValue::Text(b"1"), TupleValue::UnchangedToast];
    let events = updated(&plan, OldRow::Key(&row(&[Some("1"), None])), &new);
    assert_eq!(events[0]["before"]["secret"], "***");
    assert_eq!(events[0]["after"]["secret"], "***");
}

#[test]
fn a_digest_stands_for_whatever_stands_for_a_value() {
    let columns = vec![
        column("id", base("int4"), true),
        masked("must", "text", true, sha256()),
        masked("may", "text", false, sha256()),
    ];
    let plan = compile(columns, plain_settings()).unwrap();
    let new = [TupleValue::Text(b"1"), TupleValue::UnchangedToast, TupleValue::Null];
    let events = updated(&plan, OldRow::Key(&row(&[Some("1"), None, None])), &new);
    // Of nothing, which is what a NOT NULL text that is not there counts as.
    assert_eq!(
        events[0]["before"]["must"],
        "38bc986eb4a5475fab16ac693f6c1b4c2445600da5c5aec3d04301e48d6d0d68"
    );
    assert_eq!(events[0]["after"]["must"].as_str().unwrap().len(), 64, "of the placeholder");
    assert_ne!(events[0]["after"]["must"], events[0]["before"]["must"]);
    assert_eq!(events[0]["after"]["may"], Value::Null);
}

/// The values are Debezium 3.6's for the same rows and settings.
#[test]
fn stand_ins_and_other_types_are_treated_as_debezium_treats_them() {
    let hash = || Mask::Hash {
        algorithm: HashAlgorithm::Sha256,
        input: HashInput::Utf8,
        salt: Salt::new("x"),
    };
    let cut = || Mask::Truncate { length_max: 4 };
    let default = |text: &str| Some(format!("'{text}'::text"));
    let columns = vec![
        column("id", base("int4"), true),
        masked("b", "bytea", false, cut()),
        masked("tsz", "timestamptz", false, cut()),
        masked("j", "jsonb", false, cut()),
        masked("n", "int4", false, cut()),
        masked("big", "text", false, cut()),
        Column { default: default("dflt"), ..masked("def", "text", true, hash()) },
        Column { default: default("dd"), ..masked("ndef", "text", false, hash()) },
        masked("hbig", "text", false, hash()),
    ];
    let plan = compile(columns, plain_settings()).unwrap();
    let mut new = row(&[
        Some("1"),
        Some("\\x000102030405"),
        Some("2020-01-02 03:04:05+00"),
        Some(r#"{"a": 1}"#),
        Some("1234567"),
    ]);
    new.extend([TupleValue::UnchangedToast, TupleValue::Text(b"val")]);
    new.extend([TupleValue::Null, TupleValue::UnchangedToast]);
    let old = row(&[Some("1"), None, None, None, None, None, None, None, None]);
    let events = updated(&plan, OldRow::Key(&old), &new);
    assert_eq!(
        events[0]["after"],
        json!({
            "id": 1,
            "b": "AAECAw==",
            "tsz": "2020",
            "j": "{\"a\"",
            "n": 1_234_567,
            "big": "__de",
            "def": "00f626a57d4c134f870dd45558119f9b4a86344ca691ee4f4431b3d198082f69",
            "ndef": "dd",
            "hbig": "b4108f4d3c957d1f34bfdcb9ce283381fbe699bb259462d0c69fc2a23f24a438",
        })
    );
    assert_eq!(
        events[0]["before"]["def"],
        "ece781219c77277ae7d2f13f6c0d40b0878f2928feb90da3b50d15859e367aaa"
    );
    assert_eq!(events[0]["before"]["ndef"], "dd");
}

#[test]
fn the_key_keeps_a_masked_value_and_its_plain_schema() {
    let settings = EncoderSettings::new("shop", "postgres", "1");
    let mask = Mask::Truncate { length_max: 4 };
    let plan = compile(vec![masked("id", "text", true, mask)], settings).unwrap();
    let records = inserted(&plan, &[Some("abcdefgh")]).unwrap();
    let (key, value) =
        (parsed(records[0].key.as_ref().unwrap()), parsed(records[0].value.as_ref().unwrap()));
    assert_eq!(key["payload"], json!({"id": "abcdefgh"}));
    assert_eq!(key["schema"]["fields"][0].get("parameters"), None);
    assert_eq!(value["payload"]["after"], json!({"id": "abcd"}));
    assert_eq!(
        value["schema"]["fields"][1]["fields"][0]["parameters"],
        json!({"truncateLength": "4"})
    );
}

/// A value in clear where somebody asked for a mask must not go unnoticed.
#[test]
fn masks_that_hide_less_than_they_seem_to_are_told() {
    let asterisks = || Mask::Asterisks { length: 3 };
    let columns = vec![
        masked("id", "text", true, asterisks()),
        masked("born", "date", false, sha256()),
        masked("name", "text", false, sha256()),
        Column { captured: false, ..masked("left_out", "json", false, asterisks()) },
        masked("cut", "json", false, Mask::Truncate { length_max: 3 }),
    ];
    let plan = compile(columns, plain_settings()).unwrap();
    let told: Vec<_> =
        plan.notices().into_iter().map(|notice| (notice.code(), notice.column)).collect();
    assert_eq!(
        told,
        [("NT005", "public.item.id".to_owned()), ("NT004", "public.item.born".to_owned()),]
    );
    let records = inserted(&plan, &[Some("a"), Some("2020-01-02"), None, None, None]).unwrap();
    assert_eq!(after(&records)["born"], 18_263);
}

#[test]
fn a_key_column_that_the_value_leaves_out_is_optional_without_a_default() {
    let id = Column {
        captured: false,
        default: Some("nextval('s')".to_owned()),
        ..column("id", base("int4"), true)
    };
    let plan = compile(vec![id], EncoderSettings::new("shop", "postgres", "1")).unwrap();
    let key = parsed(inserted(&plan, &[Some("1")]).unwrap()[0].key.as_ref().unwrap());
    assert_eq!(
        key["schema"]["fields"],
        json!([{"type": "int32", "optional": true, "field": "id"}])
    );
}

#[test]
fn columns_that_become_one_field_are_an_error_that_names_both() {
    let columns = || ["a b", "a-b"].map(|name| column(name, base("int4"), true)).to_vec();
    let with = |field_names| EncoderSettings { field_names, ..plain_settings() };
    let error = compile(columns(), with(NameAdjustment::Avro)).unwrap_err();
    assert_eq!(error.code(), "EN010");
    assert!(
        error
            .to_string()
            .contains("columns `a b` and `a-b` of table public.item would both be the field `a_b`"),
        "{error}"
    );
    for field_names in [NameAdjustment::None, NameAdjustment::AvroUnicode] {
        compile(columns(), with(field_names)).unwrap();
    }
}

/// Columns `id`, the key; `shown`; `cut` to one character; `left_out`.
fn skipping(key_captured: bool) -> TablePlan {
    let columns = vec![
        Column { captured: key_captured, ..column("id", base("int4"), true) },
        Column { default: Some("'d'::text".to_owned()), ..column("shown", base("text"), false) },
        masked("cut", "text", false, Mask::Truncate { length_max: 1 }),
        Column { captured: false, ..column("left_out", base("int4"), false) },
    ];
    let settings = EncoderSettings { skip_unchanged_updates: true, ..plain_settings() };
    TablePlan::compile(table(columns), &Arc::new(settings)).unwrap()
}

#[test]
fn an_update_that_no_event_could_show_gives_none() {
    let plan = skipping(true);
    let old = row(&[Some("1"), Some("a"), Some("xy"), Some("1")]);
    for (new, events) in [
        ([Some("1"), Some("a"), Some("xy"), Some("2")], 0),
        ([Some("1"), Some("a"), Some("xz"), Some("1")], 0),
        ([Some("1"), Some("b"), Some("xy"), Some("1")], 1),
        ([Some("1"), Some("a"), None, Some("1")], 1),
        ([Some("1"), Some("a"), Some("zy"), Some("1")], 1),
    ] {
        assert_eq!(updated(&plan, OldRow::Full(&old), &row(&new)).len(), events, "{new:?}");
    }
    let toast = [old[0], TupleValue::UnchangedToast, old[2], old[3]];
    assert_eq!(updated(&plan, OldRow::Full(&old), &toast), Vec::<Value>::new());
}

/// The converter shows the default for NULL, but a NULL that became the default is a change.
#[test]
fn null_and_the_default_shown_for_it_are_not_the_same() {
    let old = row(&[Some("1"), None, None, None]);
    let new = row(&[Some("1"), Some("d"), None, None]);
    assert_eq!(updated(&skipping(true), OldRow::Full(&old), &new).len(), 1);
}

#[test]
fn a_changed_key_is_never_skipped() {
    let old = row(&[Some("1"), Some("a"), None, None]);
    let new = row(&[Some("2"), Some("a"), None, None]);
    let events = updated(&skipping(false), OldRow::Full(&old), &new);
    let operations: Vec<_> = events.iter().map(|event| event["op"].as_str().unwrap()).collect();
    assert_eq!(operations, ["d", "c"]);
}

/// A column that is not part of the replica identity is NULL in the old row, whatever it was.
#[test]
fn nothing_is_skipped_where_the_old_row_is_not_whole() {
    let plan = skipping(true);
    let new = row(&[Some("1"), None, None, None]);
    assert_eq!(updated(&plan, OldRow::Key(&new), &new).len(), 1);
    assert_eq!(updated(&plan, OldRow::Absent, &new).len(), 1);
}
