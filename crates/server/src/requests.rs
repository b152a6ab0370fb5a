//! How many requests were answered how, for the metrics. Bounded: routes are known, and methods and statuses are put
//! in classes.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::{Method, StatusCode};

#[derive(Default)]
pub(crate) struct Requests {
    counts: Mutex<BTreeMap<Key, (u64, f64)>>,
}

/// Method, route and class of the status.
type Key = (&'static str, String, &'static str);

/// Requests of one kind.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Counted {
    pub(crate) method: &'static str,
    /// The route, or `-` for what is none.
    pub(crate) path: String,
    pub(crate) class: &'static str,
    pub(crate) count: u64,
    pub(crate) seconds: f64,
}

impl Requests {
    pub(crate) fn note(&self, method: &Method, path: &str, status: StatusCode, took: Duration) {
        let key = (known(method), path.to_owned(), class(status));
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, seconds) = counts.entry(key).or_default();
        *count += 1;
        *seconds += took.as_secs_f64();
    }

    pub(crate) fn counted(&self) -> Vec<Counted> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = |(key, (count, seconds)): (&Key, &(u64, f64))| Counted {
            method: key.0,
            path: key.1.clone(),
            class: key.2,
            count: *count,
            seconds: *seconds,
        };
        counts.iter().map(counted).collect()
    }
}

/// Anybody can make a method up.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        ..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        500.. => "5xx",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_methods_make_no_new_series() {
        let requests = Requests::default();
        for n in 0..100 {
            if let Ok(method) = Method::from_bytes(format!("M{n}").as_bytes()) {
                requests.note(&method, "-", StatusCode::NOT_FOUND, Duration::from_millis(10));
            }
        }
        let counted = requests.counted();
        assert_eq!(counted.len(), 1);
        assert_eq!((counted[0].method, counted[0].class, counted[0].count), ("other", "4xx", 100));
        assert!((counted[0].seconds - 1.0).abs() < 1e-6);
    }
}
