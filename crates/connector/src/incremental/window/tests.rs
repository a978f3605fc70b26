use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pgoutput::{Oid, RelationColumn};
use postgres::catalog::{ColumnDescription, TableKind, TypeDescription, TypeKind};
use proptest::prelude::*;

use super::*;

const TABLE: Oid = Oid(7);

fn described(identity: ReplicaIdentity, primary_key: Option<&str>) -> TableDescription {
    let column = |attnum: i16, name: &str| ColumnDescription {
        name: name.to_owned(),
        attnum,
        type_: TypeDescription {
            oid: Oid(25),
            schema: "pg_catalog".to_owned(),
            name: "text".to_owned(),
            kind: TypeKind::Base,
        },
        type_modifier: -1,
        not_null: false,
        default: None,
        generated: false,
        identity: false,
        written_by: Xid(1),
        default_written_by: None,
    };
    TableDescription {
        oid: TABLE,
        schema: "s".to_owned(),
        name: "t".to_owned(),
        replica_identity: identity,
        replica_identity_index_columns: None,
        primary_key: primary_key.map(|name| vec![name.to_owned()]),
        unique_key: None,
        columns: vec![column(1, "k"), column(2, "v")],
        kind: TableKind::Ordinary,
        is_partition_of: None,
        created_by: Xid(1),
        keys: Vec::new(),
    }
}

fn relation(columns: &[&str]) -> Arc<Relation> {
    let column = |name: &&str| RelationColumn {
        name: (*name).to_owned(),
        type_oid: Oid(25),
        type_modifier: -1,
        is_identity: *name == "k",
    };
    Arc::new(Relation {
        oid: TABLE,
        namespace: "s".to_owned(),
        name: "t".to_owned(),
        replica_identity: ReplicaIdentity::Default,
        columns: columns.iter().map(column).collect(),
    })
}

fn seen(next_xid: u64, in_progress: &[u64], read_at: u64) -> CatalogHorizon {
    CatalogHorizon {
        settled_before: None,
        next_xid,
        in_progress: in_progress.to_vec(),
        read_at: Lsn::new(read_at),
    }
}

fn window(table: &TableDescription, seen: CatalogHorizon, lines: &[&str]) -> Window {
    let lines = lines.iter().map(|line| Bytes::from(format!("{line}\n"))).collect();
    let columns = vec!["k".to_owned(), "v".to_owned()];
    Window::new(table, columns, seen, Order::Key(vec!["k".to_owned()]), lines)
}

fn changed(columns: &[&str], old: &[Option<&str>]) -> Note {
    let old = old.iter().map(|value| value.map(|text| Box::from(text.as_bytes()))).collect();
    Note::Changed { relation: relation(columns), old }
}

fn left(window: Window) -> Vec<String> {
    window.into_lines().map(|line| String::from_utf8_lossy(&line).trim_end().to_owned()).collect()
}

#[test]
fn a_change_the_snapshot_did_not_see_drops_its_row_and_no_other() {
    let table = described(ReplicaIdentity::Default, Some("k"));
    let mut window = window(&table, seen(100, &[98], 50), &["1\ta", "2\tb", "3\t\\N", "x\\ty\tc"]);
    let change = |key: &str| changed(&["k", "v"], &[Some(key), None]);
    assert_eq!(window.apply(Xid(99), &change("1")), Fit::Usable, "it is in the rows");
    assert_eq!(window.apply(Xid(98), &change("2")), Fit::Usable);
    assert_eq!(window.apply(Xid(100), &change("9")), Fit::Usable);
    assert_eq!(window.apply(Xid(101), &change("x\ty")), Fit::Usable);
    assert_eq!(left(window), ["1\ta", "3\t\\N"]);
}

#[test]
fn rows_that_look_alike_are_dropped_one_by_one() {
    let table = described(ReplicaIdentity::Full, None);
    let mut window = window(&table, seen(100, &[], 50), &["1\ta", "1\ta", "1\t\\N"]);
    window.apply(Xid(100), &changed(&["k", "v"], &[Some("1"), Some("a")]));
    window.apply(Xid(100), &changed(&["k", "v"], &[Some("1"), None]));
    assert_eq!(left(window), ["1\ta"]);
}

