//! Traces, as a collector gets them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::{Span, Status, status::StatusCode};
use prost::Message as _;
use testkit::stack::Stack;
use testkit::wait::{DEADLINE, Seen, eventually};
use testkit::worker::{Group, send_with};
use testkit::{Failure, Result};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// Spans are to come soon, not after the usual five seconds.
const AT_ONCE: (&str, &str) = ("OTEL_BSP_SCHEDULE_DELAY", "100");

/// What a collector does: it takes spans over HTTP, and keeps them.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

impl Collector {
    /// Hears one port of loopback until the tests end.
    fn hear(&self, port: u16) -> Result<SocketAddr> {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        let address = listener.local_addr()?;
        let collector = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let collector = collector.clone();
                std::thread::spawn(move || collector.answer(stream));
            }
        });
        Ok(address)
    }

    /// Takes requests from one connection until it ends, or makes no sense.
    fn answer(&self, stream: TcpStream) -> Result<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                match line.trim_end() {
                    "" => break,
                    line => head.push(line.to_ascii_lowercase()),
                }
            }
            let said = |name: &str| head.iter().find_map(|line| line.strip_prefix(name));
            let length = said("content-length: ").ok_or_else(|| Failure::new("no length"))?;
            let mut body = vec![0; length.parse()?];
            reader.read_exact(&mut body)?;
            let is_for_traces = head[0].starts_with("post /v1/traces ")
                && said("content-type: ") == Some("application/x-protobuf");
            if !is_for_traces {
                return Err(Failure::new(head.join("\n")));
            }
            let request = ExportTraceServiceRequest::decode(&body[..])?;
            let spans = request.resource_spans.into_iter().flat_map(|resource| {
                let service = resource.resource.expect("a resource").attributes;
                let named = service.iter().any(|it| it.key == "service.name");
                assert!(named, "{service:?}");
                resource.scope_spans.into_iter().flat_map(|scope| scope.spans)
            });
            self.0.lock().expect("no test panics here").extend(spans);
            reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        }
    }

    fn spans(&self) -> Vec<Span> {
        self.0.lock().expect("no test panics here").clone()
    }

    /// Waits for a span, by name and something else.
    async fn wait_for(&self, name: &str, fits: impl Fn(&Span) -> bool) -> Result<Span> {
        let mut found = None;
        eventually(&format!("a span `{name}` arrives"), DEADLINE, async || {
            found = self.spans().into_iter().find(|span| span.name == name && fits(span));
            let names =
                || format!("{:?}", self.spans().iter().map(|it| &it.name).collect::<Vec<_>>());
            Ok(Seen::when(found.is_some(), names))
        })
        .await?;
        found.ok_or_else(|| Failure::new(name))
    }

    /// Names of the spans right below one, as they began.
    fn below(&self, parent: &Span) -> Vec<String> {
        let spans = self.spans();
        let mut below: Vec<_> =
            spans.iter().filter(|span| span.parent_span_id == parent.span_id).collect();
        below.sort_by_key(|span| span.start_time_unix_nano);
        assert!(below.iter().all(|span| span.trace_id == parent.trace_id));
        below.into_iter().map(|span| span.name.clone()).collect()
    }
}

/// An attribute, as text.
fn said(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        Value::DoubleValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}

fn code(span: &Span) -> StatusCode {
    span.status.as_ref().map_or(StatusCode::Unset, Status::code)
}

/// Method: three rows are read and two written; the spans of the whole way are awaited and looked at.
#[tokio::test]
async fn a_trace_shows_each_step_of_a_take_over_and_of_a_commit() -> Result<()> {
    let database = Stack::shared()?.database("traced").await?;
    let session = database
        .with(
            "create table item (id int primary key); insert into item select generate_series(1, 3)",
        )
        .await?;
    let connector = database.connector()?;
    let collector = Collector::default();
    let endpoint = format!("http://{}", collector.hear(0)?);
    let mut process = connector.start_with(&[(ENDPOINT, &endpoint), AT_ONCE])?;
    connector.wait_until_streaming(&mut process).await?;
    session.run("insert into item values (4), (5)").await?;
    database.sync().await?;

    let name = connector.name();
    let taken = collector.wait_for("take over", |_| true).await?;
    assert_eq!(said(&taken, "connector.name").as_deref(), Some(name));
    assert!(taken.parent_span_id.is_empty(), "{taken:?}");
    assert_eq!(code(&taken), StatusCode::Unset);
    let steps = collector.below(&taken);
    let expected = [
        "fence",
        "read the checkpoint",
        "look at the source",
        "end a stale walsender",
        "make the slot",
    ];
    let steps: Vec<_> =
        steps.iter().filter(|it| !matches!(it.as_str(), "produce" | "end transaction")).collect();
    assert_eq!(steps, expected);
    let snapshot = collector.wait_for("snapshot", |_| true).await?;
    assert_eq!(said(&snapshot, "rows").as_deref(), Some("3"));
    collector.wait_for("open source", |_| true).await?;

    // The two, and perhaps a marker that was written right after them. Rows of a snapshot have no latency.
    let count = |span: &Span| said(span, "messaging.batch.message_count")?.parse().ok();
    let of_two = |it: &Span| count(it) >= Some(2_u64) && said(it, "latency_ms").is_some();
    let commit = collector.wait_for("commit", of_two).await?;
    assert_eq!(said(&commit, "messaging.system").as_deref(), Some("kafka"));
    assert_eq!(said(&commit, "connector.name").as_deref(), Some(name));
    assert!(commit.parent_span_id.is_empty(), "{commit:?}");
    let latency_ms: f64 = said(&commit, "latency_ms").unwrap_or_default().parse()?;
    assert!((0.0..60_000.0).contains(&latency_ms), "{latency_ms}");
    assert_eq!(collector.below(&commit), ["produce", "end transaction"]);
    // Spans are not in the way of the log.
    assert!(!process.log().contains("take over{"), "{}", process.log());
    Ok(())
}

