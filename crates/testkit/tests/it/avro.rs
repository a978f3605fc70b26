//! Records in Avro, on real servers: against Debezium with a converter of its own users, against our own JSON, and with a
//! registry that comes and goes.

use std::time::{Duration, Instant};

use embedded::{SchemaRegistry, Silent};
use regex::Regex;
use serde_json::{Value, json};
use testkit::avro::Schemas;
use testkit::connector::Connector;
use testkit::differential::{self, Changes, Converter, Plan, Step};
use testkit::event::Event;
use testkit::session::Session;
use testkit::stack::{Database, Stack};
use testkit::tail::{Tail, read_topic};
use testkit::wait::{DEADLINE, Seen, eventually};
use testkit::worker::ask;
use testkit::{Failure, Result};

const CONFLUENT: &str = "io.confluent.connect.avro.AvroConverter";

/// The same connector, with records in Avro.
fn in_avro(connector: Connector, registry_url: &str) -> Connector {
    let mut connector = connector;
    for side in ["key", "value"] {
        connector = connector
            .unset(&format!("{side}.converter.schemas.enable"))
            .set(&format!("{side}.converter"), CONFLUENT)
            .set(&format!("{side}.converter.schema.registry.url"), registry_url);
    }
    connector
}

/// A connector of its own name, prefix, slot and publication.
fn beside(database: &Database, name: &str) -> Result<Connector> {
    let connector = Connector::new(database.clone())?.named(name);
    let keys = ["topic.prefix", "slot.name", "publication.name"];
    Ok(keys.into_iter().fold(connector, |connector, key| connector.set(key, name)))
}

/// Waits until a topic has so many records, and gives them as JSON.
async fn records(
    database: &Database,
    topic: &str,
    count: usize,
    schemas: &Schemas,
) -> Result<Vec<Event>> {
    let what = format!("{count} records in {topic}");
    let found = eventually(&what, DEADLINE, async || {
        let events = read_topic(database.bootstrap(), topic).await?;
        let enough = events.len() >= count;
        let told = events.len().to_string();
        Ok(if enough { Seen::Yes(events) } else { Seen::NotYet(told) })
    });
    schemas.all_as_json(found.await?).await
}

/// Both schemas and every value are those that Debezium registers and writes with Apicurio's converter in Confluent's form.
/// Method: random changes of tables with a column of every type, and of the tables themselves, read by both from one log.
#[tokio::test]
async fn schemas_and_values_are_those_of_debezium() -> Result<()> {
    let stack = Stack::start(&[("fsync", "off")]).await?;
    let plan = Plan {
        seed: 11,
        transactions: 400,
        types: Regex::new("^.*$")?,
        except: Regex::new("^$")?,
        changes: Changes::All,
        settings: vec![
            ("field.name.adjustment.mode".to_owned(), "avro".to_owned()),
            ("provide.transaction.metadata".to_owned(), "true".to_owned()),
        ],
        converter: Converter::Avro,
    };
    let report = differential::run(&stack, &plan, &|_| {}).await?;
    assert!(report.is_clean(), "{report}");
    let records: u64 = report.tables.iter().map(|table| table.records).sum();
    assert!(records > 800, "only {records} records were compared: {report}");
    stack.stop().await
}

/// The same with what other settings make of values.
#[tokio::test]
async fn logical_types_of_connect_are_those_of_debezium() -> Result<()> {
    let stack = Stack::start(&[("fsync", "off")]).await?;
    let settings = [
        ("time.precision.mode", "connect"),
        ("decimal.handling.mode", "string"),
        ("hstore.handling.mode", "map"),
        ("interval.handling.mode", "string"),
        ("binary.handling.mode", "hex"),
        ("field.name.adjustment.mode", "avro"),
    ];
    let plan = Plan {
        seed: 12,
        transactions: 150,
        types: Regex::new("^.*$")?,
        except: Regex::new("^$")?,
        changes: Changes::All,
        settings: settings.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        converter: Converter::Avro,
    };
    let report = differential::run(&stack, &plan, &|_| {}).await?;
    assert!(report.is_clean(), "{report}");
    stack.stop().await
}

/// What cannot be the same in the events of two connectors of one log.
fn comparable(event: &Event) -> Value {
    let mut payload = event.payload();
    for path in ["ts_ms", "ts_us", "ts_ns"] {
        if let Some(found) = payload.get_mut(path) {
            *found = Value::Null;
        }
    }
    if let Some(found) = payload.pointer_mut("/source/name") {
        *found = Value::Null;
    }
    json!({"key": event.key_payload(), "value": payload})
}

