//! Runs [`fuzzed::batch_rows`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzed::batch_rows(bytes));
