//! `plimsoll.toml` and Procfile: a hostile repository's way in. What is accepted means the same when it is written and read again; what is
//! refused is refused with a place that is in the text.
#![no_main]

use domain::config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match config::parse(text) {
        Ok(config) => {
            let written = toml::to_string(&config).expect("what was read can be written");
            assert_eq!(config::parse(&written).ok(), Some(config), "{written}");
        }
        Err(error) => {
            let (lines, place) = (text.lines().count().max(1), error.line);
            assert!(place >= 1 && place <= lines + 1, "line {place} of {lines}: {error}");
        }
    }
    let _ = domain::procfile::parse(text);
});
