//! Cursors, which clients hand back. What is accepted is written as one text only.
#![no_main]

use std::str::FromStr;

use domain::cursor::LogCursor;
use domain::{DeploymentId, Name};
use libfuzzer_sys::fuzz_target;

fn check<T: FromStr + ToString + PartialEq>(text: &str) {
    if let Ok(cursor) = text.parse::<T>() {
        assert!(cursor.to_string().parse::<T>().is_ok_and(|again| again == cursor), "{text}");
    }
}

fuzz_target!(|text: &str| {
    check::<LogCursor>(text);
    check::<DeploymentId>(text);
    check::<Name>(text);
    check::<u64>(text);
});
