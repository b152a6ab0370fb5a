//! API tokens: `plim_`, 43 characters of 256 random bits, and 6 of a checksum.
//!
//! The checksum tells a mistyped or cut-off token from a wrong one without a look at the database, and lets scanners for leaked
//! secrets be sure. Tokens from before it, with 64 hexadecimal digits, are still taken.

use secrecy::SecretString;

pub const PREFIX: &str = "plim_";

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 62^43 is just above 2^256, and 62^6 above 2^32.
const RANDOM: usize = 43;
const CHECKSUM: usize = 6;
const OLD: usize = 64;
/// Characters of a token, its prefix included, that may be shown to tell it from others.
const SHOWN: usize = 9;

/// A new one.
pub fn make() -> SecretString {
    from_random(rand::random())
}

/// Whether `text` can be a token at all.
pub fn is_plausible(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(PREFIX) else { return false };
    match rest.len() {
        OLD => rest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')),
        _ => rest
            .split_at_checked(RANDOM)
            .is_some_and(|(random, sum)| random.bytes().all(|b| b.is_ascii_alphanumeric()) && sum == checksum(random)),
    }
}

/// The beginning of a token, as lists show it.
pub fn shown(token: &str) -> String {
    token.chars().take(SHOWN).collect()
}

fn from_random(mut bytes: [u8; 32]) -> SecretString {
    let mut digits = [0; RANDOM];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[usize::from(divide(&mut bytes))];
    }
    let random: String = digits.iter().map(|digit| char::from(*digit)).collect();
    SecretString::from(format!("{PREFIX}{random}{}", checksum(&random)))
}

/// Divides a number, its highest byte first, by 62; what is left over.
fn divide(number: &mut [u8; 32]) -> u8 {
    let mut rest: u16 = 0;
    for byte in number {
        let value = rest << 8 | u16::from(*byte);
        // Below 256, as the rest before was below 62.
        *byte = (value / 62) as u8;
        rest = value % 62;
    }
    rest as u8
}

/// CRC-32 over prefix and random part.
fn checksum(random: &str) -> String {
    let mut sum = crc32fast::hash(format!("{PREFIX}{random}").as_bytes());
    let mut digits = [0; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(sum % 62) as usize];
        sum /= 62;
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn the_shape_is_fixed() {
        let text = |bytes| from_random(bytes).expose_secret().to_owned();
        let zero = text([0; 32]);
        assert_eq!(zero.len(), PREFIX.len() + RANDOM + CHECKSUM);
        assert!(zero.starts_with(&format!("plim_{}", "0".repeat(43))), "{zero}");
        let mut one = [0; 32];
        one[31] = 61;
        assert!(text(one).starts_with(&format!("plim_{}z", "0".repeat(42))));
        one[31] = 62;
        assert!(text(one).starts_with(&format!("plim_{}10", "0".repeat(41))));
        // 2^256 - 1 still fits.
        assert!(is_plausible(&text([255; 32])) && !text([255; 32]).starts_with("plim_0"));
        assert_eq!(shown(&zero), "plim_0000");
        // The check value of CRC-32 (ISO-HDLC).
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn old_tokens_are_still_taken() {
        assert!(is_plausible(&format!("plim_{}", "0a".repeat(32))));
        for bad in
            ["", "plim_", &format!("plim_{}", "0A".repeat(32)), &"0a".repeat(32), "plim_ééééééééééééééééééééééééééééé"]
        {
            assert!(!is_plausible(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn each_is_plausible_and_none_with_a_slip(bytes: [u8; 32], at in 0_usize..49, other in 0_usize..62) {
            let token = from_random(bytes);
            let token = token.expose_secret();
            prop_assert!(is_plausible(token));
            let mut slip = token.as_bytes().to_vec();
            slip[PREFIX.len() + at] = ALPHABET[other];
            let slip = String::from_utf8(slip).unwrap();
            prop_assert_eq!(is_plausible(&slip), slip == token);
            let (shorter, longer) = (&token[..token.len() - 1], format!("{token}0"));
            prop_assert!(!is_plausible(shorter) && !is_plausible(&longer));
        }

        #[test]
        fn no_text_is_too_odd(text in "\\PC{0,80}") {
            let with_prefix = format!("plim_{text}");
            prop_assert!(!is_plausible(&text) && !is_plausible(&with_prefix));
        }
    }
}
