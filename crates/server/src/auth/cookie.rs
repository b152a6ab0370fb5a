//! The cookies: what they are called, and how they travel.
//!
//! Over TLS, and on the machine itself, the session's has the prefix `__Host-`: browsers take one of that name from us alone,
//! and never send it in the open. Some keep no such cookie on plain HTTP; for them, and where there is no TLS, there is
//! another name. Cookies know no ports, so an app on the same name could plant one of the other name: where it is encrypted,
//! that one is not looked at.

use chrono::{DateTime, TimeDelta, Utc};
use domain::cookies;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use operations::Error;

pub(crate) const SECURE: &str = "__Host-plimsoll";
pub(crate) const PLAIN: &str = "plimsoll_plain";
const PLACE: &str = "plimsoll_place";

/// What was asked of a sign-in provider, under two names for the same reasons.
const ASKED: &str = "__Host-plimsoll_asked";
const ASKED_PLAIN: &str = "plimsoll_asked";
/// Seconds that somebody may take there.
const ASKED_KEPT: u32 = 600;

/// Below them are the only routes that look at [`PLACE`]. A browser keeps it for each of the two, and sends one.
const PLACE_PATHS: [&str; 2] = ["/api/v1/auth", "/auth/oidc"];
/// Ours have at most some hundred characters.
const LONGEST: usize = 1024;
/// One that holds where to go next; browsers take 4096 with its name.
const LONGEST_ASKED: usize = 4000;

/// How a session's cookie travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Secure,
    Plain,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Kind::Secure => SECURE,
            Kind::Plain => PLAIN,
        }
    }

    const fn other(self) -> Self {
        match self {
            Kind::Secure => Kind::Plain,
            Kind::Plain => Kind::Secure,
        }
    }

    const fn secure(self) -> &'static str {
        match self {
            Kind::Secure => "; Secure",
            Kind::Plain => "",
        }
    }
}

/// The session's secret that came with a request, and how. `encrypted` when the client speaks TLS.
pub(crate) fn session(headers: &HeaderMap, encrypted: bool) -> Option<(Kind, &str)> {
    let found = |kind: Kind| find(headers, kind.name()).map(|secret| (kind, secret));
    found(Kind::Secure).or_else(|| found(Kind::Plain).filter(|_| !encrypted))
}

/// What tells the browser from others.
pub(crate) fn place(headers: &HeaderMap) -> Option<&str> {
    find(headers, PLACE)
}

/// Gives a session's secret to the browser, and takes back what it may have under the other name.
pub(crate) fn give(kind: Kind, secret: &str, ends_at: DateTime<Utc>) -> Result<[HeaderValue; 2], Error> {
    let seconds = (ends_at - Utc::now()).num_seconds().max(0);
    let text =
        format!("{}={secret}; Path=/{}; HttpOnly; SameSite=Strict; Max-Age={seconds}", kind.name(), kind.secure());
    Ok([header(text)?, forget(kind.other())?])
}

/// The same for a place.
pub(crate) fn give_place(kind: Kind, ticket: &str, kept: TimeDelta) -> Result<[HeaderValue; 2], Error> {
    let (seconds, secure) = (kept.num_seconds(), kind.secure());
    let [api, pages] = PLACE_PATHS.map(|path| {
        header(format!("{PLACE}={ticket}; Path={path}{secure}; HttpOnly; SameSite=Strict; Max-Age={seconds}"))
    });
    Ok([api?, pages?])
}

/// What this browser has asked of a provider, sealed. `encrypted` as for a [`session`]: whoever plants what they have asked
/// themselves would have somebody else sign in as them.
pub(crate) fn asked(headers: &HeaderMap, encrypted: bool) -> Option<&str> {
    let found = |kind| find_in(headers, asked_name(kind), LONGEST_ASKED);
    found(Kind::Secure).or_else(|| found(Kind::Plain).filter(|_| !encrypted))
}

/// Has it kept until the browser comes back, which is a visit from another site: `Lax`.
pub(crate) fn give_asked(kind: Kind, ticket: &str) -> Result<HeaderValue, Error> {
    if ticket.len() > LONGEST_ASKED {
        return Err(Error::invalid("`next`: it is too long for a browser to keep"));
    }
    asked_header(kind, ticket, ASKED_KEPT)
}

/// Takes it back, under both names.
pub(crate) fn forget_asked() -> Result<[HeaderValue; 2], Error> {
    Ok([asked_header(Kind::Secure, "", 0)?, asked_header(Kind::Plain, "", 0)?])
}

fn asked_header(kind: Kind, value: &str, seconds: u32) -> Result<HeaderValue, Error> {
    let name = asked_name(kind);
    header(format!("{name}={value}; Path=/{}; HttpOnly; SameSite=Lax; Max-Age={seconds}", kind.secure()))
}

