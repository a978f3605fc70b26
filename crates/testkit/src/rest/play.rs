//! Sends the requests of the script, one after the other, and waits where it says so.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::SCRIPT;
use crate::stack::Database;
use crate::wait::{Seen, eventually};
use crate::{Failure, Result};

const WAIT_MAX: Duration = Duration::from_mins(2);

/// One line of the script.
#[derive(Deserialize)]
#[serde(untagged)]
enum Step {
    /// Send a request.
    Call(Call),
    /// Wait until a connector is in a state, or has written (`WROTE`).
    Wait {
        wait: String,
        #[serde(rename = "for")]
        state: String,
    },
    /// Take the slot of a stopped connector away.
    DropSlot { drop_slot: String },
}

#[derive(Deserialize)]
struct Call {
    say: String,
    #[serde(rename = "call")]
    request: String,
    body: Option<Value>,
    text: Option<String>,
    /// `Content-Type` in place of JSON's; empty for none.
    #[serde(rename = "type")]
    content_type: Option<String>,
    accept: Option<String>,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// What the request is about; names it.
    pub say: String,
    /// Method and path.
    pub call: String,
    /// Status code.
    pub status: u16,
    /// Whether there was a `Location`.
    #[serde(default)]
    pub has_location: bool,
    /// The body: JSON, or text where it is none.
    pub body: Value,
}

/// Who is asked, about connectors of which database.
pub struct Side<'a> {
    /// As in `http://127.0.0.1:8083`.
    pub url: &'a str,
    /// Distinguishes slots and topics of the two.
    pub name: &'a str,
    /// The source.
    pub database: &'a Database,
}

/// Plays the script.
pub async fn play(side: &Side<'_>) -> Result<Vec<Answer>> {
    let steps: Vec<Step> = serde_json::from_str(&filled(side, SCRIPT))?;
    let mut answers = Vec::new();
    for step in steps {
        match step {
            Step::Call(call) => answers.push(side.ask(&call).await?),
            Step::Wait { wait, state } if state == "WROTE" => side.wait_for_topics(&wait).await?,
            Step::Wait { wait, state } => side.wait_for(&wait, &state).await?,
            Step::DropSlot { drop_slot } => {
                let session = side.database.session().await?;
                session.run(&format!("select pg_drop_replication_slot('{drop_slot}')")).await?;
            }
        }
    }
    Ok(answers)
}

fn filled(side: &Side<'_>, text: &str) -> String {
    text.replace("@host@", "127.0.0.1")
        .replace("@port@", &side.database.port().to_string())
        .replace("@database@", side.database.name())
        .replace("@side@", side.name)
}

impl Side<'_> {
    async fn ask(&self, call: &Call) -> Result<Answer> {
        let request = &call.request;
        let (method, path) = request.split_once(' ').ok_or_else(|| Failure::new(request))?;
        let body = call.text.clone().or_else(|| call.body.as_ref().map(Value::to_string));
        let mut headers = Vec::new();
        let content_type = call.content_type.as_deref().unwrap_or("application/json");
        if body.is_some() && !content_type.is_empty() {
            headers.push(("content-type", content_type.to_owned()));
        }
        if let Some(accept) = &call.accept {
            headers.push(("accept", accept.clone()));
        }
        let answered = crate::worker::send_with(self.url, method, path, &headers, body).await?;
        Ok(Answer {
            say: call.say.clone(),
            call: request.clone(),
            status: answered.status,
            has_location: answered.headers.iter().any(|(name, _)| name == "location"),
            body: answered.body,
        })
    }

    /// Waits until a connector and its tasks are in a state.
    pub(super) async fn wait_for(&self, name: &str, state: &str) -> Result<()> {
        let path = format!("/connectors/{}/status", name.replace(' ', "%20"));
        eventually(&format!("{name} is {state} at {}", self.url), WAIT_MAX, async || {
            let answer = crate::worker::ask(self.url, "GET", &path, None).await?;
            let tasks = answer.body["tasks"].as_array().cloned().unwrap_or_default();
            let is_in_state = |part: &Value| part["state"] == state;
            let found = is_in_state(&answer.body["connector"])
                && tasks.iter().all(is_in_state)
                && (state != "RUNNING" || !tasks.is_empty());
            Ok(Seen::when(found, || answer.body.to_string()))
        })
        .await
    }

    async fn wait_for_topics(&self, name: &str) -> Result<()> {
        let path = format!("/connectors/{name}/topics");
        eventually(&format!("{name} has written"), WAIT_MAX, async || {
            let answer = crate::worker::ask(self.url, "GET", &path, None).await?;
            let topics = answer.body[name]["topics"].as_array().map_or(0, Vec::len);
            Ok(Seen::when(topics > 0, || answer.body.to_string()))
        })
        .await
    }
}
