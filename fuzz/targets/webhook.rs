//! Headers and bodies of webhooks. Only what was signed is believed, and reading a secret shows it as it was.
#![no_main]

use domain::webhook::{Secret, TOLERANCE, sign, verify};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str, &str, &[u8], i64)| {
    let (id, timestamp, signatures, body, now) = input;
    let secret = Secret::new([7; 32]);
    // Nobody without the secret makes a signature, however long it is tried.
    assert!(verify(&secret, id, timestamp, signatures, body, now).is_err());

    let signature = sign(&secret, id, now, body);
    assert!(verify(&secret, id, &now.to_string(), &signature, body, now).is_ok());
    let among = format!("{signatures} {signature}");
    assert!(verify(&secret, id, &now.to_string(), &among, body, now.saturating_add(TOLERANCE)).is_ok());

    if let Ok(read) = signatures.parse::<Secret>() {
        let shown = read.reveal();
        assert!(shown.parse::<Secret>().is_ok_and(|again| again.reveal() == shown));
    }
});
