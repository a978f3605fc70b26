//! Runs [`fuzzed::pattern`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzed::pattern(bytes));
