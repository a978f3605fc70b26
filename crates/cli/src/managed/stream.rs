//! Server-sent events of a worker, as they come.
//!
//! In: a path. Out: one event after another, until the worker ends them. A worker that says nothing for long, not even that it lives, has gone.
//! Never: more events waiting than a few; the worker waits for who reads slowly.
//! Source: HTML standard, "Server-sent events".

use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

use connector::verify::BEHIND;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::api::{Answer, Api};
use crate::error::CliError;
use crate::signals::Signals;

/// Workers say every 15 s that they live.
const SILENCE_MAX: Duration = Duration::from_mins(1);
const WAITING_MAX: usize = 64;

/// One event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ServerEvent {
    /// What kind it is.
    pub(super) kind: String,
    pub(super) data: Value,
}

/// Events of one request.
pub(super) struct Events {
    api: Api,
    came: mpsc::Receiver<Came>,
}

/// What the thread that reads has to say.
enum Came {
    Event(ServerEvent),
    Alive,
    Failed(CliError),
}

impl Events {
    /// Asks for the events of a path.
    pub(super) fn open(api: &Api, path: &str) -> Self {
        let (sender, came) = mpsc::channel(WAITING_MAX);
        let (asking, path) = (api.clone(), path.to_owned());
        // It ends with the stream, or once nobody takes what it reads; a process that ends does not wait for it.
        drop(tokio::task::spawn_blocking(move || {
            if let Err(failure) = read(&asking, &path, &sender) {
                // Who asked may have gone.
                let _ = sender.blocking_send(Came::Failed(failure));
            }
        }));
        Self { api: api.clone(), came }
    }

    /// The next; `None` once this command was told to end.
    ///
    /// Errors: those of [`Self::next`]; the worker ended them without a word.
    pub(super) async fn until_told(
        &mut self,
        signals: &mut Signals,
    ) -> Result<Option<ServerEvent>, CliError> {
        tokio::select! {
            _ = signals.next() => Ok(None),
            event = self.next() => event?.map(Some).ok_or_else(|| self.api.ended()),
        }
    }

    /// The next; `None` once the worker has ended them. Cancel-safe.
    ///
    /// Errors: [`CliError::Refused`], also in the middle; [`CliError::WorkerAway`].
    pub(super) async fn next(&mut self) -> Result<Option<ServerEvent>, CliError> {
        loop {
            match timeout(SILENCE_MAX, self.came.recv()).await {
                Ok(None) => return Ok(None),
                Ok(Some(Came::Alive)) => {}
                Ok(Some(Came::Failed(failure))) => return Err(failure),
                Ok(Some(Came::Event(event))) if event.kind == "problem" => {
                    return Err(refusal(event.data));
                }
                Ok(Some(Came::Event(event))) => return Ok(Some(event)),
                Err(_elapsed) => {
                    let reason = format!("it has said nothing for {SILENCE_MAX:?}");
                    return Err(CliError::WorkerAway { url: self.api.url().to_owned(), reason });
                }
            }
        }
    }
}

/// What went wrong after the answer had begun.
fn refusal(problem: Value) -> CliError {
    let status = problem["status"].as_u64().and_then(|status| u16::try_from(status).ok());
    let code = problem["code"].as_str().unwrap_or_default().to_owned();
    let answer = Answer { status: status.unwrap_or(500), etag: None, body: problem };
    match answer.into_success() {
        Err(CliError::Refused { text, .. }) if code == BEHIND => CliError::Behind { text },
        Err(refused) => refused,
        Ok(answer) => {
            let (status, text) = (answer.status, answer.body.to_string());
            CliError::Refused { status, text, fix: String::new() }
        }
    }
}

fn read(api: &Api, path: &str, sender: &mpsc::Sender<Came>) -> Result<(), CliError> {
    let body = api.open(path)?;
    let parsed = parse(body, |came| sender.blocking_send(came).is_ok());
    parsed.map_err(|error| CliError::WorkerAway {
        url: api.url().to_owned(),
        reason: error.to_string(),
    })
}

/// Takes events apart until they end, or nobody wants more.
fn parse(body: impl Read, mut take: impl FnMut(Came) -> bool) -> std::io::Result<()> {
    let mut event = ServerEvent::default();
    let mut data = String::new();
    for line in BufReader::new(body).lines() {
        let line = line?;
        let came = if line.is_empty() {
            let kind = std::mem::take(&mut event.kind);
            let text = std::mem::take(&mut data);
            if text.is_empty() {
                continue;
            }
            let data = serde_json::from_str(&text).unwrap_or(Value::String(text));
            Came::Event(ServerEvent { kind, data })
        } else if let Some(kind) = line.strip_prefix("event:") {
            kind.trim().clone_into(&mut event.kind);
            continue;
        } else if let Some(more) = line.strip_prefix("data:") {
            data.push_str(more.strip_prefix(' ').unwrap_or(more));
            continue;
        } else {
            Came::Alive
        };
        if !take(came) {
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_taken_apart_and_what_only_says_that_it_lives_is_none() {
        let text =
            ": \n\nevent: record\ndata: {\"a\":1}\n\n:\n\nevent: deleted\ndata: {}\n\ndata: cut";
        let mut events = Vec::new();
        parse(text.as_bytes(), |came| {
            if let Came::Event(event) = came {
                events.push((event.kind, event.data));
            }
            true
        })
        .unwrap();
        assert_eq!(
            events,
            [("record".to_owned(), json!({"a": 1})), ("deleted".to_owned(), json!({}))]
        );
    }
}
