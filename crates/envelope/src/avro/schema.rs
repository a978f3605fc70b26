//! A schema of Kafka Connect as a schema of Avro. In: the tree, once per version of a table. Out: JSON, byte for byte as
//! Confluent's converter registers it, so that a topic that Debezium wrote goes on with the version it has.
//! Never: another name than the schema has. One that Avro does not take is an error that names the setting for it.
//!
//! Members of a type come in the order of Java's Avro: type, name, namespace, fields, items or values, and then the properties
//! in the order the converter adds them. A named type is written once and by its name from then on.
//! Source: Avro specification, "Schemas", "Names"; Confluent documentation, "Kafka Connect: Avro converter",
//! `connect.meta.data`; schemas that Debezium registered.

use std::collections::HashMap;

use super::AvroSchema;
use crate::schema::{Parts, Schema};
use crate::value::{base64, json};

/// Precision of a decimal that has none.
const PRECISION_DEFAULT: &str = "64";
const DECIMAL: &str = "org.apache.kafka.connect.data.Decimal";
/// Where Confluent's converter puts the entries of a map whose keys are no strings.
const ENTRY_NAMESPACE: &str = "io.confluent.connect.avro";
const ENTRY_NAME: &str = "MapEntry";

/// Why a schema has no form in Avro.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoForm {
    /// Avro does not take the name of a schema, or part of it.
    SchemaName(String),
    /// Avro does not take the name of a field.
    FieldName(String),
    /// Two types that differ have this name.
    Redefined(String),
}

/// The schema of a record, with Connect's properties if `meta_data`.
pub(crate) fn derive(schema: &Schema, meta_data: bool) -> Result<AvroSchema, NoForm> {
    let mut deriving =
        Deriving { out: Vec::new(), known: HashMap::new(), namespace: String::new(), meta_data };
    deriving.base(schema)?;
    let text = String::from_utf8_lossy(&deriving.out).into_owned();
    Ok(AvroSchema { record_name: schema.name.clone().unwrap_or_default(), text })
}

struct Deriving<'a> {
    out: Vec<u8>,
    /// Named types, by full name.
    known: HashMap<String, &'a Schema>,
    /// Of the record whose fields are being written.
    namespace: String,
    meta_data: bool,
}

impl<'a> Deriving<'a> {
    /// A type that may be null.
    fn write(&mut self, schema: &'a Schema) -> Result<(), NoForm> {
        if !schema.optional {
            return self.base(schema);
        }
        // The branch that the default is of comes first.
        if schema.default.is_some() && !is_struct(schema) {
            self.out.push(b'[');
            self.base(schema)?;
            self.raw(",\"null\"]");
        } else {
            self.raw("[\"null\",");
            self.base(schema)?;
            self.out.push(b']');
        }
        Ok(())
    }

    /// A type by itself.
    fn base(&mut self, schema: &'a Schema) -> Result<(), NoForm> {
        match &schema.parts {
            Parts::Fields(fields) => self.record(schema, fields),
            Parts::Items(items) => {
                self.raw("{\"type\":\"array\",\"items\":");
                self.write(items)?;
                self.end(schema);
                Ok(())
            }
            Parts::KeysAndValues(keys, values) if keys.type_name == "string" => {
                self.raw("{\"type\":\"map\",\"values\":");
                self.write(values)?;
                self.end(schema);
                Ok(())
            }
            Parts::KeysAndValues(keys, values) => {
                self.raw("{\"type\":\"array\",\"items\":");
                self.entry(schema, keys, values)?;
                self.end(schema);
                Ok(())
            }
            Parts::None => {
                let start = self.out.len();
                self.raw("{\"type\":");
                let type_at = self.out.len();
                self.string(primitive(schema.type_name));
                let bare = self.out.len();
                self.properties(schema);
                if self.out.len() == bare {
                    self.out.drain(start..type_at);
                } else {
                    self.out.push(b'}');
                }
                Ok(())
            }
        }
    }

