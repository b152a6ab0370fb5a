//! The second factor: six digits that change every half minute (RFC 6238, SHA-1, as all apps for it take that).

use chrono::{DateTime, Utc};
use totp_rs::{Builder, Totp};
use zeroize::Zeroizing;

const ISSUER: &str = "Plimsoll";
const SECRET: usize = 20;

/// What our side and the person's app share. To be kept sealed.
pub struct Secret(Zeroizing<[u8; SECRET]>);

/// The bytes are no such secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the secret of a second factor")]
pub struct NoSecret;

impl Secret {
    pub fn make() -> Self {
        Self(Zeroizing::new(rand::random()))
    }

    /// # Errors
    /// [`NoSecret`] when it has another length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NoSecret> {
        bytes.try_into().map(|bytes| Self(Zeroizing::new(bytes))).map_err(|_| NoSecret)
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// To type where no picture can be scanned: base32, in groups of four.
    pub fn to_text(&self) -> Zeroizing<String> {
        let text = Zeroizing::new(totp_rs::Secret::new_stack(*self.0).to_base32());
        let groups: Vec<&str> = (0..text.len()).step_by(4).map(|n| &text[n..(n + 4).min(text.len())]).collect();
        Zeroizing::new(groups.join(" "))
    }

    /// What apps scan: `otpauth://totp/Plimsoll:<account>?secret=…`.
    ///
    /// # Errors
    /// [`NoSecret`] when `account` is empty.
    pub fn to_url(&self, account: &str) -> Result<Zeroizing<String>, NoSecret> {
        // A colon ends the issuer's name there.
        let account = account.replace(':', " ");
        self.totp(Some(account)).and_then(|totp| totp.to_url().map_err(|_| NoSecret)).map(Zeroizing::new)
    }

    /// The half minute that `code` stands for, counted since 1970: this one, the one before or the one after. Spaces are ignored.
    ///
    /// `None` when it is wrong, or stands for no later one than `last`, the newest that was taken: a code is good for once.
    pub fn check(&self, code: &str, now: DateTime<Utc>, last: Option<i64>) -> Option<i64> {
        let code: Zeroizing<String> = Zeroizing::new(code.chars().filter(|c| !c.is_whitespace()).collect());
        let now = u64::try_from(now.timestamp()).ok()?;
        let step = i64::try_from(self.totp(None).ok()?.check(&code, now)?).ok()?;
        last.is_none_or(|last| step > last).then_some(step)
    }

    fn totp(&self, account: Option<String>) -> Result<Totp, NoSecret> {
        let builder =
            Builder::new().with_secret(totp_rs::Secret::new_stack(*self.0)).with_skew(1).with_issuer(Some(ISSUER));
        account.map_or(builder.clone(), |account| builder.with_account_name(account)).build().map_err(|_| NoSecret)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn of_the_rfc() -> Secret {
        Secret::from_bytes(b"12345678901234567890").unwrap()
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        // RFC 6238, appendix B, SHA-1: the last six of the eight digits.
        for (second, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(of_the_rfc().check(code, at(second), None), Some(second / 30), "{second}");
        }
    }

    #[test]
    fn a_code_is_good_for_once_and_a_little_late() {
        let (secret, step) = (of_the_rfc(), 1_111_111_109 / 30);
        let check = |code: &str, second, last| secret.check(code, at(second), last);
        assert_eq!(check("081804", 1_111_111_109, Some(step - 1)), Some(step));
        assert_eq!(check("081804", 1_111_111_109, Some(step)), None, "again");
        assert_eq!(check("081804", 1_111_111_109, Some(step + 1)), None, "an older one");
        assert_eq!(check("081 804 ", 1_111_111_109, None), Some(step));
        assert_eq!(check("081804", 30 * step + 59, None), Some(step), "the one before");
        assert_eq!(check("081804", 30 * step - 1, None), Some(step), "the one after");
        assert_eq!(check("081804", 30 * step + 60, None), None);
        assert_eq!(check("081804", 30 * step - 31, None), None);
        for bad in ["", "81804", "0081804", "+81804", "08180a", "０８１８０４", "081805"] {
            assert_eq!(check(bad, 1_111_111_109, None), None, "{bad}");
        }
        assert_eq!(check("081804", -5, None), None);
    }

    #[test]
    fn apps_are_told_all_they_need() {
        let url = of_the_rfc().to_url("jo@example.org").unwrap();
        assert_eq!(
            *url,
            "otpauth://totp/Plimsoll:jo%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Plimsoll"
        );
        assert_eq!(*of_the_rfc().to_text(), "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ");
        assert!(of_the_rfc().to_url("a:b").is_ok() && of_the_rfc().to_url("").is_err());
        assert_ne!(Secret::make().as_bytes(), Secret::make().as_bytes());
        assert!(Secret::from_bytes(b"short").is_err());
    }
}
