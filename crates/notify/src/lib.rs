//! Delivers notices: to Slack, by mail, as signed webhooks.
//!
//! One trait, [`Driver`], and one test for all that implement it. A driver makes one attempt and says how it went; when
//! to try again, and what is kept, is decided elsewhere (`domain::notice`, `control`). Everything goes out through the crate
//! `outgoing`, so no driver calls what it must not.
//!
//! A message has an id, the same in each attempt: `webhook-id` of a webhook, `Message-ID` of a mail. Who gets it twice, as the
//! answer to the first one was lost, can tell.
//!
//! What a crash leaves: nothing is kept here. Errors hold what a receiver said, cut and without control characters, and
//! never an address beyond its host.

mod mail;
mod message;
mod reply;
mod slack;
mod webhook;

use async_trait::async_trait;
use chrono::TimeDelta;

pub use mail::{Encryption, InvalidMail, Login, Mail, MailServer};
pub use message::Message;
pub use slack::{InvalidSlack, Slack};
pub use webhook::Webhook;

/// A way to a receiver.
#[async_trait]
pub trait Driver: Send + Sync {
    /// Makes one attempt. It ends by itself within half a minute, whatever the receiver does.
    async fn deliver(&self, message: &Message) -> Result<Receipt, Failure>;
}

/// The receiver has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Of HTTP or SMTP.
    pub status: Option<u16>,
    /// What it said, for people.
    pub said: String,
    /// Who has it not, and why, for people; where there are several to have it.
    pub missed: Option<String>,
}

/// It did not arrive, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Failure {
    pub status: Option<u16>,
    /// What went wrong, for people; 500 characters at most, no secret.
    pub why: String,
    pub then: Then,
}

/// What is to become of a message that did not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Later it may go better; not before this time has passed, if the receiver named one.
    Again(Option<TimeDelta>),
    /// It would fail the same way each time.
    GiveUp,
    /// The receiver wants nothing more, ever: the channel is to be disabled.
    Disable,
}
