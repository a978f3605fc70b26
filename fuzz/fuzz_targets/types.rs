//! Runs [`fuzzed::types`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzed::types(bytes));
