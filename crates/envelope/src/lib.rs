//! Row changes to Debezium-compatible records.