/// Method: the slot is dropped behind the connector's back, which ends the next take-over.
#[tokio::test]
async fn a_take_over_that_fails_says_why() -> Result<()> {
    let database = Stack::shared()?.database("traced_gap").await?;
    let session = database.with("create table item (id int primary key)").await?;
    let connector = database.connector()?;
    let mut process = connector.start_streaming().await?;
    process.kill().await?;
    connector.wait_until_slot_free(&session).await?;
    session.run(&format!("select pg_drop_replication_slot('{}')", connector.slot())).await?;

    let collector = Collector::default();
    let endpoint = format!("http://{}/v1/traces", collector.hear(0)?);
    // What is for traces alone is taken as it is; the last spans arrive although the process ends.
    let variables = [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint.as_str())];
    let mut process = connector.start_with(&variables)?;
    assert_eq!(process.exit_code(DEADLINE).await?, 1, "{}", process.log_end());
    let taken = collector.wait_for("take over", |_| true).await?;
    assert_eq!(code(&taken), StatusCode::Error);
    let error = said(&taken, "error.type").unwrap_or_default();
    assert!(process.log().contains(&format!("[{error}]")), "{error}: {}", process.log_end());
    Ok(())
}

/// Method: nobody listens where the collector should be, and then somebody does.
#[tokio::test]
async fn a_collector_that_is_away_costs_spans_and_nothing_else() -> Result<()> {
    let database = Stack::shared()?.database("traced_later").await?;
    let session = database.with("create table item (id int primary key)").await?;
    let connector = database.connector()?;
    // Taken and let go: free now.
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let endpoint = format!("http://127.0.0.1:{port}");
    let mut process = connector.start_with(&[(ENDPOINT, &endpoint), AT_ONCE])?;
    connector.wait_until_streaming(&mut process).await?;
    let mut id = 0;
    eventually("it is said that traces do not arrive", DEADLINE, async || {
        id += 1;
        session.run(&format!("insert into item values ({id})")).await?;
        Ok(Seen::when(process.log().contains("CL030"), || process.log_end()))
    })
    .await?;
    database.sync().await?;

    let collector = Collector::default();
    collector.hear(port)?;
    eventually("it is said that they arrive again", DEADLINE, async || {
        id += 1;
        session.run(&format!("insert into item values ({id})")).await?;
        Ok(Seen::when(process.log().contains("traces arrive again"), || process.log_end()))
    })
    .await?;
    assert_eq!(process.log().matches("CL030").count(), 1, "{}", process.log_end());
    collector.wait_for("commit", |_| true).await?;
    Ok(())
}

/// Method: a collector's port for another protocol is named, as it is where others of the same machine use that.
#[tokio::test]
async fn traces_that_cannot_be_had_hold_up_no_connector() -> Result<()> {
    let database = Stack::shared()?.database("untraced").await?;
    database.with("create table item (id int primary key)").await?;
    let connector = database.connector()?;
    let variables = [(ENDPOINT, "http://127.0.0.1:4317"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
    let mut process = connector.start_with(&variables)?;
    connector.wait_until_streaming(&mut process).await?;
    assert!(process.log().contains("[CL029]"), "{}", process.log_end());
    Ok(())
}

/// Method: a request that names a trace, one that names none, and one that is of no trace that is recorded.
#[tokio::test]
async fn a_request_is_a_part_of_the_trace_it_names() -> Result<()> {
    let stack = Stack::shared()?;
    let collector = Collector::default();
    let endpoint = format!("http://{}", collector.hear(0)?);
    let group = Group::new(&stack.bootstrap(), "traced-group")?
        .with_variable(ENDPOINT, &endpoint)
        .with_variable(AT_ONCE.0, AT_ONCE.1);
    let worker = group.start("w1").await?;
    let ask = async |path: &'static str, parent: Option<String>| {
        let headers: Vec<_> = parent.into_iter().map(|it| ("traceparent", it)).collect();
        send_with(worker.url(), "GET", path, &headers, None).await
    };
    let (trace, parent) =
        (0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128, 0xb7ad_6b71_6920_3331_u64);
    let unrecorded = format!("00-{trace:032x}-{parent:016x}-00");
    assert_eq!(ask("/connectors/unrecorded", Some(unrecorded)).await?.status, 404);
    assert_eq!(
        ask("/connectors/absent", Some(format!("00-{trace:032x}-{parent:016x}-01"))).await?.status,
        404
    );
    assert_eq!(ask("/connectors", None).await?.status, 200);

    let span = collector.wait_for("GET /connectors/{name}", |_| true).await?;
    assert_eq!(said(&span, "url.path").as_deref(), Some("/connectors/absent"));
    assert_eq!(said(&span, "http.response.status_code").as_deref(), Some("404"));
    assert_eq!(span.trace_id, trace.to_be_bytes());
    assert_eq!(span.parent_span_id, parent.to_be_bytes());
    assert_eq!(code(&span), StatusCode::Unset);
    let own = collector.wait_for("GET /connectors", |_| true).await?;
    assert!(own.parent_span_id.is_empty() && own.trace_id != trace.to_be_bytes(), "{own:?}");
    let unrecorded =
        |span: &Span| said(span, "url.path").as_deref() == Some("/connectors/unrecorded");
    assert!(!collector.spans().iter().any(unrecorded));
    Ok(())
}
