//! `tributary tail`: the events of a topic, readably.

use std::process::ExitCode;
use std::time::Duration;

use connector::settings::{Environment, Settings};
use connector::spec::Spec;
use kafka::reader::{ConsumedRecord, StartAt, TopicReader};
use kafka::{Client, Isolation, KafkaError, Topic};
use serde_json::{Value, json};

use crate::args::{From, TailArguments};
use crate::error::CliError;
use crate::event::{Event, Memory, latency, time};
use crate::output::{Colour, Output};
use crate::readback::read_through;
use crate::signals::Signals;

/// How long one request waits for more.
const WAIT: Duration = Duration::from_millis(500);

pub(crate) async fn run(arguments: &TailArguments, output: Output) -> Result<ExitCode, CliError> {
    let environment = Environment::of_process();
    let mut spec = Spec::default();
    spec.set(&arguments.set);
    if let Some(store) = &arguments.store {
        spec.set_store(store);
    } else if environment.kafka_url.is_none() && !spec.config.contains_key("bootstrap.servers") {
        return Err(CliError::NoStore);
    }
    let client = Client::connect(Settings::resolve_store(&spec, &environment)?).await?;
    let Some(topic) = client.topic(&arguments.topic).await? else {
        return Err(KafkaError::TopicMissing { topic: arguments.topic.clone() }.into());
    };
    let from = arguments.from.unwrap_or(if arguments.follow { From::End } else { From::Beginning });
    let start = match from {
        From::Beginning => StartAt::Earliest,
        From::End => StartAt::Latest,
        From::Offset(offset) => StartAt::Offset(offset),
    };
    let mut signals = Signals::listen()?;
    let mut printed =
        Printed { count: 0, most: arguments.count, memory: Memory::default(), output };
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

/// Prints records until there are enough.
struct Printed {
    count: u64,
    most: Option<u64>,
    memory: Memory,
    output: Output,
}

impl Printed {
    /// Whether more are wanted after this one.
    fn take(&mut self, record: &ConsumedRecord) -> bool {
        if self.output.is_json() {
            self.output.json(&as_json(record));
        } else {
            let mut event = Event::read(record.key.as_deref(), record.value.as_deref());
            self.memory.complete(&mut event);
            self.output.line(&line(&event, latency_us(record, &event), self.output));
        }
        self.count += 1;
        self.most.is_none_or(|most| self.count < most)
    }
}

/// From commit in the source to the record's timestamp in Kafka. Rows of a snapshot were committed long before.
fn latency_us(record: &ConsumedRecord, event: &Event) -> Option<i64> {
    let committed_us = event.committed_us.filter(|_| event.operation != Some('r'))?;
    Some(record.timestamp_ms * 1000 + 999 - committed_us)
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

/// One record for programs: JSON where it is JSON, text where it is text.
fn as_json(record: &ConsumedRecord) -> Value {
    let decoded = |bytes: &[u8]| {
        serde_json::from_slice(bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(bytes).into_owned()))
    };
    let headers: Vec<Value> = record
        .headers
        .iter()
        .map(|(name, value)| {
            json!({"name": name, "value": value.as_deref().map(|value| String::from_utf8_lossy(value).into_owned())})
        })
        .collect();
    json!({
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp_ms,
        "key": record.key.as_deref().map(decoded),
        "value": record.value.as_deref().map(decoded),
        "headers": headers,
    })
}
