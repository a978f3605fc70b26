//! The JSON of a signal outside the source. Pure.
//!
//! In: the value of a record, or a line of a file: `{"id": …, "type": …, "data": {…}}`. Out: a [`Signal`], or why it is none.
//! Source: Debezium documentation, "Enabling Kafka signaling channel", "Message format".

use serde_json::{Map, Value};

use crate::signal::Signal;

/// What cannot be heeded, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unheedable {
    /// What the operator calls it, as far as that can be read.
    pub(crate) id: String,
    /// What is wrong with it.
    pub(crate) reason: String,
}

/// Fields that Debezium reads beside the three and that mean nothing for a signal that is known here.
const MEANINGLESS: [&str; 2] = ["additionalData", "channelOffset"];

/// Reads a signal. One that has no id of its own is called after its `place`.
pub(super) fn read(json: &[u8], place: &str) -> Result<Signal, Unheedable> {
    let refused = |id: &str, reason: String| Unheedable { id: id.to_owned(), reason };
    let fields = serde_json::from_slice::<Map<String, Value>>(json);
    let mut fields =
        fields.map_err(|error| refused(place, format!("it is no JSON object: {error}")))?;
    let id = match fields.remove("id") {
        None | Some(Value::Null) => place.to_owned(),
        Some(Value::String(id)) => id,
        Some(other) => other.to_string(),
    };
    let kind = match fields.remove("type") {
        Some(Value::String(kind)) => kind,
        None | Some(Value::Null) => return Err(refused(&id, "it has no `type`".to_owned())),
        Some(other) => return Err(refused(&id, format!("`type` is `{other}`, not a text"))),
    };
    let data = match fields.remove("data") {
        None | Some(Value::Null) => String::new(),
        Some(object @ Value::Object(_)) => object.to_string(),
        // As the signal table has it.
        Some(Value::String(text)) => text,
        Some(other) => return Err(refused(&id, format!("`data` is `{other}`, not an object"))),
    };
    let unknown = fields.keys().find(|name| !MEANINGLESS.contains(&name.as_str()));
    if let Some(unknown) = unknown {
        let reason = format!("`{unknown}` stands beside `id`, `type` and `data`");
        return Err(refused(&id, reason));
    }
    Ok(Signal { id, kind, data })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(json: &str) -> Result<(String, String, String), (String, String)> {
        match read(json.as_bytes(), "t@7") {
            Ok(Signal { id, kind, data }) => Ok((id, kind, data)),
            Err(Unheedable { id, reason }) => Err((id, reason)),
        }
    }

    #[test]
    fn a_signal_has_a_type_and_perhaps_an_id_and_data() {
        let texts = |one: &str, two: &str, three: &str| (one.into(), two.into(), three.into());
        let json = r#"{"id": "a", "type": "log", "data": {"message": "m"}}"#;
        assert_eq!(signal(json), Ok(texts("a", "log", r#"{"message":"m"}"#)));
        let json = r#"{"type": "pause-snapshot", "data": null, "channelOffset": 3}"#;
        assert_eq!(signal(json), Ok(texts("t@7", "pause-snapshot", "")));
        let json = r#"{"id": 5, "type": "log", "data": "{\"message\": \"m\"}"}"#;
        assert_eq!(signal(json), Ok(texts("5", "log", r#"{"message": "m"}"#)));
    }

    #[test]
    fn what_is_none_says_why_under_its_id() {
        for (json, id, reason) in [
            ("", "t@7", "no JSON object"),
            ("[1]", "t@7", "no JSON object"),
            (r#"{"id": "a"}"#, "a", "no `type`"),
            (r#"{"id": "a", "type": 3}"#, "a", "`type` is `3`"),
            (r#"{"id": "a", "type": "log", "data": [1]}"#, "a", "`data` is `[1]`"),
            (r#"{"id": "a", "type": "log", "dta": {}}"#, "a", "`dta` stands beside"),
        ] {
            let (found, why) = signal(json).unwrap_err();
            assert_eq!(found, id, "{json}");
            assert!(why.contains(reason), "{json}: {why}");
        }
    }
}
