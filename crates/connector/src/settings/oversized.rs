//! What becomes of a record that Kafka does not take, or that cannot be made.
//!
//! In: the keys `tributary.oversized.*`, `tributary.dead.letter.topic`, `tributary.claim.check.topic`. Out:
//! [`OversizedSettings`]. Never: a policy that drops something.

use regex::Regex;

use super::filter::patterns;
use super::identity::prefixed;
use super::pattern::Case;
use super::problem::Problem;
use super::values::{Choice, Values};

const POLICY: &str = "tributary.oversized.policy";
const COLUMNS: &str = "tributary.oversized.columns";
const KEEP: &str = "tributary.oversized.keep.bytes";
const DEAD_LETTER_TOPIC: &str = "tributary.dead.letter.topic";
const CLAIM_CHECK_TOPIC: &str = "tributary.claim.check.topic";

/// `tributary.oversized.policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OversizedPolicy {
    /// The connector stops, and says which record.
    Fail,
    /// The record goes whole into a topic of its own, in parts; so does a row that cannot be encoded.
    DeadLetter,
    /// Long values are cut, and the event says which.
    Truncate,
    /// The record goes whole into a topic of its own, in parts; the event has placeholders for long values, and says where
    /// they are.
    ClaimCheck,
}

/// `tributary.oversized.*`.
#[derive(Debug, Clone)]
pub struct OversizedSettings {
    /// What becomes of a record that is too large.
    pub policy: OversizedPolicy,
    /// Where whole records go: of the policies `dead.letter` and `claim.check`.
    pub topic: Option<String>,
    /// What is left of a long value.
    pub keep_bytes: usize,
    /// `schema.table.column` of what may be made shorter; empty is every column outside the key.
    pub columns: Vec<Regex>,
}

impl OversizedSettings {
    /// `kafka_prefix` goes before topics that are named, `topic_prefix` has it already.
    pub(super) fn read(values: &mut Values<'_>, kafka_prefix: &str, topic_prefix: &str) -> Self {
        let policy = values.choice(
            POLICY,
            &[
                ("fail", Choice::Is(OversizedPolicy::Fail)),
                ("dead.letter", Choice::Is(OversizedPolicy::DeadLetter)),
                ("truncate", Choice::Is(OversizedPolicy::Truncate)),
                ("claim.check", Choice::Is(OversizedPolicy::ClaimCheck)),
            ],
            OversizedPolicy::Fail,
        );
        let shortens = matches!(policy, OversizedPolicy::Truncate | OversizedPolicy::ClaimCheck);
        let uses = [
            (DEAD_LETTER_TOPIC, policy == OversizedPolicy::DeadLetter),
            (CLAIM_CHECK_TOPIC, policy == OversizedPolicy::ClaimCheck),
            (COLUMNS, shortens),
            (KEEP, shortens),
        ];
        for (key, is_used) in uses {
            if !is_used && values.given(key).is_some() {
                let why = format!("with `{POLICY}={}` it means nothing", policy.name());
                let fix = format!("remove it, or set {POLICY} to a policy that uses it");
                values.problems.push(Problem::new("CF006", key, why, fix));
            }
        }
        let keep_bytes = values.number(KEEP, 0, 1 << 20);
        Self {
            policy,
            topic: topic(values, policy, kafka_prefix, topic_prefix),
            keep_bytes: usize::try_from(keep_bytes).unwrap_or_default(),
            columns: patterns(values, COLUMNS, Case::Ignored),
        }
    }
}

impl OversizedPolicy {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::DeadLetter => "dead.letter",
            Self::Truncate => "truncate",
            Self::ClaimCheck => "claim.check",
        }
    }
}

fn topic(
    values: &mut Values<'_>,
    policy: OversizedPolicy,
    kafka_prefix: &str,
    topic_prefix: &str,
) -> Option<String> {
    let (key, suffix) = match policy {
        OversizedPolicy::Fail | OversizedPolicy::Truncate => return None,
        OversizedPolicy::DeadLetter => (DEAD_LETTER_TOPIC, "dead-letter"),
        OversizedPolicy::ClaimCheck => (CLAIM_CHECK_TOPIC, "claim-check"),
    };
    let given = values.given(key).map(|name| prefixed(kafka_prefix, name));
    let name = given.unwrap_or_else(|| format!("{topic_prefix}.{suffix}"));
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.len() > 249 || !name.chars().all(is_legal) {
        let why = format!("`{name}` is not a name that Kafka takes for a topic");
        values.invalid(key, &why, "use at most 249 letters, digits, dots, underscores and hyphens");
    }
    Some(name)
}
