//! The same requests to Kafka Connect and to a worker, and what each answers.
//!
//! In: `rest/script.json`, a worker of either kind. Out: answers, held against those of Kafka Connect 4.3.1 with Debezium 3.6.0 in
//! `rest/connect-4.3.1.json`. Where ours differ on purpose, `rest/differences.txt` says so.
//! Never: texts compared that are for people, names and addresses that differ by run.

mod clients;
mod compare;
mod play;

pub use clients::{java, python};
pub use compare::{Difference, compare};
pub use play::{Answer, Side, play};

use crate::Result;

/// What the script calls the source's password: it must be in no answer of ours.
pub const SECRET: &str = "secret-of-the-source";

const SCRIPT: &str = include_str!("../../rest/script.json");
const DIFFERENCES: &str = include_str!("../../rest/differences.txt");

/// Who asked: each has recordings of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// The script.
    Script,
    /// `kafka-connect-py`.
    Python,
    /// `kafka-connect-client`.
    Java,
}

impl Asker {
    /// The answers of Kafka Connect, as they were recorded.
    pub fn recorded(self) -> Result<Vec<Answer>> {
        let text = match self {
            Self::Script => include_str!("../../rest/connect-4.3.1.json"),
            Self::Python => include_str!("../../rest/kafka-connect-py.json"),
            Self::Java => include_str!("../../rest/kafka-connect-client.json"),
        };
        Ok(serde_json::from_str(text)?)
    }

    /// Keeps answers of Kafka Connect as the recorded ones.
    pub fn record(self, answers: &[Answer]) -> Result<()> {
        let name = match self {
            Self::Script => "connect-4.3.1.json",
            Self::Python => "kafka-connect-py.json",
            Self::Java => "kafka-connect-client.json",
        };
        let path = format!("{}/rest/{name}", env!("CARGO_MANIFEST_DIR"));
        let answers = compare::without_prose(answers);
        let lines: std::result::Result<Vec<_>, serde_json::Error> =
            answers.iter().map(serde_json::to_string).collect();
        Ok(std::fs::write(path, format!("[\n{}\n]\n", lines?.join(",\n")))?)
    }
}

/// Requests whose answers differ on purpose, with the status of ours and why.
pub fn known_differences() -> impl Iterator<Item = (&'static str, u16, &'static str)> {
    DIFFERENCES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).filter_map(
        |line| {
            let mut fields = line.split('\t');
            Some((fields.next()?, fields.next()?.parse().ok()?, fields.next()?))
        },
    )
}
