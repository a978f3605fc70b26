//! One table and its topic: the topic is folded, and the table held against it, as often as its keys are divided.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use envelope::{EncoderSettings, Scratch, SnapshotMarker, SourcePosition, TablePlan, copy_text};
use kafka::compacted::{self, VisitedRecord};
use kafka::{Client, Topic};
use pgoutput::{ReplicaIdentity, TupleValue};
use postgres::catalog::{self, TableDescription, TableSummary};
use postgres::snapshot::{CopyQuery, SnapshotReader};
use postgres::{Connection, Moment};
use tokio::sync::watch;

use super::event::{Columns, Event};
use super::order::{Order, Place};
use super::state::{Differences, Part, State, hash};
use super::{TableReport, VerifyProgress};
use crate::append::Row;
use crate::error::ConnectorError;
use crate::settings::{EVENT_ID_HEADER, Settings};
use crate::shape;
use crate::snapshot::{self, SnapshotTable};

/// Hashes of columns that are kept at a time: 128 MB and what a map adds.
const HASHES_MAX: u64 = 16 << 20;
/// Of a key.
const KEY_HASHES: u64 = 4;
/// Records between two words about how far it is.
const TELL_EVERY: u64 = 10_000;

/// What a table is held against, and with what.
pub(super) struct Subject<'a> {
    pub(super) settings: &'a Settings,
    pub(super) client: &'a Client,
    pub(super) control: &'a Connection,
    pub(super) moment: &'a Moment,
    pub(super) progress: &'a watch::Sender<VerifyProgress>,
}

/// One pass: what the topic tells, and what was found.
struct Pass<'a> {
    subject: &'a Subject<'a>,
    plan: &'a TablePlan,
    state: State,
    report: &'a mut TableReport,
    /// Counts and order are the same in every pass.
    is_first: bool,
}

impl Subject<'_> {
    pub(super) async fn verify(
        &self,
        summary: &TableSummary,
        table: String,
    ) -> Result<TableReport, ConnectorError> {
        let mut report = TableReport { table, ..TableReport::default() };
        let Some(description) = catalog::describe_table(self.control, summary.oid).await? else {
            report.not_compared = Some("it is gone".to_owned());
            return Ok(report);
        };
        let plan = self.plan(&description)?;
        report.topic = plan.topic().to_owned();
        let topic = self.client.topic(plan.topic()).await?.map(|found| found.topic);
        if let Some(reason) = obstacle(&plan, topic.as_ref(), self.settings) {
            report.not_compared = Some(reason);
            return Ok(report);
        }
        let columns: Vec<String> = compared(&plan);
        let wanted = SnapshotTable { summary: summary.clone(), select: None };
        let names: Vec<String> = plan.table().columns.iter().map(|c| c.name.clone()).collect();
        let queries =
            snapshot::queries(self.control, &wanted, &description, &names, self.settings).await?;
        let rows = summary.estimated_rows.unwrap_or_default();
        let hashes = rows.saturating_mul(columns.len() as u64 + KEY_HASHES);
        let of = hashes.div_ceil(HASHES_MAX).max(1).next_power_of_two();
        let placeholders = placeholders(&plan, &columns);
        let mut found = Differences::default();
        for number in 0..of {
            let part = Part { number, of };
            let state = State::new(columns.clone(), placeholders.clone(), part);
            let is_first = number == 0;
            let mut pass =
                Pass { subject: self, plan: &plan, state, report: &mut report, is_first };
            if let Some(topic) = &topic {
                pass.fold(topic).await?;
            }
            pass.compare(&queries, &mut found).await?;
            pass.state.finish(&mut found);
        }
        let Differences { missing, different, phantom, unknown_values, examples } = found;
        Ok(TableReport { missing, different, phantom, unknown_values, examples, ..report })
    }

    fn plan(&self, description: &TableDescription) -> Result<TablePlan, ConnectorError> {
        let read = shape::read_by_snapshot(description, self.settings);
        let table = shape::table_of(&read, self.settings);
        let encoder: EncoderSettings = self.settings.encoder.clone();
        Ok(TablePlan::compile(table, &Arc::new(encoder))?)
    }

    fn tell(&self, what: &str, done: u64, total: u64) {
        self.progress.send_replace(VerifyProgress { what: what.to_owned(), total, done });
    }
}

/// Why a topic cannot be folded.
fn obstacle(plan: &TablePlan, topic: Option<&Topic>, settings: &Settings) -> Option<String> {
    let partitions = topic.map_or(1, Topic::partition_count);
    if !settings.encoder.skipped_operations.truncate && partitions > 1 {
        return Some(format!(
            "its topic has {partitions} partitions and truncate events, whose place among the events of other partitions is not known"
        ));
    }
    let table = plan.table();
    if table.key.is_empty() && table.replica_identity != ReplicaIdentity::Full {
        return Some("it has no key, and its replica identity is not FULL: its updates and deletes do not say of which row".to_owned());
    }
    None
}

/// The columns that events have.
fn compared(plan: &TablePlan) -> Vec<String> {
    let columns = plan.table().columns.iter().filter(|column| column.captured);
    columns.map(|column| column.name.clone()).collect()
}

