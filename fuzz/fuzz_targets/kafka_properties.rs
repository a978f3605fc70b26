//! Runs [`fuzzed::kafka_properties`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzed::kafka_properties(bytes));
