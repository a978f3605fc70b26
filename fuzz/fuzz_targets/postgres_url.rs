//! Runs [`fuzzed::postgres_url`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzed::postgres_url(bytes));
