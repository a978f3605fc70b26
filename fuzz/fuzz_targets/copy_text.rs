//! Runs [`fuzzed::copy_text`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzed::copy_text(bytes));
