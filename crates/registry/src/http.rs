//! Requests to a registry. In: a method, a path, a body. Out: a status and JSON. Never: a retry of an address that answered.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use ureq::Agent;
use ureq::http::{Request, Response};
use ureq::tls::{PemItem, RootCerts, TlsConfig};

use crate::{Credentials, RegistryError, RegistrySettings};

const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";
const CONNECT_MAX: Duration = Duration::from_secs(10);
const ANSWER_MAX: Duration = Duration::from_mins(1);
/// What is told of an answer that is no registry's.
const TOLD_CHARACTERS: usize = 300;

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Who answered.
    pub(crate) url: String,
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    /// Whether it says what a registry says.
    pub(crate) fn is_of_registry(&self) -> bool {
        self.body["error_code"].is_number()
    }

    /// Its words.
    pub(crate) fn reason(&self) -> String {
        let text = match (&self.body["message"], &self.body) {
            (Value::String(message), _) | (_, Value::String(message)) => message.clone(),
            (_, body) => body.to_string(),
        };
        text.chars().take(TOLD_CHARACTERS).collect()
    }
}

/// The addresses of one registry.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    agent: Agent,
    urls: Vec<String>,
    credentials: Credentials,
}

impl Http {
    pub(crate) fn new(settings: &RegistrySettings) -> Result<Self, RegistryError> {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_MAX))
            .timeout_global(Some(ANSWER_MAX));
        if let Some(path) = &settings.trusted {
            let roots = roots(path).map_err(|reason| RegistryError::Trust {
                path: path.display().to_string(),
                reason,
            })?;
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        let urls = settings.urls.iter().map(|url| url.trim_end_matches('/').to_owned());
        Ok(Self {
            agent: config.build().into(),
            urls: urls.collect(),
            credentials: settings.credentials.clone(),
        })
    }

    /// Asks the first address that answers.
    ///
    /// Errors: [`RegistryError::Away`], of the last address.
    pub(crate) async fn ask(
        &self,
        method: &'static str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Answer, RegistryError> {
        let mut away =
            RegistryError::Away { url: String::new(), reason: "it has no address".to_owned() };
        for url in &self.urls {
            let (http, at) = (self.clone(), format!("{url}{path}"));
            let text = body.as_ref().map(Value::to_string);
            let asked = tokio::task::spawn_blocking(move || http.send(method, &at, text)).await;
            let reason = match asked {
                Ok(Ok((status, body))) if status < 500 && status != 429 => {
                    return Ok(Answer { url: url.clone(), status, body });
                }
                Ok(Ok((status, body))) => {
                    let answer = Answer { url: url.clone(), status, body };
                    format!("status {status}: {}", answer.reason())
                }
                Ok(Err(error)) => error.to_string(),
                Err(panic) => panic.to_string(),
            };
            away = RegistryError::Away { url: url.clone(), reason };
        }
        Err(away)
    }

    fn send(
        &self,
        method: &str,
        url: &str,
        body: Option<String>,
    ) -> Result<(u16, Value), ureq::Error> {
        let mut request = Request::builder().method(method).uri(url).header("accept", CONTENT_TYPE);
        let authorization = match &self.credentials {
            Credentials::None => None,
            Credentials::Basic(pair) => Some(format!("Basic {}", BASE64_STANDARD.encode(pair))),
            Credentials::Bearer(token) => Some(format!("Bearer {token}")),
        };
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let response = match body {
            Some(body) => {
                self.agent.run(request.header("content-type", CONTENT_TYPE).body(body)?)?
            }
            None => self.agent.run(request.body(())?)?,
        };
        read(response)
    }
}

fn read(mut response: Response<ureq::Body>) -> Result<(u16, Value), ureq::Error> {
    let text = response.body_mut().read_to_string()?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok((response.status().as_u16(), body))
}

/// The certificates of a file.
///
/// Errors: why it cannot be used.
fn roots(path: &std::path::Path) -> Result<RootCerts, String> {
    let pem = std::fs::read(path).map_err(|cause| cause.to_string())?;
    let certificates: Vec<_> = ureq::tls::parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err("it holds no certificate in PEM form".to_owned());
    }
    Ok(RootCerts::new_with_certs(&certificates))
}
