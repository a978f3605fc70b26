use pgoutput::Lsn;
use postgres::catalog::{CatalogHorizon, TableKind};

use super::*;
use crate::history::order::Point;

/// The transaction that is being decoded.
const HERE: u32 = 150;
const PAST: Xid = Xid(140);
const OWN: Xid = Xid(HERE);
const FUTURE: Xid = Xid(160);

fn int4() -> TypeDescription {
    let (schema, name) = ("pg_catalog".to_owned(), "int4".to_owned());
    TypeDescription { oid: Oid(23), schema, name, kind: TypeKind::Base }
}

fn column(attnum: i16, name: &str, written_by: Xid) -> ColumnDescription {
    ColumnDescription {
        name: name.to_owned(),
        attnum,
        type_: int4(),
        type_modifier: -1,
        not_null: true,
        default: None,
        generated: false,
        identity: false,
        written_by,
        default_written_by: None,
    }
}

fn key(index: u32, is_primary: bool, columns: &[i16], written_by: Xid) -> KeyDescription {
    KeyDescription {
        index: Oid(index),
        is_primary,
        is_immediate: true,
        columns: columns.to_vec(),
        written_by: vec![written_by],
    }
}

fn table(columns: Vec<ColumnDescription>, keys: Vec<KeyDescription>) -> TableDescription {
    TableDescription {
        oid: Oid(1),
        schema: "s".to_owned(),
        name: "t".to_owned(),
        replica_identity: ReplicaIdentity::Full,
        replica_identity_index_columns: None,
        primary_key: None,
        unique_key: None,
        columns,
        kind: TableKind::Ordinary,
        is_partition_of: None,
        created_by: Xid(100),
        keys,
    }
}

/// Columns `a` and `b` of an old table.
fn old_columns() -> Vec<ColumnDescription> {
    vec![column(1, "a", PAST), column(2, "b", PAST)]
}

fn relation(identity: ReplicaIdentity, columns: &[(&str, bool)]) -> Relation {
    let column = |&(name, is_identity): &(&str, bool)| RelationColumn {
        name: name.to_owned(),
        type_oid: Oid(23),
        type_modifier: -1,
        is_identity,
    };
    Relation {
        oid: Oid(1),
        namespace: "s".to_owned(),
        name: "t".to_owned(),
        replica_identity: identity,
        columns: columns.iter().map(column).collect(),
    }
}

fn full(columns: &[&str]) -> Relation {
    let columns: Vec<(&str, bool)> = columns.iter().map(|name| (*name, true)).collect();
    relation(ReplicaIdentity::Full, &columns)
}

struct Case {
    relation: Relation,
    now: Option<TableDescription>,
    then: Option<Version>,
    described_anew: bool,
    own: Option<bool>,
}

impl Case {
    fn resolve(&self) -> Option<(Version, Certainty)> {
        let horizon = CatalogHorizon {
            settled_before: Some(120),
            next_xid: 200,
            in_progress: Vec::new(),
            read_at: Lsn::new(9),
        };
        let point = Point { xid: Xid(HERE), commit_lsn: Lsn::new(5) };
        let created_by = self.now.as_ref().map(|now| now.created_by);
        let evidence = Evidence {
            relation: &self.relation,
            now: self.now.as_ref(),
            then: self.then.as_ref(),
            order: &Order { horizon: &horizon, point, created_by, settled: &[] },
            described_anew: self.described_anew,
            types: &HashMap::new(),
        };
        resolve(&evidence, self.own)
    }

    /// Names of the key's columns.
    fn key(&self) -> Vec<String> {
        let (version, _) = self.resolve().expect("nothing is in doubt");
        version.key.columns.iter().map(|&index| version.columns[index].name.clone()).collect()
    }
}

/// Both columns are old, the key was `a`, and is now of `index` 11 over `attnum`.
fn swapped(attnum: i16, written_by: Xid) -> Case {
    let then = table(old_columns(), vec![key(10, true, &[1], PAST)]);
    Case {
        relation: full(&["a", "b"]),
        now: Some(table(old_columns(), vec![key(11, true, &[attnum], written_by)])),
        then: Some(Version::of(&then)),
        described_anew: false,
        own: None,
    }
}

#[test]
fn a_key_from_before_this_point_is_the_key() {
    assert_eq!(swapped(2, PAST).key(), ["b"]);
}

#[test]
fn a_key_from_after_this_point_is_not() {
    let case = swapped(2, FUTURE);
    assert_eq!(case.key(), ["a"]);
    assert_eq!(case.resolve().unwrap().1, Certainty::UntilRead);
}

#[test]
fn a_table_nobody_knew_has_no_key_that_came_later() {
    assert_eq!(Case { then: None, ..swapped(2, FUTURE) }.key(), Vec::<String>::new());
}

#[test]
fn a_key_of_the_transaction_itself_is_in_doubt() {
    let case = swapped(2, OWN);
    assert_eq!(case.resolve(), None);
    assert_eq!(Case { own: Some(false), ..swapped(2, OWN) }.key(), ["a"]);
    let after = Case { own: Some(true), ..swapped(2, OWN) };
    assert_eq!(after.key(), ["b"]);
    assert_eq!(after.resolve().unwrap().1, Certainty::UntilEnd);
}

#[test]
fn columns_that_the_transaction_added_end_the_doubt() {
    let columns = vec![column(1, "a", PAST), column(2, "b", PAST), column(3, "c", OWN)];
    let now = Some(table(columns, vec![key(11, true, &[3], OWN)]));
    let after = Case { relation: full(&["a", "b", "c"]), now: now.clone(), ..swapped(2, OWN) };
    assert_eq!(after.key(), ["c"]);
    assert_eq!(Case { now, ..swapped(2, OWN) }.key(), ["a"]);
}

