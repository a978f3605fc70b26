//! What an application says of its own transaction: a logical message before its changes, a header on each of them.
//!
//! In: the content of a transactional message whose prefix is `context.message.prefix`: a JSON object. Out: the headers of
//! every event that follows in that source transaction. `traceparent` and `tracestate` become the headers of that name, so
//! that tracing tools find them; the other members stay together in `tributary.context`.
//! Never: an event of its own; a connector that ends because an application wrote something else.
//! Source: PostgreSQL manual, `pg_logical_emit_message`; W3C Trace Context.

use serde_json::{Map, Value};

/// Header with the members that have no header of their own.
const HEADER: &str = "tributary.context";
/// Members that have one.
const STANDARD: [&str; 2] = ["traceparent", "tracestate"];

/// Names and values of the headers; an error says why there are none.
pub(crate) fn headers(content: &[u8]) -> Result<Vec<(&'static str, Vec<u8>)>, String> {
    let mut members: Map<String, Value> =
        serde_json::from_slice(content).map_err(|error| error.to_string())?;
    let mut headers = Vec::new();
    for name in STANDARD {
        if let Some(Value::String(text)) = members.get(name) {
            headers.push((name, text.clone().into_bytes()));
            members.shift_remove(name);
        }
    }
    if !members.is_empty() {
        headers.push((HEADER, Value::Object(members).to_string().into_bytes()));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(content: &str) -> Vec<(&'static str, String)> {
        let headers = headers(content.as_bytes()).unwrap();
        headers.into_iter().map(|(name, value)| (name, String::from_utf8(value).unwrap())).collect()
    }

    #[test]
    fn trace_members_become_the_standard_headers_and_the_rest_stays_together() {
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let content = format!(r#"{{"device":"d 1","traceparent":"{trace}","request":{{"id":7}}}}"#);
        let rest = r#"{"device":"d 1","request":{"id":7}}"#.to_owned();
        assert_eq!(
            shown(&content),
            [("traceparent", trace.to_owned()), ("tributary.context", rest)]
        );
        assert_eq!(shown("{}"), []);
    }

    #[test]
    fn what_is_no_object_gives_a_reason() {
        for content in ["", "[1]", "\"x\"", "{", "\u{0}"] {
            assert!(headers(content.as_bytes()).is_err(), "{content}");
        }
    }
}
