//! Where the source is, how to get in, and what we keep there: connection, slot, publication.
//!
//! Source: Debezium `database.*`, `slot.*`, `publication.*`; libpq parameter names.

use std::time::Duration;

use postgres::{ConnectionConfig, Feedback, PostgresError, SlotName};

use super::Note;
use super::environment::Environment;
use super::problem::Problem;
use super::pushdown::PushdownSettings;
use super::values::{Choice, Values};

/// The replication slot.
#[derive(Debug, Clone)]
pub struct SlotSettings {
    /// `slot.name`.
    pub name: SlotName,
    /// `slot.failover`.
    pub failover: bool,
    /// `slot.stream.params`, in their order.
    pub stream_params: Vec<(String, String)>,
}

/// Who makes the publication, and of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Autocreate {
    /// We do, of exactly the captured tables, and keep it so.
    Filtered,
    /// We do, `FOR ALL TABLES`.
    AllTables,
    /// Somebody else has done it.
    Disabled,
    /// We do, without tables; somebody else adds them.
    NoTables,
}

/// The publication.
#[derive(Debug, Clone)]
pub struct PublicationSettings {
    /// `publication.name`.
    pub name: String,
    /// `publication.autocreate.mode`.
    pub mode: Autocreate,
    /// `publish.via.partition.root`.
    pub via_partition_root: bool,
    /// `tributary.publication.future.tables`.
    pub future_tables: bool,
    /// `tributary.publication.pushdown`.
    pub pushdown: PushdownSettings,
}

/// How to reach the source, from URL or keys; `application_name` names the connector.
pub(super) fn connection(
    values: &mut Values<'_>,
    environment: &Environment,
    connector: &str,
) -> ConnectionConfig {
    values.exclusive("database.hostname", "tributary.source.url");
    let url = values.given("tributary.source.url").or_else(|| {
        let from_environment = environment.database_url.as_deref();
        from_environment.filter(|_| values.given("database.hostname").is_none())
    });
    let mut config = match url.map(ConnectionConfig::parse) {
        Some(Ok(config)) => config,
        Some(Err(error)) => {
            let key = if values.given("tributary.source.url").is_some() {
                "tributary.source.url"
            } else {
                "DATABASE_URL"
            };
            refuse(values, key, &error);
            return ConnectionConfig::new();
        }
        None => ConnectionConfig::new(),
    };
    if url.is_none() {
        require(values);
        config = config.with_parameter("port", "5432").unwrap_or_default();
    }
    config = parameters(values, config);
    if values.given("database.sslrootcert").is_some() && values.given("database.sslmode").is_none()
    {
        // Whoever names the authority to trust wants the server checked.
        config = set(values, config, "database.sslmode", "sslmode", "verify-full");
    }
    config = config.with_answer_timeout(answer_timeout(values));
    if let Some(text) = values.given("database.initial.statements") {
        config = config.with_initial_statements(statements(text));
    }
    if config.application_name() == ConnectionConfig::new().application_name() {
        let name: String = format!("tributary:{connector}").chars().take(63).collect();
        config = config.with_application_name(name);
    }
    config
}

/// Without a URL there is no other place these could come from.
fn require(values: &mut Values<'_>) {
    let missing = |key: &&str| values.given(key).is_none();
    let keys: Vec<&str> = ["database.hostname", "database.user", "database.dbname"]
        .into_iter()
        .filter(missing)
        .collect();
    if keys.len() == 3 {
        values.problems.push(Problem::new(
            "CF005",
            "database.hostname",
            "nothing says where the source database is",
            "set `database.hostname`, `database.user`, `database.password` and `database.dbname`, or pass --source, or set DATABASE_URL",
        ));
        return;
    }
    for key in keys {
        values.problems.push(Problem::new(
            "CF005",
            key,
            "it is required and not set",
            format!("set `{key}`"),
        ));
    }
}

/// The single `database.*` keys, over whatever the URL said.
fn parameters(values: &mut Values<'_>, mut config: ConnectionConfig) -> ConnectionConfig {
    const NAMES: [(&str, &str); 13] = [
        ("database.hostname", "host"),
        ("database.port", "port"),
        ("database.user", "user"),
        ("database.password", "password"),
        ("database.dbname", "dbname"),
        ("database.sslrootcert", "sslrootcert"),
        ("database.sslmode", "sslmode"),
        ("database.sslcert", "sslcert"),
        ("database.sslkey", "sslkey"),
        ("database.sslpassword", "sslpassword"),
        ("database.tcpKeepAlive", "tcpKeepAlive"),
        ("database.ApplicationName", "application_name"),
        ("database.connectTimeout", "connect_timeout"),
    ];
    for (key, parameter) in NAMES {
        if let Some(text) = values.given(key) {
            config = set(values, config, key, parameter, text);
        }
    }
    config
}

fn set(
    values: &mut Values<'_>,
    config: ConnectionConfig,
    key: &str,
    parameter: &str,
    text: &str,
) -> ConnectionConfig {
    match config.clone().with_parameter(parameter, text) {
        Ok(changed) => changed,
        Err(error) => {
            refuse(values, key, &error);
            config
        }
    }
}

fn refuse(values: &mut Values<'_>, key: &str, error: &PostgresError) {
    let (why, fix) = match error {
        PostgresError::Configuration { setting, reason, fix } => {
            (format!("{setting}: {reason}"), fix.clone())
        }
        other => (other.to_string(), "correct the value".to_owned()),
    };
    values.problems.push(Problem::new("CF010", key, why, fix));
}

