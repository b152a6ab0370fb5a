//! Passwords: argon2id with the parameters that OWASP names first, kept as PHC strings.

pub(crate) mod memory;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Params, Version};
use memory::Memory;
use zeroize::Zeroizing;

const MEMORY_KIB: u32 = 19_456;
const ROUNDS: u32 = 2;
const LANES: u32 = 1;
/// A string from the database may not make us work without end. What an earlier version made must still be readable.
const MOST_MEMORY_KIB: u32 = 64 * 1024;
const MOST_ROUNDS: u32 = 10;
const MOST_LANES: u32 = 4;
/// What is worked on where there is no password: like the real thing in all that takes time.
const NOBODY: [u8; 16] = *b"plimsoll, nobody";

/// What a person typed, in the form that is judged and compared ([`domain::password::normalized`]). Shows itself nowhere.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    pub fn new(typed: &str) -> Self {
        Self(Zeroizing::new(domain::password::normalized(typed)))
    }

    /// For [`domain::password::check`].
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a look at a password found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// `outdated` when it should be hashed anew, with today's parameters.
    Right {
        outdated: bool,
    },
    Wrong,
    /// What is kept is not a hash of ours. Took as long as a wrong one.
    Unreadable,
}

/// The machine could not give what the work needs; nothing was found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failed;

/// A PHC string for `password`, with a salt of its own.
pub(crate) fn hash(password: &Password, memory: &mut Option<Memory>) -> Result<String, Failed> {
    let params = params()?;
    let salt: [u8; 16] = rand::random();
    let output = work(password, &salt, &params, memory)?;
    let made = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).map_err(|_| Failed)?,
        salt: Some(Salt::new(&salt).map_err(|_| Failed)?),
        hash: Some(output),
    };
    Ok(made.to_string())
}

/// Whether `password` is the one of the PHC string `kept`. The work is the same where nothing is kept.
pub(crate) fn verify(password: &Password, kept: Option<&str>, memory: &mut Option<Memory>) -> Result<Verified, Failed> {
    let Some(known) = kept.and_then(Known::read) else {
        work(password, &NOBODY, &params()?, memory)?;
        return Ok(if kept.is_some() { Verified::Unreadable } else { Verified::Wrong });
    };
    let output = work(password, &known.salt, &known.params, memory)?;
    // `Output` compares in constant time.
    Ok(if output == known.output { Verified::Right { outdated: known.is_outdated() } } else { Verified::Wrong })
}

/// What a PHC string of ours says.
struct Known {
    params: Params,
    salt: Salt,
    output: Output,
}

impl Known {
    fn read(kept: &str) -> Option<Self> {
        let hash = PasswordHash::new(kept).ok()?;
        let params = Params::try_from(&hash).ok()?;
        let ours = hash.algorithm == Algorithm::Argon2id.ident() && hash.version == Some(Version::V0x13.into());
        let bounded =
            params.m_cost() <= MOST_MEMORY_KIB && params.t_cost() <= MOST_ROUNDS && params.p_cost() <= MOST_LANES;
        (ours && bounded).then_some(Self { params, salt: hash.salt?, output: hash.hash? })
    }

    fn is_outdated(&self) -> bool {
        (self.params.m_cost(), self.params.t_cost(), self.params.p_cost()) != (MEMORY_KIB, ROUNDS, LANES)
    }
}

fn params() -> Result<Params, Failed> {
    Params::new(MEMORY_KIB, ROUNDS, LANES, None).map_err(|_| Failed)
}

fn work(password: &Password, salt: &[u8], params: &Params, memory: &mut Option<Memory>) -> Result<Output, Failed> {
    let blocks = params.block_count();
    if memory.as_ref().is_none_or(|m| m.len() != blocks) {
        // The old one goes first: there is never more than one for each who works.
        *memory = None;
        *memory = Memory::new(blocks);
    }
    let Some(memory) = memory else { return Err(Failed) };
    let mut output = Zeroizing::new([0; Output::MAX_LENGTH]);
    let output = output.get_mut(..params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN)).ok_or(Failed)?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
        .hash_password_into_with_memory(password.as_str().as_bytes(), salt, output, memory.blocks())
        .map_err(|_| Failed)?;
    Output::new(output).map_err(|_| Failed)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn look(password: &str, kept: Option<&str>) -> Verified {
        verify(&Password::new(password), kept, &mut None).unwrap()
    }

    #[test]
    fn a_password_opens_its_own_hash() {
        let (mut memory, password) = (None, Password::new("gravel otter teapot"));
        let kept = hash(&password, &mut memory).unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert_eq!(look("gravel otter teapot", Some(&kept)), Verified::Right { outdated: false });
        assert_eq!(look("gravel otter teapots", Some(&kept)), Verified::Wrong);
        assert_eq!(look("", Some(&kept)), Verified::Wrong);
        assert_ne!(hash(&password, &mut memory).unwrap(), kept, "a salt of its own");
        // The memory of an earlier hash changes nothing.
        assert_eq!(verify(&password, Some(&kept), &mut memory), Ok(Verified::Right { outdated: false }));
    }

    #[test]
    fn one_password_is_one_from_every_keyboard() {
        let kept = hash(&Password::new("cafe\u{301} ﬁne tea"), &mut None).unwrap();
        assert_eq!(look("caf\u{e9} fine tea", Some(&kept)), Verified::Right { outdated: false });
    }

    #[test]
    fn strings_of_other_makers_are_read() {
        // Made by the reference implementation: its test "argon2id, v 19, 65536 KiB, 2 rounds, 1 lane".
        let foreign = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        assert_eq!(look("password", Some(foreign)), Verified::Right { outdated: true });
        assert_eq!(look("passwore", Some(foreign)), Verified::Wrong);
    }

    #[test]
    fn what_is_not_ours_opens_to_nobody() {
        let kept = hash(&Password::new("password"), &mut None).unwrap();
        for bad in [
            "",
            "password",
            "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ",
            "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
            &kept.replace("m=19456", "m=1945600"),
            &kept.replace("t=2", "t=200"),
            &kept.replace("v=19", "v=16"),
        ] {
            assert_eq!(look("password", Some(bad)), Verified::Unreadable, "{bad}");
        }
        assert_eq!(look("password", None), Verified::Wrong);
    }
}
