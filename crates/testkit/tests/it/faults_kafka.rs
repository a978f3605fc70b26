//! What Kafka, and the network before it, can do to a connector: it recovers without loss or duplicate, or says what to do.
//! `docs/reference/faults.md` lists all.

use std::process::Command;
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use embedded::{KafkaOptions, Listener, ListenerSecurity, SaslMechanism, SaslUser};
use testkit::connector::{Connector, ConnectorProcess};
use testkit::faults::{ITEM, Trickle, expect_each_once, silence};
use testkit::kafka_tool::kafka_tool;
use testkit::proxy::{Catch, END_TXN, Fate, Fault, Frame, PRODUCE, ProxiedKafka, Proxy, Way};
use testkit::session::Session;
use testkit::stack::{Database, Stack};
use testkit::tail::Watermark;
use testkit::wait::{DEADLINE, Seen, eventually};
use testkit::{Failure, Result};

/// One or two for each test.
const PATHS: usize = 16;

/// The one broker of these tests: a path with a proxy for each, ACLs for the user `cdc`, and a short patience with transactions.
///
/// It lives on a runtime of its own, because each test's runtime ends with the test.
fn broker() -> Result<&'static ProxiedKafka> {
    static BROKER: OnceLock<std::result::Result<ProxiedKafka, String>> = OnceLock::new();
    let started = BROKER.get_or_init(|| {
        let (sender, receiver) = mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let started = match runtime {
                Ok(runtime) => runtime.block_on(ProxiedKafka::start(PATHS, options())),
                Err(error) => Err(error.into()),
            };
            let _ = sender.send(started.map_err(|failure| failure.to_string()));
        });
        receiver.recv().unwrap_or_else(|_| Err("its thread ended".to_owned()))
    });
    started.as_ref().map_err(|text| Failure::new(format!("start of Kafka: {text}")))
}

/// How the user of the broker logs in.
pub(crate) const JAAS: &str = "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"cdc\" password=\"secret\";";

fn options() -> KafkaOptions {
    login_options()
        .set("allow.everyone.if.no.acl.found", "true")
        .set("transaction.abort.timed.out.transaction.cleanup.interval.ms", "200")
}

/// A broker that asks for rules, and lets one user log in. Whoever does not log in may do everything.
pub(crate) fn login_options() -> KafkaOptions {
    let login = Listener {
        name: "LOGIN".to_owned(),
        security: ListenerSecurity::SaslPlaintext(vec![SaslMechanism::Plain]),
        settings: Vec::new(),
    };
    KafkaOptions {
        listeners: vec![login],
        users: vec![SaslUser { name: "cdc".to_owned(), password: "secret".to_owned() }],
        ..KafkaOptions::default()
    }
    .set("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer")
    .set("super.users", "User:ANONYMOUS")
}

/// A database with a table `item`, topics on the broker of these tests, and a connector that reaches it by this path.
async fn item_table(label: &str, path: &Proxy) -> Result<(Database, Session, Connector)> {
    let bootstrap = broker()?.kafka().bootstrap();
    let database = Stack::shared()?.database(label).await?.with_bootstrap(bootstrap);
    let session = database.with(ITEM).await?;
    let connector = database.connector()?.at_store(&path.address().to_string());
    Ok((database, session, connector))
}

/// How often the connector has begun anew.
fn beginnings(process: &ConnectorProcess) -> usize {
    process.log().matches("takes over again").count()
}

/// Waits until the connector has begun anew once more than `before`.
async fn noticed(process: &ConnectorProcess, before: usize) -> Result<()> {
    eventually("the connector notices", DEADLINE, async || {
        Ok(Seen::when(beginnings(process) > before, || process.log_end()))
    })
    .await
}

fn catch(api_key: i16, frame: Frame, fate: Fate) -> Fault {
    Fault::Catch(Catch { api_key, frame, fate })
}

