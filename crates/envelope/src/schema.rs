//! Schemas of Kafka Connect as `JsonConverter` writes them. In: a tree, built once per table version. Out: JSON.
//!
//! Source: Kafka Connect, `JsonConverter.asJsonSchema`. Order of members: type, items or keys and values or fields,
//! optional, name, version, doc, parameters, default, field.

use crate::settings::FormatSettings;
use crate::value::json;

/// One schema node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schema {
    pub(crate) type_name: &'static str,
    pub(crate) parts: Parts,
    pub(crate) optional: bool,
    pub(crate) name: Option<String>,
    pub(crate) version: Option<u32>,
    pub(crate) doc: Option<&'static str>,
    pub(crate) parameters: Vec<(&'static str, String)>,
    /// Already JSON.
    pub(crate) default: Option<Vec<u8>>,
}

/// What a schema is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parts {
    None,
    Items(Box<Schema>),
    KeysAndValues(Box<Schema>, Box<Schema>),
    Fields(Vec<(String, Schema)>),
}

impl Schema {
    /// A plain type, not optional.
    pub(crate) fn plain(type_name: &'static str) -> Self {
        Self {
            type_name,
            parts: Parts::None,
            optional: false,
            name: None,
            version: None,
            doc: None,
            parameters: Vec::new(),
            default: None,
        }
    }

    /// A semantic type of version 1.
    pub(crate) fn named(type_name: &'static str, name: &str) -> Self {
        Self { name: Some(name.to_owned()), version: Some(1), ..Self::plain(type_name) }
    }

    pub(crate) fn with_parameter(mut self, key: &'static str, value: String) -> Self {
        self.parameters.push((key, value));
        self
    }

    pub(crate) fn with_doc(self, doc: &'static str) -> Self {
        Self { doc: Some(doc), ..self }
    }

    pub(crate) fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    pub(crate) fn array(items: Self) -> Self {
        Self { parts: Parts::Items(Box::new(items)), ..Self::plain("array") }
    }

    pub(crate) fn map(keys: Self, values: Self) -> Self {
        Self { parts: Parts::KeysAndValues(Box::new(keys), Box::new(values)), ..Self::plain("map") }
    }

    pub(crate) fn structure(fields: Vec<(String, Self)>) -> Self {
        Self { parts: Parts::Fields(fields), ..Self::plain("struct") }
    }

    /// Gives it a name, and a version if it has one.
    pub(crate) fn called(self, name: String, version: Option<u32>) -> Self {
        Self { name: Some(name), version, ..self }
    }

    /// The schema of one table column or message part beside its field name.
    pub(crate) fn field(self, name: &str) -> (String, Self) {
        (name.to_owned(), self)
    }

    /// Names and types of the fields of a structure, in order.
    pub(crate) fn field_types(&self) -> Vec<(String, &'static str)> {
        let Parts::Fields(fields) = &self.parts else { return Vec::new() };
        fields.iter().map(|(name, schema)| (name.clone(), schema.type_name)).collect()
    }

    /// Appends the schema as JSON.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        self.write_as(None, out);
    }

    /// What stands before and after a payload with this schema.
    pub(crate) fn framing(&self, format: FormatSettings) -> (Vec<u8>, &'static [u8]) {
        if !format.schemas_enable {
            return (Vec::new(), b"");
        }
        let mut head = b"{\"schema\":".to_vec();
        self.write(&mut head);
        head.extend_from_slice(b",\"payload\":");
        (head, b"}")
    }

    fn write_as(&self, field: Option<&str>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"type\":");
        json::string(self.type_name.as_bytes(), out);
        self.write_parts(out);
        member(b"optional", if self.optional { b"true" } else { b"false" }, out);
        if let Some(name) = &self.name {
            string_member(b"name", name, out);
        }
        if let Some(version) = self.version {
            member(b"version", version.to_string().as_bytes(), out);
        }
        if let Some(doc) = self.doc {
            string_member(b"doc", doc, out);
        }
        self.write_parameters(out);
        if let Some(default) = &self.default {
            member(b"default", default, out);
        }
        if let Some(field) = field {
            string_member(b"field", field, out);
        }
        out.push(b'}');
    }

    fn write_parts(&self, out: &mut Vec<u8>) {
        match &self.parts {
            Parts::None => {}
            Parts::Items(items) => {
                out.extend_from_slice(b",\"items\":");
                items.write(out);
            }
            Parts::KeysAndValues(keys, values) => {
                out.extend_from_slice(b",\"keys\":");
                keys.write(out);
                out.extend_from_slice(b",\"values\":");
                values.write(out);
            }
            Parts::Fields(fields) => {
                out.extend_from_slice(b",\"fields\":[");
                for (index, (name, schema)) in fields.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    schema.write_as(Some(name), out);
                }
                out.push(b']');
            }
        }
    }

    fn write_parameters(&self, out: &mut Vec<u8>) {
        for (index, (key, value)) in self.parameters.iter().enumerate() {
            out.extend_from_slice(if index == 0 { &b",\"parameters\":{"[..] } else { b"," });
            json::string(key.as_bytes(), out);
            out.push(b':');
            json::string(value.as_bytes(), out);
        }
        if !self.parameters.is_empty() {
            out.push(b'}');
        }
    }
}

