//! Runs [`fuzzed::record_batches`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzed::record_batches(bytes));