/// Method: one connector under a small load; each kind of frame vanishes with its connection, before the broker has it and after it
/// has acted on it. Whether a commit took place, only the checkpoint can tell.
#[tokio::test]
async fn a_connection_cut_anywhere_in_a_commit_loses_and_doubles_nothing() -> Result<()> {
    let path = broker()?.path()?;
    let (database, _session, connector) = item_table("cutcommit", &path).await?;
    let mut process = connector.start_streaming().await?;
    let load = Trickle::start(&database);
    load.more(100).await?;
    for (api_key, frame, name) in [
        (PRODUCE, Frame::Request, "Produce lost before the broker has it"),
        (PRODUCE, Frame::Answer, "answer to Produce lost"),
        (END_TXN, Frame::Request, "EndTxn lost before the broker has it"),
        (END_TXN, Frame::Answer, "answer to EndTxn lost: the commit took place"),
    ] {
        let before = beginnings(&process);
        path.set(catch(api_key, frame, Fate::Lost));
        path.caught(DEADLINE).await?;
        noticed(&process, before).await?;
        silence(&database, name).await?;
    }
    expect_each_once(&database, load.stop().await?).await?;
    assert_eq!(process.terminate().await?, 0, "{}", process.log_end());
    Ok(())
}

/// The broker must not take the end of one transaction for the end of a later one (KAFKA-17754).
///
/// Method: a request to commit is held back until the connector has given up, taken over from itself and committed more; then it
/// arrives. Likewise an answer.
#[tokio::test]
async fn an_end_of_a_transaction_that_comes_late_changes_nothing() -> Result<()> {
    let path = broker()?.path()?;
    let (database, _session, connector) = item_table("late", &path).await?;
    let connector = connector.set("producer.override.request.timeout.ms", "1000");
    let mut process = connector.start_streaming().await?;
    let load = Trickle::start(&database);
    load.more(100).await?;
    for (frame, name) in [
        (Frame::Request, "EndTxn held back for longer than request.timeout.ms (1 s)"),
        (Frame::Answer, "answer to EndTxn held back for longer than request.timeout.ms (1 s)"),
    ] {
        let before = beginnings(&process);
        path.set(catch(END_TXN, frame, Fate::Held));
        path.caught(DEADLINE).await?;
        noticed(&process, before).await?;
        silence(&database, name).await?;
        path.release();
        if frame == Frame::Request {
            let code = path.answer_of_released(DEADLINE).await?;
            assert_ne!(code, 0, "the late EndTxn was taken");
        }
        load.more(100).await?;
        silence(&database, "a late EndTxn arrives").await?;
    }
    expect_each_once(&database, load.stop().await?).await?;
    assert_eq!(process.terminate().await?, 0, "{}", process.log_end());
    Ok(())
}

/// Method: the process is stopped with SIGSTOP inside a commit, a second copy takes over, and both the held request and the process
/// come back.
#[tokio::test]
async fn a_zombie_with_a_successor_writes_nothing_and_leaves() -> Result<()> {
    let path = broker()?.path()?;
    let (database, _session, connector) = item_table("zombie", &path).await?;
    let connector = connector.set("producer.override.transaction.timeout.ms", "2000");
    let mut zombie = connector.start_streaming().await?;
    let load = Trickle::start(&database);
    load.more(100).await?;
    path.set(catch(END_TXN, Frame::Request, Fate::Held));
    path.caught(DEADLINE).await?;
    zombie.signal("STOP").await?;

    let second_path = broker()?.path()?;
    let successor = database.connector()?.at_store(&second_path.address().to_string());
    let mut successor_process = successor.start_streaming().await?;
    silence(&database, "SIGSTOP inside a commit, a second copy: since it streams").await?;
    load.more(200).await?;
    path.release();
    let code = path.answer_of_released(DEADLINE).await?;
    assert_ne!(code, 0, "the EndTxn of a zombie was taken");
    zombie.signal("CONT").await?;
    assert_eq!(zombie.exit_code(DEADLINE).await?, 0, "{}", zombie.log());
    assert!(zombie.log().contains("another instance took over"), "{}", zombie.log());
    load.more(100).await?;
    successor_process.expect_running()?;
    expect_each_once(&database, load.stop().await?).await?;
    assert_eq!(successor_process.terminate().await?, 0, "{}", successor_process.log_end());
    Ok(())
}

