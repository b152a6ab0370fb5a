//! Which passwords people may choose. Long ones that nobody else has; nothing is asked of their characters.

use std::collections::HashSet;
use std::fmt;
use std::sync::OnceLock;

use unicode_normalization::UnicodeNormalization;

/// Characters after [`normalized`]; the upper end keeps work and storage bounded.
pub const SHORTEST: usize = 12;
pub const LONGEST: usize = 256;

/// Characters that must be left when what anybody could guess of a person is taken out.
const LEFT: usize = 8;
/// Parts of names that are shorter are in too many good passwords.
const SHORTEST_PART: usize = 4;
/// `abcabcabcabc` is as easy as `abc`.
const LONGEST_UNIT: usize = 6;

/// One a line, written by us: words, names, walks over the keyboard and phrases that lists of stolen passwords are full of.
const COMMON: &str = include_str!("password/common.txt");

/// Why a password is refused. Never shows any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Weakness {
    #[error("it has {0} characters, and needs {SHORTEST}")]
    Short(usize),
    #[error("it has {0} characters, and at most {LONGEST} are taken")]
    Long(usize),
    #[error("it has a character that can't be typed again for sure (a control character)")]
    Control,
    #[error("it is one short piece repeated, or characters in a row")]
    Pattern,
    #[error("it is one of the most common passwords, perhaps with digits at its end")]
    Common,
    #[error("without your {0} too little of it is left")]
    Personal(Known),
}

/// What others know of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    Email,
    Name,
    Product,
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Email => "e-mail address",
            Self::Name => "name",
            Self::Product => "server's name, which is `plimsoll`,",
        })
    }
}

/// The form in which a password is judged, hashed and compared: NFKC, so that it is the same from every keyboard.
pub fn normalized(password: &str) -> String {
    password.nfkc().collect()
}

/// Judges a [`normalized`] password of somebody with this address and name.
///
/// # Errors
/// The first weakness that was found.
pub fn check(password: &str, email: &str, name: &str) -> Result<(), Weakness> {
    let length = password.chars().count();
    if length < SHORTEST {
        return Err(Weakness::Short(length));
    }
    if length > LONGEST {
        return Err(Weakness::Long(length));
    }
    if password.chars().any(char::is_control) {
        return Err(Weakness::Control);
    }
    let text = password.to_lowercase();
    if is_pattern(&text) {
        return Err(Weakness::Pattern);
    }
    if is_common(&text) {
        return Err(Weakness::Common);
    }
    for (known, words) in [
        (Known::Email, parts(email)),
        (Known::Name, parts(&name.nfkc().collect::<String>())),
        (Known::Product, vec!["plimsoll".to_owned()]),
    ] {
        if without(&text, &words) < LEFT {
            return Err(Weakness::Personal(known));
        }
    }
    Ok(())
}

