//! Holds a value, as it is written, against the schema of its type.
//!
//! In: a value. Out: nothing, or a panic that says where they differ. Of JSON Schema it knows what our types need, and is stricter: a field that the
//! schema does not name is a difference, too.
//! Never: in the program; for tests only.

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::told::{self, Schemas};

/// Panics unless the value is what the document says of its type.
pub(in crate::rest) fn expect_fit<T: Serialize + ToSchema>(value: &T) {
    let mut schemas = Schemas::new();
    let schema = json!(told::one::<T>(&mut schemas));
    let value = json!(value);
    let misfit = Fit(&json!(schemas)).misfit(&schema, &value, "");
    assert_eq!(misfit, None, "{value}");
}

struct Fit<'a>(&'a Value);

/// What is known of the fields of an object.
#[derive(Default)]
struct Fields<'a> {
    known: Map<String, Value>,
    required: Vec<&'a str>,
    others: Option<&'a Value>,
}

impl<'a> Fit<'a> {
    /// The first place that differs.
    fn misfit(&self, schema: &'a Value, value: &Value, at: &str) -> Option<String> {
        let schema = self.found(schema);
        if let Some(choices) = schema["oneOf"].as_array() {
            let fitting = choices.iter().filter(|choice| self.misfit(choice, value, at).is_none());
            return (fitting.count() != 1).then(|| format!("{at}: fits not just one of {schema}"));
        }
        if schema["enum"].as_array().is_some_and(|values| !values.contains(value)) {
            return Some(format!("{at}: is none of {schema}"));
        }
        let kinds = [&schema["type"]].into_iter();
        let kinds = kinds.chain(schema["type"].as_array().into_iter().flatten());
        let kinds: Vec<_> = kinds.filter_map(Value::as_str).collect();
        if !kinds.is_empty() && !kinds.iter().any(|kind| is(kind, value)) {
            return Some(format!("{at}: is {value} and not {kinds:?}"));
        }
        match value {
            Value::Array(items) => {
                items.iter().find_map(|item| self.misfit(&schema["items"], item, at))
            }
            Value::Object(object)
                if schema.get("type").is_some() || schema.get("allOf").is_some() =>
            {
                let mut fields = Fields::default();
                self.gather(schema, &mut fields);
                self.misfit_of_fields(&fields, object, at)
            }
            _ => None,
        }
    }

    fn misfit_of_fields(
        &self,
        fields: &Fields<'a>,
        object: &Map<String, Value>,
        at: &str,
    ) -> Option<String> {
        let missing = fields.required.iter().find(|name| !object.contains_key(**name));
        if let Some(name) = missing {
            return Some(format!("{at}.{name}: is missing"));
        }
        object.iter().find_map(|(name, value)| {
            let at = format!("{at}.{name}");
            match (fields.known.get(name), fields.others) {
                (Some(schema), _) => Fit(self.0).misfit(schema, value, &at),
                (None, Some(schema)) => self.misfit(schema, value, &at),
                (None, None) => Some(format!("{at}: is not in the schema")),
            }
        })
    }

    fn gather(&self, schema: &'a Value, fields: &mut Fields<'a>) {
        let schema = self.found(schema);
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.gather(part, fields);
        }
        fields.known.extend(schema["properties"].as_object().cloned().unwrap_or_default());
        let required = schema["required"].as_array().into_iter().flatten();
        fields.required.extend(required.filter_map(Value::as_str));
        fields.others = fields.others.or(schema.get("additionalProperties"));
    }

    /// The schema itself, where another is referred to.
    fn found(&self, schema: &'a Value) -> &'a Value {
        let name = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next());
        name.map_or(schema, |name| &self.0[name])
    }
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        _ => value.is_object(),
    }
}
