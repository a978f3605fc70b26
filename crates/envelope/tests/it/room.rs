//! Values longer than records may be: counted, not kept, and whole where they are short enough.

use envelope::{BinaryHandling, EncoderSettings, EnvelopeError, OldRow, Scratch, TablePlan};
use pgoutput::TupleValue;

use crate::promises::{base, column, compile, plain_settings, position, row};
use crate::replay::OwnedRecord;

/// A text with everything that is escaped, bytes, a list, which cannot be written step by step, and a document.
fn long_values() -> [String; 5] {
    let text = "a \"quoted\" line\n\u{1}\t\u{e9}\u{1f600} and the rest of it ".repeat(5_000);
    let bytes = format!("\\x{}", "00ff7f".repeat(40_000) + "0a");
    let numbers: Vec<String> = (0..30_000).map(|number| number.to_string()).collect();
    [
        "1".to_owned(),
        text.clone(),
        bytes,
        format!("{{{}}}", numbers.join(",")),
        format!("[{text:?}]"),
    ]
}

fn plan(settings: EncoderSettings) -> TablePlan {
    let list = envelope::DataType {
        kind: envelope::TypeKind::Array { element: Box::new(base("int4")), delimiter: b',' },
        ..base("_int4")
    };
    let columns = vec![
        column("id", base("int4"), true),
        column("t", base("text"), false),
        column("b", base("bytea"), false),
        column("l", list, false),
        column("j", base("jsonb"), false),
    ];
    compile(columns, settings).unwrap()
}

/// An update with both rows in full.
fn updated(plan: &TablePlan, scratch: &mut Scratch) -> Result<Vec<OwnedRecord>, EnvelopeError> {
    let values = long_values();
    let new = row(&values.each_ref().map(|value| Some(value.as_str())));
    let mut old = new.clone();
    old[1] = TupleValue::Text(b"short");
    let mut records = Vec::new();
    let mut out = |record: envelope::Record<'_>| records.push(OwnedRecord::new(record));
    plan.update(&position(), OldRow::Full(&old), &new, &mut out, scratch)?;
    Ok(records)
}

#[test]
fn a_value_beyond_the_limit_is_measured_and_one_within_it_is_whole() {
    for handling in [BinaryHandling::Bytes, BinaryHandling::Base64UrlSafe, BinaryHandling::Hex] {
        for schemas_enable in [false, true] {
            let mut settings = EncoderSettings { binary_handling: handling, ..plain_settings() };
            settings.value.schemas_enable = schemas_enable;
            let plan = plan(settings);
            let whole = updated(&plan, &mut Scratch::default()).unwrap().remove(0).value.unwrap();
            let event: serde_json::Value = serde_json::from_slice(&whole).unwrap();
            let event = if schemas_enable { &event["payload"] } else { &event };
            let [_, text, _, _, document] = long_values();
            assert_eq!(event["after"]["t"], text);
            assert_eq!(event["after"]["j"], document);
            assert_eq!(event["after"]["l"].as_array().unwrap().len(), 30_000);

            let mut scratch = Scratch::default();
            for bytes_max in [1, 1_000, 100_000, whole.len() / 2, whole.len() - 40_000] {
                scratch.limit_values(bytes_max);
                for scratch in [&mut scratch.for_rehearsal(), &mut scratch] {
                    let refused = updated(&plan, scratch).err().unwrap();
                    let EnvelopeError::ValueTooLarge { table, value_bytes } = refused else {
                        panic!("{refused}")
                    };
                    assert_eq!((table.as_str(), value_bytes), ("public.item", whole.len()));
                }
            }
            // The same buffers take what is short enough again.
            scratch.limit_values(whole.len());
            let again = updated(&plan, &mut scratch).unwrap().remove(0).value.unwrap();
            assert!(again == whole);
        }
    }
}