/// A look for a successor waits for open transactions, and a busy successor always has one: who runs is decided by whose name stands in
/// the checkpoint once that transaction is ended.
///
/// Method: a stopped process whose connections are cut wakes while the transaction of its successor is held open.
#[tokio::test]
async fn a_zombie_that_wakes_inside_a_transaction_of_its_successor_leaves() -> Result<()> {
    let path = broker()?.path()?;
    let (database, _session, connector) = item_table("busy", &path).await?;
    let mut zombie = connector.start_streaming().await?;
    let load = Trickle::start(&database);
    load.more(100).await?;
    zombie.signal("STOP").await?;
    path.set(Fault::Cut);

    let second_path = broker()?.path()?;
    let successor = database.connector()?.at_store(&second_path.address().to_string());
    let mut successor_process = successor.start_streaming().await?;
    load.more(100).await?;
    second_path.set(catch(END_TXN, Frame::Request, Fate::Held));
    second_path.caught(DEADLINE).await?;
    zombie.signal("CONT").await?;
    assert_eq!(zombie.exit_code(DEADLINE).await?, 0, "{}", zombie.log());
    assert!(zombie.log().contains("another instance took over"), "{}", zombie.log());
    second_path.release();
    load.more(100).await?;
    silence(&database, "a zombie wakes inside a transaction of its successor").await?;
    successor_process.expect_running()?;
    expect_each_once(&database, load.stop().await?).await?;
    assert_eq!(successor_process.terminate().await?, 0, "{}", successor_process.log_end());
    Ok(())
}

/// Method: SIGSTOP inside a commit until the broker has aborted the transaction; nobody else is there.
#[tokio::test]
async fn a_process_stopped_for_longer_than_its_transaction_may_last_goes_on() -> Result<()> {
    let path = broker()?.path()?;
    let (database, _session, connector) = item_table("stopped", &path).await?;
    let connector = connector.set("producer.override.transaction.timeout.ms", "1000");
    let mut process = connector.start_streaming().await?;
    let load = Trickle::start(&database);
    load.more(100).await?;
    let before = beginnings(&process);
    path.set(catch(END_TXN, Frame::Request, Fate::Held));
    path.caught(DEADLINE).await?;
    process.signal("STOP").await?;
    // Readers come past an open transaction once it is over; only the broker can end it now.
    let watermark = Watermark::open(database.bootstrap(), &database.topic("public.item"))?;
    let open_at = watermark.committed_end()?;
    eventually("the broker aborts the transaction", DEADLINE, async || {
        let end = watermark.committed_end()?;
        Ok(Seen::when(end > open_at, || format!("committed up to {end}")))
    })
    .await?;
    path.release();
    let code = path.answer_of_released(DEADLINE).await?;
    assert_ne!(code, 0, "the transaction was not aborted by its timeout");
    process.signal("CONT").await?;
    noticed(&process, before).await?;
    silence(&database, "SIGSTOP for longer than transaction.timeout.ms: since SIGCONT").await?;
    process.expect_running()?;
    expect_each_once(&database, load.stop().await?).await?;
    assert_eq!(process.terminate().await?, 0, "{}", process.log_end());
    Ok(())
}

/// Whoever ends a hanging transaction by force, or a broker whose patience ended while the machine slept, fences a connector that
/// nobody has replaced: if it left, nobody would be there.
///
/// Method: a program of somebody else's takes the transactional id and is gone.
#[tokio::test]
async fn a_connector_that_is_fenced_and_has_no_successor_goes_on() -> Result<()> {
    let path = broker()?.path()?;
    let (database, _session, connector) = item_table("fenced", &path).await?;
    let mut process = connector.start_streaming().await?;
    let load = Trickle::start(&database);
    load.more(100).await?;
    let before = beginnings(&process);
    testkit::produce::fence(database.bootstrap(), &format!("tributary.{}", database.name()))?;
    noticed(&process, before).await?;
    silence(&database, "fenced by somebody who is no successor: since it takes over again").await?;
    process.expect_running()?;
    expect_each_once(&database, load.stop().await?).await?;
    assert_eq!(process.terminate().await?, 0, "{}", process.log_end());
    Ok(())
}

/// Method: a proxy, a small load, and one fault of the network after the other.
#[tokio::test]
async fn faults_of_the_network_before_kafka_heal_without_loss() -> Result<()> {
    let path = broker()?.path()?;
    let (database, _session, connector) = item_table("kafkanet", &path).await?;
    let connector = connector
        .set("producer.override.request.timeout.ms", "1500")
        .set("producer.override.socket.connection.setup.timeout.ms", "1500");
    let mut process = connector.start_streaming().await?;
    let load = Trickle::start(&database);
    load.more(100).await?;

    path.set(Fault::Cut);
    silence(&database, "Kafka's network: cut").await?;
    let before = beginnings(&process);
    path.set(Fault::Refuse);
    noticed(&process, before).await?;
    load.more(200).await?;
    path.set(Fault::Pass);
    silence(&database, "Kafka's network: refused, and open again").await?;
    for (silenced, name) in [
        (None, "both ways"),
        (Some(Way::ToClient), "towards us"),
        (Some(Way::ToServer), "away from us"),
    ] {
        let before = beginnings(&process);
        path.set(Fault::Silence(silenced));
        noticed(&process, before).await?;
        path.set(Fault::Pass);
        let fault = format!("Kafka's network: half-open {name}, and whole again");
        silence(&database, &fault).await?;
    }
    for way in [Way::ToServer, Way::ToClient] {
        let before = beginnings(&process);
        path.set(Fault::ResetAfter { bytes: 333, way });
        noticed(&process, before).await?;
        silence(&database, "Kafka's network: reset inside a frame").await?;
    }
    path.set(Fault::Throttle { bytes_per_second: 400_000 });
    load.more(200).await?;
    silence(&database, "Kafka's network: 400 kB/s").await?;
    path.set(Fault::Pass);
    expect_each_once(&database, load.stop().await?).await?;
    assert_eq!(process.terminate().await?, 0, "{}", process.log_end());
    Ok(())
}

