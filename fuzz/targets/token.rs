//! What is sent to say who one is: API tokens, what is signed in their name, cookies, tickets. Whatever it is, it has one meaning at
//! most, and only what was made here is taken.
#![no_main]

use chrono::{DateTime, TimeDelta, Utc};
use domain::TokenId;
use identity::jwt::{self, Signer};
use identity::sealed::Sealer;
use identity::{secret, token};
use libfuzzer_sys::fuzz_target;
use secrecy::ExposeSecret;
use serde_json::Value;

const KEY: [u8; 32] = [7; 32];
const KINDS: [secret::Kind; 3] = [secret::Kind::Session, secret::Kind::Invitation, secret::Kind::Device];

fuzz_target!(|text: &str| {
    let taken = [token::is_plausible(text), jwt::is_plausible(text)].into_iter().filter(|taken| *taken).count();
    assert!(taken + KINDS.iter().filter(|kind| kind.hash(text).is_some()).count() <= 1, "{text} could be two things");
    if token::is_plausible(text) {
        // What lists show of it tells nobody the rest.
        assert!(text.is_ascii() && text.len() > 4 * token::shown(text).len(), "{text}");
    }

    let now = DateTime::from_timestamp(1_800_000_000, 0).expect("it is within the calendar");
    assert!(Sealer::new(KEY.into()).open::<Value>("fuzz", text, now).is_err(), "{text}");
    signed(text, now);
});

/// Neither the text itself nor a token of ours with the text as one of its parts.
fn signed(text: &str, now: DateTime<Utc>) {
    let signer = Signer::new(&KEY);
    let verify = |text: &str| signer.verify(text, &["plimsoll"], now);
    let id: TokenId = "tok_01hf7yat00000000000000002a".parse().expect("it is an id");
    let (made, claims) = signer.sign(id, "plimsoll", TimeDelta::hours(1), now).expect("an hour is allowed");
    let made = made.expose_secret();
    assert_eq!(verify(made), Ok(claims));

    let parts: Vec<&str> = made.split('.').collect();
    for altered in 0..parts.len() {
        let mut parts = parts.clone();
        parts[altered] = text;
        let forged = parts.join(".");
        assert!(forged == made || verify(&forged).is_err(), "{forged}");
    }
    assert!(verify(text).is_err(), "{text}");
}