#[test]
fn a_key_that_is_gone_was_there_until_the_stream_says_that_something_changed() {
    let gone = || Case { now: Some(table(old_columns(), Vec::new())), ..swapped(1, PAST) };
    assert_eq!(gone().key(), ["a"]);
    assert_eq!(Case { described_anew: true, ..gone() }.resolve(), None);
    let after = Case { described_anew: true, own: Some(true), ..gone() };
    assert_eq!(after.key(), Vec::<String>::new());
}

#[test]
fn a_key_column_has_the_name_it_had() {
    let columns = vec![column(1, "z", FUTURE), column(2, "b", PAST)];
    let now = Some(table(columns, vec![key(10, true, &[1], PAST)]));
    let case = Case { now, ..swapped(1, PAST) };
    assert_eq!(case.key(), ["a"]);
    assert_eq!(Case { then: None, ..case }.key(), ["a"], "by its place, without a history");
}

#[test]
fn a_unique_index_is_the_key_until_there_is_a_primary_one() {
    let keys = vec![key(11, true, &[2], FUTURE), key(12, false, &[1], PAST)];
    let now = Some(table(old_columns(), keys));
    assert_eq!(Case { now, then: None, ..swapped(1, PAST) }.key(), ["a"]);
}

#[test]
fn under_default_the_stream_tells_the_columns_and_an_index_their_order() {
    let told = relation(ReplicaIdentity::Default, &[("a", true), ("b", true)]);
    let then = table(old_columns(), vec![key(10, true, &[2, 1], PAST)]);
    let case = |written_by| Case {
        relation: told.clone(),
        now: Some(table(old_columns(), vec![key(11, true, &[1, 2], written_by)])),
        then: Some(Version::of(&then)),
        described_anew: false,
        own: None,
    };
    assert_eq!(case(PAST).key(), ["a", "b"]);
    assert_eq!(case(FUTURE).key(), ["b", "a"]);
    assert_eq!(Case { then: None, ..case(FUTURE) }.key(), ["a", "b"]);
    assert_eq!(Case { now: None, ..case(FUTURE) }.key(), ["b", "a"], "a dropped table");
}

#[test]
fn under_default_a_primary_key_the_stream_does_not_tell_of_is_not_there() {
    let relation = relation(ReplicaIdentity::Default, &[("a", false), ("b", false)]);
    let without = |case: Case| Case { relation: relation.clone(), ..case };
    assert_eq!(without(swapped(2, PAST)).key(), Vec::<String>::new());
    let gone = Case { now: Some(table(old_columns(), Vec::new())), ..swapped(1, PAST) };
    assert_eq!(without(gone).key(), Vec::<String>::new());
}

#[test]
fn defaults_and_nullability_are_of_their_time() {
    let of = |not_null, default: &str, written_by, default_written_by| ColumnDescription {
        not_null,
        default: Some(default.to_owned()),
        default_written_by: Some(default_written_by),
        ..column(1, "a", written_by)
    };
    let then = Version::of(&table(vec![of(false, "1", PAST, PAST)], Vec::new()));
    let fact = |now: ColumnDescription, then: Option<&Version>| {
        let case = Case {
            relation: full(&["a"]),
            now: Some(table(vec![now], Vec::new())),
            then: then.cloned(),
            described_anew: false,
            own: None,
        };
        let (version, _) = case.resolve().unwrap();
        (version.columns[0].not_null, version.columns[0].default.clone())
    };
    let one = Some("1".to_owned());
    assert_eq!(fact(of(true, "2", PAST, PAST), Some(&then)), (true, Some("2".to_owned())));
    assert_eq!(fact(of(true, "2", FUTURE, FUTURE), Some(&then)), (false, one.clone()));
    assert_eq!(fact(of(true, "2", PAST, FUTURE), Some(&then)), (true, one));
    assert_eq!(fact(of(true, "2", FUTURE, FUTURE), None), (false, None), "nobody can know");
}

#[test]
fn enum_labels_are_of_their_time() {
    let mood = |labels: &[(&str, Xid)]| {
        let (labels, written_by) =
            labels.iter().map(|(label, xid)| ((*label).to_owned(), *xid)).unzip();
        let kind = TypeKind::Enum { labels, written_by };
        ColumnDescription { type_: TypeDescription { kind, ..int4() }, ..column(1, "a", PAST) }
    };
    let labels = |now: &[(&str, Xid)], then: Option<&[(&str, Xid)]>| {
        let case = Case {
            relation: full(&["a"]),
            now: Some(table(vec![mood(now)], Vec::new())),
            then: then.map(|then| Version::of(&table(vec![mood(then)], Vec::new()))),
            described_anew: false,
            own: None,
        };
        let (version, _) = case.resolve().unwrap();
        let TypeKind::Enum { labels, .. } = &version.columns[0].type_.kind else { panic!() };
        labels.join(",")
    };
    let then = Some(&[("sad", PAST)][..]);
    assert_eq!(labels(&[("sad", PAST), ("ok", FUTURE)], None), "sad");
    assert_eq!(labels(&[("sad", PAST), ("ok", FUTURE)], then), "sad");
    assert_eq!(labels(&[("blue", FUTURE)], then), "sad", "renamed later");
    assert_eq!(labels(&[("new", FUTURE), ("sad", PAST), ("ok", PAST)], then), "sad,ok");
}
