//! A worker's API, as the commands ask it.
//!
//! In: method, path, body. Out: the answer's JSON, or what it says went wrong. Never: a retry; a request is sent once.

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::tls::TlsConfig;

use crate::args::managed::WorkerUrl;
use crate::error::CliError;
use crate::trust;

const ANSWER_MAX: Duration = Duration::from_mins(1);
/// Of an answer for which the worker has to ask both sides first; where one is away, it waits for that.
const LOOK_MAX: Duration = Duration::from_mins(5);

/// One worker.
#[derive(Clone)]
pub(crate) struct Api {
    url: String,
    token: Option<String>,
    agent: Agent,
    /// For answers that have no end.
    streams: Agent,
}

/// What it answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The revision of what is in the body.
    pub(crate) etag: Option<String>,
    /// Null where there was none.
    pub(crate) body: Value,
}

impl Api {
    /// The worker at a URL. `TRIBUTARY_TOKEN` says who asks, `TRIBUTARY_CA` is a file with the certificates to trust in place of the well-known.
    pub(crate) fn new(worker: &WorkerUrl) -> Result<Self, CliError> {
        Self::with_patience(worker, ANSWER_MAX)
    }

    /// The same, for what takes a worker longer.
    pub(crate) fn patient(worker: &WorkerUrl) -> Result<Self, CliError> {
        Self::with_patience(worker, LOOK_MAX)
    }

    fn with_patience(worker: &WorkerUrl, answer_max: Duration) -> Result<Self, CliError> {
        let tls = trusted()?;
        Ok(Self {
            url: worker.url.trim_end_matches('/').to_owned(),
            token: std::env::var("TRIBUTARY_TOKEN").ok().filter(|token| !token.is_empty()),
            agent: agent(tls.clone(), Some(answer_max)),
            streams: agent(tls, None),
        })
    }

    /// Asks, and takes any answer.
    ///
    /// Errors: [`CliError::WorkerAway`].
    pub(crate) async fn ask(
        &self,
        method: &'static str,
        path: &str,
        body: Option<Value>,
        if_match: Option<&str>,
    ) -> Result<Answer, CliError> {
        let api = self.clone();
        let (path, if_match) = (format!("{}{path}", self.url), if_match.map(str::to_owned));
        let asked = tokio::task::spawn_blocking(move || {
            api.send(method, &path, body.as_ref(), if_match.as_deref())
        });
        let away = |reason: String| CliError::WorkerAway { url: self.url.clone(), reason };
        match asked.await {
            Ok(answered) => answered.map_err(|error| away(error.to_string())),
            Err(panic) => Err(away(panic.to_string())),
        }
    }

    /// Asks, and takes success only.
    ///
    /// Errors: [`CliError::Refused`] with the worker's words, [`CliError::WorkerAway`].
    pub(crate) async fn expect(
        &self,
        method: &'static str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Answer, CliError> {
        let answer = self.ask(method, path, body, None).await?;
        answer.into_success()
    }

    /// Where it is.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Asks for an answer that has no end, and waits for its beginning. Blocks.
    ///
    /// Errors: [`CliError::Refused`], [`CliError::WorkerAway`].
    pub(super) fn open(&self, path: &str) -> Result<impl Read + use<>, CliError> {
        let url = format!("{}{path}", self.url);
        let mut request = ureq::http::Request::builder().method("GET").uri(url);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let away = |error: ureq::Error| CliError::WorkerAway {
            url: self.url.clone(),
            reason: error.to_string(),
        };
        let request = request.body(()).map_err(|error| away(error.into()))?;
        let response = self.streams.run(request).map_err(away)?;
        if !response.status().is_success() {
            answer(response).map_err(away)?.into_success()?;
            return Err(self.ended());
        }
        Ok(response.into_body().into_reader())
    }

    /// It was not to end, and did.
    pub(super) fn ended(&self) -> CliError {
        let reason = "it ended the answer; it may be shutting down".to_owned();
        CliError::WorkerAway { url: self.url.clone(), reason }
    }

