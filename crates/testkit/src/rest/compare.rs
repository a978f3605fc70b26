//! Holds answers of ours against those of Kafka Connect: status, `Location`, and the shape of the body.
//!
//! Shape: names and kinds, and of an array that of its elements; of definitions of settings also what forms are drawn by. Pure.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value, json};

use super::play::Answer;

/// Fields of a definition that have to be the same. The texts are each side's own.
const DEFINED: [&str; 7] =
    ["type", "importance", "group", "order_in_group", "width", "required", "dependents"];
/// Fields that are there on one side only at times, or null.
const OPTIONAL: [&str; 2] = ["trace", "version"];
/// Settings that the two have different defaults or notions of, with the reason in docs/reference/rest.md.
const OWN_DEPENDENTS: [&str; 1] = ["schema.include.list"];

/// An answer that is not as Kafka Connect's.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The request.
    pub say: String,
    /// Status of ours.
    pub status: u16,
    /// What differs.
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.say, self.what)
    }
}

/// Every request whose answers differ.
pub fn compare(theirs: &[Answer], ours: &[Answer]) -> Vec<Difference> {
    let known: BTreeMap<&str, &Answer> =
        ours.iter().map(|answer| (answer.say.as_str(), answer)).collect();
    theirs
        .iter()
        .filter_map(|their| difference(their, known.get(their.say.as_str()).copied()))
        .collect()
}

fn difference(their: &Answer, our: Option<&Answer>) -> Option<Difference> {
    let Some(our) = our else {
        let what = "was not asked".to_owned();
        return Some(Difference { say: their.say.clone(), status: 0, what });
    };
    let mut found = Vec::new();
    if their.status != our.status {
        found.push(format!("status {} and not {}", our.status, their.status));
    }
    if their.has_location != our.has_location {
        found.push(format!("a Location: {}", our.has_location));
    }
    if their.status < 300 && our.status < 300 {
        bodies("", &their.body, &our.body, &mut found);
    } else if !is_error(&our.body, our.status) {
        found.push(format!("an error of another shape: {}", our.body));
    }
    let (say, status) = (their.say.clone(), our.status);
    (!found.is_empty()).then(|| Difference { say, status, what: found.join("; ") })
}

fn is_error(body: &Value, status: u16) -> bool {
    body["error_code"] == json!(status) && body["message"].is_string()
}

fn bodies(place: &str, theirs: &Value, ours: &Value, found: &mut Vec<String>) {
    match (theirs, ours) {
        // What partitions and offsets say is their connector's own.
        (Value::Object(_), Value::Object(_)) if is_of_connector(place) => {}
        (Value::Object(theirs), Value::Object(ours)) if is_free(theirs) => {
            // Names are the user's, or each side's own; what they lead to is alike.
            if let (Some(their), Some(our)) = (theirs.values().next(), ours.values().next()) {
                bodies(&format!("{place}.*"), their, our, found);
            }
        }
        (Value::Object(theirs), Value::Object(ours)) => objects(place, theirs, ours, found),
        (Value::Array(theirs), Value::Array(ours)) => {
            if let Some(definitions) = definitions(theirs) {
                defined(&definitions, ours, found);
            } else if let (Some(their), Some(our)) = (theirs.first(), ours.first()) {
                bodies(&format!("{place}[]"), their, our, found);
            }
        }
        (theirs, ours) if kind(theirs) == kind(ours) => {}
        (theirs, ours) => found.push(format!("{place} is {ours} and not {theirs}")),
    }
}

fn objects(
    place: &str,
    theirs: &Map<String, Value>,
    ours: &Map<String, Value>,
    found: &mut Vec<String>,
) {
    for (name, their) in theirs {
        match ours.get(name) {
            _ if OPTIONAL.contains(&name.as_str()) => {}
            Some(our) => bodies(&format!("{place}.{name}"), their, our, found),
            None => found.push(format!("{place}.{name} is missing")),
        }
    }
    for name in ours.keys() {
        if !theirs.contains_key(name) && !OPTIONAL.contains(&name.as_str()) {
            found.push(format!("{place}.{name} is one too many"));
        }
    }
}

fn is_of_connector(place: &str) -> bool {
    place.ends_with(".partition") || place.ends_with(".offset")
}

/// Whether the names in an object are not the API's, but loggers.
fn is_free(theirs: &Map<String, Value>) -> bool {
    theirs.values().any(|value| value.get("last_modified").is_some())
}

/// Definitions by name, if that is what an array holds.
fn definitions(array: &[Value]) -> Option<BTreeMap<String, Value>> {
    let of = |element: &Value| {
        let definition = element.get("definition").unwrap_or(element);
        definition.get("order_in_group")?;
        Some((definition["name"].as_str()?.to_owned(), element.clone()))
    };
    let found: BTreeMap<_, _> = array.iter().filter_map(of).collect();
    (!found.is_empty()).then_some(found)
}

/// Of a setting that both know, everything but texts, defaults and values is the same, and whether something is wrong with it.
fn defined(theirs: &BTreeMap<String, Value>, ours: &[Value], found: &mut Vec<String>) {
    let ours = definitions(ours).unwrap_or_default();
    let both = theirs.iter().filter_map(|(name, their)| Some((name, their, ours.get(name)?)));
    let mut count = 0;
    for (name, their, our) in both {
        count += 1;
        let part = |element: &Value| element.get("definition").unwrap_or(element).clone();
        let (their_definition, our_definition) = (part(their), part(our));
        for field in DEFINED {
            let is_own = field == "dependents" && OWN_DEPENDENTS.contains(&name.as_str());
            if their_definition[field] != our_definition[field] && !is_own {
                found.push(format!("{field} of {name} is {}", our_definition[field]));
            }
        }
        let is_wrong = |element: &Value| {
            element
                .pointer("/value/errors")
                .and_then(Value::as_array)
                .is_some_and(|errors| !errors.is_empty())
        };
        if is_wrong(their) && !is_wrong(our) {
            found.push(format!("nothing is wrong with {name}"));
        }
        let names = |element: &Value| {
            let names = element.get("value").and_then(Value::as_object);
            names.map(|value| value.keys().cloned().collect::<Vec<_>>())
        };
        if names(their) != names(our) {
            found.push(format!("the value of {name} has other fields"));
        }
    }
    if count < 100 {
        found.push(format!("only {count} settings are known on both sides"));
    }
}

fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

/// The answers without the texts others wrote for people.
pub(super) fn without_prose(answers: &[Answer]) -> Vec<Answer> {
    let mut answers = answers.to_vec();
    for answer in &mut answers {
        shorten(&mut answer.body);
    }
    answers
}

fn shorten(value: &mut Value) {
    match value {
        Value::Object(object) => {
            // Of the many loggers a few are enough.
            if object.len() > 3 && object.values().all(|value| value.get("last_modified").is_some())
            {
                *object = object
                    .iter()
                    .take(3)
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect();
            }
            for (name, value) in object {
                match (name.as_str(), &mut *value) {
                    ("documentation" | "trace", Value::String(text)) => "…".clone_into(text),
                    // Of an error the first words tell which one it is.
                    ("message", Value::String(text)) => {
                        *text = text.lines().next().unwrap_or_default().chars().take(80).collect();
                    }
                    _ => shorten(value),
                }
            }
        }
        Value::Array(array) => array.iter_mut().for_each(shorten),
        _ => {}
    }
}