/// Method: a stack of its own; three times SIGKILL for the broker under load, the last time for longer than a transaction may last.
#[tokio::test]
async fn a_broker_killed_in_the_middle_of_commits_gets_everything_once() -> Result<()> {
    let mut stack = Stack::start(&[]).await?;
    let database = stack.database("killed").await?;
    database.with(ITEM).await?;
    let connector = database.connector()?.set("producer.override.transaction.timeout.ms", "3000");
    let mut process = connector.start_streaming().await?;
    let load = Trickle::start(&database);
    for outage in [Duration::ZERO, Duration::ZERO, Duration::from_secs(8)] {
        load.more(200).await?;
        stack.kill_broker().await?;
        // What was committed just before is still on its way to PostgreSQL.
        let settle = outage.min(Duration::from_secs(2));
        tokio::time::sleep(settle).await;
        let acknowledged = acknowledged(&database).await?;
        tokio::time::sleep(outage.saturating_sub(settle)).await;
        if !outage.is_zero() {
            assert_eq!(
                acknowledged,
                self::acknowledged(&database).await?,
                "acknowledged meanwhile"
            );
        }
        stack.start_broker().await?;
        let seconds = outage.as_secs();
        let fault = format!("broker killed, started again after {seconds} s");
        silence(&database, &fault).await?;
        process.expect_running()?;
    }
    expect_each_once(&database, load.stop().await?).await?;
    assert_eq!(process.terminate().await?, 0, "{}", process.log_end());
    stack.stop().await
}

/// A broker that cannot write ends itself, as with a full disk: it has no other folder for its logs.
///
/// Method: no file of the broker may grow. The limit is the process's own, so the next one has room.
#[tokio::test]
async fn a_broker_that_cannot_write_any_more_gets_everything_once_when_it_can() -> Result<()> {
    let mut stack = Stack::start(&[]).await?;
    let database = stack.database("brokerfull").await?;
    database.with(ITEM).await?;
    let connector = database.connector()?.set("producer.override.transaction.timeout.ms", "3000");
    let mut process = connector.start_streaming().await?;
    let load = Trickle::start(&database);
    load.more(200).await?;
    let id = stack.kafka().pid(1).map(|id| id.to_string()).unwrap_or_default();
    let limit = Command::new("prlimit").args(["--pid", &id, "--fsize=1:"]).status()?;
    assert!(limit.success(), "prlimit: {limit}");
    eventually("the broker ends itself", DEADLINE, async || {
        let state = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // Until its parent looks, it is a zombie.
        let is_over = state.is_empty() || state.contains(") Z ");
        Ok(Seen::when(is_over, || state.clone()))
    })
    .await?;
    load.more(200).await?;
    process.expect_running()?;
    stack.kill_broker().await?;
    stack.start_broker().await?;
    silence(&database, "broker without room, started again with room").await?;
    expect_each_once(&database, load.stop().await?).await?;
    assert_eq!(process.terminate().await?, 0, "{}", process.log_end());
    stack.stop().await
}

/// What the slot of the connector has been told is safe.
async fn acknowledged(database: &Database) -> Result<Option<String>> {
    let slot = database.name();
    let query =
        format!("select confirmed_flush_lsn from pg_replication_slots where slot_name = '{slot}'");
    database.session().await?.text(&query).await
}

