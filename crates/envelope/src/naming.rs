//! Topics of tables, as `topic.naming.strategy` says. In: a table's schema and name. Out: its topic, and what a strategy that
//! leads several tables into one topic adds to the key. Never: topics of heartbeats, transactions and messages; all
//! strategies name those alike.
//!
//! Source: Debezium documentation, "Topic names", and the strategies of its package `io.debezium.schema`, release 3.6.

use crate::EnvelopeError;
use crate::names::{self, Unfit};
use crate::rewrite::Rewrite;
use crate::settings::EncoderSettings;

/// `topic.naming.strategy`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicNaming {
    /// What a name is made of.
    pub parts: TopicParts,
    /// What becomes of the name that is made so.
    pub form: TopicForm,
}

/// What follows the topic prefix in a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TopicParts {
    /// Schema and table: the strategies called `Schema…`.
    #[default]
    SchemaAndTable,
    /// The table: the strategies called `Default…`. They are made for databases that have no schemas and ask for database and
    /// table; Debezium knows no database of a table of PostgreSQL.
    Table,
}

/// What becomes of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TopicForm {
    /// What Kafka does not take becomes `_`.
    #[default]
    Plain,
    /// What Kafka does not take, and `_`, become `_u` and their number in hexadecimal.
    Unicode,
    /// As [`TopicForm::Plain`], and then rewritten.
    Routed(Box<TopicRouting>),
}

/// Settings of the strategies called `…Regex…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicRouting {
    /// `topic.regex`, `topic.replacement`.
    pub topic: Rewrite,
    /// `topic.key.*`; `None` without `topic.key.enforce.uniqueness`.
    pub key_field: Option<KeyField>,
}

/// What tells rows of different tables apart in the topic they share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyField {
    /// `topic.key.field.name`.
    pub name: String,
    /// `topic.key.field.regex`, `topic.key.field.replacement`; without them the value is the name the topic would have had.
    pub value: Option<Rewrite>,
}

impl EncoderSettings {
    /// The topic of a table.
    pub fn topic_of(&self, schema: &str, table: &str) -> String {
        let origin = self.topic_origin(schema, table);
        match &self.topic_naming.form {
            TopicForm::Plain => names::sanitized(&origin, Unfit::Underscore),
            TopicForm::Unicode => names::sanitized(&origin, Unfit::Unicode),
            TopicForm::Routed(routing) => {
                let plain = names::sanitized(&origin, Unfit::Underscore);
                let routed = routing.topic.apply(&plain).filter(|topic| !topic.is_empty());
                routed.unwrap_or(plain)
            }
        }
    }

    /// The topic of a table, if Kafka takes its name: a rewritten one is whatever the replacement says.
    pub(crate) fn legal_topic_of(
        &self,
        schema: &str,
        table: &str,
    ) -> Result<String, EnvelopeError> {
        let topic = self.topic_of(schema, table);
        if names::is_legal_topic(&topic) {
            Ok(topic)
        } else {
            Err(EnvelopeError::TopicName { table: format!("{schema}.{table}"), topic })
        }
    }

    /// Name and value of the field that each key of a table has beside its columns.
    pub(crate) fn key_field_of(&self, schema: &str, table: &str) -> Option<(&str, String)> {
        let TopicForm::Routed(routing) = &self.topic_naming.form else { return None };
        let field = routing.key_field.as_ref()?;
        let origin = self.topic_origin(schema, table);
        let value = field.value.as_ref().and_then(|rewrite| rewrite.apply(&origin));
        Some((&field.name, value.unwrap_or(origin)))
    }

    /// Whether keys tell rows of different tables apart, should the tables share a topic.
    pub fn keys_name_the_table(&self) -> bool {
        matches!(&self.topic_naming.form, TopicForm::Routed(routing) if routing.key_field.is_some())
    }

    /// The parts of a name, joined; blank ones are not in it.
    fn topic_origin(&self, schema: &str, table: &str) -> String {
        let schema = match self.topic_naming.parts {
            TopicParts::SchemaAndTable => schema,
            TopicParts::Table => "",
        };
        let parts = [self.topic_prefix.as_str(), schema, table];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.trim().is_empty()).collect();
        parts.join(&self.topic_delimiter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(parts: TopicParts, form: TopicForm) -> EncoderSettings {
        EncoderSettings {
            topic_naming: TopicNaming { parts, form },
            ..EncoderSettings::new("srv", "db", "1")
        }
    }

    fn routed(topic: Rewrite, key_field: Option<KeyField>) -> TopicForm {
        TopicForm::Routed(Box::new(TopicRouting { topic, key_field }))
    }

    #[test]
    fn a_topic_has_the_schema_or_only_the_table() {
        let with = settings(TopicParts::SchemaAndTable, TopicForm::Plain);
        assert_eq!(with.topic_of("sales", "my orders"), "srv.sales.my_orders");
        let without = settings(TopicParts::Table, TopicForm::Plain);
        assert_eq!(without.topic_of("sales", "my orders"), "srv.my_orders");
        let delimited = EncoderSettings { topic_delimiter: "-".to_owned(), ..without };
        assert_eq!(delimited.topic_of("sales", "orders"), "srv-orders");
        assert_eq!(with.topic_of(" ", "orders"), "srv.orders");
    }

    #[test]
    fn unicode_topics_keep_names_apart() {
        let settings = settings(TopicParts::SchemaAndTable, TopicForm::Unicode);
        for (table, topic) in [
            ("a_b", "srv.s.a_u005fb"),
            ("a b", "srv.s.a_u0020b"),
            ("caf\u{e9}-1.x", "srv.s.caf_u00e9-1.x"),
            ("\u{151}", "srv.s._u151"),
            ("\u{540d}", "srv.s._u540d"),
            ("\u{1f600}", "srv.s._ud83d_ude00"),
        ] {
            assert_eq!(settings.topic_of("s", table), topic);
        }
        assert_eq!(settings.topic_of("s", &"_".repeat(100)).len(), 249);
    }

    #[test]
    fn routing_rewrites_the_plain_name_and_the_key_tells_whence() {
        let topic = Rewrite::new(r"(.*)\.orders_s[0-9]+", "$1.orders").unwrap();
        let value = Rewrite::new(r".*_s([0-9]+)", "S$1").unwrap();
        let field = KeyField { name: "shard".to_owned(), value: Some(value) };
        let routed = settings(TopicParts::SchemaAndTable, routed(topic, Some(field)));
        assert_eq!(routed.topic_of("s", "orders_s12"), "srv.s.orders");
        assert_eq!(routed.topic_of("s", "other"), "srv.s.other");
        assert_eq!(routed.key_field_of("s", "orders_s12").unwrap(), ("shard", "S12".to_owned()));
        // What the expression does not match is shown as it is, before Kafka's rules.
        assert_eq!(routed.key_field_of("s", "o\u{e9}").unwrap().1, "srv.s.o\u{e9}");
        assert!(routed.keys_name_the_table());
    }

    #[test]
    fn an_empty_rewriting_leaves_the_name_and_an_illegal_one_is_refused() {
        let empty = settings(
            TopicParts::SchemaAndTable,
            routed(Rewrite::new(".*(x?)", "$1").unwrap(), None),
        );
        assert_eq!(empty.legal_topic_of("s", "t").unwrap(), "srv.s.t");
        assert!(empty.key_field_of("s", "t").is_none());
        let illegal =
            settings(TopicParts::SchemaAndTable, routed(Rewrite::new(".*", "a b").unwrap(), None));
        let refused = illegal.legal_topic_of("s", "t").unwrap_err();
        assert_eq!(refused.code(), "EN011");
    }
}
