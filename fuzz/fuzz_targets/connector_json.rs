//! Runs [`fuzzed::connector_json`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzed::connector_json(bytes));
