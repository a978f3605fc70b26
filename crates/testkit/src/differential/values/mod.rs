//! Random values of PostgreSQL's types, in the text form the server reads.
//!
//! In: random numbers. Out: text, often an extreme of its type. Never: a text the type refuses; a time that depends on now.
//! Left out are values that make Debezium itself write something unusable; `docs/guides/differential.md` lists them.

pub(super) mod numbers;
pub(super) mod structures;
pub(super) mod texts;
pub(super) mod times;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// Makes one value.
pub(super) type Value = fn(&mut StdRng) -> String;

/// How often a value is one of the extremes of its type.
const EXTREME_CHANCE: f64 = 0.25;

fn extreme_or(
    random: &mut StdRng,
    extremes: &[&str],
    other: impl FnOnce(&mut StdRng) -> String,
) -> String {
    match extremes.choose(random) {
        Some(extreme) if random.random_bool(EXTREME_CHANCE) => (*extreme).to_owned(),
        _ => other(random),
    }
}

fn digit(random: &mut StdRng) -> char {
    char::from(random.random_range(b'0'..=b'9'))
}