/// For each column the hash of what an event has for a value that the server did not send.
fn placeholders(plan: &TablePlan, columns: &[String]) -> Vec<u64> {
    let all = &plan.table().columns;
    let placeholder = |name: &String| {
        let mut row: Row<'_> = all.iter().map(|_| TupleValue::Null).collect();
        let index = all.iter().position(|column| &column.name == name)?;
        row[index] = TupleValue::UnchangedToast;
        let mut found = None;
        let take = &mut |record: envelope::Record<'_>| {
            let event = record.value.and_then(|value| Event::read(value).ok());
            let after = event.and_then(|event| event.after);
            found = after.and_then(|after| after.get(name.as_str()).map(|value| hash(value.get())));
        };
        plan.insert(&nowhere(), &row, take, &mut Scratch::default()).ok()?;
        found.filter(|found| *found != hash("null"))
    };
    columns.iter().map(|name| placeholder(name).unwrap_or_default()).collect()
}

fn nowhere() -> SourcePosition<'static> {
    SourcePosition { snapshot: SnapshotMarker::False, ..crate::append::no_change(0) }
}

impl Pass<'_> {
    /// Reads the topic.
    async fn fold(&mut self, topic: &Topic) -> Result<(), ConnectorError> {
        let client = self.subject.client;
        let mut ranges = Vec::new();
        let mut total = 0;
        for partition in topic.partitions() {
            let begin = compacted::earliest(client, &partition).await?;
            let end = compacted::stable_end(client, &partition).await?;
            total += u64::try_from(end - begin).unwrap_or_default();
            ranges.push((partition, begin..end));
        }
        let what = format!("reads {}", topic.name());
        let mut done = 0;
        for (partition, range) in ranges {
            let mut order = Order::default();
            let subject = self.subject;
            let visit = compacted::visit(client, &partition, range, |record| {
                self.record(&record, &mut order);
                done += 1;
                if done % TELL_EVERY == 0 {
                    subject.tell(&what, done, total);
                }
                ControlFlow::Continue(())
            });
            visit.await?;
            if self.is_first {
                self.report.repeated += order.repeated;
                self.report.out_of_order += order.late;
            }
        }
        Ok(())
    }

    fn record(&mut self, record: &VisitedRecord<'_>, order: &mut Order) {
        // A tombstone says what the delete before it has said.
        let Some(value) = record.value else { return };
        let Ok(event) = Event::read(value) else {
            self.report.unreadable += u64::from(self.is_first);
            return;
        };
        let table = self.plan.table();
        if event.source.schema != table.schema || event.source.table != table.name {
            return;
        }
        let is_read = event.op == "r";
        if !is_read && self.is_first {
            self.see_order(record, &event, order);
        }
        let xid = event.source.xid.and_then(|xid| u32::try_from(xid & 0xFFFF_FFFF).ok());
        let counts = is_read || xid.is_none_or(|xid| self.subject.moment.sees(xid));
        if !counts {
            return;
        }
        self.report.events += u64::from(self.is_first);
        let shortened: BTreeMap<String, u64> = record
            .header("tributary.shortened")
            .and_then(|json| serde_json::from_slice(json).ok())
            .unwrap_or_default();
        self.state.apply(record.key, &event, |column| shortened.contains_key(column));
    }

    fn see_order(&mut self, record: &VisitedRecord<'_>, event: &Event<'_>, order: &mut Order) {
        let id = record.header(EVENT_ID_HEADER).and_then(|id| std::str::from_utf8(id).ok());
        if let Some(place) = id.and_then(Place::of_id) {
            self.report.has_event_ids = true;
            order.push(place, true);
        } else if id.is_none()
            && let Some(place) = event.source.order()
        {
            order.push(Place::of_sequence(place), false);
        }
    }

    /// Reads the table, as of the moment.
    async fn compare(
        &mut self,
        queries: &[CopyQuery],
        found: &mut Differences,
    ) -> Result<(), ConnectorError> {
        let subject = self.subject;
        let source = &subject.settings.source;
        let mut reader = SnapshotReader::open(source, &subject.moment.exported).await?;
        let what = format!("reads {}", self.report.table);
        let (mut scratch, mut unescaped, mut rows) = (Scratch::default(), Vec::new(), 0);
        for query in queries {
            let mut copy = reader.copy(query).await?;
            while let Some(lines) = copy.next().await? {
                for line in lines.split_inclusive(|byte| *byte == b'\n') {
                    let line = line.strip_suffix(b"\n").unwrap_or(line);
                    let mut values = Row::new();
                    copy_text::split_line(line, &mut unescaped, &mut values)?;
                    let state = &mut self.state;
                    let take = &mut |record: envelope::Record<'_>| {
                        let event = record.value.and_then(|value| Event::read(value).ok());
                        let row: Columns<'_> =
                            event.and_then(|event| event.after).unwrap_or_default();
                        state.compare(record.key, &row, found);
                    };
                    self.plan.insert(&nowhere(), &values, take, &mut scratch)?;
                    rows += 1;
                }
                subject.tell(&what, rows, rows);
            }
            reader.end().await?;
        }
        if self.is_first {
            self.report.rows = rows;
        }
        Ok(())
    }
}
