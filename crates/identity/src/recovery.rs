//! Codes for when the second factor is lost: each is good for once.

use secrecy::SecretString;
use zeroize::Zeroizing;

/// So many are made at a time.
pub const CODES: usize = 10;

/// Crockford's: nothing that is read for something else.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 80 bits.
const CHARACTERS: usize = 16;

/// New ones, to be shown once: `xxxx-xxxx-xxxx-xxxx`.
pub fn make() -> [SecretString; CODES] {
    std::array::from_fn(|_| {
        let random: [u8; CHARACTERS] = rand::random();
        let letters: Vec<char> = random.iter().map(|b| char::from(ALPHABET[usize::from(b % 32)])).collect();
        let groups: Vec<String> = letters.chunks(4).map(String::from_iter).collect();
        SecretString::from(groups.join("-"))
    })
}

/// How a code of `user` is kept: a digest that only the holder of `key` can make. `None` when `typed` can't be a code.
///
/// Spaces, hyphens and capitals don't matter, and letters that look like digits are taken for them.
pub fn digest(key: &[u8; 32], user: &str, typed: &str) -> Option<String> {
    let mut code = Zeroizing::new(String::new());
    for c in typed.chars().filter(|c| !c.is_whitespace() && *c != '-') {
        code.push(match c.to_ascii_lowercase() {
            'i' | 'l' => '1',
            'o' => '0',
            c if c.is_ascii() && ALPHABET.contains(&(c as u8)) => c,
            _ => return None,
        });
    }
    let digest = || blake3::keyed_hash(key, format!("{user}\0{}", *code).as_bytes()).to_hex().to_string();
    (code.len() == CHARACTERS).then(digest)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn codes_are_found_however_they_are_typed() {
        let codes = make();
        let digests: Vec<_> = codes.iter().map(|c| digest(&[1; 32], "usr_1", c.expose_secret()).unwrap()).collect();
        let distinct: std::collections::BTreeSet<_> = digests.iter().collect();
        assert_eq!(distinct.len(), CODES);
        let code = codes[0].expose_secret();
        assert_eq!(code.len(), 19);
        for typed in [code.to_uppercase(), code.replace('-', " "), code.replace('1', "l").replace('0', "O")] {
            assert_eq!(digest(&[1; 32], "usr_1", &typed).as_ref(), Some(&digests[0]), "{typed}");
        }
        assert_ne!(digest(&[2; 32], "usr_1", code).as_ref(), Some(&digests[0]));
        assert_ne!(digest(&[1; 32], "usr_2", code).as_ref(), Some(&digests[0]));
        for bad in ["", "0000", &format!("{code}0"), &code.replace(&code[..1], "u"), "ééééééééééééééé"] {
            assert_eq!(digest(&[1; 32], "usr_1", bad), None, "{bad}");
        }
    }
}