/// One piece over and over, or characters that follow each other in the alphabet or on a row of keys.
fn is_pattern(text: &str) -> bool {
    let characters: Vec<char> = text.chars().collect();
    let repeats = |unit: usize| characters.iter().enumerate().all(|(n, c)| *c == characters[n % unit]);
    if (1..=LONGEST_UNIT.min(characters.len() / 2)).any(repeats) {
        return true;
    }
    let runs = ["0123456789", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm", "qwertzuiopasdfghjklyxcvbnm"];
    runs.iter().any(|run| follows(&characters, run.chars()) || follows(&characters, run.chars().rev()))
}

/// Whether each character is the one after its predecessor in `run`, which begins anew at its end.
fn follows(characters: &[char], run: impl Iterator<Item = char>) -> bool {
    let run: Vec<char> = run.collect();
    let next = |c: char| run.iter().position(|r| *r == c).map(|n| run[(n + 1) % run.len()]);
    characters.windows(2).all(|pair| next(pair[0]) == Some(pair[1]))
}

fn is_common(text: &str) -> bool {
    static WORDS: OnceLock<HashSet<String>> = OnceLock::new();
    let words = WORDS.get_or_init(|| COMMON.lines().map(|word| skeleton(word, letter)).collect());
    // `password-password`, `dragon1dragon1`.
    let once = |text: &str| {
        let characters: Vec<char> = text.chars().collect();
        let (first, second) = characters.split_at(characters.len() / 2);
        if first == second { String::from_iter(first) } else { text.to_owned() }
    };
    let is_listed = |text: &str, read| {
        let bare = skeleton(text, read);
        words.contains(&bare) || words.contains(&once(&bare))
    };
    [text, &once(text)].iter().any(|text| is_listed(text, letter) || is_listed(text, letter_or_none))
}

/// What is left of a word when digits and signs at its ends are taken off, and the rest is read as letters.
fn skeleton(text: &str, read: fn(char) -> Option<char>) -> String {
    let text = text.to_lowercase();
    let text = text.trim_end_matches(|c: char| !c.is_alphabetic());
    // `$ecret` begins with a letter that is written as a sign.
    let text = text.trim_start_matches(|c: char| !c.is_alphabetic() && read(c) != Some('s') && read(c) != Some('a'));
    text.chars().filter_map(read).collect()
}

/// The letter that a character stands for. `1`, `!`, `i` and `l` are taken for one.
fn letter(c: char) -> Option<char> {
    match c {
        '@' => Some('a'),
        '$' => Some('s'),
        '!' | '|' => Some('l'),
        '+' => Some('t'),
        c => letter_or_none(c),
    }
}

/// The same where signs stand between the parts of a password.
fn letter_or_none(c: char) -> Option<char> {
    match c {
        '0' => Some('o'),
        '1' | 'i' => Some('l'),
        '2' => Some('z'),
        '3' => Some('e'),
        '4' => Some('a'),
        '5' => Some('s'),
        '7' => Some('t'),
        '8' => Some('b'),
        '9' => Some('g'),
        c => c.is_alphabetic().then_some(c),
    }
}

/// The words of an address or a name, the longest first.
fn parts(text: &str) -> Vec<String> {
    let text = text.to_lowercase();
    let mut parts: Vec<String> = text.split(|c: char| !c.is_alphanumeric()).map(str::to_owned).collect();
    parts.push(text);
    parts.retain(|part| part.chars().count() >= SHORTEST_PART);
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    parts
}

/// Characters that are left of `text` without these words.
fn without(text: &str, words: &[String]) -> usize {
    let left = words.iter().fold(text.to_owned(), |text, word| text.replace(word.as_str(), ""));
    if left.len() == text.len() { usize::MAX } else { left.chars().count() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn judge(password: &str) -> Result<(), Weakness> {
        check(&normalized(password), "jo.miller@example.org", "Jo Miller-Smith")
    }

    #[test]
    fn length_is_what_counts() {
        assert_eq!(judge("short"), Err(Weakness::Short(5)));
        assert_eq!(judge("elevenchars"), Err(Weakness::Short(11)));
        assert_eq!(judge("gravel otter"), Ok(()));
        assert_eq!(judge("ünïcödé ïs fïne"), Ok(()));
        assert_eq!(judge("七転び八起き雨降って地固まる"), Ok(()));
        let long = "otter gravel ".repeat(20);
        assert_eq!(judge(&long[..LONGEST]), Ok(()));
        assert_eq!(judge(&long), Err(Weakness::Long(260)));
        assert_eq!(judge("gravel\notter teapot"), Err(Weakness::Control));
    }

    #[test]
    fn patterns_are_refused() {
        for bad in [
            "aaaaaaaaaaaa",
            "abcabcabcabc",
            "121212121212",
            "abc123abc123",
            "123456789012",
            "012345678901",
            "987654321098",
            "abcdefghijkl",
            "ABCDEFGHIJKLMN",
            "zyxwvutsrqpo",
            "qwertyuiopas",
            "mnbvcxzlkjhg",
            "Qwertzuiopas",
            "            ",
        ] {
            assert_eq!(judge(bad), Err(Weakness::Pattern), "{bad}");
        }
    }

    #[test]
    fn common_ones_are_refused_in_any_clothes() {
        for bad in [
            "password1234",
            "Password2026!",
            "P@ssw0rd!2345",
            "pa55w0rd12345",
            "$ecret1234567",
            "password-password",
            "dragon1dragon1",
            "iloveyou12345",
            "1L0veY0u!!!!!!",
            "correct horse battery staple",
            "CorrectHorseBatteryStaple",
            "administrator",
            "Administrator1",
            "letmein!letmein!",
            "welcome123456",
            "qwerty1234567",
            "Summer2026!!!",
            "1qaz2wsx3edc4rfv",
            "２０２６password２０２６",
        ] {
            assert_eq!(judge(bad), Err(Weakness::Common), "{bad}");
        }
    }

    #[test]
    fn what_everybody_knows_of_a_person_does_not_count() {
        assert_eq!(judge("jo.miller@example.org"), Err(Weakness::Personal(Known::Email)));
        assert_eq!(judge("miller!example7"), Err(Weakness::Personal(Known::Email)));
        assert_eq!(judge("SmithSmith2026x"), Err(Weakness::Personal(Known::Name)));
        assert_eq!(judge("Plimsoll-7878!"), Err(Weakness::Personal(Known::Product)));
        assert_eq!(judge("the miller grinds at noon"), Ok(()), "enough is left");
        assert_eq!(check("gravel otter", "", ""), Ok(()), "no name, no address");
    }

    #[test]
    fn one_password_is_one_from_every_keyboard() {
        assert_eq!(normalized("ﬁne ﬂour"), "fine flour");
        assert_eq!(normalized("e\u{301}te\u{301}"), "\u{e9}t\u{e9}");
    }

    #[test]
    fn the_list_is_in_order() {
        let words: Vec<&str> = COMMON.lines().collect();
        assert!(words.len() >= 1_500, "{}", words.len());
        assert!(words.windows(2).all(|pair| pair[0] < pair[1]), "sorted, each once");
        for word in words {
            assert!(word.len() >= 4 && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{word}");
            assert!(is_common(word) && is_common(&format!("{}2026!", word.to_uppercase())), "{word}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd_to_be_judged(password in "\\PC{0,300}", email in "\\PC{0,20}", name in "\\PC{0,20}") {
            let once = normalized(&password);
            prop_assert_eq!(&normalized(&once), &once);
            let error = check(&once, &email, &name).err();
            if let Some(error) = error.filter(|_| password.len() > 20) {
                prop_assert!(!error.to_string().contains(&password));
            }
        }
    }
}
