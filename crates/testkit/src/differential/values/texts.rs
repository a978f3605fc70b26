//! Texts, labels, bytes, bits.

use std::fmt::Write as _;

use rand::Rng;
use rand::distr::Alphanumeric;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::extreme_or;

/// How often a text is too long to stay in its row (about 2 kB are the limit).
const LONG_CHANCE: f64 = 0.02;
const SHORT_BYTES: usize = 20;

/// Labels of the enum, in its order.
pub(in super::super) const LABELS: [&str; 4] = ["c", "a", "quoted label", "ž"];

const LETTERS: [&str; 24] = [
    "a", "B", "z", "0", "9", " ", "_", "-", ".", ",", "\"", "\\", "'", "/", "{", "}", "ž", "ß",
    "漢", "😀", "\t", "\n", "\u{1}", "\u{2028}",
];

fn letters(random: &mut StdRng, most: usize) -> String {
    let count = random.random_range(0..=most);
    (0..count).filter_map(|_| LETTERS.choose(random)).copied().collect()
}

/// Letters and digits that do not compress.
fn long(random: &mut StdRng) -> String {
    let count = random.random_range(2_500..6_000);
    (0..count).map(|_| char::from(random.sample(Alphanumeric))).collect()
}

pub(in super::super) fn text(random: &mut StdRng) -> String {
    if random.random_bool(LONG_CHANCE) {
        return long(random);
    }
    extreme_or(random, &["", "null", " ", "👩‍👩‍👧", "\\", "\"\""], |random| {
        letters(random, 30)
    })
}

pub(in super::super) fn text_2(random: &mut StdRng) -> String {
    letters(random, 2)
}

pub(in super::super) fn text_10(random: &mut StdRng) -> String {
    letters(random, 10)
}

/// One of the labels the enum begins with.
pub(in super::super) fn label(random: &mut StdRng) -> String {
    LABELS.choose(random).copied().unwrap_or_default().to_owned()
}

pub(in super::super) fn bytea(random: &mut StdRng) -> String {
    let most = if random.random_bool(LONG_CHANCE) { 4_000 } else { SHORT_BYTES };
    hexadecimal(random, most)
}

/// Bytes that fit their row.
pub(in super::super) fn bytea_short(random: &mut StdRng) -> String {
    hexadecimal(random, SHORT_BYTES)
}

fn hexadecimal(random: &mut StdRng, most: usize) -> String {
    let count = random.random_range(0..=most);
    let mut text = "\\x".to_owned();
    for _ in 0..count {
        let _ = write!(text, "{:02x}", random.random::<u8>());
    }
    text
}

fn bits(random: &mut StdRng, count: usize) -> String {
    (0..count).map(|_| if random.random() { '1' } else { '0' }).collect()
}

pub(in super::super) fn bit_1(random: &mut StdRng) -> String {
    bits(random, 1)
}

pub(in super::super) fn bit_7(random: &mut StdRng) -> String {
    bits(random, 7)
}

pub(in super::super) fn bit_64(random: &mut StdRng) -> String {
    bits(random, 64)
}

pub(in super::super) fn varbit_24(random: &mut StdRng) -> String {
    let count = random.random_range(0..=24);
    bits(random, count)
}

pub(in super::super) fn varbit(random: &mut StdRng) -> String {
    let count = random.random_range(0..=90);
    bits(random, count)
}
