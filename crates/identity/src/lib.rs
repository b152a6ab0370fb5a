//! Who somebody is: passwords, second factors, and the secrets that stand for a person or a machine.
//!
//! A leaf without SQL and without HTTP. Nothing here knows people or sessions: texts and keys come in, hashes, verdicts and new
//! secrets come out, and `control` keeps and asks. Time is an argument everywhere; randomness is made here, as a secret that
//! somebody else could choose would be none.
//!
//! | | what it is | how it is kept |
//! |---|---|---|
//! | [`Password`] | what a person types | argon2id, as a PHC string, made and checked by the [`Hasher`] |
//! | [`token`] | what a machine sends | SHA-256 |
//! | [`secret`] | a session's cookie, the link of an invitation | SHA-256 |
//! | [`totp`] | the second factor's shared secret | sealed by the vault |
//! | [`recovery`] | the codes for when the second factor is lost | a keyed digest |
//! | [`sealed`] | a ticket that comes back to us | not at all: it holds its content |
//! | [`oidc`] | a sign-in provider's word for somebody | not at all: it names a subject |
//! | [`jwt`] | what a machine makes of its token for an hour | not at all: it is signed |
//!
//! Secrets have no `Debug` and no `Serialize`.

pub mod digest;
pub mod hasher;
pub mod jwt;
pub mod oidc;
pub mod password;
pub mod qr;
pub mod recovery;
pub mod sealed;
pub mod secret;
pub mod token;
pub mod totp;

pub use hasher::{Busy, Hasher};
pub use password::{Password, Verified};
