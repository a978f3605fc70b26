//! What is varied, and the points of each dimension.

use std::str::FromStr;

use serde::Serialize;

use crate::payload::Rows;

/// Rows of a point at most.
const ROWS_MAX: u64 = 1_000_000;
/// Bytes of a point at most.
const BYTES_MAX: u64 = 500_000_000;

/// What is varied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Dimension {
    /// Bytes of a change.
    Size,
    /// Tables that change in turns.
    Tables,
    /// Partitions of each topic.
    Partitions,
    /// Changes of a transaction.
    Transactions,
    /// Where the schemas of values are.
    Schemas,
}

/// Where the schemas of values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Schemas {
    /// Nowhere: `value.converter.schemas.enable=false`.
    Without,
    /// In each value.
    With,
    /// In a registry: values are in Avro.
    Registry,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Size, Self::Tables, Self::Partitions, Self::Transactions, Self::Schemas];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Tables => "tables",
            Self::Partitions => "partitions",
            Self::Transactions => "transactions",
            Self::Schemas => "schemas",
        }
    }
}

impl FromStr for Dimension {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|one| one.name() == name);
        found.ok_or_else(|| format!("not one of {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// One point of one dimension.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) dimension: Option<Dimension>,
    /// In words.
    pub(super) value: String,
    pub(super) rows: Rows,
    pub(super) partitions: i32,
    pub(super) schemas: Schemas,
}

impl Point {
    /// Where all dimensions stay while another one moves.
    pub(super) fn base(scale: f64) -> Self {
        let rows = Rows { count: 0, payload_bytes: 1_000, tables: 1, per_transaction: 10 };
        let base = Self {
            dimension: None,
            value: "base".to_owned(),
            rows,
            partitions: 1,
            schemas: Schemas::Without,
        };
        base.counted(scale)
    }

    /// With as many rows as its bytes allow.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a number of rows that need not be exact"
    )]
    fn counted(mut self, scale: f64) -> Self {
        let rows = ROWS_MAX.min(BYTES_MAX / self.rows.payload_bytes);
        self.rows.count = ((rows as f64 * scale) as u64).max(1);
        self
    }
}

pub(super) fn points(dimension: Dimension, scale: f64) -> Vec<Point> {
    let values: &[(u32, &str)] = match dimension {
        Dimension::Size => &[
            (100, "100 B"),
            (1_000, "1 KB"),
            (10_000, "10 KB"),
            (100_000, "100 KB"),
            (1_000_000, "1 MB"),
        ],
        Dimension::Tables => {
            &[(1, "1 table"), (10, "10 tables"), (100, "100 tables"), (1_000, "1,000 tables")]
        }
        Dimension::Partitions => &[(1, "1 partition"), (8, "8 partitions"), (64, "64 partitions")],
        Dimension::Transactions => &[
            (1, "1 per transaction"),
            (10, "10 per transaction"),
            (1_000, "1,000 per transaction"),
            (100_000, "100,000 per transaction"),
        ],
        Dimension::Schemas => &[(0, "without schemas"), (1, "with schemas"), (2, "avro")],
    };
    let point = |(value, words): &(u32, &str)| {
        let mut point = Point::base(scale);
        point.dimension = Some(dimension);
        (*words).clone_into(&mut point.value);
        match dimension {
            Dimension::Size => point.rows.payload_bytes = u64::from(*value),
            Dimension::Tables => point.rows.tables = u64::from(*value),
            Dimension::Partitions => point.partitions = value.cast_signed(),
            Dimension::Transactions => point.rows.per_transaction = u64::from(*value),
            Dimension::Schemas => {
                let all = [Schemas::Without, Schemas::With, Schemas::Registry];
                point.schemas = all[*value as usize % all.len()];
            }
        }
        point.counted(scale)
    };
    values.iter().map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_has_as_many_rows_as_its_bytes_allow() {
        let counts: Vec<u64> =
            points(Dimension::Size, 0.1).iter().map(|point| point.rows.count).collect();
        assert_eq!(counts, [100_000, 50_000, 5_000, 500, 50]);
    }

    #[test]
    fn dimension_is_known_by_its_name() {
        for dimension in Dimension::ALL {
            assert_eq!(dimension.name().parse(), Ok(dimension));
        }
        assert!("width".parse::<Dimension>().unwrap_err().contains("partitions"));
    }
}