/// Method: two connectors of one log, one in JSON and one in Avro, whose records are read back by the reference
/// implementation with the schema that the registry has for the id in each.
#[tokio::test]
async fn avro_says_of_every_type_what_json_says() -> Result<()> {
    let registry = SchemaRegistry::start(&Silent).await?;
    let schemas = Schemas::of(&registry.url());
    let database = Stack::shared()?.database("avro_types").await?;
    let session = database.session().await?;
    let script = differential::every_type(&session, 5, 120).await?;
    let more = |connector: Connector| {
        connector.set("provide.transaction.metadata", "true").set("skipped.operations", "none")
    };
    let json = more(database.connector()?);
    let avro = in_avro(more(beside(&database, "avro_types_too")?), &registry.url())
        .set("heartbeat.interval.ms", "200")
        .set("notification.enabled.channels", "sink")
        .set("notification.sink.topic.name", "avro_types_too.told");
    let mut json_process = json.start_streaming().await?;
    let mut avro_process = avro.start_streaming().await?;
    for step in script {
        let (Step::Transaction(sql) | Step::Ddl(sql)) = step;
        session.run(&sql).await?;
    }
    session.run("select pg_logical_emit_message(true, 'pre', 'content \"1\"')").await?;
    database.sync().await?;
    let mut compared = 0;
    for topic in ["public.every_default", "public.every_full", "message", "transaction"] {
        let json = read_topic(database.bootstrap(), &database.topic(topic)).await?;
        let topic = format!("avro_types_too.{topic}");
        let avro = records(&database, &topic, json.len(), &schemas).await?;
        for (json, avro) in json.iter().zip(&avro) {
            let (json, avro) = (comparable(json), comparable(avro));
            assert!(is_same(&json, &avro), "{topic}:\n{json}\n{avro}");
            compared += 1;
        }
    }
    assert!(compared > 300, "only {compared} records were compared");
    let beats = records(&database, "__debezium-heartbeat.avro_types_too", 1, &schemas).await?;
    assert_eq!(beats[0].key_payload(), json!({"serverName": "avro_types_too"}));
    assert!(beats[0].payload()["ts_ms"].as_i64() > Some(1_700_000_000_000));
    let told = records(&database, "avro_types_too.told", 2, &schemas).await?;
    let data = &told[0].payload()["additional_data"];
    assert_eq!(data["connector_name"], "avro_types_too", "{told:?}");
    json_process.terminate().await?;
    avro_process.terminate().await?;
    registry.stop().await;
    Ok(())
}

/// JSON has the digits of a float that tell it from its neighbours, Avro the float.
fn is_same(json: &Value, avro: &Value) -> bool {
    match (json, avro) {
        (Value::Number(json), Value::Number(avro)) if avro.is_f64() => {
            let shown = json.to_string().parse::<f32>().map(f64::from).ok();
            json.as_f64() == avro.as_f64() || shown == avro.as_f64()
        }
        (Value::Array(json), Value::Array(avro)) => {
            json.len() == avro.len()
                && json.iter().zip(avro).all(|(json, avro)| is_same(json, avro))
        }
        (Value::Object(json), Value::Object(avro)) => {
            let same = |(name, json): (&String, &Value)| {
                avro.get(name).is_some_and(|avro| is_same(json, avro))
            };
            json.len() == avro.len() && json.iter().all(same)
        }
        _ => json == avro,
    }
}

async fn ids(database: &Database, session: &Session, schemas: &Schemas) -> Result<Vec<i64>> {
    let count = session.text("select count(*) from item").await?.unwrap_or_default();
    let events = records(database, &database.topic("public.item"), count.parse()?, schemas).await?;
    Ok(events.iter().filter_map(|event| event.payload()["after"]["id"].as_i64()).collect())
}

