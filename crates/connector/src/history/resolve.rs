//! Joins the three witnesses of a table's shape: the stream, the catalog of now, and what was true when the stream was last
//! read. Pure.
//!
//! In: [`Evidence`]. Out: the [`Version`] at that point of the log, and whether that has to be looked at again.
//! The stream is always right. The catalog is right in what was written before that point. Of the rest the earlier version
//! is right, unless the stream contradicts it. What none of the three can know is left open: a column may then be NULL and has no
//! default, a table has no key.

use std::cell::Cell;
use std::collections::HashMap;

use pgoutput::{Oid, Relation, RelationColumn, ReplicaIdentity, Xid};
use postgres::catalog::{
    ColumnDescription, KeyDescription, TableDescription, TypeDescription, TypeKind,
};

use super::order::{Age, Order};
use super::{Version, VersionColumn, VersionKey};

/// What is known of a table at one point of the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence<'a> {
    /// What the stream says.
    pub(crate) relation: &'a Relation,
    /// What the catalog says now; `None` when the table is gone.
    pub(crate) now: Option<&'a TableDescription>,
    /// What was true when the stream was last read.
    pub(crate) then: Option<&'a Version>,
    /// When the catalog was written.
    pub(crate) order: &'a Order<'a>,
    /// The stream has described the table before in this session: something about it may have changed just here.
    pub(crate) described_anew: bool,
    /// Types of columns that neither of the others has.
    pub(crate) types: &'a HashMap<Oid, TypeDescription>,
}

/// How long a version may be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Certainty {
    /// Until the stream describes the table anew.
    Certain,
    /// Until the stream has passed where the catalog was read: from there on the catalog is right.
    UntilRead,
    /// Until the transaction ends that is being decoded: it changed the table itself, before or after this point.
    UntilEnd,
}

/// Decides what the table was at this point of the log.
///
/// `own` says whether what the transaction that is being decoded changed itself is taken as changed already. Without it, and
/// if the columns do not tell, the answer is `None` when it depends on that.
pub(crate) fn resolve(evidence: &Evidence<'_>, own: Option<bool>) -> Option<(Version, Certainty)> {
    let created_here = evidence.order.created_by == Some(evidence.order.point.xid);
    let own = own.or_else(|| own_by_columns(evidence)).or(created_here.then_some(true));
    if let Some(own_is_past) = own {
        return Some(assume(evidence, own_is_past));
    }
    let (before, after) = (assume(evidence, false), assume(evidence, true));
    (before.0 == after.0).then_some(after)
}

fn assume(evidence: &Evidence<'_>, own_is_past: bool) -> (Version, Certainty) {
    let witness =
        Witness { evidence, own_is_past, own: Cell::new(false), future: Cell::new(false) };
    let columns = witness.columns();
    let key = witness.key(&columns);
    let (schema, name) = (&evidence.relation.namespace, &evidence.relation.name);
    let version = Version { schema: schema.clone(), name: name.clone(), columns, key };
    let certainty = match (witness.own.get(), witness.future.get()) {
        (true, _) => Certainty::UntilEnd,
        (false, true) => Certainty::UntilRead,
        (false, false) => Certainty::Certain,
    };
    (version, certainty)
}

/// Whether the columns of the stream are those of now, and not those of before, or the other way round.
fn own_by_columns(evidence: &Evidence<'_>) -> Option<bool> {
    let columns = &evidence.relation.columns;
    let listed = || columns.iter().map(|column| (column.name.as_str(), column.type_oid));
    let then = evidence.then?.columns.iter().filter(|column| !column.generated);
    let fits_then = listed().eq(then.map(|column| (column.name.as_str(), column.type_.oid)));
    let now = evidence.now?.columns.iter().filter(|column| !column.generated);
    let fits_now = listed().eq(now.map(|column| (column.name.as_str(), column.type_.oid)));
    (fits_now != fits_then).then_some(fits_now)
}

/// The evidence, and what of it was in doubt.
struct Witness<'a> {
    evidence: &'a Evidence<'a>,
    own_is_past: bool,
    own: Cell<bool>,
    future: Cell<bool>,
}

