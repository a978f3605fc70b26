//! In place of `send.rs` in a binary that is built without the feature `traces`.

use ::worker::rest::TraceParent;
use tracing_subscriber::{Layer, Registry};

use super::NoTraces;

/// There are none.
pub(crate) enum Traces {}

impl Traces {
    pub(super) fn start(_: &impl Fn(&str) -> Option<String>) -> Result<Self, NoTraces> {
        Err(NoTraces {
            variable: "OTEL_EXPORTER_OTLP_ENDPOINT",
            reason: "this binary was built without the feature `traces`".to_owned(),
            fix: "build it with the feature, as it is by default",
        })
    }

    pub(crate) fn layer(&self) -> Box<dyn Layer<Registry> + Send + Sync> {
        match *self {}
    }

    pub(crate) fn trace_parent(&self) -> TraceParent {
        match *self {}
    }
}
