//! How secrets of 256 random bits are kept: nobody guesses one, so a plain hash is enough, and it can be looked up.

use sha2::{Digest, Sha256};

/// SHA-256 in hexadecimal.
pub fn of(secret: &str) -> String {
    Sha256::digest(secret.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_sha_256() {
        // FIPS 180-4, the example of one block.
        assert_eq!(super::of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
