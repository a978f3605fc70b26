//! `GET /metrics` of `tributary run`.
//!
//! In: the status of its connector. Out: the page of [`worker::metrics`], as it is when it is asked for.

use std::net::SocketAddr;

use ::worker::WorkerError;
use ::worker::metrics::{Instance, Observed, render, serve};
use connector::settings::Settings;
use connector::status::Status;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{error, info};

use crate::clock;
use crate::error::CliError;

/// Answers as long as it lives.
pub(crate) struct Metrics {
    /// `topic.prefix`, which a new configuration may change.
    topic_prefix: watch::Sender<String>,
    _server: JoinSet<()>,
}

impl Metrics {
    /// Begins to answer at an address, or nowhere.
    ///
    /// Errors: [`WorkerError::Listen`].
    pub(crate) async fn listen(
        address: Option<SocketAddr>,
        settings: &Settings,
        statuses: &watch::Receiver<Status>,
    ) -> Result<Self, CliError> {
        let (topic_prefix, prefixes) = watch::channel(settings.encoder.topic_prefix.clone());
        let mut server = JoinSet::new();
        if let Some(address) = address {
            let listener = TcpListener::bind(address).await;
            let listener = listener.map_err(|cause| WorkerError::Listen { address, cause })?;
            let heard_at = listener.local_addr().unwrap_or(address);
            info!("metrics are at http://{heard_at}/metrics");
            let (name, statuses) = (settings.name.to_string(), statuses.clone());
            let page = move || {
                let prefix = prefixes.borrow().clone();
                let observed = Observed::alone(name.clone(), prefix, statuses.borrow().clone());
                let now_ms = clock::unix_us() / 1000;
                render(&Instance { connectors: vec![observed], membership: None, now_ms })
            };
            server.spawn(async move {
                if let Err(failure) = serve(listener, page).await {
                    error!("metrics are not answered any more: {failure}");
                }
            });
        }
        Ok(Self { topic_prefix, _server: server })
    }

    /// The connector goes on with this configuration.
    pub(crate) fn are_of(&self, settings: &Settings) {
        self.topic_prefix.send_replace(settings.encoder.topic_prefix.clone());
    }
}
