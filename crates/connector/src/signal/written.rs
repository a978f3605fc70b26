//! Signals as they are written into the topic of channel `kafka`. Pure.
//!
//! In: what an operator wants. Out: the value of a record; its key is the connector's `topic.prefix`.
//! Source: Debezium documentation, "Enabling Kafka signaling channel", "Message format".

use postgres::{TableName, quote_literal};
use serde_json::{Map, Value, json};

/// A signal to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WrittenSignal {
    /// `execute-snapshot`.
    Execute(SnapshotWanted),
    /// `stop-snapshot` of these tables; of all if there is none.
    Stop(Vec<TableName>),
    /// `pause-snapshot`.
    Pause,
    /// `resume-snapshot`.
    Resume,
}

/// A snapshot to be asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotWanted {
    /// The tables.
    pub tables: Vec<TableName>,
    /// A condition on the rows of each.
    pub condition: Option<String>,
    /// Whether streaming stands still meanwhile.
    pub blocking: bool,
    /// A column to read in the order of.
    pub surrogate_key: Option<String>,
}

impl WrittenSignal {
    /// Its type.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Execute(_) => "execute-snapshot",
            Self::Stop(_) => "stop-snapshot",
            Self::Pause => "pause-snapshot",
            Self::Resume => "resume-snapshot",
        }
    }

    /// The value of its record.
    pub fn to_json(&self, id: &str) -> Vec<u8> {
        json!({ "id": id, "type": self.kind(), "data": self.data() }).to_string().into_bytes()
    }

    /// The statement that gives it to a connector which reads its signals from a table of the source.
    pub fn to_insert(&self, table: &TableName, id: &str) -> String {
        let values = [id, self.kind(), &self.data().to_string()].map(quote_literal);
        format!("INSERT INTO {} VALUES ({})", table.quoted(), values.join(", "))
    }

    fn data(&self) -> Value {
        match self {
            Self::Execute(wanted) => wanted.data(),
            Self::Stop(tables) if !tables.is_empty() => {
                json!({ "type": "incremental", "data-collections": patterns(tables) })
            }
            Self::Stop(_) | Self::Pause | Self::Resume => json!({ "type": "incremental" }),
        }
    }
}

impl SnapshotWanted {
    fn data(&self) -> Value {
        let mut data = Map::new();
        let kind = if self.blocking { "blocking" } else { "incremental" };
        data.insert("type".to_owned(), kind.into());
        data.insert("data-collections".to_owned(), patterns(&self.tables).into());
        if let Some(condition) = &self.condition {
            let entry = |table: &TableName| {
                // The filter of a blocking snapshot is the whole SELECT.
                let filter = if self.blocking {
                    format!("SELECT * FROM {} WHERE {condition}", table.quoted())
                } else {
                    condition.clone()
                };
                json!({ "data-collection": pattern(table), "filter": filter })
            };
            let entries: Vec<Value> = self.tables.iter().map(entry).collect();
            data.insert("additional-conditions".to_owned(), entries.into());
        }
        if let Some(column) = &self.surrogate_key {
            data.insert("surrogate-key".to_owned(), column.as_str().into());
        }
        data.into()
    }
}

/// A table as it is typed: `orders` means `public.orders`, as for `tributary run`.
pub fn table_typed(typed: &str) -> TableName {
    match typed.split_once('.') {
        Some((schema, name)) => TableName::new(schema, name),
        None => TableName::new("public", typed),
    }
}

fn patterns(tables: &[TableName]) -> Vec<String> {
    tables.iter().map(pattern).collect()
}

/// An expression that a table's name matches, and no other but for upper and lower case.
fn pattern(table: &TableName) -> String {
    regex::escape(&table.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::{Action, Signal};
    use super::*;

    fn read_back(signal: &WrittenSignal) -> Action {
        let json: Value = serde_json::from_slice(&signal.to_json("i")).unwrap();
        assert_eq!(json["id"], "i");
        let kind = json["type"].as_str().unwrap().to_owned();
        let signal = Signal { id: "i".to_owned(), kind, data: json["data"].to_string() };
        let mut unknown = Vec::new();
        let action = Action::parse(&signal, &mut unknown).unwrap();
        assert!(unknown.is_empty(), "{unknown:?}");
        action
    }

    #[test]
    fn what_is_written_asks_for_exactly_the_tables() {
        let tables = vec![TableName::new("public", "a.b-c"), TableName::new("s", "ä$")];
        let wanted = SnapshotWanted {
            tables: tables.clone(),
            condition: Some("n > 1".to_owned()),
            surrogate_key: Some("at".to_owned()),
            blocking: false,
        };
        let Action::Execute(execute) = read_back(&WrittenSignal::Execute(wanted.clone())) else {
            panic!()
        };
        assert!(!execute.blocking && execute.surrogate_key.as_deref() == Some("at"));
        for (pattern, table) in execute.tables.iter().zip(&tables) {
            assert!(pattern.is_match(&table.to_string()) && !pattern.is_match("public.axb-c"));
        }
        assert!(execute.conditions[1].table.is_match("s.ä$"));
        assert_eq!(execute.conditions[1].filter, "n > 1");
        let blocking = WrittenSignal::Execute(SnapshotWanted { blocking: true, ..wanted });
        let Action::Execute(execute) = read_back(&blocking) else { panic!() };
        assert!(execute.blocking);
        assert_eq!(execute.conditions[0].filter, r#"SELECT * FROM "public"."a.b-c" WHERE n > 1"#);
        let Action::Stop { tables: stopped } = read_back(&WrittenSignal::Stop(tables)) else {
            panic!()
        };
        assert_eq!(stopped.len(), 2);
        assert!(matches!(read_back(&WrittenSignal::Stop(Vec::new())), Action::Stop { .. }));
        assert!(matches!(read_back(&WrittenSignal::Pause), Action::Pause));
        assert!(matches!(read_back(&WrittenSignal::Resume), Action::Resume));
    }
}
