//! What a signal asks for. Pure.
//!
//! In: type and data of a signal. Out: an [`Action`], or why it cannot be understood.
//! Source: Debezium documentation, "Sending signals", "Ad hoc incremental snapshots", "Ad hoc blocking snapshots".

use regex::Regex;
use serde_json::{Map, Value};

use super::Signal;
use crate::settings::table_pattern;

/// What a signal asks for.
#[derive(Debug)]
pub(crate) enum Action {
    /// Write this into the log, with the position for each `{}`.
    Log { message: String },
    /// Read tables.
    Execute(Execute),
    /// Stop reading the tables that match any of these incrementally; all of them if there is none.
    Stop { tables: Vec<Regex> },
    /// Leave incremental snapshots as they are for now.
    Pause,
    /// Go on with incremental snapshots.
    Resume,
    /// Nothing: a row that marks a chunk of an incremental snapshot.
    Window,
}

/// `execute-snapshot`.
#[derive(Debug)]
pub(crate) struct Execute {
    /// Whether streaming stands still meanwhile.
    pub(crate) blocking: bool,
    /// The tables, as `schema.table`.
    pub(crate) tables: Vec<Regex>,
    /// Which of their rows.
    pub(crate) conditions: Vec<TableCondition>,
    /// A column to order each table by, in place of its key.
    pub(crate) surrogate_key: Option<String>,
}

/// One of `additional-conditions`.
#[derive(Debug)]
pub(crate) struct TableCondition {
    /// The tables it is for.
    pub(crate) table: Regex,
    /// A condition on rows for an incremental snapshot, the whole SELECT for a blocking one.
    pub(crate) filter: String,
}

impl Action {
    /// Understands a signal. Fields that mean nothing here are put into `unknown`.
    ///
    /// Errors: what is wrong with it, as text for the log.
    pub(crate) fn parse(signal: &Signal, unknown: &mut Vec<String>) -> Result<Self, String> {
        let mut fields = Fields::of(&signal.data)?;
        let action = match signal.kind.as_str() {
            "log" => Self::Log { message: fields.text("message")?.unwrap_or_default() },
            "execute-snapshot" => Self::Execute(fields.execute()?),
            "stop-snapshot" => {
                fields.incremental_only()?;
                Self::Stop { tables: fields.tables()? }
            }
            "pause-snapshot" => {
                fields.incremental_only()?;
                Self::Pause
            }
            "resume-snapshot" => {
                fields.incremental_only()?;
                Self::Resume
            }
            "snapshot-window-open" | "snapshot-window-close" => return Ok(Self::Window),
            other => return Err(format!("there is no signal type `{other}`")),
        };
        unknown.extend(fields.0.into_iter().map(|(name, _)| name));
        Ok(action)
    }
}

/// The data of a signal, of which fields are taken.
struct Fields(Map<String, Value>);

impl Fields {
    fn of(data: &str) -> Result<Self, String> {
        if data.trim().is_empty() {
            return Ok(Self(Map::new()));
        }
        let fields = serde_json::from_str(data);
        fields.map(Self).map_err(|error| format!("its data is no JSON object: {error}"))
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, String> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!("`{name}` is `{other}`, not a text")),
        }
    }

    fn list(&mut self, name: &str) -> Result<Vec<Value>, String> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => Ok(items),
            Some(other) => Err(format!("`{name}` is `{other}`, not a list")),
        }
    }

    fn tables(&mut self) -> Result<Vec<Regex>, String> {
        let items = self.list("data-collections")?;
        items.iter().map(|item| pattern(item, "data-collections")).collect()
    }

    /// Whether `type` says `blocking`.
    fn blocking(&mut self) -> Result<bool, String> {
        let kind = self.text("type")?.unwrap_or_else(|| "incremental".to_owned());
        match kind.to_ascii_lowercase().as_str() {
            "incremental" => Ok(false),
            "blocking" => Ok(true),
            other => Err(format!("`type` is `{other}`, neither `incremental` nor `blocking`")),
        }
    }

    fn incremental_only(&mut self) -> Result<(), String> {
        if self.blocking()? {
            return Err("a blocking snapshot cannot be stopped, paused or resumed".to_owned());
        }
        Ok(())
    }

    fn execute(&mut self) -> Result<Execute, String> {
        let blocking = self.blocking()?;
        let tables = self.tables()?;
        if tables.is_empty() {
            return Err("`data-collections` names no table".to_owned());
        }
        let conditions = self.list("additional-conditions")?;
        let conditions = conditions.into_iter().map(condition).collect::<Result<_, _>>()?;
        let surrogate_key = self.text("surrogate-key")?.filter(|column| !column.is_empty());
        Ok(Execute { blocking, tables, conditions, surrogate_key })
    }
}