fn member(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.push(b',');
    json::string(name, out);
    out.push(b':');
    out.extend_from_slice(value);
}

fn string_member(name: &[u8], value: &str, out: &mut Vec<u8>) {
    out.push(b',');
    json::string(name, out);
    out.push(b':');
    json::string(value.as_bytes(), out);
}

/// `source` of every event.
pub(crate) fn source() -> Schema {
    let snapshot = Schema {
        default: Some(b"\"false\"".to_vec()),
        ..Schema::named("string", "io.debezium.data.Enum").optional().with_parameter(
            "allowed",
            "true,first,first_in_data_collection,last_in_data_collection,last,false,incremental"
                .to_owned(),
        )
    };
    let string = || Schema::plain("string");
    let int64 = || Schema::plain("int64");
    Schema::structure(vec![
        string().field("version"),
        string().field("connector"),
        string().field("name"),
        int64().field("ts_ms"),
        snapshot.field("snapshot"),
        string().field("db"),
        string().optional().field("sequence"),
        int64().optional().field("ts_us"),
        int64().optional().field("ts_ns"),
        string().field("schema"),
        string().field("table"),
        int64().optional().field("txId"),
        int64().optional().field("lsn"),
        int64().optional().field("xmin"),
        string().optional().field("origin"),
        int64().optional().field("origin_lsn"),
    ])
    .called("io.debezium.connector.postgresql.Source".to_owned(), Some(1))
}

/// `transaction` of every event.
pub(crate) fn transaction() -> Schema {
    Schema::structure(vec![
        Schema::plain("string").field("id"),
        Schema::plain("int64").field("total_order"),
        Schema::plain("int64").field("data_collection_order"),
    ])
    .optional()
    .called("event.block".to_owned(), Some(1))
}

/// The whole value of a row event. `row` is the schema of `before` and `after`, `prefix` the table's topic.
pub(crate) fn envelope(row: &Schema, prefix: &str) -> Schema {
    let row = row.clone().optional().called(format!("{prefix}.Value"), None);
    let int64 = || Schema::plain("int64").optional();
    Schema::structure(vec![
        row.clone().field("before"),
        row.field("after"),
        source().field("source"),
        transaction().field("transaction"),
        Schema::plain("string").field("op"),
        int64().field("ts_ms"),
        int64().field("ts_us"),
        int64().field("ts_ns"),
    ])
    .called(format!("{prefix}.Envelope"), Some(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_in_the_order_of_connect() {
        let decimal = Schema::named("bytes", "org.apache.kafka.connect.data.Decimal")
            .optional()
            .with_parameter("scale", "2".to_owned())
            .with_parameter("connect.decimal.precision", "6".to_owned());
        let decimal = Schema { default: Some(b"\"AA==\"".to_vec()), ..decimal };
        let mut out = Vec::new();
        Schema::structure(vec![decimal.field("n")])
            .called("p.Key".to_owned(), None)
            .write(&mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            concat!(
                r#"{"type":"struct","fields":[{"type":"bytes","optional":true,"#,
                r#""name":"org.apache.kafka.connect.data.Decimal","version":1,"#,
                r#""parameters":{"scale":"2","connect.decimal.precision":"6"},"default":"AA==","field":"n"}],"#,
                r#""optional":false,"name":"p.Key"}"#
            )
        );
    }
}
