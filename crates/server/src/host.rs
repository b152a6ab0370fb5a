//! By which names the way in may be called.
//!
//! A page of somebody else's can have its own name point to this machine: to a browser, it is then on the same origin as
//! what it asks here. It can't choose the name, though. So whoever wants to sign in calls the server by a number, by a name of
//! the machine itself, or by one that the server was told.

use std::net::IpAddr;

use http::{HeaderMap, StatusCode, Uri};
use operations::Error;

use crate::origin;
use crate::problem::refused;

/// Refuses a request for a name that is not among `names`, which may have ports.
pub(crate) fn check(headers: &HeaderMap, uri: &Uri, names: &[String]) -> Result<(), Error> {
    // Without a name it comes from no browser.
    let Some(authority) = origin::own(headers, uri) else { return Ok(()) };
    if is_ours(authority, names) {
        return Ok(());
    }
    let shown: String = authority.chars().filter(|c| !c.is_control()).take(80).collect();
    Err(refused(
        StatusCode::MISDIRECTED_REQUEST,
        format!("nobody signs in at `{shown}`: this server was not told that name"),
    )
    .hint("Call it by its address, or start it with `--public-url` for the name that you use"))
}

fn is_ours(authority: &str, names: &[String]) -> bool {
    let authority = authority.to_ascii_lowercase();
    let name = name_of(&authority);
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok()
        || names.iter().map(|known| known.trim().to_ascii_lowercase()).any(|known| known == authority || known == name)
}

/// Without the port, and without the brackets of an address of version 6.
pub(crate) fn name_of(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_were_told_are_ours() {
        let names = ["Deploy.Example.org".to_owned(), "other.example.org:8443".to_owned()];
        for (authority, ours) in [
            ("127.0.0.1:7878", true),
            ("10.0.0.5:7878", true),
            ("[fd00::1]:7878", true),
            ("LOCALHOST:7878", true),
            ("plimsoll.localhost", true),
            ("deploy.example.org", true),
            ("deploy.example.org:443", true),
            ("other.example.org:8443", true),
            ("other.example.org", false),
            ("evil.example", false),
            ("deploy.example.org.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("", false),
        ] {
            assert_eq!(is_ours(authority, &names), ours, "{authority}");
        }
    }

    #[test]
    fn another_name_is_answered_with_what_to_do() {
        let headers = HeaderMap::from_iter([(http::header::HOST, http::HeaderValue::from_static("evil.example"))]);
        let error = check(&headers, &Uri::from_static("/"), &[]).map_err(|error| (error.status, error.hint.is_some()));
        assert_eq!(error, Err((421, true)));
        assert_eq!(check(&HeaderMap::new(), &Uri::from_static("/"), &[]), Ok(()));
    }
}
