//! A saga's journal: one record of JSON a line. No history makes the core panic, and what it accepts it decides on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saga::{History, Record};
use serde_json::Value;

fuzz_target!(|text: &str| {
    let records: Vec<Record<Value, String>> = text.lines().map_while(|line| serde_json::from_str(line).ok()).collect();
    let Ok(history) = History::replay(&records) else { return };
    assert_eq!(history.next_seq(), records.len() as u64);
    // What was accepted whole was accepted in each of its beginnings, and the last record alone leads from one to the other.
    if let Some((last, before)) = records.split_last().filter(|(_, before)| !before.is_empty()) {
        let before = History::replay(before).expect("a beginning of what was accepted");
        assert_eq!(before.apply(last).as_ref(), Ok(&history));
    }
    let again: History<Value, String> =
        serde_json::from_value(serde_json::to_value(&history).expect("a history can be written"))
            .expect("a history can be read again");
    assert_eq!(again, history);
});
