//! Reads a captured case. In: JSON. Out: its steps: frames, snapshot rows, and the catalog they met.

use std::collections::HashMap;

use envelope::{Column, ColumnTreatment, DataType, Table, TypeKind};
use pgoutput::{Lsn, Oid, Relation, ReplicaIdentity};
use serde_json::Value;

pub(crate) struct Step {
    pub(crate) catalog: Catalog,
    /// Where each message began, and its bytes.
    pub(crate) frames: Vec<(Lsn, Vec<u8>)>,
    /// Lines of `COPY` by table.
    pub(crate) snapshot: Vec<(u32, Vec<String>)>,
}

#[derive(Clone)]
pub(crate) struct Catalog {
    tables: HashMap<u32, Value>,
    types: Value,
}

pub(crate) fn load(json: &Value) -> Vec<Step> {
    let mut catalog = Catalog { tables: HashMap::new(), types: Value::Null };
    let steps = json["steps"].as_array().unwrap();
    steps
        .iter()
        .map(|step| {
            if let Some(found) = step.get("catalog") {
                let tables = found["tables"].as_array().unwrap();
                catalog = Catalog {
                    tables: tables
                        .iter()
                        .map(|table| (number(&table["oid"]), table.clone()))
                        .collect(),
                    types: found["types"].clone(),
                };
            }
            Step { catalog: catalog.clone(), frames: frames(step), snapshot: snapshot(step) }
        })
        .collect()
}

fn frames(step: &Value) -> Vec<(Lsn, Vec<u8>)> {
    let frames = step["frames"].as_array().unwrap();
    frames
        .iter()
        .map(|frame| {
            let digits = frame[1].as_str().unwrap().as_bytes();
            let byte =
                |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
            (frame[0].as_str().unwrap().parse().unwrap(), digits.chunks(2).map(byte).collect())
        })
        .collect()
}

fn snapshot(step: &Value) -> Vec<(u32, Vec<String>)> {
    let Some(tables) = step.get("snapshot").and_then(Value::as_array) else { return Vec::new() };
    tables
        .iter()
        .map(|table| {
            let lines = table["lines"].as_array().unwrap();
            (number(&table["oid"]), lines.iter().map(text).collect())
        })
        .collect()
}

fn number(value: &Value) -> u32 {
    value.as_u64().unwrap().try_into().unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

impl Catalog {
    /// A table as the stream describes it, joined with what the catalog knows.
    pub(crate) fn streamed(&self, relation: &Relation) -> Table {
        let known = self.tables.get(&relation.oid.0);
        let columns = relation.columns.iter().map(|streamed| {
            let known = known.and_then(|table| {
                let columns = table["columns"].as_array().unwrap();
                columns.iter().find(|column| column["name"] == streamed.name.as_str())
            });
            Column {
                name: streamed.name.clone(),
                data_type: self.data_type(streamed.type_oid.0),
                type_modifier: streamed.type_modifier,
                is_identity: streamed.is_identity,
                treatment: ColumnTreatment::default(),
                ..self.column(known.unwrap_or(&Value::Null))
            }
        });
        let columns: Vec<Column> = columns.collect();
        Table {
            oid: relation.oid,
            schema: relation.namespace.clone(),
            name: relation.name.clone(),
            replica_identity: relation.replica_identity,
            key: known.map(|table| key(table, &columns)).unwrap_or_default(),
            columns,
        }
    }

    /// A table as the catalog describes it.
    pub(crate) fn table(&self, oid: u32) -> Table {
        let table = &self.tables[&oid];
        let columns: Vec<Column> =
            table["columns"].as_array().unwrap().iter().map(|column| self.column(column)).collect();
        let identity = text(&table["identity"]).chars().next().unwrap();
        Table {
            oid: Oid(oid),
            schema: text(&table["schema"]),
            name: text(&table["name"]),
            replica_identity: ReplicaIdentity::from_letter(identity).unwrap(),
            key: key(table, &columns),
            columns,
        }
    }

    fn column(&self, column: &Value) -> Column {
        Column {
            name: column["name"].as_str().unwrap_or_default().to_owned(),
            data_type: self.data_type(column["type"].as_u64().unwrap_or(25).try_into().unwrap()),
            type_modifier: column["modifier"].as_i64().unwrap_or(-1).try_into().unwrap(),
            not_null: column["not_null"].as_bool().unwrap_or(false),
            default: column["default"].as_str().map(str::to_owned),
            generated: column["generated"].as_bool().unwrap_or(false),
            captured: true,
            is_identity: false,
            treatment: ColumnTreatment::default(),
        }
    }

    fn data_type(&self, oid: u32) -> DataType {
        let Some(found) = self.types.get(oid.to_string()) else {
            return DataType { oid: Oid(oid), name: "text".to_owned(), kind: TypeKind::Base };
        };
        let kind = match (found["kind"].as_str().unwrap(), found["category"].as_str().unwrap()) {
            ("e", _) => TypeKind::Enum {
                labels: found["labels"].as_array().unwrap().iter().map(text).collect(),
            },
            ("d", _) => TypeKind::Domain {
                base: Box::new(self.data_type(number(&found["base"]))),
                type_modifier: found["modifier"].as_i64().unwrap().try_into().unwrap(),
            },
            // What is captured does not say its attributes; nothing here needs them.
            ("c", _) => TypeKind::Composite { schema: String::new(), attributes: Vec::new() },
            ("r", _) => TypeKind::Range,
            ("m", _) => TypeKind::Multirange,
            (_, "A") => TypeKind::Array {
                element: Box::new(self.data_type(number(&found["element"]))),
                delimiter: b',',
            },
            _ => TypeKind::Base,
        };
        DataType { oid: Oid(oid), name: text(&found["name"]), kind }
    }
}

fn key(table: &Value, columns: &[Column]) -> Vec<usize> {
    let Some(names) = table["key"].as_array() else { return Vec::new() };
    names
        .iter()
        .filter_map(|name| columns.iter().position(|column| name == column.name.as_str()))
        .collect()
}
