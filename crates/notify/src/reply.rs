//! From what a receiver answered to what becomes of the message.

use chrono::{DateTime, TimeDelta, Utc};
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use outgoing::{Answer, OutgoingError};

use crate::{Failure, Receipt, Then};

/// Characters of an error that are kept.
const MAX: usize = 500;

/// Text of others, on one line, without what steers terminals.
pub(crate) fn clean(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    if line.chars().count() <= MAX { line } else { line.chars().take(MAX - 1).chain(['…']).collect() }
}

/// Success is 2xx. Everything else may pass, but for 410: that receiver is gone.
pub(crate) fn of_answer(answer: &Answer, now: DateTime<Utc>) -> Result<Receipt, Failure> {
    let status = answer.status;
    let said = clean(&String::from_utf8_lossy(&answer.body));
    if status.is_success() {
        return Ok(Receipt { status: Some(status.as_u16()), said, missed: None });
    }
    let then = match status {
        StatusCode::GONE => Then::Disable,
        _ => Then::Again(asked(&answer.headers, now)),
    };
    let reason = status.canonical_reason().unwrap_or("unknown");
    let why = match () {
        () if status.is_redirection() => {
            format!(
                "answered {} {reason}: redirects are not followed, name the address that it leads to",
                status.as_u16()
            )
        }
        () if said.is_empty() => format!("answered {} {reason}", status.as_u16()),
        () => format!("answered {} {reason}: {said}", status.as_u16()),
    };
    Err(Failure { status: Some(status.as_u16()), why: clean(&why), then })
}

/// `Retry-After`, in seconds or as a date.
fn asked(headers: &HeaderMap, now: DateTime<Utc>) -> Option<TimeDelta> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse::<u32>() {
        Ok(seconds) => Some(TimeDelta::seconds(seconds.into())),
        Err(_) => Some(DateTime::parse_from_rfc2822(text).ok()?.to_utc() - now),
    }
}

/// No answer. All of these may pass: names lead elsewhere tomorrow, operators allow networks.
pub(crate) fn of_error(error: &OutgoingError) -> Failure {
    let then = match error {
        OutgoingError::Malformed { .. } => Then::GiveUp,
        _ => Then::Again(None),
    };
    Failure { status: None, why: clean(&error.to_string()), then }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn answer(status: u16, retry_after: &str, body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        if !retry_after.is_empty() {
            headers.insert(RETRY_AFTER, retry_after.parse().unwrap());
        }
        let body = Bytes::copy_from_slice(body.as_bytes());
        Answer { status: StatusCode::from_u16(status).unwrap(), headers, body, whole: true }
    }

    fn then(status: u16, retry_after: &str) -> Then {
        of_answer(&answer(status, retry_after, ""), DateTime::UNIX_EPOCH).unwrap_err().then
    }

    #[test]
    fn statuses_decide_what_follows() {
        for status in [200, 201, 204, 299] {
            assert_eq!(of_answer(&answer(status, "", "ok"), Utc::now()).unwrap().status, Some(status));
        }
        for status in [301, 400, 401, 404, 429, 500, 503] {
            assert_eq!(then(status, ""), Then::Again(None), "{status}");
        }
        assert_eq!(then(410, "7"), Then::Disable);
        assert_eq!(then(429, "7"), Then::Again(Some(TimeDelta::seconds(7))));
        assert_eq!(then(503, "Thu, 01 Jan 1970 00:02:00 GMT"), Then::Again(Some(TimeDelta::minutes(2))));
        for rubbish in ["soon", "-1", "99999999999999"] {
            assert_eq!(then(429, rubbish), Then::Again(None), "{rubbish}");
        }
    }

    #[test]
    fn what_a_receiver_says_is_short_and_on_one_line() {
        let said = of_answer(&answer(500, "", &"\u{1b}[31m no\r\n\t way ".repeat(200)), Utc::now()).unwrap_err().why;
        assert!(said.starts_with("answered 500 Internal Server Error: [31m no way [31m no way"), "{said}");
        assert_eq!(said.chars().count(), MAX);
    }
}
