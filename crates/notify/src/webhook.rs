//! Webhooks, signed by the Standard Webhooks scheme.

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use domain::notice::Notice;
use domain::webhook::{ID, SIGNATURE, Secret, TIMESTAMP, sign};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use outgoing::{Address, Outgoing};
use serde::Serialize;

use crate::reply::{clean, of_answer, of_error};
use crate::{Driver, Failure, Message, Receipt, Then};

/// A receiver of webhooks.
pub struct Webhook {
    pub outgoing: Outgoing,
    pub address: Address,
    pub secret: Secret,
}

/// `type` is a notice's topic, or `notices` for many in one.
#[derive(Serialize)]
struct Body<'a> {
    r#type: &'a str,
    timestamp: DateTime<Utc>,
    data: Data<'a>,
}

/// The same shape for one and for many.
#[derive(Serialize)]
struct Data<'a> {
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// How many notices it is for; `notices` holds 20 of them at most, the worst.
    count: u64,
    notices: Vec<Item<'a>>,
}

#[derive(Serialize)]
struct Item<'a> {
    #[serde(flatten)]
    notice: &'a Notice,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

impl Webhook {
    fn body(message: &Message) -> Result<Vec<u8>, serde_json::Error> {
        let item = |notice| Item { notice, url: message.link_to(&notice.path) };
        let data = Data {
            title: message.title(),
            url: message.link(),
            count: message.digest.count(),
            notices: message.digest.shown().iter().map(item).collect(),
        };
        serde_json::to_vec(&Body { r#type: message.digest.kind(), timestamp: message.at, data })
    }
}

#[async_trait]
impl Driver for Webhook {
    async fn deliver(&self, message: &Message) -> Result<Receipt, Failure> {
        let broken = |why: String| Failure { status: None, why: clean(&why), then: Then::GiveUp };
        let body = Self::body(message).map_err(|e| broken(e.to_string()))?;
        let now = Utc::now();
        let signature = sign(&self.secret, &message.id, now.timestamp(), &body);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in [(ID, &message.id), (TIMESTAMP, &now.timestamp().to_string()), (SIGNATURE, &signature)] {
            let value = HeaderValue::from_str(value).map_err(|e| broken(e.to_string()))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        let answer = self.outgoing.send(Method::POST, &self.address, headers, Bytes::from(body)).await;
        of_answer(&answer.map_err(|e| of_error(&e))?, now)
    }
}
