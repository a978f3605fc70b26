//! What Prometheus is told, held against what was done.

use std::collections::BTreeMap;

use serde_json::json;
use testkit::connector::{ConnectorProcess, binary};
use testkit::stack::Stack;
use testkit::wait::{DEADLINE, Seen, eventually};
use testkit::worker::Group;
use testkit::{Failure, Result};

/// Numbers by name and labels, as they stand on the page.
struct Page(BTreeMap<String, f64>);

impl Page {
    async fn read(address: &str) -> Result<Self> {
        let url = format!("{address}/metrics");
        let text = tokio::task::spawn_blocking(move || -> Result<String> {
            let mut answer = ureq::get(&url).call()?;
            let content_type = answer.headers().get("content-type");
            let is_text =
                content_type.is_some_and(|it| it == "text/plain; version=0.0.4; charset=utf-8");
            assert!(is_text, "{content_type:?}");
            Ok(answer.body_mut().read_to_string()?)
        });
        let text = text.await??;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let numbers = lines.map(|line| {
            let (series, number) = line.rsplit_once(' ').ok_or_else(|| Failure::new(line))?;
            Ok((series.to_owned(), number.parse()?))
        });
        numbers.collect::<Result<_>>().map(Self)
    }

    fn get(&self, series: &str) -> Option<f64> {
        self.0.get(series).copied()
    }

    fn of(&self, connector: &str, name: &str, more: &str) -> Option<f64> {
        self.get(&format!("{name}{{connector=\"{connector}\"{more}}}"))
    }
}

/// Method: three rows are read, then three transactions of known changes; a failure in between must not count anything twice.
#[tokio::test]
async fn the_page_counts_what_kafka_has_committed_and_nothing_twice() -> Result<()> {
    let database = Stack::shared()?.database("counted").await?;
    let session = database
        .with("create table item (id int primary key, note text); insert into item select i, 'x' from generate_series(1, 3) i")
        .await?;
    let connector = database.connector()?;
    let folder = tempfile::tempdir()?;
    let store = format!("kafka://{}", database.bootstrap());
    let file = connector.write_file()?;
    let arguments = ["run", "--config", &file.to_string_lossy(), "--store", &store];
    let arguments = [&arguments[..], &["--metrics-listen", "127.0.0.1:0"]].concat();
    let mut process = ConnectorProcess::start(&binary()?, &arguments, folder.path())?;
    connector.wait_until_streaming(&mut process).await?;
    let log = process.log();
    let address =
        log.split("metrics are at ").nth(1).and_then(|rest| rest.split("/metrics").next());
    let address = address.ok_or_else(|| Failure::new(process.log_end()))?.to_owned();

    session.run("insert into item values (4, 'a'), (5, 'b')").await?;
    database.sync().await?;
    // Its walsender is ended: the connector fails and takes over.
    let ended = format!(
        "select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = '{}'",
        connector.slot()
    );
    session.run(&ended).await?;
    session.run("update item set note = 'c' where id < 4").await?;
    session.run("delete from item where id = 5").await?;
    database.sync().await?;

    let name = connector.name();
    let changes = |page: &Page, operation: &str| {
        let more = format!(",table=\"public.item\",operation=\"{operation}\"");
        page.of(name, "tributary_table_changes_total", &more)
    };
    eventually("everything is counted", DEADLINE, async || {
        let page = Page::read(&address).await?;
        let counted = changes(&page, "delete") == Some(1.0);
        Ok(Seen::when(counted, || format!("{:#?}\n{}", page.0, process.log_end())))
    })
    .await?;
    let page = Page::read(&address).await?;
    let counted = ["read", "create", "update", "delete"].map(|operation| changes(&page, operation));
    assert_eq!(counted, [3.0, 2.0, 3.0, 1.0].map(Some));
    // A delete has a tombstone behind it.
    let of_table = ",table=\"public.item\"";
    assert_eq!(page.of(name, "tributary_table_records_total", of_table), Some(10.0));
    let bytes = page.of(name, "tributary_table_bytes_total", of_table).unwrap_or_default();
    assert!((1_000.0..20_000.0).contains(&bytes), "{bytes}");
    assert!(page.of(name, "tributary_connector_takeovers_total", "").unwrap() >= 2.0);
    assert!(page.of(name, "tributary_connector_failures_total", "").unwrap() >= 1.0);
    assert_eq!(page.of(name, "tributary_connector_state", ",state=\"streaming\""), Some(1.0));
    // The three transactions, and those that wait for the end wrote.
    let latencies = page.of(name, "tributary_commit_to_acknowledged_seconds_count", "").unwrap();
    assert!(latencies >= 3.0, "{latencies}");
    let bucket = |bound| {
        let more = format!(",le=\"{bound}\"");
        page.of(name, "tributary_commit_to_acknowledged_seconds_bucket", &more)
    };
    assert_eq!(bucket("+Inf"), Some(latencies));
    assert_eq!(bucket("300"), Some(latencies), "none took five minutes");
    let labels = format!("{{plugin=\"postgres\",name=\"{name}\",context=\"snapshot\"}}");
    assert_eq!(page.get(&format!("debezium_metrics_SnapshotCompleted{labels}")), Some(1.0));
    assert!(page.get("process_resident_memory_bytes").unwrap() > 1e6);
    assert_eq!(process.terminate().await?, 0);
    Ok(())
}

/// Method: a connector is made, paused and destroyed by the API of a worker, and the page follows.
#[tokio::test]
async fn a_worker_shows_the_connectors_it_has() -> Result<()> {
    let database = Stack::shared()?.database("shown").await?;
    let session = database.with("create table item (id int primary key)").await?;
    let name = database.name();
    let mut worker = Group::new(database.bootstrap(), name)?.start("one").await?;
    worker.create(&database, json!({})).await?;
    worker.task_is(name, "RUNNING").await?;
    session.run("insert into item values (1), (2)").await?;
    database.sync().await?;
    let follows = async |what: &str, series: &str, wanted: Option<f64>| {
        eventually(what, DEADLINE, async || {
            let page = Page::read(worker.url()).await?;
            let found = page.get(series);
            Ok(Seen::when(found == wanted, || format!("{series} is {found:?}\n{:#?}", page.0)))
        })
        .await
    };
    let created = format!(
        "tributary_table_changes_total{{connector=\"{name}\",table=\"public.item\",operation=\"create\"}}"
    );
    follows("rows are counted", &created, Some(2.0)).await?;
    follows("its place is known", "tributary_worker_members", Some(1.0)).await?;
    worker.expect("PUT", &format!("/connectors/{name}/pause"), None).await?;
    let paused = format!(
        "kafka_connect_connector_status{{connector=\"{name}\",task=\"0\",status=\"paused\"}}"
    );
    follows("it is paused", &paused, Some(1.0)).await?;
    follows("what it did stays", &created, Some(2.0)).await?;
    worker.expect("DELETE", &format!("/connectors/{name}"), None).await?;
    follows("it is gone", "kafka_connect_worker_connector_count", Some(0.0)).await?;
    follows("nothing of it is left", &paused, None).await?;
    worker.process.terminate().await?;
    Ok(())
}
