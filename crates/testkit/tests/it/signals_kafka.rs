//! Signals from outside the source: a Kafka topic, a file, the command line.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::connector::{Connector, ConnectorProcess, binary, tributary};
use testkit::event::Event;
use testkit::produce;
use testkit::stack::{Database, Stack};
use testkit::tail::{Tail, read_topic};
use testkit::wait::{DEADLINE, Seen, eventually};
use testkit::{Result, event};

use crate::item::{folded, table};

/// Rows of table `item`.
const ROWS: usize = 3000;

/// A database with a table, and a connector that streams without an initial snapshot and heeds `channel`.
async fn database(label: &str, channel: &str) -> Result<(Database, Connector)> {
    let database = Stack::shared()?.database(label).await?;
    database
        .with(&format!(
            "create table item (id int primary key, n int, filler text);
             insert into item select i, i, repeat('x', 100) from generate_series(1, {ROWS}) i"
        ))
        .await?;
    let connector = database
        .connector()?
        .set("snapshot.mode", "no_data")
        .set("signal.enabled.channels", channel)
        .set("signal.poll.interval.ms", "50")
        .set("tributary.offsets.topic", &offsets_topic(&database))
        .set("tributary.offsets.topic.partitions", "1")
        .set("incremental.snapshot.chunk.size", "100")
        .set("notification.enabled.channels", "sink")
        .set("notification.sink.topic.name", &notices_topic(&database));
    Ok((database, connector))
}

/// A topic of the test's own: who dies in a commit leaves a transaction open, for which others with checkpoints in the same
/// partition would wait.
fn offsets_topic(database: &Database) -> String {
    format!("{}-offsets", database.name())
}

fn notices_topic(database: &Database) -> String {
    format!("{}.notices", database.name())
}

fn signal_topic(database: &Database) -> String {
    format!("{}-signal", database.name())
}

/// Writes a signal for the connector into its topic.
async fn signal(database: &Database, id: &str, kind: &str, data: &Value) -> Result<i64> {
    let value = json!({"id": id, "type": kind, "data": data}).to_string();
    let (bootstrap, topic) = (database.bootstrap(), signal_topic(database));
    produce::send(bootstrap, &topic, database.name(), &value).await
}

fn item() -> Value {
    json!({"data-collections": ["public.item"]})
}

/// Waits for a notification.
async fn told(database: &Database, id: &str, kind: &str) -> Result<()> {
    let mut tail = Tail::open(database.bootstrap(), &notices_topic(database))?;
    let is_it = |event: &Event| event.payload()["type"] == kind && event.payload()["id"] == id;
    tail.until(DEADLINE, is_it)
        .await
        .map(drop)
        .map_err(|failure| failure.during(format!("{kind} of `{id}`")))
}

/// How often the connector told this of a signal, as a reader of committed records sees it.
async fn count_told(database: &Database, id: &str, kind: &str) -> Result<usize> {
    let notices = read_topic(database.bootstrap(), &notices_topic(database)).await?;
    let is_it = |event: &&Event| event.payload()["type"] == kind && event.payload()["id"] == id;
    Ok(notices.iter().filter(is_it).count())
}

/// Rows of `item` that came as `r`.
async fn rows_read(database: &Database) -> Result<usize> {
    let events = database.events("public.item").await?;
    Ok(events.iter().filter(|event| event.operation() == "r").count())
}

/// The death of a round, after its signal was written: none, since it is down already; at once; when the signal is about to be heeded;
/// when rows of the snapshot are in Kafka.
async fn die_after_signal(
    database: &Database,
    process: &mut ConnectorProcess,
    round: usize,
) -> Result<()> {
    match round % 4 {
        0 => Ok(()),
        1 => process.kill().await,
        2 => {
            process.log_with("incremental snapshot of public.item", DEADLINE).await?;
            process.kill().await
        }
        _ => kill_while_it_reads(database, process, round * ROWS).await,
    }
}

