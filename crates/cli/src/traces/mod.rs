//! Traces for an OpenTelemetry collector, if the environment names one.
//!
//! In: the variables that OpenTelemetry defines, and spans with the target `spans`. Out: these spans, by OTLP over HTTP.
//! Never: a connector that does not run, or waits, because of its traces.
//! Source: OpenTelemetry, "Environment Variable Specification", "OpenTelemetry Protocol Exporter".

#[cfg_attr(not(feature = "traces"), path = "absent.rs")]
mod send;

pub(crate) use send::Traces;

/// Why there are no traces although the environment asks for them.
#[derive(Debug, thiserror::Error)]
#[error(
    "[CL029] no traces are sent: {variable}: {reason}\n  fix: {fix}, or set OTEL_SDK_DISABLED=true"
)]
pub(crate) struct NoTraces {
    variable: &'static str,
    reason: String,
    fix: &'static str,
}

/// Samplers that there are.
const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

/// Starts to send traces, if the environment asks for it.
pub(crate) fn start() -> Result<Option<Traces>, NoTraces> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if is_wanted(&variable)? { Traces::start(&variable).map(Some) } else { Ok(None) }
}

/// Whether traces are wanted, in a way that can be had.
fn is_wanted(variable: &impl Fn(&str) -> Option<String>) -> Result<bool, NoTraces> {
    let named = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"].map(variable);
    let is_disabled =
        variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let exporter = variable("OTEL_TRACES_EXPORTER").unwrap_or_else(|| "otlp".to_owned());
    if is_disabled || exporter == "none" || named.iter().all(Option::is_none) {
        return Ok(false);
    }
    let refused = |variable, value: &str, fix| {
        let reason = format!("`{value}` is none that there is here");
        Err(NoTraces { variable, reason, fix })
    };
    if exporter != "otlp" {
        return refused("OTEL_TRACES_EXPORTER", &exporter, "set it to otlp");
    }
    for name in ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"] {
        let Some(protocol) = variable(name) else { continue };
        if protocol != "http/protobuf" {
            let fix = "set it to http/protobuf, which collectors answer at port 4318";
            return refused(name, &protocol, fix);
        }
        break;
    }
    match variable("OTEL_TRACES_SAMPLER") {
        Some(sampler) if !SAMPLERS.contains(&sampler.as_str()) => {
            let fix = "set it to one of always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off, parentbased_traceidratio";
            refused("OTEL_TRACES_SAMPLER", &sampler, fix)
        }
        _ => Ok(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(variables: &[(&str, &str)]) -> Result<bool, &'static str> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        is_wanted(&variable).map_err(|problem| problem.variable)
    }

    #[test]
    fn traces_are_wanted_where_a_collector_is_named() {
        let named = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318");
        assert_eq!(wanted(&[]), Ok(false));
        assert_eq!(wanted(&[named]), Ok(true));
        let traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://localhost:4318/v1/traces");
        assert_eq!(wanted(&[traces]), Ok(true));
        assert_eq!(wanted(&[named, ("OTEL_SDK_DISABLED", "TRUE")]), Ok(false));
        assert_eq!(wanted(&[named, ("OTEL_TRACES_EXPORTER", "none")]), Ok(false));
    }

    #[test]
    fn what_cannot_be_had_is_said() {
        let named = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4317");
        let with = |name, value| wanted(&[named, (name, value)]);
        assert_eq!(with("OTEL_TRACES_EXPORTER", "zipkin"), Err("OTEL_TRACES_EXPORTER"));
        assert_eq!(with("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), Err("OTEL_EXPORTER_OTLP_PROTOCOL"));
        assert_eq!(with("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"), Ok(true));
        assert_eq!(with("OTEL_TRACES_SAMPLER", "sometimes"), Err("OTEL_TRACES_SAMPLER"));
        assert_eq!(with("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), Ok(true));
    }

    #[test]
    fn what_is_for_traces_alone_goes_first() {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ];
        assert_eq!(wanted(&variables), Ok(true));
    }
}