/// A version of a table is a version of its schema, and a start makes no other.
#[tokio::test]
async fn a_new_column_is_one_new_version_and_a_restart_none() -> Result<()> {
    let registry = SchemaRegistry::start(&Silent).await?;
    let schemas = Schemas::of(&registry.url());
    let database = Stack::shared()?.database("avro_versions").await?;
    let session = database.with("create table item (id int primary key)").await?;
    session.run("insert into item values (1), (2)").await?;
    let connector = in_avro(database.connector()?, &registry.url());
    let subject = |side: &str| format!("{}-{side}", database.topic("public.item"));
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (3)").await?;
    assert_eq!(ids(&database, &session, &schemas).await?, [1, 2, 3]);
    assert_eq!(schemas.versions(&subject("value")).await?, [1]);
    session.run("alter table item add column note text").await?;
    for id in 4..8 {
        session.run(&format!("insert into item values ({id}, 'n')")).await?;
    }
    assert_eq!(ids(&database, &session, &schemas).await?, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(process.terminate().await?, 0);
    let before = schemas.subjects().await?;
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (8, 'n')").await?;
    let found = ids(&database, &session, &schemas).await?;
    assert_eq!(found, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(schemas.versions(&subject("value")).await?, [1, 2]);
    assert_eq!(schemas.versions(&subject("key")).await?, [1]);
    assert_eq!(schemas.subjects().await?, before);
    // Asked once for each schema of each start, not once for a record.
    let log = process.log();
    assert_eq!(log.matches(&format!("of subject `{}`", subject("value"))).count(), 1, "{log}");
    process.terminate().await?;
    registry.stop().await;
    Ok(())
}

/// A registry that is away costs time and nothing else.
#[tokio::test]
async fn a_registry_that_comes_back_finds_the_connector_waiting() -> Result<()> {
    let registry = SchemaRegistry::start(&Silent).await?;
    let (port, url) = (registry.port(), registry.url());
    registry.stop().await;
    let database = Stack::shared()?.database("avro_away").await?;
    let session = database.with("create table item (id int primary key)").await?;
    session.run("insert into item values (1)").await?;
    let connector = in_avro(database.connector()?, &url);
    let mut process = connector.start()?;
    process.log_with("[RG001]", DEADLINE).await?;
    session.run("insert into item values (2)").await?;
    let registry = SchemaRegistry::start_at(port, &Silent).await?;
    let schemas = Schemas::of(&url);
    connector.wait_until_streaming(&mut process).await?;
    session.run("insert into item values (3)").await?;
    assert_eq!(ids(&database, &session, &schemas).await?, [1, 2, 3]);
    // Away while it streams: the schema of a new table is what it has to wait for.
    registry.stop().await;
    session.run("create table other (id int primary key)").await?;
    session.run("insert into other values (1)").await?;
    session.run("insert into item values (4)").await?;
    let registry = SchemaRegistry::start_at(port, &Silent).await?;
    let topic = database.topic("public.other");
    // A registry in memory comes back empty and counts from one again: only what was written since can be read.
    let mut tail = Tail::open(database.bootstrap(), &topic)?;
    let event = tail.next(Instant::now() + Duration::from_mins(1)).await?;
    let event = event.ok_or_else(|| Failure::new(process.log_end()))?;
    let event = Schemas::of(&url).as_json(event).await?;
    assert_eq!(event.payload()["after"], json!({"id": 1}));
    assert_eq!(process.terminate().await?, 0);
    registry.stop().await;
    Ok(())
}

/// A change of a table that its readers could not read stops the connector, which says what to do.
#[tokio::test]
async fn a_schema_that_breaks_the_rule_of_its_subject_stops_the_connector() -> Result<()> {
    let registry = SchemaRegistry::start(&Silent).await?;
    let database = Stack::shared()?.database("avro_rule").await?;
    let session = database.with("create table item (id int primary key, n int)").await?;
    let connector = in_avro(database.connector()?, &registry.url());
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (1, 1)").await?;
    let schemas = Schemas::of(&registry.url());
    assert_eq!(ids(&database, &session, &schemas).await?, [1]);
    let subject = format!("{}-value", database.topic("public.item"));
    let rule = json!({"compatibility": "BACKWARD"});
    let answer = ask(&registry.url(), "PUT", &format!("/config/{subject}"), Some(rule)).await?;
    assert_eq!(answer.status, 200, "{answer:?}");
    session.run("alter table item alter column n type text").await?;
    session.run("insert into item values (2, 'two')").await?;
    assert_eq!(process.exit_code(DEADLINE).await?, 1, "{}", process.log_end());
    let log = process.log();
    assert!(log.contains("[RG003]") && log.contains(&subject), "{log}");
    assert_eq!(schemas.versions(&subject).await?, [1]);
    registry.stop().await;
    Ok(())
}

/// A name that Avro does not take is said with the setting that helps, and with it the connector runs.
#[tokio::test]
async fn a_name_that_avro_does_not_take_is_an_error_with_the_setting_for_it() -> Result<()> {
    let registry = SchemaRegistry::start(&Silent).await?;
    let schemas = Schemas::of(&registry.url());
    let database = Stack::shared()?.database("avro_names").await?;
    let session = database
        .with(r#"create table "no-name" (id int primary key, "a b" int); create table item (id int primary key)"#)
        .await?;
    session.run(r#"insert into "no-name" values (1, 2)"#).await?;
    let connector = in_avro(database.connector()?, &registry.url());
    let mut process = connector.start()?;
    assert_eq!(process.exit_code(DEADLINE).await?, 1, "{}", process.log_end());
    let log = process.log();
    assert!(log.contains("[EN014]") && log.contains("schema.name.adjustment.mode=avro"), "{log}");
    let connector = connector.set("schema.name.adjustment.mode", "avro");
    let mut process = connector.start()?;
    assert_eq!(process.exit_code(DEADLINE).await?, 1, "{}", process.log_end());
    assert!(process.log().contains("[EN015]"), "{}", process.log_end());
    let connector = connector.set("field.name.adjustment.mode", "avro");
    let mut process = connector.start_streaming().await?;
    let topic = database.topic("public.no-name");
    let events = records(&database, &topic, 1, &schemas).await?;
    assert_eq!(events[0].payload()["after"], json!({"id": 1, "a_b": 2}));
    process.terminate().await?;
    registry.stop().await;
    Ok(())
}
