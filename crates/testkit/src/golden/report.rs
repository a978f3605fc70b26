//! What came out of a group, shared out to its cases and compared.
//!
//! In: the records of the group's topics, and what went wrong on the way. Out: one [`CaseReport`] per case.

use std::collections::BTreeMap;

use super::CaseReport;
use super::compare::{Difference, compare_records};
use super::run::{MARKER_TABLE, TOPIC_PREFIX, Verdict, Verdicts};
use super::set::{Case, Group, RecordedRecord};
use crate::Result;
use crate::event::Event;
use crate::stack::Database;
use crate::tail::{read_topic, topics_with_prefix};

/// All records of the group's topics and of the topics its cases name, but for the marker's.
pub(super) async fn read_group(database: &Database, group: &Group) -> Result<Vec<Event>> {
    let bootstrap = database.bootstrap();
    let mut topics = topics_with_prefix(bootstrap, &format!("{TOPIC_PREFIX}.{}.", group.schema))?;
    let named = group.cases.iter().flat_map(|case| &case.records);
    topics.extend(named.map(|record| record.topic.clone()));
    topics.sort();
    topics.dedup();
    let mut events = Vec::new();
    for topic in topics.iter().filter(|topic| !topic.ends_with(MARKER_TABLE)) {
        events.extend(read_topic(bootstrap, topic).await?);
    }
    Ok(events)
}

/// Some topics are shared with other groups: their records were there before.
pub(super) fn is_among(event: &Event, earlier: &[Event]) -> bool {
    earlier.iter().any(|other| {
        (&event.topic, event.partition, event.offset)
            == (&other.topic, other.partition, other.offset)
    })
}

/// Attributes the records to the cases and compares them.
pub(super) fn report(group: &Group, found: &[Event], verdicts: &Verdicts) -> Vec<CaseReport> {
    let mut shares = shares(group, found);
    let reports = group.cases.iter().map(|case| {
        let share = shares.remove(case.id.as_str()).unwrap_or_default();
        let mut skipped = None;
        let differences = match verdicts.get(&case.id) {
            Some(Verdict::Broken { expected, actual }) => {
                vec![Difference::new("outcome", expected, actual)]
            }
            Some(Verdict::Skipped(reason)) => {
                skipped = Some(reason.clone());
                Vec::new()
            }
            Some(Verdict::Failed) => Vec::new(),
            None => compare_records(&case.records, &share),
        };
        CaseReport {
            name: format!("{}/{}", group.name, case.id),
            title: case.title.clone(),
            debezium_bug: case.debezium_bug.clone(),
            skipped,
            differences,
        }
    });
    let mut reports: Vec<CaseReport> = reports.collect();
    let strangers = compare_records(&[], &shares.remove("").unwrap_or_default());
    if !strangers.is_empty() {
        reports.push(CaseReport {
            name: format!("{}/*", group.name),
            title: "records that belong to no case".to_owned(),
            debezium_bug: None,
            skipped: None,
            differences: strangers,
        });
    }
    reports
}

/// Records by case. A topic belongs to the cases that name it; where several do, their records follow each other in the
/// order of the cases, and the last one gets what is left. Topics of a case's tables that it does not name belong to it
/// too; what belongs to no case is under the empty name.
fn shares<'a>(group: &'a Group, found: &[Event]) -> BTreeMap<&'a str, Vec<Event>> {
    let mut by_topic: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
    for event in found {
        by_topic.entry(&event.topic).or_default().push(event);
    }
    let mut shares: BTreeMap<&str, Vec<Event>> = BTreeMap::new();
    for (topic, events) in by_topic {
        let count = |case: &Case| {
            let named =
                case.records.iter().filter(|record: &&RecordedRecord| record.topic == topic);
            named.count()
        };
        let owners: Vec<&Case> = group.cases.iter().filter(|case| count(case) > 0).collect();
        let mut rest = events.into_iter().cloned();
        if let Some((last, others)) = owners.split_last() {
            for case in others {
                let share = rest.by_ref().take(count(case));
                shares.entry(&case.id).or_default().extend(share);
            }
            shares.entry(&last.id).or_default().extend(rest);
        } else {
            let table = topic.rsplit('.').next().unwrap_or(topic);
            let owner = group.cases.iter().find(|case| {
                table == case.id
                    || table.strip_prefix(&case.id).is_some_and(|rest| rest.starts_with('_'))
            });
            let name = owner.map_or("", |case| case.id.as_str());
            shares.entry(name).or_default().extend(rest);
        }
    }
    shares
}
