//! The publication: there or ours to make, holding what is captured and nothing that hurts.

use super::Severity::{Error, Info, Warning};
use super::tables::identity_fix;
use super::{Check, PublicationOwner};
use crate::catalog::TableSummary;
use crate::name::quote_identifier;
use crate::publication::{
    PublicationState, PublicationTables, alter_statements, create_statement, create_statements,
    left_alone, options_statement, read, remade,
};
use crate::{PostgresError, TableName};

impl Check<'_> {
    pub(super) async fn publication(&mut self) -> Result<(), PostgresError> {
        let name = &self.expectations.publication;
        let state = read(self.connection, name).await?;
        match (self.expectations.publication_owner, state) {
            (PublicationOwner::Existing, None) => self.nobody_made_it(),
            (PublicationOwner::Existing, Some(state)) => self.content(&state),
            (PublicationOwner::AllTables, Some(state)) if state.all_tables => self.content(&state),
            (PublicationOwner::AllTables, state) => self.all_tables(state.as_ref()),
            (PublicationOwner::Filtered, None) => {
                self.parts_to_come();
                self.may_create().await?;
                self.may_add(&self.expectations.tables.clone()).await?;
            }
            (PublicationOwner::Filtered, Some(state)) => self.would_alter(&state).await?,
        }
        Ok(())
    }

    fn nobody_made_it(&mut self) {
        let expected = self.expectations;
        let tables = &expected.publication_tables;
        let name = &expected.publication;
        let fix = create_statement(name, tables, expected.publish, expected.via_root);
        let message =
            "it does not exist, and publication.autocreate.mode=disabled forbids us to make it";
        self.find("PG014", Error, self.subject(), message, Some(fix));
    }

    /// A publication that is used as it is.
    fn content(&mut self, state: &PublicationState) {
        let expected = self.expectations;
        let name = quote_identifier(&expected.publication);
        let published =
            |table: &TableName| state.published_tables.contains(table) || state.lists(table);
        let missing: Vec<TableName> = expected
            .tables
            .iter()
            .filter(|table| self.known.contains_key(table) && !published(table))
            .cloned()
            .collect();
        for table in missing {
            let message = "the publication does not hold it: its changes would not arrive";
            let fix = format!("ALTER PUBLICATION {name} ADD TABLE {};", table.quoted());
            self.find("PG046", Error, table.to_string(), message, Some(fix));
        }
        self.not_captured(state);
        let (has, wanted) = (state.publish, expected.publish);
        let lacking = [
            (wanted.insert && !has.insert, "insert"),
            (wanted.update && !has.update, "update"),
            (wanted.delete && !has.delete, "delete"),
            (wanted.truncate && !has.truncate, "truncate"),
        ];
        let lacking: Vec<&str> = lacking.iter().filter(|item| item.0).map(|item| item.1).collect();
        if !lacking.is_empty() {
            let message = format!(
                "it does not publish {}: those changes would not arrive",
                lacking.join(", ")
            );
            let fix = options_statement(state, wanted, expected.via_root);
            self.find("PG057", Warning, self.subject(), message, fix);
        } else if state.via_root != expected.via_root {
            let message = format!(
                "publish_via_partition_root is {}: partitioned tables appear under other names than expected",
                state.via_root
            );
            let fix = options_statement(state, wanted, expected.via_root);
            self.find("PG058", Warning, self.subject(), message, fix);
        }
    }

    /// Published, but nobody asked for it: costs traffic, and can break the application's own updates.
    fn not_captured(&mut self, state: &PublicationState) {
        let name = quote_identifier(&self.expectations.publication);
        let extra: Vec<TableSummary> = state
            .published_tables
            .iter()
            .filter(|table| !self.expectations.tables.contains(table))
            .filter_map(|table| self.known.get(table).cloned())
            .filter(|table| !self.belongs_to_captured_root(table))
            .collect();
        for table in extra {
            let table_name = table.table_name();
            let harmless =
                table.has_usable_identity || !(state.publish.update || state.publish.delete);
            let fix = if state.all_tables {
                (!harmless).then(|| identity_fix(&table_name, Some(&table)))
            } else {
                Some(format!("ALTER PUBLICATION {name} DROP TABLE {};", table_name.quoted()))
            };
            let (severity, message) = if harmless {
                (Info, "it is published, but not captured: its changes are sent and thrown away")
            } else {
                let message = "it is published, but not captured, and has no replica identity: PostgreSQL refuses \
                               the application's own updates and deletes of it";
                (Warning, message)
            };
            self.find("PG053", severity, table_name.to_string(), message, fix);
        }
    }

    fn belongs_to_captured_root(&self, table: &TableSummary) -> bool {
        let mut parent = table.is_partition_of;
        while let Some(oid) = parent {
            let Some(root) = self.known.values().find(|known| known.oid == oid) else {
                return false;
            };
            if self.expectations.tables.contains(&root.table_name()) {
                return true;
            }
            parent = root.is_partition_of;
        }
        false
    }

    /// `FOR ALL TABLES`, which only a superuser may make.
    fn all_tables(&mut self, state: Option<&PublicationState>) {
        let expected = self.expectations;
        let (publish, via_root) = (expected.publish, expected.via_root);
        let all = PublicationTables::All;
        let statement = match state {
            Some(state) => alter_statements(state, &all, publish, via_root).join(" "),
            None => create_statement(&expected.publication, &all, publish, via_root),
        };
        if !self.server.user_is_superuser {
            let message = format!(
                "only a superuser may publish all tables, and `{}` is none",
                self.server.user
            );
            let fix =
                format!("{statement}  -- as a superuser; or publication.autocreate.mode=filtered");
            self.find("PG044", Error, self.subject(), message, Some(fix));
        }
        let would_be = PublicationState {
            name: expected.publication.clone(),
            owner: self.server.user.clone(),
            all_tables: true,
            tables: Vec::new(),
            schemas: Vec::new(),
            published_tables: self.known.keys().cloned().collect(),
            publish,
            via_root,
            comment: None,
        };
        self.not_captured(&would_be);
    }

    /// A publication that holds parts of tables, and does not exist yet.
    fn parts_to_come(&mut self) {
        let expected = self.expectations;
        let (name, tables) = (&expected.publication, &expected.publication_tables);
        let statements = create_statements(name, tables, expected.publish, expected.via_root);
        // The second statement is the comment, which only parts of tables have.
        if statements.len() > 1 {
            let message = "it holds parts of tables; a start runs the statements below";
            self.find("PG046", Info, self.subject(), message, Some(statements.join(" ")));
        }
    }

    async fn may_create(&mut self) -> Result<(), PostgresError> {
        let sql = "SELECT has_database_privilege(current_database(), 'CREATE')";
        let rows = self.connection.query("read the role's privileges", sql, &[]).await?;
        if rows.first().is_some_and(|row| row.get(0)) {
            return Ok(());
        }
        let message =
            format!("role `{}` may not create a publication in this database", self.server.user);
        let database = quote_identifier(&self.server.database);
        let user = quote_identifier(&self.server.user);
        let fix = format!("GRANT CREATE ON DATABASE {database} TO {user};");
        self.find("PG044", Error, self.subject(), message, Some(fix));
        Ok(())
    }

    /// Only a table's owner may add it.
    async fn may_add(&mut self, tables: &[TableName]) -> Result<(), PostgresError> {
        let present: Vec<TableSummary> =
            tables.iter().filter_map(|table| self.known.get(table).cloned()).collect();
        let privileges = self.privileges(&present).await?;
        for table in present {
            if privileges.get(&table.oid).is_none_or(|privileges| privileges.owner) {
                continue;
            }
            let message = format!(
                "role `{}` does not own it (`{}` does), so it cannot add it to the publication",
                self.server.user, table.owner
            );
            let owner = quote_identifier(&table.owner);
            let user = quote_identifier(&self.server.user);
            let fix = format!("GRANT {owner} TO {user};");
            self.find("PG045", Error, table.table_name().to_string(), message, Some(fix));
        }
        Ok(())
    }

    /// A publication of ours that is not yet what it shall be.
    async fn would_alter(&mut self, state: &PublicationState) -> Result<(), PostgresError> {
        let expected = self.expectations;
        let tables = &expected.publication_tables;
        for table in left_alone(state, tables) {
            let message = "somebody else gave it a column list or a row filter in the publication, which stays as it is";
            let fix = format!(
                "ALTER PUBLICATION {} DROP TABLE {};  -- if that is not wanted any more: a start adds it again",
                quote_identifier(&expected.publication),
                table.table.quoted()
            );
            self.find("PG072", Warning, table.table.to_string(), message, Some(fix));
        }
        let statements = alter_statements(state, tables, expected.publish, expected.via_root);
        if statements.is_empty() {
            return Ok(());
        }
        let sql = "SELECT pg_has_role(pubowner, 'USAGE') FROM pg_publication WHERE pubname = $1::text::name";
        let name = &expected.publication;
        let rows = self.connection.query("read the publication's owner", sql, &[name]).await?;
        if rows.first().is_some_and(|row| row.get(0)) {
            let message = "it differs from what is captured; a start runs the statements below";
            self.find("PG046", Info, self.subject(), message, Some(statements.join(" ")));
        } else {
            let message = format!(
                "it differs from what is captured, and `{}` may not alter it: it belongs to `{}`",
                self.server.user, state.owner
            );
            let fix = format!("{}  -- as its owner", statements.join(" "));
            self.find("PG046", Error, self.subject(), message, Some(fix));
        }
        let added: Vec<TableName> = expected
            .tables
            .iter()
            .filter(|table| !state.lists(table) && !state.schemas.contains(&table.schema))
            .cloned()
            .chain(remade(state, tables))
            .collect();
        self.may_add(&added).await
    }

    fn subject(&self) -> String {
        format!("publication {}", self.expectations.publication)
    }
}
