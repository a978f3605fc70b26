//! The API of a worker beside that of Kafka Connect, for programs that nobody here wrote, and what it has beyond that.

use embedded::{Connect, ConnectOptions, Plugin, Silent};
use serde_json::json;
use testkit::rest::{self, Asker, SECRET, Side};
use testkit::stack::{Database, Stack};
use testkit::wait::{DEADLINE, Seen, eventually};
use testkit::worker::{Group, Worker, send_with};
use testkit::{Failure, Result};

/// Every request of the script is answered as Kafka Connect answers it, but for the differences that are written down, each with its reason.
/// Method: `RECORD_REST=1` asks Kafka Connect with Debezium again, and keeps its answers (`py,java`: only of these askers; `real` is the script).
#[tokio::test]
async fn requests_are_answered_as_kafka_connect_answers_them() -> Result<()> {
    if std::env::var_os("RECORD_REST").is_some() {
        record().await?;
    }
    let (database, _group, worker) = started("rest").await?;
    let name = database.name();
    let side = Side { url: worker.url(), name, database: &database };
    let ours = rest::play(&side).await?;

    let leaks = |answer: &&rest::Answer| answer.body.to_string().contains(SECRET);
    let leaking: Vec<_> = ours.iter().filter(leaks).map(|answer| &answer.say).collect();
    assert!(leaking.is_empty(), "the source's password is in the answers to {leaking:?}");

    let known: Vec<_> = rest::known_differences().collect();
    let found = rest::compare(&Asker::Script.recorded()?, &ours);
    let unknown: Vec<String> = found
        .iter()
        .filter(|found| {
            !known.iter().any(|(say, status, _)| (*say, *status) == (&found.say, found.status))
        })
        .map(ToString::to_string)
        .collect();
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
    let gone: Vec<_> =
        known.iter().filter(|(say, ..)| !found.iter().any(|found| found.say == *say)).collect();
    assert!(gone.is_empty(), "these do not differ any more: {gone:?}");
    Ok(())
}

/// `kc` of `kafka-connect-py`, and `kafka-connect-client`: each of their calls gives of a worker what it gives of Kafka Connect.
#[tokio::test]
async fn clients_that_others_wrote_get_what_kafka_connect_gives_them() -> Result<()> {
    let (database, _group, worker) = started("clients").await?;
    let name = database.name();
    let side = Side { url: worker.url(), name, database: &database };
    for asker in [Asker::Python, Asker::Java] {
        let recorded = asker.recorded()?;
        assert!(recorded.len() > 25, "{asker:?} has {} answers", recorded.len());
        let ours = asked(asker, &side).await?;
        let found: Vec<_> = rest::compare(&recorded, &ours);
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert!(found.is_empty(), "{asker:?}:\n{}", found.join("\n"));
        assert_eq!(recorded.len(), ours.len());
    }
    Ok(())
}

async fn asked(asker: Asker, side: &Side<'_>) -> Result<Vec<rest::Answer>> {
    match asker {
        Asker::Script => rest::play(side).await,
        Asker::Python => rest::python(side).await,
        Asker::Java => rest::java(side).await,
    }
}

async fn record() -> Result<()> {
    let stack = Stack::shared()?;
    let options = ConnectOptions::new(stack.bootstrap(), &[Plugin::DebeziumPostgres]);
    let connect = Connect::start(options.distributed("connect-rest"), &Silent).await?;
    let url = connect.url();
    let wanted = std::env::var("RECORD_REST").unwrap_or_default();
    for (asker, name) in [(Asker::Script, "real"), (Asker::Python, "py"), (Asker::Java, "java")] {
        if wanted != "1" && !wanted.split(',').any(|wanted| wanted == name) {
            continue;
        }
        let database = stack.database("rest_real").await?;
        item(&database).await?;
        let side = Side { url: &url, name, database: &database };
        asker.record(&asked(asker, &side).await?)?;
    }
    connect.stop().await;
    Ok(())
}

/// Waits until a worker takes requests.
pub(crate) async fn healthy(worker: &Worker) -> Result<()> {
    eventually("the worker is healthy", DEADLINE, async || {
        let answer = worker.ask("GET", "/health", None).await?;
        Ok(Seen::when(answer.status == 200, || format!("{answer:?}")))
    })
    .await
}