    fn record(&mut self, schema: &'a Schema, fields: &'a [(String, Schema)]) -> Result<(), NoForm> {
        let full_name = schema.name.clone().unwrap_or_default();
        let (namespace, name) = split(&full_name)?;
        if let Some(known) = self.known.get(&full_name) {
            // A type that may be null is looked up by its name alone.
            if !schema.optional && !is_same(known, schema) {
                return Err(NoForm::Redefined(full_name));
            }
            let local = namespace == self.namespace;
            let reference = if local { name } else { &full_name };
            self.string(reference);
            return Ok(());
        }
        self.begin_record(namespace, name);
        self.known.insert(full_name.clone(), schema);
        let outer = std::mem::replace(&mut self.namespace, namespace.to_owned());
        for (index, (name, field)) in fields.iter().enumerate() {
            if !is_name(name) {
                return Err(NoForm::FieldName(name.clone()));
            }
            self.raw(if index == 0 { "{\"name\":" } else { ",{\"name\":" });
            self.field(name, field)?;
        }
        self.namespace = outer;
        self.out.push(b']');
        self.end(schema);
        Ok(())
    }

    /// A record of one key and its value.
    fn entry(
        &mut self,
        schema: &'a Schema,
        keys: &'a Schema,
        values: &'a Schema,
    ) -> Result<(), NoForm> {
        let full_name = format!("{ENTRY_NAMESPACE}.{ENTRY_NAME}");
        if self.known.contains_key(&full_name) {
            self.string(&full_name);
            return Ok(());
        }
        self.begin_record(ENTRY_NAMESPACE, ENTRY_NAME);
        self.known.insert(full_name, schema);
        self.raw("{\"name\":");
        self.field("key", keys)?;
        self.raw(",{\"name\":");
        self.field("value", values)?;
        self.raw("]}");
        Ok(())
    }

    fn begin_record(&mut self, namespace: &str, name: &str) {
        self.raw("{\"type\":\"record\",\"name\":");
        self.string(name);
        if namespace != self.namespace {
            self.raw(",\"namespace\":");
            self.string(namespace);
        }
        self.raw(",\"fields\":[");
    }

    /// What follows `"name":` of a field.
    fn field(&mut self, name: &str, field: &'a Schema) -> Result<(), NoForm> {
        self.string(name);
        self.raw(",\"type\":");
        self.write(field)?;
        if let Some(default) = &field.default {
            self.raw(",\"default\":");
            self.default(field, default);
        } else if field.optional {
            self.raw(",\"default\":null");
        }
        self.out.push(b'}');
        Ok(())
    }

    /// A default as Avro writes it: bytes are the characters of their values.
    fn default(&mut self, schema: &Schema, default: &[u8]) {
        if schema.type_name != "bytes" {
            self.out.extend_from_slice(default);
            return;
        }
        let bytes = base64::decode(&json::unescape(default));
        let text: String = bytes.into_iter().map(char::from).collect();
        self.string(&text);
    }

    /// Properties, and the end of a type.
    fn end(&mut self, schema: &Schema) {
        self.properties(schema);
        self.out.push(b'}');
    }

    fn properties(&mut self, schema: &Schema) {
        let name = schema.name.as_deref();
        let parameter = |wanted| {
            schema.parameters.iter().find(|(key, _)| *key == wanted).map(|(_, value)| &value[..])
        };
        let scale = parameter("scale").unwrap_or("0");
        let precision = parameter("connect.decimal.precision");
        if name == Some(DECIMAL) {
            self.raw(&format!(
                ",\"scale\":{scale},\"precision\":{}",
                precision.unwrap_or(PRECISION_DEFAULT)
            ));
        }
        if self.meta_data {
            self.meta_data(schema);
        }
        let logical = match name {
            Some(DECIMAL) => "decimal",
            Some("org.apache.kafka.connect.data.Date") => "date",
            Some("org.apache.kafka.connect.data.Time") => "time-millis",
            Some("org.apache.kafka.connect.data.Timestamp") => "timestamp-millis",
            _ => return,
        };
        self.raw(",\"logicalType\":");
        self.string(logical);
    }

    fn meta_data(&mut self, schema: &Schema) {
        if let Some(doc) = schema.doc {
            self.raw(",\"connect.doc\":");
            self.string(doc);
        }
        if let Some(version) = schema.version {
            self.raw(&format!(",\"connect.version\":{version}"));
        }
        for (index, (key, value)) in schema.parameters.iter().enumerate() {
            self.raw(if index == 0 { ",\"connect.parameters\":{" } else { "," });
            self.string(key);
            self.out.push(b':');
            self.string(value);
        }
        if !schema.parameters.is_empty() {
            self.out.push(b'}');
        }
        if let Some(default) = &schema.default {
            self.raw(",\"connect.default\":");
            self.default(schema, default);
        }
        if let Some(name) = &schema.name {
            self.raw(",\"connect.name\":");
            self.string(name);
        }
        if matches!(schema.type_name, "int8" | "int16") {
            self.raw(",\"connect.type\":");
            self.string(schema.type_name);
        }
    }

    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn string(&mut self, text: &str) {
        json::string(text.as_bytes(), &mut self.out);
    }
}

