//! Our topics read by programs others wrote, until what they made of them is the source's tables.
//!
//! In: a seed. Out: how many rows were compared, and which are not the same. Never: a reader of ours in between.

mod flink;
mod jdbc;

pub use flink::FlinkReport;
pub use jdbc::{JdbcReport, TableReport};

pub use self::flink::run as run_flink;
pub use self::jdbc::run as run_jdbc;
