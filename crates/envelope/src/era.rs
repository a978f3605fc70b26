//! Dates before Christ in a snapshot. In: a row's values. Out: the same, or with the era taken off, as Debezium's snapshot
//! shows them. Never: touches a row of the stream, where Debezium keeps the era.
//!
//! Source: recordings of Debezium 3.6, cases `b25x`: `4713-01-01 BC` is -2440550 in the stream and 1001860 in the snapshot.

use pgoutput::TupleValue;
use smallvec::SmallVec;

use crate::settings::{EncoderSettings, SnapshotDateEra};
use crate::table::{DataType, Table, TypeKind};

const ERA: &[u8] = b" BC";
/// A leap day before Christ has no counterpart in the year of the same number.
const LEAP_DAY: &[u8] = b"-02-29";

/// Which columns of a table lose the era of their dates in a snapshot.
#[derive(Debug)]
pub(crate) struct EraLoss {
    columns: Vec<usize>,
}

/// What a snapshot lost that way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LostEras {
    /// How many dates.
    pub dates: u64,
    /// `schema.table.column` of the first.
    pub first: String,
}

impl EraLoss {
    pub(crate) fn compile(table: &Table, settings: &EncoderSettings) -> Self {
        let columns = match settings.snapshot_date_era {
            SnapshotDateEra::Kept => Vec::new(),
            SnapshotDateEra::Lost => (0..table.columns.len())
                .filter(|&index| is_date(&table.columns[index].data_type))
                .collect(),
        };
        Self { columns }
    }

    /// The row without eras; `None` if there is nothing to take off.
    pub(crate) fn apply<'a>(
        &self,
        values: &[TupleValue<'a>],
        table: &Table,
        lost: &mut LostEras,
    ) -> Option<SmallVec<[TupleValue<'a>; 32]>> {
        let mut changed: Option<SmallVec<[TupleValue<'a>; 32]>> = None;
        for &column in &self.columns {
            let Some(TupleValue::Text(text)) = values.get(column) else { continue };
            let Some(date) = text.strip_suffix(ERA).filter(|date| !date.ends_with(LEAP_DAY)) else {
                continue;
            };
            if lost.dates == 0 {
                lost.first = table.column_name(column);
            }
            lost.dates += 1;
            let row = changed.get_or_insert_with(|| SmallVec::from_slice(values));
            row[column] = TupleValue::Text(date);
        }
        changed
    }
}

fn is_date(data_type: &DataType) -> bool {
    match &data_type.kind {
        TypeKind::Domain { base, .. } => is_date(base),
        TypeKind::Base => data_type.name == "date",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Column;
    use pgoutput::{Oid, ReplicaIdentity};

    fn column(name: &str, data_type: DataType) -> Column {
        Column {
            name: name.to_owned(),
            data_type,
            type_modifier: -1,
            not_null: false,
            default: None,
            generated: false,
            captured: true,
            is_identity: false,
            treatment: crate::ColumnTreatment::default(),
        }
    }

    fn base(name: &str) -> DataType {
        DataType { oid: Oid(0), name: name.to_owned(), kind: TypeKind::Base }
    }

    #[test]
    fn only_dates_lose_their_era_and_only_when_asked_to() {
        let domain = TypeKind::Domain { base: Box::new(base("date")), type_modifier: -1 };
        let table = Table {
            oid: Oid(1),
            schema: "public".to_owned(),
            name: "t".to_owned(),
            replica_identity: ReplicaIdentity::Default,
            columns: vec![
                column("a", base("date")),
                column("b", DataType { kind: domain, ..base("d") }),
                column("c", base("timestamp")),
                column("d", base("text")),
            ],
            key: Vec::new(),
        };
        let texts: [&[u8]; 4] =
            [b"4713-01-01 BC", b"0005-02-29 BC", b"0044-03-15 00:00:00 BC", b"x BC"];
        let row: Vec<TupleValue<'_>> = texts.iter().map(|text| TupleValue::Text(text)).collect();
        let mut settings = EncoderSettings::new("p", "d", "1");
        let mut lost = LostEras::default();
        let changed = EraLoss::compile(&table, &settings).apply(&row, &table, &mut lost).unwrap();
        assert_eq!(changed[0], TupleValue::Text(b"4713-01-01"));
        assert_eq!(
            changed[1..],
            row[1..],
            "a leap day that the other year has not, a timestamp, a text"
        );
        assert_eq!(lost, LostEras { dates: 1, first: "public.t.a".to_owned() });
        settings.snapshot_date_era = SnapshotDateEra::Kept;
        assert!(EraLoss::compile(&table, &settings).apply(&row, &table, &mut lost).is_none());
    }
}