fn is_struct(schema: &Schema) -> bool {
    matches!(schema.parts, Parts::Fields(_))
}

/// The same but for whether they may be null.
fn is_same(one: &Schema, other: &Schema) -> bool {
    one.parts == other.parts
        && (one.version, one.doc) == (other.version, other.doc)
        && one.parameters == other.parameters
}

/// Avro's name of a type without parts.
fn primitive(connect: &'static str) -> &'static str {
    match connect {
        "int8" | "int16" | "int32" => "int",
        "int64" => "long",
        other => other,
    }
}

/// Namespace and name of a full name.
fn split(full_name: &str) -> Result<(&str, &str), NoForm> {
    if full_name.split('.').all(is_name) {
        Ok(full_name.rsplit_once('.').unwrap_or(("", full_name)))
    } else {
        Err(NoForm::SchemaName(full_name.to_owned()))
    }
}

fn is_name(part: &str) -> bool {
    let begins_well = part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    begins_well && part.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fields: Vec<(String, Schema)>) -> Schema {
        Schema::structure(fields).called("p.s.t.Value".to_owned(), None)
    }

    fn derived(schema: &Schema) -> String {
        derive(schema, true).unwrap().text
    }

    /// The type of a field `f`, with its default.
    fn field(schema: Schema) -> String {
        let text = derived(&record(vec![schema.field("f")]));
        let text = text.strip_prefix(
            r#"{"type":"record","name":"Value","namespace":"p.s.t","fields":[{"name":"f","type":"#,
        );
        let end = r#"}],"connect.name":"p.s.t.Value"}"#;
        text.and_then(|text| text.strip_suffix(end)).unwrap().to_owned()
    }

    #[test]
    fn an_envelope_is_as_debezium_registers_it() {
        let row = Schema::structure(vec![
            Schema { default: Some(b"0".to_vec()), ..Schema::plain("int32") }.field("id"),
            Schema::plain("string").optional().field("note"),
        ]);
        let envelope = crate::schema::envelope(&row, "p.s.t");
        let source = concat!(
            r#"{"type":"record","name":"Source","namespace":"io.debezium.connector.postgresql","fields":["#,
            r#"{"name":"version","type":"string"},{"name":"connector","type":"string"},{"name":"name","type":"string"},"#,
            r#"{"name":"ts_ms","type":"long"},{"name":"snapshot","type":[{"type":"string","connect.version":1,"#,
            r#""connect.parameters":{"allowed":"true,first,first_in_data_collection,last_in_data_collection,last,false,incremental"},"#,
            r#""connect.default":"false","connect.name":"io.debezium.data.Enum"},"null"],"default":"false"},"#,
            r#"{"name":"db","type":"string"},{"name":"sequence","type":["null","string"],"default":null},"#,
            r#"{"name":"ts_us","type":["null","long"],"default":null},{"name":"ts_ns","type":["null","long"],"default":null},"#,
            r#"{"name":"schema","type":"string"},{"name":"table","type":"string"},"#,
            r#"{"name":"txId","type":["null","long"],"default":null},{"name":"lsn","type":["null","long"],"default":null},"#,
            r#"{"name":"xmin","type":["null","long"],"default":null},{"name":"origin","type":["null","string"],"default":null},"#,
            r#"{"name":"origin_lsn","type":["null","long"],"default":null}],"#,
            r#""connect.version":1,"connect.name":"io.debezium.connector.postgresql.Source"}"#,
        );
        let expected = [
            r#"{"type":"record","name":"Envelope","namespace":"p.s.t","fields":["#,
            r#"{"name":"before","type":["null",{"type":"record","name":"Value","fields":["#,
            r#"{"name":"id","type":{"type":"int","connect.default":0},"default":0},"#,
            r#"{"name":"note","type":["null","string"],"default":null}],"connect.name":"p.s.t.Value"}],"default":null},"#,
            r#"{"name":"after","type":["null","Value"],"default":null},{"name":"source","type":"#,
            source,
            r#"},{"name":"transaction","type":["null",{"type":"record","name":"block","namespace":"event","fields":["#,
            r#"{"name":"id","type":"string"},{"name":"total_order","type":"long"},{"name":"data_collection_order","type":"long"}],"#,
            r#""connect.version":1,"connect.name":"event.block"}],"default":null},{"name":"op","type":"string"},"#,
            r#"{"name":"ts_ms","type":["null","long"],"default":null},{"name":"ts_us","type":["null","long"],"default":null},"#,
            r#"{"name":"ts_ns","type":["null","long"],"default":null}],"connect.version":2,"connect.name":"p.s.t.Envelope"}"#,
        ];
        assert_eq!(derived(&envelope), expected.concat());
    }

    #[test]
    fn types_have_the_properties_of_connect() {
        let decimal = |scale: &str, precision: &str| {
            Schema::named("bytes", DECIMAL)
                .with_parameter("scale", scale.to_owned())
                .with_parameter("connect.decimal.precision", precision.to_owned())
        };
        let with_default = Schema { default: Some(b"\"f4A=\"".to_vec()), ..decimal("2", "6") };
        for (schema, expected) in [
            (Schema::plain("int16"), r#"{"type":"int","connect.type":"int16"}"#),
            (Schema::plain("float").optional(), r#"["null","float"],"default":null"#),
            (
                with_default.optional(),
                concat!(
                    r#"[{"type":"bytes","scale":2,"precision":6,"connect.version":1,"#,
                    r#""connect.parameters":{"scale":"2","connect.decimal.precision":"6"},"connect.default":""#,
                    "\u{7F}\u{80}",
                    r#"","connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"},"null"],"default":""#,
                    "\u{7F}\u{80}\"",
                ),
            ),
            (
                Schema::named("int32", "org.apache.kafka.connect.data.Date"),
                r#"{"type":"int","connect.version":1,"connect.name":"org.apache.kafka.connect.data.Date","logicalType":"date"}"#,
            ),
            (
                Schema::array(Schema::plain("string").optional()),
                r#"{"type":"array","items":["null","string"]}"#,
            ),
            (
                Schema::map(Schema::plain("string"), Schema::plain("string")),
                r#"{"type":"map","values":"string"}"#,
            ),
            (
                Schema::map(Schema::plain("int16"), Schema::plain("double")),
                concat!(
                    r#"{"type":"array","items":{"type":"record","name":"MapEntry","namespace":"io.confluent.connect.avro","fields":["#,
                    r#"{"name":"key","type":{"type":"int","connect.type":"int16"}},{"name":"value","type":"double"}]}}"#
                ),
            ),
        ] {
            assert_eq!(field(schema), expected);
        }
        let plain = derive(&record(vec![decimal("2", "6").field("f")]), false).unwrap();
        let expected = r#"{"type":"record","name":"Value","namespace":"p.s.t","fields":[{"name":"f","type":{"type":"bytes","scale":2,"precision":6,"logicalType":"decimal"}}]}"#;
        assert_eq!(plain.text, expected);
        assert_eq!(plain.record_name, "p.s.t.Value");
    }

    #[test]
    fn a_named_type_is_written_once() {
        let part = || {
            Schema::structure(vec![Schema::plain("string").field("a")])
                .called("p.s.part".to_owned(), None)
        };
        let other = || part().with_parameter("x", "y".to_owned());
        let twice = record(vec![part().field("f"), part().optional().field("g")]);
        assert_eq!(derived(&twice).matches(r#""name":"part""#).count(), 1);
        assert!(derived(&twice).contains(r#""type":["null","p.s.part"],"default":null"#));
        // As Debezium: what may be null is looked up by name, and the first one counts.
        let optional = record(vec![part().field("f"), other().optional().field("g")]);
        assert_eq!(derived(&optional).matches(r#""name":"part""#).count(), 1);
        let required = record(vec![part().field("f"), other().field("g")]);
        assert_eq!(derive(&required, true), Err(NoForm::Redefined("p.s.part".to_owned())));
    }

    #[test]
    fn names_that_avro_does_not_take_are_refused() {
        for name in ["a-b", "1a", "", "ü", "a b"] {
            let by_field = record(vec![Schema::plain("string").field(name)]);
            assert_eq!(derive(&by_field, true), Err(NoForm::FieldName(name.to_owned())));
            let full_name = format!("p.{name}.Value");
            let by_schema = Schema::structure(Vec::new()).called(full_name.clone(), None);
            assert_eq!(derive(&by_schema, true), Err(NoForm::SchemaName(full_name)));
        }
    }
}
