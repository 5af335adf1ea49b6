//! Drives the target with libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cap_schema_fuzz::parser(data));