#[test]
fn an_emptied_table_has_no_rows_and_a_changed_one_other_rows() {
    let table = described(ReplicaIdentity::Default, Some("k"));
    let mut emptied = window(&table, seen(100, &[], 50), &["1\ta"]);
    assert_eq!(emptied.apply(Xid(99), &Note::Truncated), Fit::Usable);
    assert_eq!(emptied.apply(Xid(99), &Note::Described), Fit::Usable);
    assert_eq!(emptied.apply(Xid(100), &Note::Truncated), Fit::Usable);
    assert_eq!(left(emptied), [""; 0]);
    let mut other = window(&table, seen(100, &[], 50), &["1\ta"]);
    assert_eq!(other.apply(Xid(100), &Note::Described), Fit::Stale);
    let renamed = changed(&["id", "v"], &[Some("1"), None]);
    assert_eq!(other.apply(Xid(100), &renamed), Fit::Stale);
}

#[test]
fn the_next_chunk_begins_behind_the_last_row_that_was_read() {
    let table = described(ReplicaIdentity::Default, Some("k"));
    let window = window(&table, seen(100, &[], 50), &["1\ta", "x\\ty\tc"]);
    let (columns, values) = (vec!["k".to_owned()], vec!["x\ty".to_owned()]);
    assert_eq!(window.end().unwrap(), Some(Mark::Key { columns, values }));
    assert!(!window.is_due(Lsn::new(49)) && window.is_due(Lsn::new(50)));
}

/// One transaction of the log: what it leaves of some keys.
type Writes = BTreeMap<u8, Option<usize>>;

/// Keys and their values after the first transactions of the log.
fn fold(log: &[Writes], transactions: impl Iterator<Item = usize>) -> BTreeMap<u8, usize> {
    let mut rows = BTreeMap::new();
    for transaction in transactions {
        for (key, value) in &log[transaction] {
            match value {
                Some(value) => rows.insert(*key, *value),
                None => rows.remove(key),
            };
        }
    }
    rows
}

/// Transactions of the log that have ended and cannot be seen yet. Whoever writes a row of one of them waits until it can.
fn hidden(log: &[Writes], logged: usize, wanted: &[bool]) -> BTreeSet<usize> {
    let mut hidden = BTreeSet::new();
    let mut touched = BTreeSet::new();
    for transaction in (0..logged).rev() {
        let keys: BTreeSet<u8> = log[transaction].keys().copied().collect();
        let free = keys.is_disjoint(&touched);
        if free && wanted.get(transaction).copied().unwrap_or_default() {
            hidden.insert(transaction);
        }
        touched.extend(keys);
    }
    hidden
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// Transactions become visible in another order than they are in the log. Where the chunk goes out, whoever folds the
    /// stream and the chunk has each row as it is at that place of the stream.
    #[test]
    fn where_a_chunk_goes_out_stream_and_chunk_make_the_table(
        writes in prop::collection::vec(
            prop::collection::btree_map(0u8..6, any::<bool>(), 1..4), 1..12),
        wanted in prop::collection::vec(any::<bool>(), 12),
        (logged, asked) in (0usize..12, 0usize..12),
    ) {
        let log: Vec<Writes> = writes.iter().enumerate().map(|(transaction, keys)| {
            keys.iter().map(|(key, stays)| (*key, stays.then_some(transaction))).collect()
        }).collect();
        let logged = logged.min(log.len());
        let asked = asked.min(logged);
        let hidden = hidden(&log, logged, &wanted);
        // A transaction that was delivered before the chunk was asked for and is not seen: such a chunk is thrown away.
        let asked = hidden.first().map_or(asked, |first| asked.min(*first));
        let xid = |transaction: usize| Xid(1000 + u32::try_from(transaction).unwrap());
        let in_progress: Vec<u64> = hidden.iter().map(|&hidden| u64::from(xid(hidden).0)).collect();
        let seen = seen(u64::from(xid(logged).0), &in_progress, logged as u64);
        let rows = fold(&log, (0..logged).filter(|transaction| !hidden.contains(transaction)));
        let lines: Vec<String> = rows.iter().map(|(key, value)| format!("{key}\t{value}")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let table = described(ReplicaIdentity::Default, Some("k"));
        let mut window = window(&table, seen, &lines);
        // The stream goes on from where the chunk was asked for.
        let mut consumer: BTreeMap<u8, usize> = BTreeMap::new();
        let mut at = asked;
        while !window.is_due(Lsn::new(at as u64)) {
            for (key, value) in &log[at] {
                let text = key.to_string();
                let fit = window.apply(xid(at), &changed(&["k", "v"], &[Some(text.as_str()), None]));
                prop_assert_eq!(fit, Fit::Usable);
                match value {
                    Some(value) => consumer.insert(*key, *value),
                    None => consumer.remove(key),
                };
            }
            at += 1;
        }
        for line in left(window) {
            let (key, value) = line.split_once('\t').unwrap();
            consumer.insert(key.parse().unwrap(), value.parse().unwrap());
        }
        prop_assert_eq!(consumer, fold(&log, 0..at));
    }
}
