//! The captured tables: there, readable, identifiable.

use std::collections::HashMap;

use pgoutput::Oid;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::Check;
use super::Severity::{Error, Warning};
use crate::catalog::{Persistence, TableKind, TableSummary, describe_table, partition_leaves};
use crate::name::quote_identifier;
use crate::{PostgresError, TableName};

/// What the role may do with one table.
#[expect(clippy::struct_excessive_bools, reason = "four separate answers of the server")]
pub(super) struct Privileges {
    pub(super) select: bool,
    pub(super) schema_usage: bool,
    pub(super) owner: bool,
    pub(super) row_security: bool,
}

const PRIVILEGES: &str = "\
SELECT c.oid, has_table_privilege(c.oid, 'SELECT'), has_schema_privilege(c.relnamespace, 'USAGE'), \
       pg_has_role(c.relowner, 'USAGE'), row_security_active(c.oid) \
FROM pg_class c WHERE c.oid = ANY($1)";

const COLUMNS: &str = "\
SELECT bool_and(has_column_privilege($1::oid, listed.name, 'SELECT')) FROM unnest($2::text[]) listed(name)";

impl Check<'_> {
    pub(super) async fn tables(&mut self) -> Result<(), PostgresError> {
        let mut present = Vec::new();
        for name in &self.expectations.tables {
            match self.known.get(name) {
                Some(table) => present.push(table.clone()),
                None => self.missing(name),
            }
        }
        let privileges = self.privileges(&present).await?;
        for table in &present {
            self.persistence(table);
            self.partitioning(table);
            if let Some(privileges) = privileges.get(&table.oid) {
                self.readable(table, privileges).await?;
            }
            self.identity(table).await?;
            self.key(table).await?;
        }
        Ok(())
    }

    /// What the role may do with these tables.
    pub(super) async fn privileges(
        &self,
        tables: &[TableSummary],
    ) -> Result<HashMap<Oid, Privileges>, PostgresError> {
        let oids: Vec<u32> = tables.iter().map(|table| table.oid.0).collect();
        let rows =
            self.connection.query("read the role's privileges", PRIVILEGES, &[&oids]).await?;
        let privileges = |row: &Row| {
            let privileges = Privileges {
                select: row.get(1),
                schema_usage: row.get(2),
                owner: row.get(3),
                row_security: row.get(4),
            };
            (Oid(row.get(0)), privileges)
        };
        Ok(rows.iter().map(privileges).collect())
    }

    fn missing(&mut self, name: &TableName) {
        let folded = |known: &&TableName| {
            known.schema.eq_ignore_ascii_case(&name.schema)
                && known.name.eq_ignore_ascii_case(&name.name)
        };
        let hint = match self.known.keys().find(folded) {
            Some(similar) => format!("; there is `{similar}`, names are compared exactly"),
            None => "; views, foreign and system tables cannot be captured".to_owned(),
        };
        let message = format!("there is no such table in this database{hint}");
        self.find("PG054", Error, name.to_string(), message, None);
    }

    fn persistence(&mut self, table: &TableSummary) {
        let name = table.table_name();
        if table.persistence == Persistence::Unlogged {
            let message = "it is unlogged: its changes are not in the WAL";
            let fix = format!("ALTER TABLE {} SET LOGGED;", name.quoted());
            self.find("PG055", Error, name.to_string(), message, Some(fix));
        }
    }

    fn partitioning(&mut self, table: &TableSummary) {
        let name = table.table_name();
        if table.kind == TableKind::PartitionedRoot && !self.expectations.via_root {
            let message = "it is partitioned, and its changes are published under the names of its partitions";
            let fix =
                "set publish.via.partition.root=true, or capture the partitions by their names";
            self.find("PG059", Warning, name.to_string(), message, Some(fix.to_owned()));
        }
    }

    async fn readable(
        &mut self,
        table: &TableSummary,
        privileges: &Privileges,
    ) -> Result<(), PostgresError> {
        if !self.expectations.snapshot {
            return Ok(());
        }
        let name = table.table_name();
        let user = quote_identifier(&self.server.user);
        let select = privileges.select || self.may_read_columns(table).await?;
        if !privileges.schema_usage || !select {
            let message =
                format!("role `{}` may not read it, which the snapshot needs", self.server.user);
            let usage = if privileges.schema_usage {
                String::new()
            } else {
                format!("GRANT USAGE ON SCHEMA {} TO {user}; ", quote_identifier(&table.schema))
            };
            let fix = format!("{usage}GRANT SELECT ON {} TO {user};", name.quoted());
            self.find("PG043", Error, name.to_string(), message, Some(fix));
        }
        if privileges.row_security {
            let message = "row security hides rows of it from us: the snapshot would miss them";
            let fix = format!("ALTER ROLE {user} BYPASSRLS;");
            self.find("PG056", Error, name.to_string(), message, Some(fix));
        }
        Ok(())
    }

    /// Whether the role may read the columns that are wanted of a table it may not read as a whole.
    async fn may_read_columns(&self, table: &TableSummary) -> Result<bool, PostgresError> {
        let Some(columns) = self.expectations.snapshot_columns.get(&table.table_name()) else {
            return Ok(false);
        };
        let parameters: [&(dyn ToSql + Sync); 2] = [&table.oid.0, columns];
        let rows =
            self.connection.query("read the role's privileges", COLUMNS, &parameters).await?;
        Ok(rows.first().is_some_and(|row| row.get::<_, Option<bool>>(0) == Some(true)))
    }

    /// Updates and deletes of a published table without identity fail in the application.
    async fn identity(&mut self, table: &TableSummary) -> Result<(), PostgresError> {
        if !self.expectations.publish.update && !self.expectations.publish.delete {
            return Ok(());
        }
        let without = if table.kind == TableKind::PartitionedRoot {
            // The leaves hold the rows, and each has an identity of its own.
            let leaves = partition_leaves(self.connection, table.oid).await?;
            let lacking = |name: &TableName| {
                self.known.get(name).is_some_and(|leaf| !leaf.has_usable_identity)
            };
            leaves.into_iter().map(|(_, name)| name).filter(lacking).collect()
        } else if table.has_usable_identity {
            Vec::new()
        } else {
            vec![table.table_name()]
        };
        for name in without {
            let fix = identity_fix(&name, self.known.get(&name));
            let message = "it has no usable replica identity: once it is published, PostgreSQL refuses every \
                           UPDATE and DELETE of it, also the application's own";
            self.find("PG016", Error, name.to_string(), message, Some(fix));
        }
        Ok(())
    }

    async fn key(&mut self, table: &TableSummary) -> Result<(), PostgresError> {
        if table.has_primary_key {
            return Ok(());
        }
        let description = describe_table(self.connection, table.oid).await?;
        if description.is_some_and(|table| table.unique_key.is_none()) {
            let name = table.table_name();
            let message = "it has neither a primary key nor a unique index: its events have no key, so their order \
                           is kept in one partition only and the topic cannot be compacted";
            let fix = format!(
                "ALTER TABLE {} ADD PRIMARY KEY (…);  -- or name the columns in message.key.columns",
                name.quoted()
            );
            self.find("PG048", Warning, name.to_string(), message, Some(fix));
        }
        Ok(())
    }
}

/// The cheapest statement that gives a table an identity.
pub(super) fn identity_fix(name: &TableName, table: Option<&TableSummary>) -> String {
    let quoted = name.quoted();
    if table.is_some_and(|table| table.has_primary_key) {
        format!(
            "ALTER TABLE {quoted} REPLICA IDENTITY DEFAULT;  -- its primary key; FULL if that is deferrable"
        )
    } else {
        format!(
            "ALTER TABLE {quoted} REPLICA IDENTITY FULL;  -- or, cheaper for large tables: ADD PRIMARY KEY (…)"
        )
    }
}
