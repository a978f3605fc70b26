//! Lines of the log that are of a connector, given to its worker.
//!
//! In: what is logged, after the filter. Out: level and text of each line that was written inside a connector's span, or names it in
//! `connector.name`. Never: another line than the log has, so that what is hidden there is hidden here.

use std::fmt::{Debug, Write as _};

use ::worker::LogSender;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Name of the field that says which connector it is.
const CONNECTOR: &str = "connector.name";

/// Takes what is logged.
pub(super) struct ConnectorLines(pub(super) LogSender);

/// A span is of this connector.
struct OfConnector(String);

impl<S> Layer<S> for ConnectorLines
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let (Some(name), Some(span)) = (fields.connector, context.span(id)) {
            span.extensions_mut().insert(OfConnector(name));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let of_span = || {
            let mut scope = context.event_scope(event)?;
            scope.find_map(|span| Some(span.extensions().get::<OfConnector>()?.0.clone()))
        };
        if let Some(connector) = fields.connector.take().or_else(of_span) {
            self.0.send(&connector, event.metadata().level().as_str(), fields.text());
        }
    }
}

/// What an event says.
#[derive(Default)]
struct Fields {
    connector: Option<String>,
    message: String,
    others: String,
}

impl Fields {
    fn text(self) -> String {
        self.message + &self.others
    }

    fn put(&mut self, name: &str, value: &dyn Debug) {
        // Writing to a String cannot fail.
        let _ = match name {
            CONNECTOR => {
                let name = format!("{value:?}");
                self.connector = Some(name);
                Ok(())
            }
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.others, " {name}={value:?}"),
        };
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            CONNECTOR => self.connector = Some(value.to_owned()),
            name => self.put(name, &value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field.name(), value);
    }
}

#[cfg(test)]
mod tests {
    use tracing::{error_span, info, warn};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn a_line_goes_to_the_connector_in_whose_span_it_is_or_that_it_names() {
        let (sender, mut lines) = ::worker::log_lines();
        let subscriber = tracing_subscriber::registry().with(ConnectorLines(sender));
        tracing::subscriber::with_default(subscriber, || {
            info!("of nobody");
            error_span!("connector", connector.name = "shop").in_scope(|| {
                error_span!("inner").in_scope(|| warn!(code = "NT001", "of {}", "shop"));
            });
            info!(connector.name = %"other", "of another");
        });
        let mut given = Vec::new();
        while let Some((connector, line)) = lines.try_next() {
            given.push(format!("{connector}: {} {}", line.level, line.text));
        }
        assert_eq!(given, ["shop: WARN of shop code=\"NT001\"", "other: INFO of another"]);
    }
}
