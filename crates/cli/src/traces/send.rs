//! Spans to a collector: gathered for some seconds, sent by a thread of their own.
//!
//! What does not arrive is lost, since traces must not take memory from records; that is said when it begins and when it is over.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ::worker::rest::TraceParent;
use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HeaderExtractor, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{ExporterBuildError, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tracing::{Span, debug, info, warn};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::{Layer, Registry};
use ureq::Agent;
use ureq::http::HeaderMap;
use ureq::tls::TlsConfig;

use super::NoTraces;
use crate::trust;

/// How long the end of the process may wait for the last spans.
const LAST_WAIT_MAX: Duration = Duration::from_secs(1);
/// For one request, unless `OTEL_EXPORTER_OTLP_TIMEOUT` says otherwise.
const SEND_MAX: Duration = Duration::from_secs(10);

/// Spans are sent for as long as this is kept.
pub(crate) struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Starts. `variable`: of the environment; empty ones are none.
    ///
    /// Errors: a variable that cannot be used.
    pub(super) fn start(variable: &impl Fn(&str) -> Option<String>) -> Result<Self, NoTraces> {
        let collector = Collector { agent: agent(variable)? };
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(collector)
            .build()
            .map_err(|error| unusable(&error))?;
        let exporter = Told { exporter, lost: AtomicUsize::new(0) };
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource(variable))
            .build();
        Ok(Self { provider })
    }

    /// What takes the spans.
    pub(crate) fn layer(&self) -> Box<dyn Layer<Registry> + Send + Sync> {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("tributary"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_context_activation(false)
            .with_filter(filter_fn(|metadata| metadata.is_span() && metadata.target() == "spans"))
            .boxed()
    }

    /// How a request over HTTP becomes a part of a trace.
    #[expect(clippy::unused_self, reason = "there is none without traces")]
    pub(crate) fn trace_parent(&self) -> TraceParent {
        join
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Err(failure) = self.provider.shutdown_with_timeout(LAST_WAIT_MAX) {
            debug!("the last spans were not sent: {failure}");
        }
    }
}

fn join(headers: &HeaderMap, span: &Span) {
    let parent = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
    if let Err(refused) = span.set_parent(parent) {
        debug!("a request stays outside its trace: {refused}");
    }
}

/// Says what is lost, and passes on what is not.
#[derive(Debug)]
struct Told {
    exporter: opentelemetry_otlp::SpanExporter,
    /// Spans since the last ones that arrived.
    lost: AtomicUsize,
}

impl SpanExporter for Told {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let outcome = self.exporter.export(batch).await;
        match &outcome {
            Ok(()) => {
                let lost = self.lost.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    info!("traces arrive again; {lost} spans are lost");
                }
            }
            Err(failure) => {
                let before = self.lost.fetch_add(count, Ordering::Relaxed);
                if before == 0 {
                    warn!(code = "CL030", "traces do not arrive, their spans are lost: {failure}");
                }
            }
        }
        outcome
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// Sends requests, from the thread that gathers spans: it may block.
#[derive(Debug)]
struct Collector {
    agent: Agent,
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let answered = self.agent.run(Request::from_parts(parts, &body[..]))?;
        let (parts, mut body) = answered.into_parts();
        Ok(Response::from_parts(parts, body.read_to_vec()?.into()))
    }
}

fn agent(variable: &impl Fn(&str) -> Option<String>) -> Result<Agent, NoTraces> {
    let mut wait = SEND_MAX;
    for name in ["OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"] {
        let Some(given) = variable(name) else { continue };
        wait = given.parse().map(Duration::from_millis).map_err(|_| NoTraces {
            variable: name,
            reason: format!("`{given}` is no number of milliseconds"),
            fix: "write milliseconds, as in 10000",
        })?;
    }
    let mut config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(wait));
    for name in ["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"] {
        let Some(path) = variable(name) else { continue };
        let roots = trust::roots(path.as_ref()).map_err(|reason| NoTraces {
            variable: name,
            reason,
            fix: "name a file with certificates in PEM form",
        })?;
        config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        break;
    }
    Ok(config.build().into())
}

/// What sends: `tributary`, unless the environment has another name.
fn resource(variable: &impl Fn(&str) -> Option<String>) -> Resource {
    let is_named = variable("OTEL_SERVICE_NAME").is_some()
        || variable("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|it| it.contains("service.name="));
    let resource = Resource::builder()
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    let resource = if is_named { resource } else { resource.with_service_name("tributary") };
    resource.build()
}

fn unusable(error: &ExporterBuildError) -> NoTraces {
    NoTraces {
        variable: "OTEL_EXPORTER_OTLP_*",
        reason: error.to_string(),
        fix: "write the variable as OpenTelemetry describes it",
    }
}
