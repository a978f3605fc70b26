//! Runs [`fuzzed::checkpoint`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzed::checkpoint(bytes));
