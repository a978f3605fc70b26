//! Names of topics, schemas and fields. In: names of PostgreSQL. Out: names Kafka accepts. Never: looks for collisions.
//!
//! Source: Debezium documentation, "Topic names"; Kafka's legal topic characters.

/// Kafka's limit for a topic name, in characters.
const TOPIC_CHARACTERS_MAX: usize = 249;

/// Topic of a table: the parts joined, every character Kafka does not take replaced by `_`.
pub(crate) fn topic(parts: &[&str], delimiter: &str) -> String {
    let mut topic = String::new();
    for character in parts.join(delimiter).chars() {
        if character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-') {
            topic.push(character);
        } else {
            // Java counts a character beyond the basic plane as two.
            (0..character.len_utf16()).for_each(|_| topic.push('_'));
        }
    }
    topic.truncate(TOPIC_CHARACTERS_MAX);
    topic
}

/// Name of a field: a column name that is itself in quotes loses them.
pub(crate) fn field(column: &str) -> String {
    for quote in ["\"", "'", "`"] {
        let inner = column.strip_prefix(quote).and_then(|inner| inner.strip_suffix(quote));
        if let Some(inner) = inner {
            return inner.replace(&quote.repeat(2), quote);
        }
    }
    column.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_hold_only_what_kafka_accepts() {
        for (parts, expected) in [
            (["test_server", "public", "orders"], "test_server.public.orders"),
            (
                ["p", "Quoted_\" . Schema", "Quoted_\" . Table"],
                "p.Quoted___._Schema.Quoted___._Table",
            ),
            (["p", "テスト", "café"], "p.___.caf_"),
            (["p", "s_1", "back\\slash"], "p.s_1.back_slash"),
            (["p", "s", "😀"], "p.s.__"),
        ] {
            assert_eq!(topic(&parts, "."), expected);
        }
        assert_eq!(topic(&["p", "s", "t"], "_"), "p_s_t");
        assert_eq!(topic(&["p", &"x".repeat(300)], ".").len(), 249);
    }

    #[test]
    fn quotes_around_a_column_name_are_dropped() {
        for (column, expected) in [
            ("'quoted'", "quoted"),
            ("MixedCase", "MixedCase"),
            ("dot.ted", "dot.ted"),
            ("'", "'"),
            ("\"a\"\"b\"", "a\"b"),
        ] {
            assert_eq!(field(column), expected);
        }
    }
}
