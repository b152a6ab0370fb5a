//! Idempotency keys: the caller's promise that two requests are one.

use control::IdempotencyKey;
use domain::canonical::canonical;
use http::HeaderMap;
use operations::{Error, Operation};

pub(crate) const HEADER: &str = "idempotency-key";
/// Tells that an answer is the recorded one of an earlier request.
pub(crate) const REPLAYED: &str = "idempotent-replayed";
pub(crate) const MAX_KEY: usize = 128;

/// The key in the headers, if there is one: 1 to 128 visible ASCII characters.
pub(crate) fn header(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(invalid("the header Idempotency-Key is there more than once"));
    }
    check("the header Idempotency-Key", value.as_bytes()).map(Some)
}

/// A key that came as `place`: 1 to 128 visible ASCII characters.
pub(crate) fn check(place: &str, bytes: &[u8]) -> Result<String, Error> {
    if !(1..=MAX_KEY).contains(&bytes.len()) {
        return Err(invalid(&format!("{place} has {} characters", bytes.len())));
    }
    if !bytes.iter().all(u8::is_ascii_graphic) {
        return Err(invalid(&format!("{place} has a character that is not visible ASCII")));
    }
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

fn invalid(what: &str) -> Error {
    Error::invalid(what).hint(format!("A key has 1 to {MAX_KEY} visible ASCII characters, such as a UUID"))
}

/// Binds a key to operation and request. The digest does not depend on the order
/// of fields, on white space, or on whether a field came by path or body.
pub(crate) fn bind<O: Operation>(key: String, request: &O::Request) -> Result<IdempotencyKey, Error> {
    let value = serde_json::to_value(request).map_err(|error| {
        tracing::error!(%error, operation = O::NAME, "a request can't be written as JSON");
        Error::internal()
    })?;
    let text = format!("{}\0{}", O::NAME, canonical(&value));
    Ok(IdempotencyKey { key, request_digest: blake3::hash(text.as_bytes()).to_hex().to_string() })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use operations::{apps, environments};
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn keys_are_visible_ascii_of_limited_length() {
        let one = |bytes: &[u8]| {
            HeaderMap::from_iter([(HEADER.parse().unwrap(), http::HeaderValue::from_bytes(bytes).unwrap())])
        };
        assert_eq!(header(&HeaderMap::new()).unwrap(), None);
        assert_eq!(header(&one(b"a-1:~")).unwrap().as_deref(), Some("a-1:~"));
        assert!(header(&one(&[b'k'; 128])).unwrap().is_some());
        for bad in [&b""[..], b"a b", b"\xc3\xa9", &[b'k'; 129]] {
            assert_eq!(header(&one(bad)).unwrap_err().status, 400);
        }
        let mut twice = one(b"a");
        twice.append(HEADER, "a".parse().unwrap());
        assert!(header(&twice).is_err());
    }

    #[test]
    fn the_digest_is_of_operation_and_meaning() {
        let digest = |request: Value| {
            let request: apps::CreateRequest = serde_json::from_value(request).unwrap();
            bind::<apps::Create>("k".to_owned(), &request).unwrap().request_digest
        };
        let source = json!({"kind": "git", "url": "u", "reference": "main"});
        let first = digest(json!({"name": "a", "source": source}));
        let same = digest(
            serde_json::from_str(r#"{"source":{"reference":"main","url":"u","kind":"git"}, "name":"a"}"#).unwrap(),
        );
        assert_eq!(first, same);
        assert_eq!(first.len(), 64);
        assert_ne!(first, digest(json!({"name": "b", "source": source})));

        let text = json!({"app": "a", "environment": "b"});
        let request: environments::CreateRequest = serde_json::from_value(text.clone()).unwrap();
        let create = bind::<environments::Create>("k".to_owned(), &request).unwrap();
        let request: environments::EnvironmentRequest = serde_json::from_value(text).unwrap();
        let delete = bind::<environments::Delete>("k".to_owned(), &request).unwrap();
        assert_ne!(create.request_digest, delete.request_digest);
    }
}
