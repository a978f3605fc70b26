//! Runs [`fuzzed::properties_file`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzed::properties_file(bytes));