/// SIGKILL once the connector has sent the first row that is read for the signal.
async fn kill_while_it_reads(
    database: &Database,
    process: &mut ConnectorProcess,
    read_before: usize,
) -> Result<()> {
    let mut read = 0;
    let is_first = |event: &Event| {
        read += usize::from(event.operation() == "r");
        read > read_before
    };
    database.tail("public.item")?.until(DEADLINE, is_first).await?;
    process.kill().await
}

#[tokio::test]
async fn signals_come_from_a_topic_that_is_made_later_and_others_keys_are_others() -> Result<()> {
    let (database, connector) = database("topic", "kafka").await?;
    let (bootstrap, topic) = (database.bootstrap(), signal_topic(&database));
    let mut process = connector.start_streaming().await?;
    process.log_with(&format!("topic `{topic}` does not exist yet"), DEADLINE).await?;
    produce::create_topic(bootstrap, &topic).await?;
    let other = json!({"id": "o1", "type": "execute-snapshot", "data": item()}).to_string();
    produce::send(bootstrap, &topic, "another", &other).await?;
    signal(&database, "s1", "execute-snapshot", &item()).await?;
    told(&database, "s1", "COMPLETED").await?;
    assert_eq!(rows_read(&database).await?, ROWS);
    assert_eq!(count_told(&database, "o1", "STARTED").await?, 0);
    for (value, text) in [
        ("{", "no JSON object"),
        (r#"{"id": "w1", "data": {}}"#, "`w1` of channel `kafka` is not heeded: it has no `type`"),
        (r#"{"id": "w2", "type": "make-coffee"}"#, "no signal type `make-coffee`"),
        (r#"{"type": "log", "data": {"message": "seen at {}!"}}"#, "seen at 0/"),
    ] {
        produce::send(bootstrap, &topic, database.name(), value).await?;
        process.log_with(text, DEADLINE).await?;
    }
    assert!(process.log().contains("[NT008]"), "{}", process.log_end());
    process.terminate().await?;
    let mut process = connector.start_streaming().await?;
    signal(&database, "s2", "log", &json!({"message": "second run"})).await?;
    process.log_with("second run", DEADLINE).await?;
    assert_eq!(rows_read(&database).await?, ROWS, "what is heeded stays heeded");
    assert!(!process.log().contains("make-coffee"), "{}", process.log_end());
    process.terminate().await?;
    Ok(())
}

/// Method: in each round a signal is written and the connector dies at another point: it is down already, it dies at once, it
/// dies when the signal is about to be heeded, it dies when rows of the snapshot are in Kafka.
#[tokio::test]
async fn a_signal_through_the_topic_is_heeded_once_whatever_dies() -> Result<()> {
    let (database, connector) = database("topic", "kafka").await?;
    produce::create_topic(database.bootstrap(), &signal_topic(&database)).await?;
    let mut process = connector.start_streaming().await?;
    for round in 0..8 {
        let id = format!("s{round}");
        if round % 4 == 0 {
            process.kill().await?;
        }
        signal(&database, &id, "execute-snapshot", &item()).await?;
        die_after_signal(&database, &mut process, round).await?;
        process = connector.start_streaming().await?;
        told(&database, &id, "COMPLETED").await?;
        assert_eq!(count_told(&database, &id, "STARTED").await?, 1, "round {round}");
        assert_eq!(rows_read(&database).await?, (round + 1) * ROWS, "round {round}");
    }
    process.terminate().await?;
    Ok(())
}

/// Method: every transaction changes every row, one follows the other, and the connector dies when the first snapshot is over.
#[tokio::test]
async fn signals_are_heeded_while_the_source_is_busy_and_the_topic_folds_to_the_table() -> Result<()>
{
    let (database, connector) = database("topic", "kafka").await?;
    produce::create_topic(database.bootstrap(), &signal_topic(&database)).await?;
    let mut process = connector.start_streaming().await?;
    let session = database.session().await?;
    let write = async {
        for _ in 0..30 {
            session.run("update item set n = n + 1").await?;
        }
        Result::Ok(())
    };
    let ask = async {
        signal(&database, "s1", "execute-snapshot", &item()).await?;
        told(&database, "s1", "COMPLETED").await?;
        signal(&database, "s2", "execute-snapshot", &item()).await?;
        process.kill().await?;
        process = connector.start()?;
        told(&database, "s2", "COMPLETED").await
    };
    let (written, asked) = tokio::join!(write, ask);
    written?;
    asked?;
    let events = database.events("public.item").await?;
    assert_eq!(folded(&events), table(&session).await?);
    let read = events.iter().filter(|event| event.operation() == "r").count();
    let updated = events.iter().filter(|event| event.operation() == "u").count();
    assert_eq!(updated, 30 * ROWS);
    assert!(read <= 2 * ROWS, "rows that the stream has passed are not read, but {read} were");
    assert_eq!(count_told(&database, "s2", "STARTED").await?, 1);
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_blocking_snapshot_is_asked_for_through_the_topic() -> Result<()> {
    let (database, connector) = database("topic", "source,kafka").await?;
    produce::create_topic(database.bootstrap(), &signal_topic(&database)).await?;
    let mut process = connector.start_streaming().await?;
    let data = json!({"type": "blocking", "data-collections": ["public.item"]});
    signal(&database, "b1", "execute-snapshot", &data).await?;
    process.log_with(&format!("snapshot of {ROWS} rows from 1 tables"), DEADLINE).await?;
    database.with("insert into item values (100000, 1, '')").await?;
    assert_eq!(rows_read(&database).await?, ROWS);
    let events = database.events("public.item").await?;
    assert_eq!(event::story(&events[ROWS..]), "c(100000)");
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn an_incremental_snapshot_rests_and_goes_on_at_the_topics_word() -> Result<()> {
    let (database, connector) = database("topic", "kafka").await?;
    let connector = connector.set("incremental.snapshot.chunk.size", "5");
    produce::create_topic(database.bootstrap(), &signal_topic(&database)).await?;
    // Both are there before the connector, so that little is read before the pause.
    signal(&database, "p1", "execute-snapshot", &item()).await?;
    signal(&database, "p2", "pause-snapshot", &json!({})).await?;
    let mut process = connector.start_streaming().await?;
    told(&database, "p2", "PAUSED").await?;
    let rested_at = rows_read(&database).await?;
    assert!(rested_at < ROWS, "{rested_at} rows were read before the pause");
    process.kill().await?;
    process = connector.start_streaming().await?;
    assert_eq!(rows_read(&database).await?, rested_at, "it rests across a restart");
    signal(&database, "p3", "resume-snapshot", &json!({})).await?;
    told(&database, "p1", "COMPLETED").await?;
    assert_eq!(rows_read(&database).await?, ROWS);
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_new_connector_begins_where_debeziums_consumer_stopped() -> Result<()> {
    let (database, connector) = database("topic", "kafka").await?;
    let (bootstrap, topic) = (database.bootstrap(), signal_topic(&database));
    produce::create_topic(bootstrap, &topic).await?;
    signal(&database, "g1", "log", &json!({"message": "heeded by another"})).await?;
    let left = signal(&database, "g2", "log", &json!({"message": "left for us"})).await?;
    produce::commit_offset(bootstrap, &format!("{topic}-group"), &topic, left)?;
    let connector = connector.set("signal.kafka.groupId", &format!("{topic}-group"));
    let mut process = connector.start_streaming().await?;
    process.log_with("left for us", DEADLINE).await?;
    assert!(!process.log().contains("heeded by another"), "{}", process.log_end());
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_new_connector_begins_at_the_end_if_it_is_told_to() -> Result<()> {
    let (database, connector) = database("topic", "kafka").await?;
    let topic = signal_topic(&database);
    produce::create_topic(database.bootstrap(), &topic).await?;
    signal(&database, "e1", "log", &json!({"message": "before its time"})).await?;
    let connector = connector
        .set("signal.consumer.auto.offset.reset", "latest")
        .set("signal.kafka.groupId", &format!("{topic}-group"));
    let mut process = connector.start_streaming().await?;
    process.log_with(&format!("from topic `{topic}`, from offset 1 on"), DEADLINE).await?;
    signal(&database, "e2", "log", &json!({"message": "in its time"})).await?;
    process.log_with("in its time", DEADLINE).await?;
    assert!(!process.log().contains("before its time"), "{}", process.log_end());
    process.terminate().await?;
    Ok(())
}

/// Method: the topic is deleted and made anew, with fewer records than were read, while the connector runs and while it does not.
#[tokio::test]
async fn a_topic_that_is_made_anew_is_read_from_its_beginning() -> Result<()> {
    let (database, connector) = database("topic", "kafka").await?;
    let (bootstrap, topic) = (database.bootstrap(), signal_topic(&database));
    produce::create_topic(bootstrap, &topic).await?;
    for id in ["a1", "a2", "a3"] {
        signal(&database, id, "log", &json!({"message": format!("first topic, {id}")})).await?;
    }
    let mut process = connector.start_streaming().await?;
    process.log_with("first topic, a3", DEADLINE).await?;
    produce::delete_topic(bootstrap, &topic).await?;
    process.log_with(&format!("topic `{topic}` does not exist yet"), DEADLINE).await?;
    produce::create_topic(bootstrap, &topic).await?;
    signal(&database, "b1", "log", &json!({"message": "second topic"})).await?;
    process.log_with("second topic", DEADLINE).await?;
    database.sync().await?;
    process.kill().await?;
    produce::delete_topic(bootstrap, &topic).await?;
    let again = eventually("the topic is made again", DEADLINE, async || {
        let made = produce::create_topic(bootstrap, &topic).await;
        let sent = signal(&database, "c1", "log", &json!({"message": "third topic"})).await;
        Ok(Seen::when(made.is_ok() && sent.is_ok(), || format!("{made:?} {sent:?}")))
    });
    again.await?;
    let mut process = connector.start_streaming().await?;
    process.log_with("is another topic than the one", DEADLINE).await?;
    process.log_with("third topic", DEADLINE).await?;
    let log = process.log();
    assert!(!log.contains("first topic") && !log.contains("second topic"), "{log}");
    process.terminate().await?;
    Ok(())
}

/// A file of signals in a folder of its own.
struct SignalFile {
    folder: TempDir,
}

impl SignalFile {
    fn path(&self) -> PathBuf {
        self.folder.path().join("signals.txt")
    }

    /// Appends a line as `echo >>` does.
    fn append(&self, line: &str) -> Result<()> {
        use std::io::Write;
        let mut file = fs::OpenOptions::new().create(true).append(true).open(self.path())?;
        file.write_all(format!("{line}\n").as_bytes())?;
        Ok(())
    }

    /// Names in the folder with their sizes.
    fn files(&self) -> Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(self.folder.path())? {
            let entry = entry?;
            files.push((entry.file_name().to_string_lossy().into_owned(), entry.metadata()?.len()));
        }
        files.sort();
        Ok(files)
    }

    /// Waits until everything is heeded and nothing is left of it.
    async fn emptied(&self) -> Result<()> {
        eventually("the file is empty", DEADLINE, async || {
            let files = self.files()?;
            let empty = files == [("signals.txt".to_owned(), 0)];
            Ok(Seen::when(empty, || format!("{files:?}")))
        })
        .await
    }
}

fn with_file(connector: Connector) -> Result<(Connector, SignalFile)> {
    let file = SignalFile { folder: tempfile::tempdir()? };
    let connector = connector.set("signal.file", &file.path().to_string_lossy());
    Ok((connector, file))
}

fn line(id: &str, kind: &str, data: &Value) -> String {
    json!({"id": id, "type": kind, "data": data}).to_string()
}

#[tokio::test]
async fn signals_come_from_a_file_which_is_left_empty() -> Result<()> {
    let (database, connector) = database("file", "file").await?;
    let (connector, file) = with_file(connector)?;
    // As a run leaves it that died between taking the file and leaving an empty one.
    let left_over = line("f0", "log", &json!({"message": "taken before"}));
    fs::write(file.folder.path().join("signals.txt.taken-0"), left_over)?;
    let mut process = connector.start_streaming().await?;
    process.log_with("taken before", DEADLINE).await?;
    file.emptied().await?;
    file.append("")?;
    file.append("{\"id\": \"w1\",")?;
    file.append(&line("f1", "execute-snapshot", &item()))?;
    told(&database, "f1", "COMPLETED").await?;
    process.log_with("of channel `file` is not heeded: it is no JSON object", DEADLINE).await?;
    file.emptied().await?;
    assert_eq!(rows_read(&database).await?, ROWS);
    // The last line has no end.
    fs::write(file.path(), line("f2", "log", &json!({"message": "no end"})))?;
    process.log_with("no end", DEADLINE).await?;
    file.emptied().await?;
    process.terminate().await?;
    Ok(())
}

/// Method: as for the topic. The same line is written again and again: it counts each time.
#[tokio::test]
async fn a_signal_in_the_file_is_heeded_once_whatever_dies() -> Result<()> {
    let (database, connector) = database("file", "file").await?;
    let (connector, file) = with_file(connector)?;
    let mut process = connector.start_streaming().await?;
    for round in 0..8 {
        if round % 4 == 0 {
            process.kill().await?;
        }
        file.append(&line("f", "execute-snapshot", &item()))?;
        die_after_signal(&database, &mut process, round).await?;
        process = connector.start_streaming().await?;
        let over = eventually("the snapshot is over", DEADLINE, async || {
            let count = count_told(&database, "f", "COMPLETED").await?;
            Ok(Seen::when(count > round, || format!("{count}: {}", process.log_end())))
        });
        over.await?;
        assert_eq!(count_told(&database, "f", "STARTED").await?, round + 1);
        assert_eq!(rows_read(&database).await?, (round + 1) * ROWS, "round {round}");
        file.emptied().await?;
    }
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_file_that_cannot_be_taken_is_told_and_the_stream_goes_on() -> Result<()> {
    let (database, connector) = database("file", "file").await?;
    let (connector, file) = with_file(connector)?;
    // Its folder is a file.
    let nowhere = file.folder.path().join("a-file");
    fs::write(&nowhere, "")?;
    let connector = connector.set("signal.file", &nowhere.join("signals.txt").to_string_lossy());
    let mut process = connector.start_streaming().await?;
    process.log_with("[NT009]", DEADLINE).await?;
    database.with("insert into item values (100000, 1, '')").await?;
    assert_eq!(event::story(&database.events("public.item").await?), "c(100000)");
    process.terminate().await?;
    Ok(())
}

/// A connector made by flags, whose snapshots are asked for by the command line.
struct ByFlags {
    database: Database,
    folder: TempDir,
    common: Vec<String>,
}

impl ByFlags {
    fn new(database: &Database) -> Result<Self> {
        let name = database.name();
        let common = [
            "--source".to_owned(),
            database.url(),
            "--store".to_owned(),
            format!("kafka://{}", database.bootstrap()),
            "--name".to_owned(),
            name.to_owned(),
            "--set".to_owned(),
            "notification.enabled.channels=sink".to_owned(),
            "--set".to_owned(),
            format!("notification.sink.topic.name={}", notices_topic(database)),
            "--set".to_owned(),
            "signal.poll.interval.ms=50".to_owned(),
            "--set".to_owned(),
            format!("tributary.offsets.topic={}", offsets_topic(database)),
        ];
        let folder = tempfile::tempdir()?;
        Ok(Self { database: database.clone(), folder, common: common.into() })
    }

    fn run(&self, binary: &Path) -> Result<ConnectorProcess> {
        let marker = format!("public.{}", testkit::stack::MARKER_TABLE);
        let mut arguments = vec!["run", "--table", "public.item", "--table", &marker];
        arguments.extend(self.common.iter().map(String::as_str));
        ConnectorProcess::start(binary, &arguments, self.folder.path())
    }

    /// Runs `tributary snapshot` to its end; what it printed.
    async fn snapshot(&self, wanted: &[&str]) -> Result<Vec<Value>> {
        let mut arguments = vec!["snapshot", "--output", "json"];
        arguments.extend(self.common.iter().map(String::as_str));
        arguments.extend(wanted);
        let finished = tributary(&arguments, DEADLINE).await?;
        assert_eq!(finished.exit_code, 0, "{}", finished.stderr);
        let lines = finished.stdout.lines();
        Ok(lines.map(serde_json::from_str).collect::<std::result::Result<_, _>>()?)
    }

    async fn rows_read(&self) -> Result<usize> {
        rows_read(&self.database).await
    }
}

#[tokio::test]
async fn a_snapshot_is_asked_for_on_the_command_line_and_waited_for() -> Result<()> {
    let (database, _) = database("cli", "kafka").await?;
    let by_flags = ByFlags::new(&database)?;
    let mut process = by_flags.run(&binary()?)?;
    process.log_with("streams from", DEADLINE).await?;
    assert_eq!(by_flags.rows_read().await?, ROWS, "the initial snapshot");
    let told = by_flags.snapshot(&["--table", "item", "--wait", "--id", "c1"]).await?;
    assert_eq!((&told[0]["id"], &told[0]["type"]), (&json!("c1"), &json!("execute-snapshot")));
    assert_eq!(told[0]["topic"], signal_topic(&database));
    assert_eq!(told[1], json!({"id": "c1", "outcome": "completed", "rows": ROWS}));
    assert_eq!(by_flags.rows_read().await?, 2 * ROWS);
    let some = ["--table", "public.item", "--where", "n % 3 = 0", "--wait", "--surrogate-key", "n"];
    let told = by_flags.snapshot(&some).await?;
    assert_eq!(told[1]["rows"], ROWS / 3);
    let some = ["--table", "public.item", "--where", "n % 2 = 0", "--wait", "--blocking"];
    let told = by_flags.snapshot(&some).await?;
    assert_eq!(told[1]["rows"], ROWS / 2);
    assert_eq!(by_flags.rows_read().await?, 2 * ROWS + ROWS / 3 + ROWS / 2);
    for (flag, text) in [
        ("--pause", "`pause-snapshot`: there is no incremental snapshot"),
        ("--resume", "`resume-snapshot`: there is no incremental snapshot"),
        ("--stop", "`stop-snapshot`: there is no incremental snapshot"),
    ] {
        by_flags.snapshot(&[flag]).await?;
        process.log_with(text, DEADLINE).await?;
    }
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn who_waits_for_a_snapshot_of_no_table_is_told_that_it_is_not_over() -> Result<()> {
    let (database, _) = database("cli", "kafka").await?;
    let by_flags = ByFlags::new(&database)?;
    let mut process = by_flags.run(&binary()?)?;
    process.log_with("streams from", DEADLINE).await?;
    let mut arguments = vec!["snapshot", "--table", "no.such", "--wait", "--wait-max", "1s"];
    arguments.extend(by_flags.common.iter().map(String::as_str));
    let finished = tributary(&arguments, DEADLINE).await?;
    assert_eq!(finished.exit_code, 3, "{}", finished.stderr);
    assert!(finished.stderr.contains("[CL014]"), "{}", finished.stderr);
    assert!(finished.stderr.contains("only the connector knows"), "{}", finished.stderr);
    process.log_with("no captured table matches", DEADLINE).await?;
    let mut arguments =
        vec!["snapshot", "--table", "item", "--where", "nonsense", "--wait", "--id", "n1"];
    arguments.extend(by_flags.common.iter().map(String::as_str));
    let finished = tributary(&arguments, DEADLINE).await?;
    assert_eq!(finished.exit_code, 1, "{}", finished.stderr);
    assert!(finished.stderr.contains("[CL015]"), "{}", finished.stderr);
    process.terminate().await?;
    Ok(())
}
