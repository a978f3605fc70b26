//! `tributary alter-key`: the statement between two events, and everything as it was if it is interrupted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use testkit::Result;
use testkit::connector::{ConnectorProcess, binary};
use testkit::session::Session;
use testkit::stack::{Database, MARKER_TABLE, Stack};
use testkit::wait::{DEADLINE, Seen, eventually};
use testkit::worker::{Group, Worker};
use tokio::task::JoinSet;

const ALTER: &str = "alter table item drop constraint item_pkey, add primary key (id, region)";

/// A worker with a connector that streams, and a folder for what is typed.
struct Bench {
    database: Database,
    worker: Worker,
    folder: tempfile::TempDir,
}

impl Bench {
    async fn new(label: &str) -> Result<Self> {
        let database = Stack::shared()?.database(label).await?;
        database
            .with("create table item (id int primary key, region text not null default 'eu')")
            .await?;
        let worker = Group::new(database.bootstrap(), database.name())?.start("one").await?;
        worker.create(&database, json!({"snapshot.mode": "no_data"})).await?;
        worker.task_is(database.name(), "RUNNING").await?;
        Ok(Self { database, worker, folder: tempfile::tempdir()? })
    }

    fn alter(&self, more: &[&str]) -> Result<ConnectorProcess> {
        let source = self.database.url();
        let mut arguments = vec!["alter-key", self.database.name(), "--url", self.worker.url()];
        arguments.extend(["--source", &source]);
        arguments.extend(more);
        ConnectorProcess::start(&binary()?, &arguments, self.folder.path())
    }

    async fn rows(&self) -> Result<u64> {
        let count = self.database.session().await?.text("select count(*) from item").await?;
        Ok(count.unwrap_or_default().parse()?)
    }

    /// Waits until the application has written more rows.
    async fn written_past(&self, rows: u64) -> Result<()> {
        eventually("the application writes", DEADLINE, async || {
            let found = self.rows().await?;
            Ok(Seen::when(found > rows, || format!("{found} of {rows}")))
        })
        .await
    }

    /// Applications may write, and what they write comes.
    async fn is_as_before(&self, id: i32) -> Result<()> {
        self.worker.task_is(self.database.name(), "RUNNING").await?;
        let fresh = self.database.session().await?;
        fresh.run(&format!("insert into item values ({id})")).await?;
        let events = self.database.events("public.item").await?;
        let last = events.last().map(testkit::event::Event::key_payload).unwrap_or_default();
        assert_eq!(last["id"], id);
        Ok(())
    }
}

/// Method: an application writes throughout, with sessions that are ended and refused. Each row it was told is committed is in the topic once;
/// keys change once, in its middle.
#[tokio::test]
async fn a_key_is_altered_with_nobody_writing_and_nothing_is_lost() -> Result<()> {
    let bench = Bench::new("altered").await?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut application = JoinSet::new();
    application.spawn(write(bench.database.clone(), Arc::clone(&stop)));
    bench.written_past(50).await?;
    let mut altered = bench.alter(&["--sql", ALTER])?;
    assert_eq!(altered.exit_code(DEADLINE).await?, 0, "{}", altered.log());
    let altered_at = bench.rows().await?;
    bench.written_past(altered_at + 50).await?;
    stop.store(true, Ordering::Relaxed);
    let mut committed = Vec::new();
    while let Some(ids) = application.join_next().await {
        committed = ids??;
    }
    let events = bench.database.events("public.item").await?;
    let keys: Vec<_> = events.iter().map(testkit::event::Event::key_payload).collect();
    let mut ids: Vec<i64> = keys.iter().filter_map(|key| key["id"].as_i64()).collect();
    let changes = keys
        .windows(2)
        .filter(|pair| pair[0]["region"].is_string() != pair[1]["region"].is_string());
    assert_eq!(changes.count(), 1);
    assert!(keys.last().is_some_and(|key| key["region"] == "eu"));
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "an event came twice");
    let missing: Vec<_> = committed.iter().filter(|id| ids.binary_search(id).is_err()).collect();
    assert!(missing.is_empty(), "{missing:?}");
    bench.is_as_before(1_000_000).await
}

/// Method: SIGTERM as soon as each step is said; in the last a reader holds the table, so that the statement waits.
#[tokio::test]
async fn interrupted_at_any_step_it_puts_everything_back() -> Result<()> {
    let bench = Bench::new("interrupted").await?;
    for (id, step) in (1..).zip(["1/6", "2/6", "3/6", "4/6", "5/6"]) {
        let mut altered = bench.alter(&["--sql", ALTER])?;
        let mut reader = None;
        if step == "5/6" {
            altered.log_with("4/6", DEADLINE).await?;
            let session = bench.database.session().await?;
            session.run("begin; select * from item").await?;
            reader = Some(session);
        }
        altered.log_with(step, DEADLINE).await?;
        altered.signal("TERM").await?;
        let code = altered.exit_code(DEADLINE).await?;
        drop(reader);
        // One that was done before the signal came has done what it was asked for.
        if code == 0 {
            assert_eq!(step, "4/6", "{}", altered.log());
            continue;
        }
        assert!(altered.log().contains("CL028"), "{step}: {}", altered.log());
        bench.is_as_before(id).await?;
    }
    Ok(())
}

/// Method: SIGKILL while the statement waits. The database is read-only and the connector stopped until `--undo`.
#[tokio::test]
async fn what_a_killed_one_leaves_is_undone() -> Result<()> {
    let bench = Bench::new("undone").await?;
    let mut altered = bench.alter(&["--sql", ALTER])?;
    altered.log_with("4/6", DEADLINE).await?;
    let reader = bench.database.session().await?;
    reader.run("begin; select * from item").await?;
    altered.log_with("5/6", DEADLINE).await?;
    eventually("the statement waits", DEADLINE, async || {
        let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like 'alter table item%'";
        let waiting = Session::connect(&bench.database.url()).await?.text(waiting).await?;
        Ok(Seen::when(waiting.as_deref() == Some("1"), || format!("{waiting:?}")))
    })
    .await?;
    altered.kill().await?;
    // Another table: this one is locked.
    let insert = format!("insert into {MARKER_TABLE}(note) values ('refused')");
    let refused = bench.database.session().await?.run(&insert).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("read-only")));
    let mut again = bench.alter(&["--sql", ALTER])?;
    assert_ne!(again.exit_code(DEADLINE).await?, 0, "{}", again.log());
    let mut undone = bench.alter(&["--undo"])?;
    assert_eq!(undone.exit_code(DEADLINE).await?, 0, "{}", undone.log());
    drop(reader);
    bench.is_as_before(8).await?;
    Ok(())
}

/// Writes rows until told to stop; the ids that were committed.
async fn write(database: Database, stop: Arc<AtomicBool>) -> Result<Vec<i64>> {
    let (mut committed, mut id) = (Vec::new(), 0);
    let mut session = None;
    while !stop.load(Ordering::Relaxed) {
        let connected = match session.take() {
            Some(connected) => connected,
            None => database.session().await?,
        };
        id += 1;
        // Ended, or read-only for a while: a row that was not committed is another one's turn.
        if connected.run(&format!("insert into item values ({id})")).await.is_ok() {
            committed.push(id);
            session = Some(connected);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(committed)
}
