//! A schema registry that speaks Confluent's REST API: which id it has for a schema.
//!
//! In: where it is, a subject, a schema as text. Out: an id, asked for once for each subject and schema.
//! Never: what a schema is of, or how it came to be; a retry, which is its caller's; a secret in an error.
//! Source: Confluent documentation, "Schema Registry API Reference".

mod error;
mod http;
mod layout;
mod settings;

use std::collections::HashMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tracing::info;

pub use error::{Class, RegistryError};
use http::{Answer, Http};
pub use settings::{Ask, Credentials, RegistrySettings};

/// What stays as it is in a part of a path.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One registry, and what it has said so far.
#[derive(Debug)]
pub struct Registry {
    http: Http,
    ask: Ask,
    normalize: bool,
    /// By subject; of each the schemas it was asked for.
    ids: HashMap<String, Vec<(String, u32)>>,
}

impl Registry {
    /// A client; nothing is asked yet.
    ///
    /// Errors: [`RegistryError::Trust`].
    pub fn new(settings: &RegistrySettings) -> Result<Self, RegistryError> {
        Ok(Self {
            http: Http::new(settings)?,
            ask: settings.ask,
            normalize: settings.normalize,
            ids: HashMap::new(),
        })
    }

    /// The id of a schema of Avro under a subject. The registry is asked the first time.
    ///
    /// Errors: [`RegistryError::Away`], which may pass; all others do not.
    pub async fn id_of(&mut self, subject: &str, schema: &str) -> Result<u32, RegistryError> {
        let known = self.ids.get(subject).map_or(&[][..], Vec::as_slice);
        if let Some((_, id)) = known.iter().find(|(text, _)| text == schema) {
            return Ok(*id);
        }
        let id = match self.ask {
            Ask::Register => self.register(subject, schema).await?,
            Ask::Find => self.find(subject, schema).await?,
            Ask::Latest => self.latest(subject, schema).await?,
        };
        info!(subject, id, "schema {id} of subject `{subject}`");
        self.ids.entry(subject.to_owned()).or_default().push((schema.to_owned(), id));
        Ok(id)
    }

    async fn register(&self, subject: &str, schema: &str) -> Result<u32, RegistryError> {
        let path = format!("{}/versions{}", of(subject), self.query());
        let answer = self.http.ask("POST", &path, Some(body(schema))).await?;
        self.id_in(subject, &answer)
    }

    async fn find(&self, subject: &str, schema: &str) -> Result<u32, RegistryError> {
        let path = format!("{}{}", of(subject), self.query());
        let answer = self.http.ask("POST", &path, Some(body(schema))).await?;
        self.id_in(subject, &answer)
    }

    /// The latest version, if what is written fits it as it is.
    async fn latest(&self, subject: &str, schema: &str) -> Result<u32, RegistryError> {
        let answer =
            self.http.ask("GET", &format!("{}/versions/latest", of(subject)), None).await?;
        let id = self.id_in(subject, &answer)?;
        let parse = |text: &str| serde_json::from_str::<Value>(text).ok();
        let latest = answer.body["schema"].as_str().and_then(parse);
        let ours = parse(schema);
        match (latest, ours) {
            (Some(latest), Some(ours)) if layout::is_same(&latest, &ours) => Ok(id),
            _ => Err(RegistryError::OtherLatest { subject: subject.to_owned(), id }),
        }
    }

    fn query(&self) -> &'static str {
        if self.normalize { "?normalize=true" } else { "" }
    }

    fn id_in(&self, subject: &str, answer: &Answer) -> Result<u32, RegistryError> {
        let subject = || subject.to_owned();
        let reason = || answer.reason();
        Err(match answer.status {
            200 => {
                let id = answer.body["id"].as_u64().and_then(|id| u32::try_from(id).ok());
                let strange = || RegistryError::Strange {
                    url: answer.url.clone(),
                    reason: format!("it has no id: {}", answer.reason()),
                };
                return id.ok_or_else(strange);
            }
            401 | 403 => {
                RegistryError::Refused { url: answer.url.clone(), reason: answer.reason() }
            }
            409 => RegistryError::Incompatible { subject: subject(), reason: reason() },
            422 => RegistryError::Invalid { subject: subject(), reason: reason() },
            404 if self.ask != Ask::Register && answer.is_of_registry() => {
                RegistryError::NotRegistered { subject: subject(), reason: reason() }
            }
            status => RegistryError::Strange {
                url: answer.url.clone(),
                reason: format!("status {status}: {}", answer.reason()),
            },
        })
    }
}

fn of(subject: &str) -> String {
    format!("/subjects/{}", utf8_percent_encode(subject, PLAIN))
}

/// A schema of Avro, which is the type where none is named.
fn body(schema: &str) -> Value {
    json!({ "schema": schema })
}

#[cfg(test)]
mod tests;