/// Splits at `;`; `;;` is one semicolon.
fn statements(text: &str) -> Vec<String> {
    text.replace(";;", "\u{0}")
        .split(';')
        .map(|statement| statement.replace('\u{0}', ";").trim().to_owned())
        .filter(|statement| !statement.is_empty())
        .collect()
}

/// `slot.*`.
pub(super) fn slot(values: &mut Values<'_>) -> Option<SlotSettings> {
    let name = match SlotName::new(values.text("slot.name").unwrap_or_default()) {
        Ok(name) => Some(name),
        Err(error) => {
            refuse(values, "slot.name", &error);
            None
        }
    };
    let failover = values.flag("slot.failover");
    let stream_params = stream_params(values);
    Some(SlotSettings { name: name?, failover, stream_params })
}

/// Options that belong to us: another value would change what the stream means.
const OWN_OPTIONS: [&str; 6] =
    ["proto_version", "publication_names", "messages", "binary", "streaming", "two_phase"];

fn stream_params(values: &mut Values<'_>) -> Vec<(String, String)> {
    const KEY: &str = "slot.stream.params";
    const FIX: &str = "write `key=value;key=value`, for example `origin=none`";
    let mut params = Vec::new();
    let text = values.given(KEY).unwrap_or_default();
    for item in text.split(';').map(str::trim).filter(|item| !item.is_empty()) {
        match item.split_once('=') {
            Some((name, _)) if OWN_OPTIONS.contains(&name.trim()) => {
                values.invalid(
                    KEY,
                    &format!("`{}` is set by the connector itself", name.trim()),
                    "remove it",
                );
            }
            Some((name, value)) => params.push((name.trim().to_owned(), value.trim().to_owned())),
            None => values.invalid(KEY, &format!("`{item}` has no `=`"), FIX),
        }
    }
    params
}

/// `publication.*`.
pub(super) fn publication(values: &mut Values<'_>, notes: &mut Vec<Note>) -> PublicationSettings {
    let name = values.text("publication.name").unwrap_or_default().to_owned();
    if name.len() > 63 {
        values.invalid(
            "publication.name",
            "PostgreSQL keeps only 63 bytes of a name",
            "write a shorter name",
        );
    }
    let mode = values.choice(
        "publication.autocreate.mode",
        &[
            ("filtered", Choice::Is(Autocreate::Filtered)),
            ("all_tables", Choice::Is(Autocreate::AllTables)),
            ("disabled", Choice::Is(Autocreate::Disabled)),
            ("no_tables", Choice::Is(Autocreate::NoTables)),
        ],
        Autocreate::Filtered,
    );
    // As in Debezium, transactions of other tables have their BEGIN and END, too.
    let of_all = values.given("publication.autocreate.mode").is_none()
        && values.flag("provide.transaction.metadata");
    let mode = if of_all { Autocreate::AllTables } else { mode };
    PublicationSettings {
        name,
        mode,
        via_partition_root: values.flag("publish.via.partition.root"),
        future_tables: values.flag("tributary.publication.future.tables"),
        pushdown: PushdownSettings::read(values, mode, notes),
    }
}

/// How many tables a connector may capture, as `guardrail.collections.max` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guardrail {
    /// The most that is allowed.
    pub tables_max: usize,
    /// Whether more end the connector, or are only said.
    pub fails: bool,
}

/// Which labels the schema of an enum lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnumLabels {
    /// Those it had when this run first saw the enum.
    FirstSeen,
    /// Those it had where its table was described last.
    Current,
}

/// `tributary.enum.labels`.
pub(super) fn enum_labels(values: &mut Values<'_>) -> EnumLabels {
    values.choice(
        "tributary.enum.labels",
        &[
            ("first_seen", Choice::Is(EnumLabels::FirstSeen)),
            ("current", Choice::Is(EnumLabels::Current)),
        ],
        EnumLabels::FirstSeen,
    )
}

/// `guardrail.*`; 0 is no limit.
pub(super) fn guardrail(values: &mut Values<'_>) -> Option<Guardrail> {
    let tables_max = values.number("guardrail.collections.max", 0, i64::from(i32::MAX));
    let fails = values.choice(
        "guardrail.collections.limit.action",
        &[("warn", Choice::Is(false)), ("fail", Choice::Is(true))],
        false,
    );
    let tables_max = usize::try_from(tables_max).unwrap_or_default();
    (tables_max > 0).then_some(Guardrail { tables_max, fails })
}

/// `status.update.interval.ms`, `tributary.wal.receiver.timeout.ms`.
pub(super) fn feedback(values: &mut Values<'_>) -> Feedback {
    Feedback {
        status_interval: values.milliseconds("status.update.interval.ms", 100, 3_600_000),
        silence_max: values.milliseconds("tributary.wal.receiver.timeout.ms", 1_000, 86_400_000),
    }
}

/// `database.query.timeout.ms`; 0 waits for ever in JDBC, here for a day, because everything has a limit.
fn answer_timeout(values: &mut Values<'_>) -> Duration {
    let wanted = values.milliseconds("database.query.timeout.ms", 0, 86_400_000);
    if wanted.is_zero() { Duration::from_hours(24) } else { wanted }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubled_semicolons_stay_inside_a_statement() {
        assert_eq!(statements("SET a = 'x;;y'; SELECT 1;"), ["SET a = 'x;y'", "SELECT 1"]);
    }
}