const fn asked_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Secure => ASKED,
        Kind::Plain => ASKED_PLAIN,
    }
}

/// Takes both back.
pub(crate) fn forget_session() -> Result<[HeaderValue; 2], Error> {
    Ok([forget(Kind::Secure)?, forget(Kind::Plain)?])
}

fn forget(kind: Kind) -> Result<HeaderValue, Error> {
    header(format!("{}=; Path=/{}; HttpOnly; SameSite=Strict; Max-Age=0", kind.name(), kind.secure()))
}

fn header(text: String) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(&text).map_err(|_| {
        tracing::error!("a cookie can't be written");
        Error::internal()
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn find<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    find_in(headers, name, LONGEST)
}

fn find_in<'a>(headers: &'a HeaderMap, name: &str, longest: usize) -> Option<&'a str> {
    cookies::find(headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok()), name, longest)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn with(cookies: &[&str]) -> HeaderMap {
        cookies.iter().map(|cookie| (COOKIE, cookie.parse().unwrap())).collect()
    }

    #[test]
    fn the_cookie_that_nobody_else_can_plant_goes_first() {
        let both = with(&["a=1; __Host-plimsoll=s; plimsoll_plain=p"]);
        assert_eq!(session(&both, false), Some((Kind::Secure, "s")));
        let plain = with(&["a=1", "plimsoll_plain=p"]);
        assert_eq!(session(&plain, false), Some((Kind::Plain, "p")));
        assert_eq!(session(&plain, true), None, "over TLS somebody else has planted it");
        assert_eq!(session(&with(&["plimsoll_plain=p; plimsoll_plain=q"]), false), None);
        assert_eq!(session(&with(&["__host-plimsoll=s"]), false), None, "names have one spelling");
        assert_eq!(session(&with(&["__Host-plimsoll="]), false), None);
        assert_eq!(session(&with(&[&format!("__Host-plimsoll={}", "a".repeat(2000))]), false), None);
        assert_eq!(session(&with(&[";;=;x; =;__Host-plimsoll=s"]), false), Some((Kind::Secure, "s")));
        assert_eq!(session(&HeaderMap::new(), false), None);
        assert_eq!(place(&with(&["plimsoll_place=t"])), Some("t"));
    }

    #[test]
    fn what_was_asked_comes_back_from_another_site() {
        let given = give_asked(Kind::Secure, "t").unwrap();
        assert_eq!(given, "__Host-plimsoll_asked=t; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600");
        let [gone, plain] = forget_asked().unwrap();
        assert_eq!(gone, "__Host-plimsoll_asked=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0");
        assert_eq!(plain, "plimsoll_asked=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
        assert!(give_asked(Kind::Secure, &"a".repeat(4001)).is_err());
        let long = "a".repeat(4000);
        assert_eq!(asked(&with(&[&format!("a=b; __Host-plimsoll_asked={long}")]), true), Some(long.as_str()));
        assert_eq!(asked(&with(&["plimsoll_asked=t; plimsoll_asked=u"]), false), None);
        let plain = with(&["plimsoll_asked=t"]);
        assert_eq!(asked(&plain, false), Some("t"));
        assert_eq!(asked(&plain, true), None, "over TLS somebody else has planted it");
        assert_eq!(asked(&with(&["plimsoll_asked=t; __Host-plimsoll_asked=u"]), false), Some("u"));
    }

    #[test]
    fn no_script_and_no_other_site_gets_at_them() {
        let ends_at = Utc::now() + TimeDelta::hours(1);
        let [given, gone] = give(Kind::Secure, "s3cret", ends_at).unwrap();
        let (given, gone) = (given.to_str().unwrap(), gone.to_str().unwrap());
        assert!(
            given.starts_with("__Host-plimsoll=s3cret; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=35"),
            "{given}"
        );
        assert_eq!(gone, "plimsoll_plain=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
        let [given, gone] = give(Kind::Plain, "s3cret", ends_at).unwrap();
        assert!(!given.to_str().unwrap().contains("Secure") && given.to_str().unwrap().contains("HttpOnly"));
        assert!(gone.to_str().unwrap().starts_with("__Host-plimsoll=;") && given.is_sensitive());
        let [place, pages] = give_place(Kind::Secure, "t", TimeDelta::days(90)).unwrap();
        assert_eq!(place, "plimsoll_place=t; Path=/api/v1/auth; Secure; HttpOnly; SameSite=Strict; Max-Age=7776000");
        assert_eq!(pages, "plimsoll_place=t; Path=/auth/oidc; Secure; HttpOnly; SameSite=Strict; Max-Age=7776000");
        assert!(give(Kind::Plain, "a\nb", ends_at).is_err());
    }
}
