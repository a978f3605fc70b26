//! Every configuration key we have heard of, in one table: what it does here, or why it does nothing, or that it cannot yet.
//!
//! In: a key as typed. Out: its entry, or the known key nearest to it. The page `docs/reference/settings.md` is this table.
//! Never: values are parsed here; but each default is written here and nowhere else.
//! Source: Debezium 3.6 PostgreSQL connector properties; Kafka Connect 4.3 connector and source connector configuration.

mod capture;
mod connect;
pub(super) mod converters;
mod database;
mod events;
mod ours;
mod signals;
mod store;
mod unsupported;

/// What a key means to this connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It works; the text says what it does.
    Supported(&'static str),
    /// Accepted, and there is nothing to do; the text is the reason.
    NeedsNothing(&'static str),
    /// Refused unless it has its default; the text says what to do instead.
    NotYet(&'static str),
    /// Older name; the text is the name of today.
    Renamed(&'static str),
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The key, or a pattern in which `<…>` stands for one or more characters.
    pub name: &'static str,
    /// Its default as text; empty for none.
    pub default: &'static str,
    /// What it means here.
    pub kind: Kind,
}

/// Rows that belong together on the page.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// Heading.
    pub title: &'static str,
    /// Its rows.
    pub keys: &'static [Key],
}

/// The whole table. Where two patterns match, the earlier one counts.
pub const SECTIONS: &[Section] = &[
    Section { title: "Connector", keys: connect::CONNECTOR },
    Section { title: "Source database", keys: database::KEYS },
    Section { title: "Slot and publication", keys: capture::SLOT_AND_PUBLICATION },
    Section { title: "What is captured", keys: capture::FILTERS },
    Section { title: "Snapshot", keys: capture::SNAPSHOT },
    Section { title: "Signals", keys: signals::KEYS },
    Section { title: "Events", keys: events::EVENTS },
    Section { title: "Converters", keys: converters::CONVERTERS },
    Section { title: "Avro converter: keys", keys: converters::AVRO_KEYS },
    Section { title: "Avro converter: values", keys: converters::AVRO_VALUES },
    Section { title: "Topics", keys: events::TOPICS },
    Section { title: "Kafka", keys: store::KEYS },
    Section { title: "Delivery, pace and faults", keys: connect::DELIVERY },
    Section { title: "Tributary's own", keys: ours::KEYS },
    Section { title: "Known, not supported yet", keys: unsupported::KEYS },
    Section { title: "Older names", keys: unsupported::RENAMED },
];

const fn supported(name: &'static str, default: &'static str, effect: &'static str) -> Key {
    Key { name, default, kind: Kind::Supported(effect) }
}

const fn needs_nothing(name: &'static str, default: &'static str, reason: &'static str) -> Key {
    Key { name, default, kind: Kind::NeedsNothing(reason) }
}

const fn not_yet(name: &'static str, default: &'static str, instead: &'static str) -> Key {
    Key { name, default, kind: Kind::NotYet(instead) }
}

const fn renamed(name: &'static str, now: &'static str) -> Key {
    Key { name, default: "", kind: Kind::Renamed(now) }
}

/// All rows, in the order of the page.
pub fn all() -> impl Iterator<Item = &'static Key> {
    SECTIONS.iter().flat_map(|section| section.keys)
}

/// The row for a key as typed; a full name counts before a pattern.
pub fn find(typed: &str) -> Option<&'static Key> {
    all()
        .find(|key| key.name == typed)
        .or_else(|| all().find(|key| matches_pattern(key.name, typed)))
}

/// The default of a key in the table; empty for none.
pub fn default_of(name: &str) -> &'static str {
    find(name).map_or("", |key| key.default)
}

/// The known key with the smallest edit distance, unless all are too far to be meant.
pub fn nearest(typed: &str) -> Option<&'static str> {
    nearest_of(typed, all().filter(|key| !matches!(key.kind, Kind::Renamed(_))).map(|key| key.name))
}

/// The candidate with the smallest edit distance, unless all are too far to be meant.
pub(crate) fn nearest_of<'a>(
    typed: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let limit = 2 + typed.chars().count() / 5;
    candidates
        .map(|name| (edit_distance(typed, name), name))
        .min()
        .filter(|&(distance, _)| distance <= limit)
        .map(|(_, name)| name)
}

/// Whether `typed` is `pattern` with each `<…>` replaced by something.
fn matches_pattern(pattern: &str, typed: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('<') else {
        return pattern == typed;
    };
    let Some((_, tail)) = rest.split_once('>') else {
        return false;
    };
    let Some(typed) = typed.strip_prefix(head) else {
        return false;
    };
    typed
        .char_indices()
        .skip(1)
        .map(|(at, _)| at)
        .chain([typed.len()])
        .any(|at| at > 0 && matches_pattern(tail, &typed[at..]))
}

/// Levenshtein distance in characters.
fn edit_distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, from) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, &to) in other.iter().enumerate() {
            let substituted = diagonal + usize::from(from != to);
            diagonal = row[column + 1];
            row[column + 1] = substituted.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests;
