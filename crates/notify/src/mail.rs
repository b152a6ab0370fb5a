//! Mail, by SMTP to the operator's server.

mod server;
mod stream;

use std::time::Duration;

use async_trait::async_trait;
use domain::notice::Notice;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, SinglePart};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail as From, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use outgoing::Outgoing;
use secrecy::ExposeSecret;

pub use server::{Encryption, InvalidMail, Login, MailServer};

use crate::message::Part;
use crate::reply::{clean, of_error};
use crate::{Driver, Failure, Message, Receipt, Then};

/// One attempt, from the look at the server's name to its last word.
const WHOLE: Duration = Duration::from_secs(25);

/// Attempts in which all mailboxes wait for one that the server may take later; what greylists does so for a minute.
const PATIENT: u32 = 2;

/// Mailboxes of one mail.
const MOST: usize = 20;

/// Mailboxes that get the same mail.
pub struct Mail {
    outgoing: Outgoing,
    server: MailServer,
    from: Mailbox,
    to: Vec<Mailbox>,
    patience: Duration,
}

impl Mail {
    /// `to` are mailboxes as people write them: `ann@example.org` or `Ann <ann@example.org>`.
    pub fn new(outgoing: Outgoing, server: MailServer, to: &[String]) -> Result<Self, InvalidMail> {
        server.check()?;
        let from = mailbox(&server.from)?;
        let to = mailboxes(to)?;
        Ok(Self { outgoing, server, from, to, patience: WHOLE })
    }

    /// Whether mail can be written to these, 1 to 20 of them.
    pub fn check(to: &[String]) -> Result<(), InvalidMail> {
        if to.len() > MOST {
            return Err(InvalidMail::new(format!(
                "a mail goes to {MOST} mailboxes at most; use a list of your mail server's"
            )));
        }
        mailboxes(to).map(drop)
    }

    /// The same with another limit for an attempt.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    async fn attempt(&self, message: &Message) -> Result<Receipt, Failure> {
        let mail = self.write(message).map_err(|e| Failure { status: None, why: clean(&e), then: Then::GiveUp })?;
        let mut connection = self.connect().await?;
        if let Some(login) = &self.server.login {
            let credentials = Credentials::new(login.user.clone(), login.password.expose_secret().to_owned());
            let signed_in = connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await;
            signed_in.map_err(|e| self.stranger(&e))?;
        }
        let sent = self.send(&mut connection, &mail, message.attempt).await;
        let _ = connection.quit().await;
        sent
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Failure> {
        let stream = stream::open(&self.outgoing, &self.server, self.from.email.domain()).await?;
        let hello = ClientId::Domain(self.from.email.domain().to_owned());
        let connected = AsyncSmtpConnection::connect_with_transport(stream, &hello).await;
        connected.map_err(|e| self.failure("greeting", &e))
    }

    /// A mailbox that is refused keeps the others from nothing; one that may be taken later has them wait for two attempts.
    async fn send(&self, connection: &mut AsyncSmtpConnection, mail: &[u8], attempt: u32) -> Result<Receipt, Failure> {
        let from = From::new(Some(self.from.email.clone()), Vec::new());
        connection.command(from).await.map_err(|e| self.failure("sender", &e))?;
        let mut refused: Vec<Failure> = Vec::new();
        for to in &self.to {
            match connection.command(Rcpt::new(to.email.clone(), Vec::new())).await {
                Ok(_) => {}
                Err(e) if e.is_permanent() || e.is_transient() => refused.push(self.failure(to.email.as_ref(), &e)),
                Err(e) => return Err(self.failure(to.email.as_ref(), &e)),
            }
        }
        let hopeful = refused.iter().position(|failure| failure.then != Then::GiveUp);
        let nobody = refused.len() == self.to.len();
        if nobody || (hopeful.is_some() && attempt <= PATIENT) {
            return Err(refused.swap_remove(hopeful.unwrap_or_default()));
        }
        connection.command(Data).await.map_err(|e| self.failure("text", &e))?;
        let answer = connection.message(mail).await.map_err(|e| self.failure("text", &e))?;
        let said = clean(answer.first_line().unwrap_or_default());
        let missed = (!refused.is_empty()).then(|| {
            let why = refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            clean(&format!("sent to {} of {}; {why}", self.to.len() - refused.len(), self.to.len()))
        });
        Ok(Receipt { status: Some(u16::from(answer.code())), said, missed })
    }

