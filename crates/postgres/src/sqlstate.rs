//! SQLSTATE to class: the one place that decides whether a server's refusal is worth repeating.
//!
//! In: five characters. Out: [`Class`]. Source: PostgreSQL manual, "PostgreSQL Error Codes".

use crate::Class;

/// Decides what an SQLSTATE means for a connector.
///
/// Transient is what passes by itself: a server that starts, stops, is full or busy, a lost race. Everything else needs
/// somebody to change something first; an unknown code is definite, because repeating what we do not understand hides it.
pub(crate) fn class_of(sqlstate: &str) -> Class {
    match sqlstate {
        // Connection exceptions and the operator's interventions: shutdown, crash, "the database system is starting up".
        "08000" | "08003" | "08006" | "08001" | "08004" | "08007" => Class::Transient,
        "57P01" | "57P02" | "57P03" | "57P05" => Class::Transient,
        // Cancelled by a timeout or by hand; a lock was not free.
        "57014" | "55P03" | "25P03" | "25P04" => Class::Transient,
        // Object in use: the slot of a walsender that has not yet noticed its death.
        "55006" => Class::Transient,
        // Insufficient resources: disk, memory, connections.
        "53000" | "53100" | "53200" | "53300" => Class::Transient,
        // Serialization failure, deadlock, and the conflict with recovery on a standby.
        "40001" | "40P01" | "40003" => Class::Transient,
        // System errors outside the server: I/O of the machine it runs on.
        "58000" | "58030" => Class::Transient,
        _ => Class::Definite,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_transient() {
        for code in ["57P01", "57P03", "53300", "08006", "55006", "40001"] {
            assert_eq!(class_of(code), Class::Transient, "{code}");
        }
    }

    #[test]
    fn what_somebody_must_change_is_definite() {
        for code in ["28P01", "28000", "42501", "42704", "3D000", "55000", "53400", "XX000", "?????"] {
            assert_eq!(class_of(code), Class::Definite, "{code}");
        }
    }
}
