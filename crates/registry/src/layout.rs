//! Whether bytes of one schema of Avro are bytes of another. In: both as JSON. Out: yes or no. Never: whether one could be read
//! as the other, which is less.
//!
//! Source: Avro specification, "Parsing Canonical Form": types, names, fields and symbols in their order decide, all else
//! does not.

use serde_json::{Map, Value, json};

/// Whether both lay values out in the same way.
pub(crate) fn is_same(one: &Value, other: &Value) -> bool {
    canonical(one, "") == canonical(other, "")
}

fn canonical(schema: &Value, namespace: &str) -> Value {
    match schema {
        Value::String(name) if is_primitive(name) => schema.clone(),
        Value::String(name) => Value::String(full_name(name, namespace)),
        Value::Array(branches) => {
            branches.iter().map(|branch| canonical(branch, namespace)).collect()
        }
        Value::Object(members) => of_members(members, namespace),
        other => other.clone(),
    }
}

fn of_members(members: &Map<String, Value>, namespace: &str) -> Value {
    let of = |member: &str, namespace: &str| {
        members.get(member).map_or(Value::Null, |found| canonical(found, namespace))
    };
    let text = |member: &str| members.get(member).and_then(Value::as_str);
    let kind = text("type").unwrap_or_default();
    let name = full_name(text("name").unwrap_or_default(), text("namespace").unwrap_or(namespace));
    let inner = name.rsplit_once('.').map_or("", |(namespace, _)| namespace);
    match kind {
        "record" | "error" => {
            let fields = members.get("fields").and_then(Value::as_array);
            let fields = fields
                .map_or(&[][..], Vec::as_slice)
                .iter()
                .map(|field| json!([field["name"], canonical(&field["type"], inner)]));
            json!(["record", name, fields.collect::<Vec<_>>()])
        }
        "enum" => json!(["enum", name, members.get("symbols")]),
        "fixed" => json!(["fixed", name, members.get("size")]),
        "array" => json!(["array", of("items", namespace)]),
        "map" => json!(["map", of("values", namespace)]),
        _ => of("type", namespace),
    }
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() {
        return name.to_owned();
    }
    format!("{namespace}.{name}")
}

fn is_primitive(name: &str) -> bool {
    matches!(name, "null" | "boolean" | "int" | "long" | "float" | "double" | "bytes" | "string")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(one: &Value, other: &Value) -> bool {
        assert!(is_same(one, one));
        is_same(one, other)
    }

    #[test]
    fn only_what_changes_the_bytes_counts() {
        let ours = json!({"type": "record", "name": "Value", "namespace": "p.s", "connect.name": "p.s.Value", "fields": [
            {"name": "a", "type": ["null", {"type": "int", "connect.type": "int16"}], "default": null},
            {"name": "b", "type": {"type": "record", "name": "Part", "fields": []}},
            {"name": "c", "type": "Part"},
        ]});
        let mut other = json!({"type": "record", "name": "p.s.Value", "doc": "by hand", "fields": [
            {"name": "a", "type": ["null", "int"], "doc": "a number"},
            {"name": "b", "type": {"type": "record", "name": "p.s.Part", "fields": []}},
            {"name": "c", "type": "p.s.Part"},
        ]});
        assert!(same(&ours, &other));
        other["fields"][0]["type"] = json!(["int", "null"]);
        assert!(!same(&ours, &other), "another order of branches");
        other["fields"][0]["type"] = json!(["null", "int"]);
        other["fields"][0]["name"] = json!("z");
        assert!(!same(&ours, &other), "another name");
    }
}