impl Witness<'_> {
    /// Whether the stream can have what a transaction wrote to the catalog.
    fn has(&self, xid: Xid) -> bool {
        match self.evidence.order.age(xid) {
            Age::Past => true,
            Age::Own => {
                self.own.set(true);
                self.own_is_past
            }
            Age::Future => {
                self.future.set(true);
                false
            }
        }
    }

    fn columns(&self) -> Vec<VersionColumn> {
        let mut renamed = self.renamed();
        let relation = &self.evidence.relation.columns;
        relation.iter().map(|column| self.column(column, &mut renamed)).collect()
    }

    fn column(
        &self,
        column: &RelationColumn,
        renamed: &mut Vec<&ColumnDescription>,
    ) -> VersionColumn {
        let now = self.evidence.now.and_then(|now| {
            now.columns
                .iter()
                .find(|found| found.name == column.name && found.type_.oid == column.type_oid)
        });
        let then = self.evidence.then.and_then(|then| {
            then.columns
                .iter()
                .find(|found| found.name == column.name && found.type_.oid == column.type_oid)
        });
        let found = VersionColumn {
            attnum: None,
            name: column.name.clone(),
            type_: self.type_of(column),
            type_modifier: column.type_modifier,
            not_null: false,
            default: None,
            generated: false,
        };
        match (now, then) {
            (Some(now), then) if self.has(now.written_by) => VersionColumn {
                attnum: Some(now.attnum),
                type_: self.labels_of_their_time(&now.type_, then.map(|then| &then.type_)),
                not_null: now.not_null,
                default: self.default(now, then),
                generated: now.generated,
                ..found
            },
            (_, Some(then)) => {
                VersionColumn { type_modifier: column.type_modifier, ..then.clone() }
            }
            (Some(now), None) => VersionColumn {
                attnum: Some(now.attnum),
                type_: self.labels_of_their_time(&now.type_, None),
                generated: now.generated,
                ..found
            },
            (None, None) => {
                let same = |other: &&ColumnDescription| other.type_.oid == column.type_oid;
                let Some(place) = renamed.iter().position(same) else { return found };
                let now = renamed.remove(place);
                VersionColumn {
                    attnum: Some(now.attnum),
                    type_: self.labels_of_their_time(&now.type_, None),
                    not_null: now.not_null,
                    default: self.default(now, None),
                    ..found
                }
            }
        }
    }

    /// Columns that the stream has under other names, because they were renamed later.
    fn renamed(&self) -> Vec<&ColumnDescription> {
        let relation = self.evidence.relation;
        let unknown = |column: &&ColumnDescription| {
            let named = relation.columns.iter().any(|other| other.name == column.name);
            !named && !column.generated
        };
        let now = self.evidence.now.map_or(&[][..], |now| &now.columns);
        now.iter().filter(unknown).filter(|column| !self.has(column.written_by)).collect()
    }

    fn default(&self, now: &ColumnDescription, then: Option<&VersionColumn>) -> Option<String> {
        match now.default_written_by {
            Some(xid) if !self.has(xid) => then.and_then(|then| then.default.clone()),
            _ => now.default.clone(),
        }
    }

    fn type_of(&self, column: &RelationColumn) -> TypeDescription {
        let found = self.evidence.types.get(&column.type_oid).cloned();
        found.unwrap_or_else(|| TypeDescription {
            oid: column.type_oid,
            schema: String::new(),
            name: format!("type {}", column.type_oid.0),
            kind: TypeKind::Unknown,
        })
    }

    /// A type without the enum labels that came later.
    fn labels_of_their_time(
        &self,
        now: &TypeDescription,
        then: Option<&TypeDescription>,
    ) -> TypeDescription {
        let below = |now: &TypeDescription, then: Option<&TypeDescription>| {
            let then = then.filter(|then| then.oid == now.oid);
            Box::new(self.labels_of_their_time(now, then))
        };
        let then = then.filter(|then| then.oid == now.oid);
        let kind = match (&now.kind, then.map(|then| &then.kind)) {
            (TypeKind::Enum { labels, written_by }, then) => {
                let had: Vec<bool> = written_by.iter().map(|xid| self.has(*xid)).collect();
                let knew = |known: &[String]| {
                    labels.iter().zip(&had).all(|(label, had)| !had || known.contains(label))
                };
                match then {
                    _ if had.iter().all(|had| *had) => now.kind.clone(),
                    // Unless labels were added between then and here, then has those that were renamed since as well.
                    Some(then @ TypeKind::Enum { labels, .. }) if knew(labels) => then.clone(),
                    _ => {
                        let labels = labels.iter().zip(written_by).zip(had);
                        let labels = labels.filter(|(_, had)| *had).map(|(label, _)| label);
                        let (labels, written_by) =
                            labels.map(|(label, xid)| (label.clone(), *xid)).unzip();
                        TypeKind::Enum { labels, written_by }
                    }
                }
            }
            (TypeKind::Array { element, delimiter }, then) => TypeKind::Array {
                delimiter: *delimiter,
                element: below(
                    element,
                    match then {
                        Some(TypeKind::Array { element, .. }) => Some(element),
                        _ => None,
                    },
                ),
            },
            (TypeKind::Domain { base, type_modifier }, then) => TypeKind::Domain {
                base: below(
                    base,
                    match then {
                        Some(TypeKind::Domain { base, .. }) => Some(base),
                        _ => None,
                    },
                ),
                type_modifier: *type_modifier,
            },
            (other, _) => other.clone(),
        };
        TypeDescription { kind, ..now.clone() }
    }

    fn key(&self, columns: &[VersionColumn]) -> VersionKey {
        let relation = self.evidence.relation;
        let keys = self.evidence.now.map_or(&[][..], |now| &now.keys);
        let mut earlier = self.earlier_key(columns);
        let tells = relation.replica_identity == ReplicaIdentity::Default;
        if tells {
            let told: Vec<usize> =
                (0..columns.len()).filter(|&index| relation.columns[index].is_identity).collect();
            if !told.is_empty() {
                return self.told_key(told, columns, keys, earlier);
            }
            // What the stream would tell of, and does not, is not there.
            earlier = earlier.filter(|earlier| !earlier.is_told);
        }
        let mut had = keys
            .iter()
            .filter(|key| !(tells && key.is_primary && key.is_immediate))
            .filter(|key| key.written_by.iter().any(|xid| self.has(*xid)))
            .filter_map(|key| VersionKey::of(key, columns))
            .peekable();
        let today = keys.first();
        let today_held = today
            .is_some_and(|today| had.peek().is_some_and(|first| first.index == Some(today.index)));
        if today_held && today.is_some_and(|today| today.is_primary) {
            // A primary key from before this point is the only one there can have been.
            return had.next().unwrap_or_default();
        }
        let Some(earlier) = earlier else { return had.next().unwrap_or_default() };
        if self.is_still_there(&earlier, keys) {
            return if today_held { had.next().unwrap_or_default() } else { earlier };
        }
        // Nothing in the catalog tells when a key was dropped. That the stream describes the table anew says that
        // something happened, most likely this, unless there is a new key that came later.
        self.future.set(true);
        let is_replaced_later = today.is_some() && !today_held;
        if !self.evidence.described_anew || is_replaced_later {
            return earlier;
        }
        self.own.set(true);
        if self.own_is_past { had.next().unwrap_or_default() } else { earlier }
    }

    /// The key's columns are known; any index over just these tells their order.
    fn told_key(
        &self,
        told: Vec<usize>,
        columns: &[VersionColumn],
        keys: &[KeyDescription],
        earlier: Option<VersionKey>,
    ) -> VersionKey {
        let fits = |key: &VersionKey| {
            key.columns.len() == told.len() && key.columns.iter().all(|place| told.contains(place))
        };
        let of_now = |only_had: bool| {
            keys.iter()
                .filter(|key| key.is_primary)
                .filter(|key| !only_had || key.written_by.iter().any(|xid| self.has(*xid)))
                .filter_map(|key| VersionKey::of(key, columns))
                .find(fits)
        };
        of_now(true)
            .or_else(|| earlier.filter(fits))
            .or_else(|| of_now(false))
            .unwrap_or(VersionKey { columns: told, index: None, is_told: true })
    }

    /// The key of before, in the places of now.
    fn earlier_key(&self, columns: &[VersionColumn]) -> Option<VersionKey> {
        let then = self.evidence.then.filter(|then| !then.key.columns.is_empty())?;
        let place = |&index: &usize| {
            let earlier = then.columns.get(index)?;
            columns.iter().position(|column| match (column.attnum, earlier.attnum) {
                (Some(one), Some(other)) => one == other,
                _ => column.name == earlier.name,
            })
        };
        let columns = then.key.columns.iter().map(place).collect::<Option<Vec<usize>>>()?;
        Some(VersionKey { columns, ..then.key.clone() })
    }

    fn is_still_there(&self, earlier: &VersionKey, keys: &[KeyDescription]) -> bool {
        let Some(then) = self.evidence.then else { return false };
        keys.iter().any(|key| {
            Some(key.index) == earlier.index
                || key.columns.iter().map(|attnum| Some(*attnum)).eq(then.key_attnums())
        })
    }
}

#[cfg(test)]
mod tests;
