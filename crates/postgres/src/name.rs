//! Names of things inside the server, and their quoting.
//!
//! In: names as users and catalogs write them. Out: SQL text that means exactly that name.
//! Never here: folding to lower case, search paths. Source: PostgreSQL manual, "Lexical Structure".

use std::fmt;

use crate::PostgresError;

/// The longest name PostgreSQL keeps, in bytes (`NAMEDATALEN - 1`).
const NAME_BYTES_MAX: usize = 63;

/// A name as an SQL identifier, always quoted: `Order"s` becomes `"Order""s"`.
pub fn quote_identifier(name: &str) -> String {
    postgres_protocol::escape::escape_identifier(name)
}

/// A value as an SQL string literal, with its quotes.
pub fn quote_literal(value: &str) -> String {
    postgres_protocol::escape::escape_literal(value).trim_start().to_owned()
}

/// The name of a replication slot: 1 to 63 bytes of `a-z`, `0-9` and `_`.
///
/// Source: PostgreSQL manual, "Querying and Manipulating Replication Slots".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotName(String);

impl SlotName {
    /// Checks a slot name. Errors: [`PostgresError::Configuration`] when PostgreSQL would refuse it.
    pub fn new(name: impl Into<String>) -> Result<Self, PostgresError> {
        let name = name.into();
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(allowed) {
            return Err(PostgresError::Configuration {
                setting: "slot name".to_owned(),
                reason: format!("`{name}` is not a valid replication slot name"),
                fix: "use 1 to 63 characters out of a-z, 0-9 and _".to_owned(),
            });
        }
        Ok(Self(name))
    }

    /// The name as PostgreSQL shows it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SlotName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A table named by schema and name, both unquoted, exactly as the catalog holds them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// The schema.
    pub schema: String,
    /// The table's own name.
    pub name: String,
}

impl TableName {
    /// Names a table.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { schema: schema.into(), name: name.into() }
    }

    /// The name as SQL: `"schema"."name"`.
    pub fn quoted(&self) -> String {
        format!("{}.{}", quote_identifier(&self.schema), quote_identifier(&self.name))
    }
}

impl fmt::Display for TableName {
    /// `schema.name`, for messages; not SQL.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.schema, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_in_names_are_doubled() {
        let table = TableName::new("S\"x", "t a");
        assert_eq!(table.quoted(), "\"S\"\"x\".\"t a\"");
        assert_eq!(quote_literal("it's"), "'it''s'");
        assert_eq!(quote_literal("back\\slash"), "E'back\\\\slash'");
    }

    #[test]
    fn slot_names_follow_postgresql_rules() {
        for good in ["a", "debezium", "slot_1", &"x".repeat(63)] {
            assert!(SlotName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "Upper", "dash-ed", "dot.ted", "ümlaut", &"x".repeat(64)] {
            assert!(SlotName::new(bad).is_err(), "{bad}");
        }
    }
}
