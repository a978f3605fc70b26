//! Runs [`fuzzed::decode`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzed::decode(bytes));
