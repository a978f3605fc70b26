//! What a change costs: how rate and memory follow the size of a change, the number of tables and partitions, the size of transactions, and
//! schemas in the records.
//!
//! In: dimensions. Out: for each of their points changes and bytes per second, processor time and peak memory of our process while it drains a
//! slot that was made before the rows were written. One dimension moves at a time; the others stay at the base.
//! Never: a figure of a point whose topics do not hold every row once, one of topics that are not there yet, or one of a new broker, which
//! compiles its code: the base is measured before all, and does not count.

mod point;
mod report;

use embedded::{SchemaRegistry, Silent};

use crate::Result;
use crate::backlog::{drain, make_slot, write_marker};
use crate::payload;
use crate::produce::{create_topics, delete_topic};
use crate::row_tally::expect_each_row_once;
use crate::stack::Stack;

pub use point::Dimension;
use point::{Point, Schemas, points};
pub use report::{Measure, Report};

/// What is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// These dimensions.
    pub only: Vec<Dimension>,
    /// Amounts are multiplied by this.
    pub scale: f64,
    /// How often each point is measured, in turns.
    pub runs: u32,
    /// Settings of our connector beside those of the benchmark.
    pub settings: Vec<(String, String)>,
}

/// Measures every point in turns, as often as the plan says.
pub async fn run(stack: &Stack, plan: &Plan, narrate: &dyn Fn(&str)) -> Result<Report> {
    let mut report = Report::new(plan);
    let registry = if plan.only.contains(&Dimension::Schemas) {
        Some(SchemaRegistry::start(&Silent).await?)
    } else {
        None
    };
    let place = Place { stack, registry: registry.as_ref() };
    let warm_up = measure(place, plan, &Point::base(plan.scale), 0).await?;
    narrate(&format!("the first, which does not count:\n{warm_up}"));
    for run in 1..=plan.runs {
        for dimension in &plan.only {
            for point in points(*dimension, plan.scale) {
                let measure = measure(place, plan, &point, run).await;
                let measure = measure.map_err(|failure| failure.during(&point.value))?;
                narrate(&measure.to_string());
                report.measures.push(measure);
            }
        }
    }
    Ok(report)
}

/// The servers of a run.
#[derive(Clone, Copy)]
struct Place<'a> {
    stack: &'a Stack,
    /// For values in Avro.
    registry: Option<&'a SchemaRegistry>,
}

async fn measure(place: Place<'_>, plan: &Plan, point: &Point, run: u32) -> Result<Measure> {
    let database = place.stack.database("cost").await?;
    let session = database.session().await?;
    payload::create(&session, point.rows.tables).await?;
    let mut connector = database
        .connector()?
        .set("snapshot.mode", "no_data")
        .set("topic.creation.default.partitions", &point.partitions.to_string());
    connector = match (point.schemas, place.registry) {
        (Schemas::Registry, Some(registry)) => connector
            .unset("value.converter.schemas.enable")
            .set("value.converter", "io.confluent.connect.avro.AvroConverter")
            .set("value.converter.schema.registry.url", &registry.url()),
        (schemas, _) => {
            let with_schemas = schemas == Schemas::With;
            connector.set("value.converter.schemas.enable", &with_schemas.to_string())
        }
    };
    for (key, value) in &plan.settings {
        connector = connector.set(key, value);
    }
    // What a topic costs that does not exist yet is another figure.
    let topic = |table| database.topic(&format!("public.t{table}"));
    let topics: Vec<String> = (0..point.rows.tables).map(topic).collect();
    create_topics(database.bootstrap(), &topics, point.partitions).await?;
    make_slot(&connector, &session).await?;
    point.rows.write(&session).await?;
    write_marker(&session).await?;
    session.run("checkpoint").await?;
    let drained = drain(&connector).await?;
    connector.wait_until_slot_free(&session).await?;
    session.drop_slot(connector.slot()).await?;
    expect_each_row_once(database.bootstrap(), &topics, point.rows.count).await?;
    // It may hold some hundred MB. A broker takes long over many, which are small.
    if let [topic] = &topics[..] {
        delete_topic(database.bootstrap(), topic).await?;
    }
    Ok(Measure::of(run, point, drained))
}
