//! The labels of all enums of a database.

use std::collections::HashMap;

use pgoutput::Oid;

use crate::{Connection, PostgresError};

const LABELS: &str = "\
SELECT l.enumtypid, array_agg(l.enumlabel::text ORDER BY l.enumsortorder) FROM pg_enum l GROUP BY l.enumtypid";

/// The labels of every enum, in `enumsortorder`.
pub async fn enum_labels(
    connection: &Connection,
) -> Result<HashMap<Oid, Vec<String>>, PostgresError> {
    let rows = connection.query("read the labels of enums", LABELS, &[]).await?;
    Ok(rows.iter().map(|row| (Oid(row.get(0)), row.get(1))).collect())
}
