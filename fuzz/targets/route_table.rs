//! The ingress's route table on the disk.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| ingress::fuzzing::route_table(bytes));
