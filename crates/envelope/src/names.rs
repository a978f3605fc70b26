//! Names of topics, schemas and fields. In: names of PostgreSQL. Out: names that Kafka, and if wanted Avro, accepts.
//! Never: looks for collisions; `row` does.
//!
//! Source: Debezium documentation, "Topic names", `schema.name.adjustment.mode`, `field.name.adjustment.mode`; Kafka's legal
//! topic characters; Avro specification, "Names".

use std::fmt::Write as _;

use crate::settings::NameAdjustment;

/// Kafka's limit for a topic name, in characters.
const TOPIC_CHARACTERS_MAX: usize = 249;

/// What becomes of a character that a topic's name cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// It is an underscore.
    Underscore,
    /// It is `_u` and its number in hexadecimal; so is the underscore itself.
    Unicode,
}

/// Topic of the parts joined, every character Kafka does not take replaced by `_`.
pub(crate) fn topic(parts: &[&str], delimiter: &str) -> String {
    sanitized(&parts.join(delimiter), Unfit::Underscore)
}

/// A name with what Kafka does not take replaced, and not longer than Kafka takes.
pub(crate) fn sanitized(name: &str, unfit: Unfit) -> String {
    let mut topic = String::with_capacity(name.len());
    // Java counts a character beyond the basic plane as two.
    for unit in name.encode_utf16() {
        let legal = ascii(unit).filter(|&character| {
            is_topic_character(character) && !(character == '_' && unfit == Unfit::Unicode)
        });
        match (legal, unfit) {
            (Some(character), _) => topic.push(character),
            (None, Unfit::Underscore) => topic.push('_'),
            (None, Unfit::Unicode) => escape(unit, &mut topic),
        }
    }
    topic.truncate(TOPIC_CHARACTERS_MAX);
    topic
}

/// Whether Kafka takes the name.
pub(crate) fn is_legal_topic(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.len() <= TOPIC_CHARACTERS_MAX
        && name.chars().all(is_topic_character)
}

fn is_topic_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-')
}

fn ascii(unit: u16) -> Option<char> {
    u8::try_from(unit).ok().filter(u8::is_ascii).map(char::from)
}

/// Appends a UTF-16 unit in the place of a character that a name cannot have.
///
/// Debezium pads short numbers by two zeros and those of three digits not at all.
fn escape(unit: u16, out: &mut String) {
    let zeros = if unit <= 0xFF { "00" } else { "" };
    // Writing to a String cannot fail.
    let _ = write!(out, "_u{zeros}{unit:x}");
}

/// Name of a column: one that is itself in quotes loses them.
pub(crate) fn column(name: &str) -> String {
    for quote in ["\"", "'", "`"] {
        let inner = name.strip_prefix(quote).and_then(|inner| inner.strip_suffix(quote));
        if let Some(inner) = inner {
            return inner.replace(&quote.repeat(2), quote);
        }
    }
    name.to_owned()
}

/// Name of the field of a column.
pub(crate) fn field(name: &str, adjustment: NameAdjustment) -> String {
    adjusted(&column(name), adjustment, false)
}

/// Name of a schema, which may have dots.
pub(crate) fn schema(name: &str, adjustment: NameAdjustment) -> String {
    adjusted(name, adjustment, true)
}

/// Works on UTF-16 units, as Java does: a character beyond the basic plane is replaced twice.
fn adjusted(name: &str, adjustment: NameAdjustment, dotted: bool) -> String {
    let keeps_underscores = match adjustment {
        NameAdjustment::None => return name.to_owned(),
        NameAdjustment::Avro => true,
        NameAdjustment::AvroUnicode => false,
    };
    let mut out = String::with_capacity(name.len());
    for (index, unit) in name.encode_utf16().enumerate() {
        let ascii = ascii(unit);
        let legal = ascii.filter(|&character| match character {
            '_' => keeps_underscores,
            '.' => dotted && index > 0,
            '0'..='9' => index > 0,
            other => other.is_ascii_alphabetic(),
        });
        match (legal, ascii) {
            (Some(character), _) => out.push(character),
            (None, Some(digit)) if keeps_underscores && digit.is_ascii_digit() => {
                out.extend(['_', digit]);
            }
            (None, _) if keeps_underscores => out.push('_'),
            (None, _) => escape(unit, &mut out),
        }
    }
    out
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
        for (name, expected) in [
            ("'quoted'", "quoted"),
            ("MixedCase", "MixedCase"),
            ("dot.ted", "dot.ted"),
            ("'", "'"),
            ("\"a\"\"b\"", "a\"b"),
        ] {
            assert_eq!(field(name, NameAdjustment::None), expected);
        }
    }

    #[test]
    fn names_become_avro_names() {
        for (name, avro, unicode) in [
            ("id", "id", "id"),
            ("dash-ed", "dash_ed", "dash_u002ded"),
            ("1st", "_1st", "_u0031st"),
            ("ünï", "_n_", "_u00fcn_u00ef"),
            ("dot.ted", "dot_ted", "dot_u002eted"),
            ("under_score", "under_score", "under_u005fscore"),
            ("_a1", "_a1", "_u005fa1"),
            ("ő\t", "__", "_u151_u009"),
            ("名", "_", "_u540d"),
            ("a😀", "a__", "a_ud83d_ude00"),
        ] {
            assert_eq!(field(name, NameAdjustment::Avro), avro);
            assert_eq!(field(name, NameAdjustment::AvroUnicode), unicode);
        }
        assert_eq!(schema("1_srv.s.t-x.Key", NameAdjustment::Avro), "_1_srv.s.t_x.Key");
        assert_eq!(schema("p_1.s.t-x.Key", NameAdjustment::AvroUnicode), "p_u005f1.s.t_u002dx.Key");
    }
}