/// What was in it is gone with it, by whoever deleted it; what comes afterwards arrives.
#[tokio::test]
async fn a_deleted_topic_is_made_again_and_the_rest_arrives() -> Result<()> {
    let path = broker()?.path()?;
    let (database, session, connector) = item_table("deleted", &path).await?;
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (1)").await?;
    database.sync().await?;
    testkit::produce::delete_topic(database.bootstrap(), &database.topic("public.item")).await?;
    session.run("insert into item values (2)").await?;
    session.run("insert into item values (3)").await?;
    silence(&database, "topic deleted").await?;
    assert_eq!(testkit::event::story(&database.events("public.item").await?), "c(2) c(3)");
    process.expect_running()?;
    process.terminate().await?;
    Ok(())
}

/// Without its checkpoint nothing tells what was sent; to begin again from the slot would repeat some of it.
#[tokio::test]
async fn a_deleted_offsets_topic_is_said_and_nothing_goes_on_in_silence() -> Result<()> {
    let path = broker()?.path()?;
    let (database, session, connector) = item_table("nooffsets", &path).await?;
    let offsets = format!("{}-offsets", database.name());
    let connector = connector.set("tributary.offsets.topic", &offsets);
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (1)").await?;
    database.sync().await?;
    testkit::produce::delete_topic(database.bootstrap(), &offsets).await?;
    session.run("insert into item values (2)").await?;
    assert_eq!(process.exit_code(DEADLINE).await?, 1, "{}", process.log_end());
    let log = process.log();
    assert!(log.contains("CO011") && log.contains("no checkpoint"), "{log}");
    Ok(())
}

/// Method: the topic's own `max.message.bytes` is lowered under a running connector.
#[tokio::test]
async fn a_record_that_the_topic_refuses_ends_it_with_the_command_that_helps() -> Result<()> {
    let path = broker()?.path()?;
    let (database, session, connector) = item_table("toolarge", &path).await?;
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (1)").await?;
    database.sync().await?;
    let topic = database.topic("public.item");
    let configure = |bytes: &str| {
        let config = format!("max.message.bytes={bytes}");
        tool(
            "kafka.admin.ConfigCommand",
            &[
                "--alter",
                "--entity-type",
                "topics",
                "--entity-name",
                &topic,
                "--add-config",
                &config,
            ],
        )
    };
    configure("1000")?;
    session.run("insert into item select 2, string_agg(md5(i::text), '') from generate_series(1, 200) i").await?;
    assert_eq!(process.exit_code(DEADLINE).await?, 1, "{}", process.log_end());
    let log = process.log();
    assert!(
        log.contains("KA023") && log.contains(&topic) && log.contains("max.message.bytes="),
        "{log}"
    );
    configure("100000")?;
    let mut process = connector.start_streaming().await?;
    assert_eq!(testkit::event::story(&database.events("public.item").await?), "c(1) c(2)");
    process.terminate().await?;
    Ok(())
}

/// Method: a connector that logs in; a rule denies it one topic, and is taken back.
#[tokio::test]
async fn a_refused_permission_ends_it_with_the_command_that_grants_it() -> Result<()> {
    let path = broker()?.path()?;
    let (database, session, connector) = item_table("refused", &path).await?;
    drop(path);
    let address = broker()?.kafka().bootstrap_of("LOGIN").unwrap_or_default();
    let connector = connector
        .at_store(&address)
        .set("producer.override.security.protocol", "SASL_PLAINTEXT")
        .set("producer.override.sasl.mechanism", "PLAIN")
        .set("producer.override.sasl.jaas.config", JAAS);
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (1)").await?;
    database.sync().await?;
    let topic = database.topic("public.item");
    let rule = |verb: &str| {
        let mut arguments = vec![verb, "--deny-principal", "User:cdc", "--operation", "Write"];
        arguments.extend(["--topic", &topic]);
        if verb == "--remove" {
            arguments.push("--force");
        }
        tool("org.apache.kafka.tools.AclCommand", &arguments)
    };
    rule("--add")?;
    session.run("insert into item values (2)").await?;
    assert_eq!(process.exit_code(DEADLINE).await?, 1, "{}", process.log_end());
    let log = process.log();
    assert!(
        log.contains("KA024") && log.contains("kafka-acls.sh") && log.contains(&topic),
        "{log}"
    );
    assert!(!log.contains("secret"), "{log}");
    rule("--remove")?;
    let mut process = connector.start_streaming().await?;
    assert_eq!(testkit::event::story(&database.events("public.item").await?), "c(1) c(2)");
    process.terminate().await?;
    Ok(())
}

/// Runs one of Kafka's own tools against the broker.
fn tool(class: &str, arguments: &[&str]) -> Result<()> {
    kafka_tool(broker()?.kafka(), class, arguments)
}
