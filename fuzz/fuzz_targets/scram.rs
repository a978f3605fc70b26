//! Runs [`fuzzed::scram`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzed::scram(bytes));
