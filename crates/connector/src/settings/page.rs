//! The reference page of all keys, made from the table.

use std::fmt::Write;

use super::keys::{Key, Kind, SECTIONS};

const HEAD: &str = "# Settings

Every configuration key of Debezium's PostgreSQL connector 3.6 and of Kafka Connect source connectors, and what it does
here. The keys are theirs, verbatim: a connector JSON made for them is accepted as it is. Lists are comma-separated regular
expressions in Java's dialect without lookaround, back references and possessive quantifiers; each must match the whole
name; case is ignored for letters of all alphabets (in Debezium for ASCII only).

- **works**: it does what the third column says.
- **nothing to do**: accepted; the third column is the reason. Logged once at the start.
- **not yet**: an error, unless the value is the default shown. The third column says what to do instead.
- Any other key is an error that names the nearest known one.

`<…>` in a key stands for any text. Defaults that differ from Debezium's: `plugin.name`, `publication.autocreate.mode`, and
`database.sslmode` when `database.sslrootcert` is set. Connectors made by flags also differ in the names of slot and
publication and in `topic.prefix` (derived from the connector's name), in `replace.null.with.default` (`false`), in
`read.only` (`true`), `tributary.event.id.header.enabled` (`true`), `tributary.snapshot.date.era` (`kept`), `tributary.snapshot.inherited.rows` (`once`),
`tributary.unmapped.types` (`capture`), `tributary.enum.labels` (`current`), `tributary.publication.future.tables` (`false`) and `context.message.prefix`.

## Values that stand elsewhere

A value may refer, wholly or in part, to what should not stand in a configuration, as with Kafka Connect's config providers:

| reference | what it stands for |
|---|---|
| `${env:NAME}` | a variable of the process |
| `${file:/path/to.properties:key}` | the value of a key in a Java properties file |
| `${dir:/path/to/folder:file}` | the content of a file, without a newline at its end: secrets as Kubernetes and systemd mount them |

They are looked up when the connector starts and when its configuration is read again (SIGHUP). One that leads nowhere is an error ([CF012](../errors/CF012.md)).
What a reference led to is in no message, log or status.

This page is generated; after a change of the table run
`UPDATE_SETTINGS_PAGE=1 cargo test -p connector --lib settings_page`.
";

/// Renders `docs/reference/settings.md`.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    for section in SECTIONS {
        // Writing to a String cannot fail.
        let _ = write!(page, "\n## {}\n\n| Key | Default | |\n|---|---|---|\n", section.title);
        for key in section.keys {
            let _ = writeln!(page, "{}", row(key));
        }
    }
    page
}

fn row(key: &Key) -> String {
    let default = if key.default.is_empty() { String::new() } else { format!("`{}`", key.default) };
    let text = match key.kind {
        Kind::Supported(effect) => format!("**works**: {effect}"),
        Kind::NeedsNothing(reason) => format!("**nothing to do**: {reason}."),
        Kind::NotYet(instead) => format!("**not yet**: {instead}."),
        Kind::Renamed(now) => format!("**error**: write `{now}`."),
    };
    format!("| `{}` | {default} | {} |", key.name, text.replace('|', "\\|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_page_is_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/settings.md");
        if std::env::var_os("UPDATE_SETTINGS_PAGE").is_some() {
            std::fs::write(path, page()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == page(),
            "docs/reference/settings.md is not the table; run UPDATE_SETTINGS_PAGE=1 cargo test -p connector --lib settings_page"
        );
    }
}