    fn write(&self, message: &Message) -> Result<Vec<u8>, String> {
        // Said to be made by a program, so that no program answers (RFC 3834).
        let name = HeaderName::new_from_ascii_str("Auto-Submitted");
        let mut mail = lettre::Message::builder()
            .from(self.from.clone())
            .subject(message.title())
            .date(message.at.into())
            .message_id(Some(format!("<{}@{}>", message.id, self.from.email.domain())))
            .raw_header(HeaderValue::new(name, "auto-generated".to_owned()));
        for to in &self.to {
            mail = mail.to(to.clone());
        }
        let mail = mail.singlepart(SinglePart::plain(text(message))).map_err(|e| e.to_string())?;
        Ok(mail.formatted())
    }

    fn failure(&self, at: &str, error: &SmtpError) -> Failure {
        let why = format!("{} at {at}: {error}{}", self.server.host, cause(error));
        let then = if error.is_permanent() { Then::GiveUp } else { Then::Again(None) };
        Failure { status: error.status().map(u16::from), why: clean(&why), then }
    }

    /// Sign-in failed. The server's words are left out, as it may repeat what it was sent; and it is no last word, as people
    /// put a password right.
    fn stranger(&self, error: &SmtpError) -> Failure {
        let status = error.status().map(u16::from);
        let why = match status {
            Some(status) => format!("{} refuses user or password ({status})", self.server.host),
            None => format!("{} does not let anybody sign in by password", self.server.host),
        };
        Failure { status, why: clean(&why), then: Then::Again(None) }
    }
}

/// `: …`, unless the error says it already.
fn cause(error: &SmtpError) -> String {
    let said = error.to_string();
    match std::error::Error::source(error) {
        Some(source) if !said.contains(&source.to_string()) => format!(": {source}"),
        _ => String::new(),
    }
}

fn mailboxes(to: &[String]) -> Result<Vec<Mailbox>, InvalidMail> {
    if to.is_empty() {
        return Err(InvalidMail::new("there is nobody to write to"));
    }
    to.iter().map(|to| mailbox(to)).collect()
}

fn mailbox(text: &str) -> Result<Mailbox, InvalidMail> {
    text.trim().parse().map_err(|e| InvalidMail::new(format!("`{}` is no mailbox ({e})", clean(text))))
}

fn text(message: &Message) -> String {
    let mut text = format!("{}\n", message.title());
    for line in message.lines(line) {
        text.push_str(&format!("\n{line}\n"));
    }
    if let Some(link) = message.link() {
        text.push_str(&format!("\n{link}\n"));
    }
    text
}

fn line(notice: &Notice, part: Part) -> String {
    match part {
        Part::Title => format!("- {}", notice.title),
        Part::Body => {
            let body = notice.body.as_deref().unwrap_or_default();
            body.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
        }
    }
}

#[async_trait]
impl Driver for Mail {
    async fn deliver(&self, message: &Message) -> Result<Receipt, Failure> {
        match tokio::time::timeout(self.patience, self.attempt(message)).await {
            Ok(result) => result,
            Err(_) => {
                let (host, limit) = (&self.server.host, self.patience);
                let why = clean(&format!("{host} took longer than {limit:?} to take a mail"));
                Err(Failure { status: None, why, then: Then::Again(None) })
            }
        }
    }
}

impl std::convert::From<&outgoing::OutgoingError> for Failure {
    fn from(error: &outgoing::OutgoingError) -> Self {
        of_error(error)
    }
}