    /// What was answered is not what this command knows: the worker may be of another version.
    pub(crate) fn strange(&self, reason: &str) -> CliError {
        let reason = format!("its answer cannot be understood: {reason}");
        CliError::WorkerAway { url: self.url.clone(), reason }
    }

    fn send(
        &self,
        method: &str,
        url: &str,
        body: Option<&Value>,
        if_match: Option<&str>,
    ) -> Result<Answer, ureq::Error> {
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(if_match) = if_match {
            request = request.header("if-match", if_match);
        }
        let response = match body {
            Some(body) => {
                let request = request.header("content-type", "application/json");
                self.agent.run(request.body(body.to_string())?)?
            }
            None => self.agent.run(request.body(())?)?,
        };
        answer(response)
    }
}

fn answer(mut response: ureq::http::Response<ureq::Body>) -> Result<Answer, ureq::Error> {
    let etag = response.headers().get("etag").and_then(|etag| etag.to_str().ok());
    let etag = etag.map(str::to_owned);
    let text = response.body_mut().read_to_string()?;
    let body = match text.as_str() {
        "" => Value::Null,
        text => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
    };
    Ok(Answer { status: response.status().as_u16(), etag, body })
}

/// `answer_max`: of an answer as a whole; `None` of one that has no end.
fn agent(tls: Option<TlsConfig>, answer_max: Option<Duration>) -> Agent {
    let mut config = Agent::config_builder().http_status_as_error(false);
    config = match answer_max {
        Some(_) => config.timeout_global(answer_max),
        None => config.timeout_connect(Some(ANSWER_MAX)).timeout_recv_response(Some(LOOK_MAX)),
    };
    if let Some(tls) = tls {
        config = config.tls_config(tls);
    }
    config.build().into()
}

/// The certificates of `TRIBUTARY_CA`, if it is set.
fn trusted() -> Result<Option<TlsConfig>, CliError> {
    let Some(path) = std::env::var_os("TRIBUTARY_CA").filter(|path| !path.is_empty()) else {
        return Ok(None);
    };
    let path = PathBuf::from(path);
    let roots = trust::roots(&path).map_err(|reason| CliError::Trust { path, reason })?;
    Ok(Some(TlsConfig::builder().root_certs(roots).build()))
}

impl Answer {
    /// The answer, unless it says that something went wrong.
    pub(crate) fn into_success(self) -> Result<Self, CliError> {
        if self.status < 300 {
            return Ok(self);
        }
        let detail = self.body["detail"]
            .as_str()
            .map(|detail| format!("[{}] {detail}", self.body["code"].as_str().unwrap_or_default()));
        let message = self.body["message"].as_str().map(|message| {
            // Kafka Connect's hint is for who speaks HTTP.
            message.split("\nYou can also find").next().unwrap_or_default().to_owned()
        });
        let text = detail.or(message).unwrap_or_else(|| self.body.to_string());
        let fix = self.fix(&text);
        Err(CliError::Refused { status: self.status, text, fix })
    }

    /// What to type now; empty where the text says it.
    fn fix(&self, text: &str) -> String {
        let told = self.body["fix"].as_str().filter(|fix| !fix.starts_with("tributary explain"));
        let code = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|it| it.0);
        match (self.status, code) {
            (_, Some("WK024" | "WK025")) => "set TRIBUTARY_TOKEN to the token of a user whose role allows it, see docs/reference/rest.md".to_owned(),
            (404, _) => "see `tributary list`; --url or TRIBUTARY_URL says which group is asked".to_owned(),
            (409, None) => "choose another --name, or change the one there is with `tributary update`".to_owned(),
            (_, Some("WK005")) => "run `tributary stop` first, and `tributary resume` afterwards".to_owned(),
            _ if text.contains("fix: ") => String::new(),
            (_, code) => {
                let explain = code.map(|code| format!("`tributary explain {code}` says more"));
                told.map(str::to_owned).or(explain).unwrap_or_default()
            }
        }
    }
}

/// A name as a part of a path.
pub(crate) fn segment(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}