/// A database with a table, and a worker that takes requests. The group holds its log.
async fn started(label: &str) -> Result<(Database, Group, Worker)> {
    let stack = Stack::shared()?;
    let database = stack.database(label).await?;
    item(&database).await?;
    let group = Group::new(&stack.bootstrap(), database.name())?;
    let worker = group.start("one").await?;
    healthy(&worker).await?;
    Ok((database, group, worker))
}

async fn item(database: &Database) -> Result<()> {
    let session = database.session().await?;
    session.run("create table item (id int primary key, name text)").await?;
    session.run("insert into item values (1, 'a')").await
}

/// A change for a revision that is not there any more is refused, one for the newest is made, and whoever listens is told.
#[tokio::test]
async fn changes_are_made_at_a_revision_and_told_to_who_listens() -> Result<()> {
    let stack = Stack::shared()?;
    let database = stack.database("revision").await?;
    let group = Group::new(&stack.bootstrap(), database.name())?;
    let worker = group.start("one").await?;
    let url = worker.url();
    let mut events = Events::listen(url).await?;
    let created = json!({"name": "a b", "config": config(&database), "initial_state": "STOPPED"});
    worker.expect("POST", "/connectors", Some(created)).await?;
    events.until("event: connector", "\"name\":\"a b\"").await?;

    let path = "/v1/connectors/a%20b";
    let first = send_with(url, "GET", path, &[], None).await?;
    let etag = first.header("etag").unwrap_or_default().to_owned();
    let change = async |etag: &str, config: serde_json::Value| {
        let headers = [("if-match", etag.to_owned()), ("content-type", JSON.to_owned())];
        let body = json!({"config": config}).to_string();
        send_with(url, "PATCH", path, &headers, Some(body)).await
    };
    let changed =
        change(&etag, json!({"poll.interval.ms": 100, "database.password": "[hidden]"})).await?;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(changed.body["config"]["poll.interval.ms"], "100");
    assert_ne!(changed.header("etag"), Some(&*etag));
    events.until("event: connector", "\"poll.interval.ms\":\"100\"").await?;
    let late = change(&etag, json!({"poll.interval.ms": "200"})).await?;
    assert_eq!((late.status, &late.body["code"]), (412, &json!("WK003")), "{late:?}");
    let newest = changed.header("etag").unwrap_or_default().to_owned();
    let removed = change(&newest, json!({"poll.interval.ms": null})).await?;
    assert_eq!(removed.body["config"].get("poll.interval.ms"), None);
    assert_eq!(removed.body["config"]["database.password"], "[hidden]");
    let same = change(removed.header("etag").unwrap_or_default(), json!({"tables": null})).await?;
    assert_eq!(same.body["revision"], removed.body["revision"], "nothing was changed");

    let workers = worker.expect("GET", "/v1/workers", None).await?;
    assert_eq!(workers["workers"].as_array().map(Vec::len), Some(1), "{workers}");
    worker.expect("DELETE", "/connectors/a%20b", None).await?;
    events.until("event: deleted", "\"name\":\"a b\"").await?;
    Ok(())
}

/// The content type of requests.
pub(crate) const JSON: &str = "application/json";

/// A reader of `GET /v1/events`.
struct Events {
    lines: tokio::io::Lines<tokio::io::BufReader<tokio::net::TcpStream>>,
}

impl Events {
    async fn listen(url: &str) -> Result<Self> {
        use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
        let address = url.trim_start_matches("http://");
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        let request = format!(
            "GET /v1/events HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        Ok(Self { lines: tokio::io::BufReader::new(stream).lines() })
    }

    /// Reads until an event of a kind has a text in it.
    async fn until(&mut self, kind: &str, text: &str) -> Result<()> {
        let found = async {
            let mut is_kind = false;
            while let Some(line) = self.lines.next_line().await? {
                if line.starts_with("event: ") {
                    is_kind = line == kind;
                }
                if is_kind && line.starts_with("data: ") && line.contains(text) {
                    return Ok(());
                }
            }
            Err(Failure::new("the events ended"))
        };
        tokio::time::timeout(DEADLINE, found)
            .await
            .map_err(|_| Failure::new(format!("no {kind} with {text}")))?
    }
}

/// The configuration of a connector for one table, with a password that must not be seen again.
pub(crate) fn config(database: &Database) -> serde_json::Value {
    json!({
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "database.hostname": "127.0.0.1",
        "database.port": database.port().to_string(),
        "database.user": "postgres",
        "database.password": SECRET,
        "database.dbname": database.name(),
        "slot.name": database.name(),
        "publication.name": database.name(),
        "topic.prefix": database.name(),
        "table.include.list": "public.item",
    })
}
