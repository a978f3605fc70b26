//! `tributary tail`: the events of a connector or of a topic, readably.
//!
//! In: records, from Kafka or as a worker tells them. Out: a line each. Never: a record that is not committed.

use std::process::ExitCode;
use std::time::Duration;

use ::worker::record_json;
use connector::settings::Environment;
use kafka::reader::{ConsumedRecord, StartAt, TopicReader};
use kafka::{Client, Isolation, KafkaError, Topic};
use serde_json::Value;

use crate::args::{From, TailArguments};
use crate::error::CliError;
use crate::event::{Event, Memory, latency, time};
use crate::managed;
use crate::output::{Colour, Output};
use crate::readback::read_through;
use crate::signals::Signals;
use crate::specify;

/// How long one request waits for more.
const WAIT: Duration = Duration::from_millis(500);

pub(crate) async fn run(arguments: &TailArguments, output: Output) -> Result<ExitCode, CliError> {
    let environment = Environment::of_process();
    if is_of_connector(arguments, &environment) {
        return managed::tail(arguments, output).await;
    }
    let (_, store) = specify::store(arguments.store.as_deref(), &arguments.set, &environment)?;
    let client = Client::connect(store).await?;
    let Some(topic) = client.topic(&arguments.of).await? else {
        return Err(KafkaError::TopicMissing { topic: arguments.of.clone() }.into());
    };
    let from = arguments.from.unwrap_or(if arguments.follow { From::End } else { From::Beginning });
    let start = match from {
        From::Beginning => StartAt::Earliest,
        From::End => StartAt::Latest,
        From::Offset(offset) => StartAt::Offset(offset),
    };
    let mut signals = Signals::listen()?;
    let mut printed = Printed::new(arguments.count, output);
    tokio::select! {
        done = read(&client, &topic.topic, start, arguments.follow, &mut printed) => done?,
        _ = signals.next() => {}
    }
    Ok(ExitCode::SUCCESS)
}

async fn read(
    client: &Client,
    topic: &Topic,
    start: StartAt,
    follow: bool,
    printed: &mut Printed,
) -> Result<(), KafkaError> {
    if !follow {
        return read_through(client, topic, start, |record| printed.take(&record)).await;
    }
    let mut reader =
        TopicReader::open(client, topic.name(), start, Isolation::ReadCommitted).await?;
    loop {
        for record in reader.poll(WAIT).await? {
            if !printed.take(&record) {
                return Ok(());
            }
        }
    }
}

/// Whether it is the name of a connector, and not that of a topic.
fn is_of_connector(arguments: &TailArguments, environment: &Environment) -> bool {
    let TailArguments { tables, url, store, set, from, .. } = arguments;
    let is_topic = store.is_some() || !set.is_empty() || from.is_some();
    !is_topic && (!tables.is_empty() || url.is_some() || environment.kafka_url.is_none())
}

/// Prints records until there are enough.
pub(crate) struct Printed {
    count: u64,
    most: Option<u64>,
    memory: Memory,
    output: Output,
}

/// A record as far as a line shows it.
pub(crate) struct Shown<'a> {
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) timestamp_ms: i64,
    /// The line begins with its table.
    pub(crate) with_table: bool,
}

impl Printed {
    pub(crate) fn new(most: Option<u64>, output: Output) -> Self {
        Self { count: 0, most, memory: Memory::default(), output }
    }

    /// Whether more are wanted after this one.
    fn take(&mut self, record: &ConsumedRecord) -> bool {
        let shown = Shown {
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            timestamp_ms: record.timestamp_ms,
            with_table: false,
        };
        self.print(&shown, || record_json(record))
    }

    /// The same, of a record that is known as JSON.
    pub(crate) fn print(&mut self, shown: &Shown<'_>, json: impl FnOnce() -> Value) -> bool {
        if self.output.is_json() {
            self.output.json(&json());
        } else {
            let mut event = Event::read(shown.key, shown.value);
            self.memory.complete(&mut event);
            let line = line(&event, latency_us(shown.timestamp_ms, &event), self.output);
            match event.table.as_deref().filter(|_| shown.with_table) {
                Some(table) => self.output.line(&format!("{table:<24}  {line}")),
                None => self.output.line(&line),
            }
        }
        self.count += 1;
        self.most.is_none_or(|most| self.count < most)
    }
}

/// From commit in the source to the record's timestamp in Kafka. Rows of a snapshot were committed long before.
fn latency_us(timestamp_ms: i64, event: &Event) -> Option<i64> {
    let committed_us = event.committed_us.filter(|_| event.operation != Some('r'))?;
    Some(timestamp_ms.saturating_mul(1000).saturating_add(999).saturating_sub(committed_us))
}

/// `13:05:59.123  update  id=42   status: "new" → "paid"   0/16E9058  3.2 ms`.
pub(crate) fn line(event: &Event, latency_us: Option<i64>, output: Output) -> String {
    let colour = match event.operation {
        Some('c' | 'r') => Colour::Green,
        Some('u') => Colour::Blue,
        Some('d' | 't') => Colour::Red,
        _ => Colour::Grey,
    };
    let operation = output.paint(colour, &format!("{:<9}", event.operation_name()));
    let mut line = format!("{}  {operation}  {}", time(event.committed_us), event.key_text());
    let fields = event.fields();
    if !fields.is_empty() {
        line.push_str("  ");
        line.push_str(&fields);
    }
    let mut rest: Vec<String> = event.position().into_iter().collect();
    rest.extend(latency_us.map(latency));
    if !rest.is_empty() {
        line.push_str("  ");
        line.push_str(&output.paint(Colour::Grey, &rest.join("  ")));
    }
    line
}