fn condition(item: Value) -> Result<TableCondition, String> {
    const NAME: &str = "additional-conditions";
    let Value::Object(fields) = item else {
        return Err(format!("`{NAME}` has `{item}`, not an object"));
    };
    let mut fields = Fields(fields);
    let table = fields.0.remove("data-collection").unwrap_or_default();
    let filter = fields.text("filter")?.unwrap_or_default();
    if filter.trim().is_empty() {
        return Err(format!("`{NAME}` has an entry without `filter`"));
    }
    Ok(TableCondition { table: pattern(&table, NAME)?, filter })
}

fn pattern(item: &Value, field: &str) -> Result<Regex, String> {
    let Value::String(text) = item else {
        return Err(format!("`{field}` has `{item}`, not the name of a table"));
    };
    table_pattern(text).map_err(|reason| format!("`{field}` has `{text}`: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(kind: &str, data: &str) -> (Result<Action, String>, Vec<String>) {
        let signal = Signal { id: "1".to_owned(), kind: kind.to_owned(), data: data.to_owned() };
        let mut unknown = Vec::new();
        (Action::parse(&signal, &mut unknown), unknown)
    }

    #[test]
    fn a_snapshot_is_incremental_unless_it_says_blocking() {
        let data = r#"{"data-collections": ["s.a", "s[.]b.*"], "surrogate-key": "n",
            "additional-conditions": [{"data-collection": "S.A", "filter": "x = 1"}], "new": 1}"#;
        let (action, unknown) = parse("execute-snapshot", data);
        let Ok(Action::Execute(execute)) = action else { panic!("{action:?}") };
        assert!(!execute.blocking && execute.surrogate_key.as_deref() == Some("n"));
        assert!(execute.tables[1].is_match("s.bc") && execute.conditions[0].table.is_match("s.a"));
        assert_eq!(unknown, ["new"]);
        let data = r#"{"type": "BLOCKING", "data-collections": ["s.a"]}"#;
        let (Ok(Action::Execute(execute)), _) = parse("execute-snapshot", data) else { panic!() };
        assert!(execute.blocking);
    }

    #[test]
    fn what_cannot_be_understood_says_why() {
        for (kind, data, reason) in [
            ("execute-snapshot", "{", "no JSON object"),
            ("execute-snapshot", "[]", "no JSON object"),
            ("execute-snapshot", "", "names no table"),
            ("execute-snapshot", r#"{"data-collections": "a"}"#, "not a list"),
            ("execute-snapshot", r#"{"data-collections": ["a("]}"#, "`a(`"),
            ("execute-snapshot", r#"{"data-collections": ["a"], "type": "fast"}"#, "neither"),
            (
                "execute-snapshot",
                r#"{"data-collections": ["a"], "additional-conditions": [{"data-collection": "a"}]}"#,
                "without `filter`",
            ),
            ("pause-snapshot", r#"{"type": "blocking"}"#, "cannot be stopped"),
            ("make-coffee", "{}", "no signal type `make-coffee`"),
        ] {
            let (action, _) = parse(kind, data);
            let error = action.unwrap_err();
            assert!(error.contains(reason), "{kind} {data}: {error}");
        }
    }

    #[test]
    fn other_signals_need_no_data() {
        assert!(matches!(parse("pause-snapshot", "").0, Ok(Action::Pause)));
        assert!(matches!(parse("resume-snapshot", "{}").0, Ok(Action::Resume)));
        assert!(
            matches!(parse("stop-snapshot", "").0, Ok(Action::Stop { tables }) if tables.is_empty())
        );
        assert!(matches!(parse("snapshot-window-open", "{}").0, Ok(Action::Window)));
        let (log, _) = parse("log", r#"{"message": "at {}"}"#);
        assert!(matches!(log, Ok(Action::Log { message }) if message == "at {}"));
    }
}
