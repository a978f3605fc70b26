//! What the server's refusals mean: the one place that reads an SQLSTATE.
//!
//! In: five characters and what we were doing. Out: [`Class`], or the [`PostgresError`] that names it best.
//! Source: PostgreSQL manual, "PostgreSQL Error Codes".

use crate::{Class, PostgresError, ServerError};

/// Decides what an SQLSTATE means for a connector.
///
/// Transient is what passes by itself: a server that starts, stops, is full or busy, a lost race. Everything else needs
/// somebody to change something first; an unknown code is definite, because repeating what we do not understand hides it.
pub(crate) fn class_of(sqlstate: &str) -> Class {
    match sqlstate {
        // Connection exceptions.
        "08000" | "08001" | "08003" | "08004" | "08006" | "08007"
        // Shutdown, crash of another session, "the database system is starting up", idle session ended.
        | "57P01" | "57P02" | "57P03" | "57P05"
        // Cancelled by a timeout or by hand; a lock was not free; a transaction sat idle too long.
        | "57014" | "55P03" | "25P03" | "25P04"
        // Object in use: the slot of a walsender that has not yet noticed its death.
        | "55006"
        // Insufficient resources: disk, memory, connections.
        | "53000" | "53100" | "53200" | "53300"
        // Serialization failure, deadlock, conflict with recovery on a standby.
        | "40001" | "40P01" | "40003"
        // Read only: a standby that will be promoted, a demoted primary, a server whose disk is full or that somebody has frozen.
        | "25006"
        // Trouble of the machine the server runs on.
        | "58000" | "58030" => Class::Transient,
        _ => Class::Definite,
    }
}

/// A refusal before the session was ready.
pub(crate) fn startup_error(source: Box<ServerError>, address: &str, user: &str) -> PostgresError {
    let address = address.to_owned();
    match source.sqlstate.as_str() {
        "28P01" | "28000" => {
            PostgresError::Authentication { address, user: user.to_owned(), source }
        }
        "53300" => PostgresError::TooManyConnections { address, source },
        "42501" => PostgresError::NoPrivilege {
            action: format!("open a replication session as `{user}`"),
            fix: format!("ALTER ROLE {} REPLICATION;", crate::quote_identifier(user)),
            source,
        },
        _ => statement_error("open a session", source),
    }
}

/// A refusal of a statement, where nothing more particular is known.
pub(crate) fn statement_error(
    action: impl Into<String>,
    source: Box<ServerError>,
) -> PostgresError {
    let action = action.into();
    match source.sqlstate.as_str() {
        "57P01" | "57P02" | "57P03" | "57P05" => PostgresError::Shutdown { source },
        "42501" => {
            let fix = "grant the role what the server's message below names".to_owned();
            PostgresError::NoPrivilege { action, fix, source }
        }
        _ => PostgresError::Statement { action, source },
    }
}

/// Whether a statement was refused because its table is not there (any more).
pub(crate) fn is_undefined_table(error: &PostgresError) -> bool {
    match error {
        PostgresError::Statement { source, .. } => names_no_table(&source.sqlstate),
        _ => false,
    }
}

fn names_no_table(sqlstate: &str) -> bool {
    matches!(sqlstate, "42P01" | "3F000")
}

/// Whether a statement was refused because what it names is not there (any more): its text was made from a description that
/// is not true any more.
pub(crate) fn is_redefined(sqlstate: &str) -> bool {
    names_no_table(sqlstate) || sqlstate == "42703"
}

/// What a refused replication command was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlotRefusal {
    /// There is no such slot.
    Missing,
    /// There is one of this name.
    Exists,
    /// Somebody reads it.
    Active,
    /// All slots are taken.
    NoneFree,
    /// The server, or the slot, is not in the state this needs: which one, the catalog tells.
    State,
    /// The role may not.
    Privilege,
    /// Something else.
    Other,
}

/// Reads the SQLSTATE of a refused slot command.
pub(crate) fn slot_refusal(sqlstate: &str) -> SlotRefusal {
    match sqlstate {
        "42704" => SlotRefusal::Missing,
        "42710" => SlotRefusal::Exists,
        "55006" => SlotRefusal::Active,
        "53400" => SlotRefusal::NoneFree,
        "55000" => SlotRefusal::State,
        "42501" => SlotRefusal::Privilege,
        _ => SlotRefusal::Other,
    }
}

/// Whether the login itself was refused, not its password: another kind of connection may be let in.
pub(crate) fn refused_by_host_rules(error: &PostgresError) -> bool {
    matches!(error, PostgresError::Authentication { source, .. } if source.sqlstate == "28000")
}

/// Whether an exported snapshot could not be imported because it is gone.
pub(crate) fn is_missing_snapshot(sqlstate: &str) -> bool {
    // 22023: "invalid snapshot identifier"; 42704: "snapshot does not exist" (PostgreSQL 17); 55000: its source has ended.
    matches!(sqlstate, "22023" | "42704" | "55000")
}

/// What a warning in a running stream means, if it means that changes are missing.
///
/// From PostgreSQL 18 on a publication that does not exist is skipped with this warning, and with it every change it would
/// have held. Before, it was an error; it stays one here.
pub(crate) fn stream_warning(notice: ServerError, publications: &str) -> Option<PostgresError> {
    let skipped = notice.severity == "WARNING" && notice.sqlstate == "55000";
    skipped.then(|| missing_publication(Box::new(notice), publications))
}

/// What the server refuses when it ends a stream.
pub(crate) const STREAMING: &str = "go on streaming";

/// Why the server ended a running stream.
pub(crate) fn stream_error(source: Box<ServerError>, publications: &str) -> PostgresError {
    match source.sqlstate.as_str() {
        // Publications are looked up at the first change, long after the stream has begun.
        "42704" => missing_publication(source, publications),
        _ => statement_error(STREAMING, source),
    }
}

fn missing_publication(source: Box<ServerError>, publications: &str) -> PostgresError {
    PostgresError::PublicationMissing {
        publication: publications.to_owned(),
        fix: "the slot reads the catalog as it was then, so a publication made now does not help it: set snapshot.mode=when_needed or tributary.gap.policy=resnapshot and start while the publication is missing, which makes both anew and reads the tables again; or give the connector another name, slot.name and publication.name"
            .to_owned(),
        source: Some(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_transient() {
        for code in ["57P01", "57P03", "53300", "08006", "55006", "40001", "25006"] {
            assert_eq!(class_of(code), Class::Transient, "{code}");
        }
    }

    #[test]
    fn a_decoder_that_fails_inside_itself_is_tried_again_and_nothing_else_that_does() {
        let error = |action: &str, sqlstate: &str| {
            let source = ServerError {
                severity: "ERROR".to_owned(),
                sqlstate: sqlstate.to_owned(),
                message: "could not map filenode".to_owned(),
                detail: None,
                hint: None,
            };
            statement_error(action, Box::new(source)).class()
        };
        assert_eq!(error(STREAMING, "XX000"), Class::Transient);
        assert_eq!(error(STREAMING, "22P02"), Class::Definite);
        assert_eq!(error("copy public.item", "XX000"), Class::Definite);
    }

    #[test]
    fn what_somebody_must_change_is_definite() {
        for code in
            ["28P01", "28000", "42501", "42704", "3D000", "55000", "53400", "XX000", "?????"]
        {
            assert_eq!(class_of(code), Class::Definite, "{code}");
        }
    }
}
