//! Slack's incoming webhooks, and what speaks like them (Mattermost, Rocket.Chat).

use async_trait::async_trait;
use bytes::Bytes;
use chrono::Utc;
use domain::notice::{Level, Notice};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use outgoing::{Address, Outgoing};
use secrecy::{ExposeSecret, SecretString};

use crate::message::Part;
use crate::reply::{clean, of_answer, of_error};
use crate::{Driver, Failure, Message, Receipt, Then};

/// Longest text; Slack cuts at 40,000.
const MAX_TEXT: usize = 8_000;

/// What Slack says when the address is good for nothing any more, whatever the status.
const GONE: [&str; 6] =
    ["no_service", "no_service_id", "no_team", "team_disabled", "invalid_token", "channel_is_archived"];

/// A channel of Slack's. The whole address is the secret.
pub struct Slack {
    outgoing: Outgoing,
    address: Address,
}

/// The text is no address of an incoming webhook. It is not repeated here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the address of an incoming webhook: {0}")]
pub struct InvalidSlack(String);

impl Slack {
    pub fn new(outgoing: Outgoing, address: &SecretString) -> Result<Self, InvalidSlack> {
        let address = address.expose_secret().trim().parse().map_err(|e| InvalidSlack(format!("{e}")))?;
        Ok(Self { outgoing, address })
    }
}

/// As Slack asks for it; without it, text of others could make links and call people.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn mark(level: Level) -> &'static str {
    match level {
        Level::Failure => ":red_circle:",
        Level::Warning => ":large_yellow_circle:",
        Level::Success => ":large_green_circle:",
        Level::Info => ":white_circle:",
    }
}

fn text(message: &Message) -> String {
    let level = message.digest.shown().iter().map(|notice| notice.level).max().unwrap_or(Level::Info);
    let mut text = format!("{} *{}*", mark(level), escape(&message.title()));
    for line in message.lines(line) {
        // Whole lines only: half of one could end in half of a mark.
        if text.len() + line.len() > MAX_TEXT {
            break;
        }
        text.push('\n');
        text.push_str(&line);
    }
    if let Some(link) = message.link() {
        text.push_str(&format!("\n<{}|Open in Plimsoll>", escape(&link)));
    }
    text
}

fn line(notice: &Notice, part: Part) -> String {
    match part {
        Part::Title => format!("• {}", escape(&notice.title)),
        Part::Body => {
            let body = escape(notice.body.as_deref().unwrap_or_default());
            body.lines().map(|line| format!("> {line}")).collect::<Vec<_>>().join("\n")
        }
    }
}

#[async_trait]
impl Driver for Slack {
    async fn deliver(&self, message: &Message) -> Result<Receipt, Failure> {
        let body = serde_json::json!({ "text": text(message) }).to_string();
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let answer = self.outgoing.send(Method::POST, &self.address, headers, Bytes::from(body)).await;
        let answer = answer.map_err(|e| of_error(&e))?;
        let said = clean(&String::from_utf8_lossy(&answer.body));
        of_answer(&answer, Utc::now()).map_err(|failure| match GONE.contains(&said.as_str()) {
            true => Failure { then: Then::Disable, ..failure },
            false => failure,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_makes_no_links_and_calls_nobody() {
        assert_eq!(escape("<!channel> <https://x|y> &amp;"), "&lt;!channel&gt; &lt;https://x|y&gt; &amp;amp;");
    }

    #[test]
    fn what_is_no_address_is_not_repeated() {
        let outgoing = Outgoing::new(Vec::new());
        let Ok(outgoing) = outgoing else { panic!("the system trusts no certificates") };
        let Err(error) = Slack::new(outgoing, &"ftp://secret.example.org/T0/B0".into()) else { panic!("taken") };
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
