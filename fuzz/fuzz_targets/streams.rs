//! Runs [`fuzzed::streams`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzed::streams(bytes));
