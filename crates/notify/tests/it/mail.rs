//! A mail server of a few words, and what is handed in to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use notify::{Driver, Encryption, Login, Mail, MailServer, Message, Then};
use outgoing::{ClientConfig, Outgoing};
use rcgen::{CertificateParams, KeyPair};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto};

use crate::support::{Inbox, Mood, failed, message, outgoing, read_to};

/// A mail server that puts each mail into the inbox, below the senders and recipients that were named.
#[derive(Clone)]
struct Server {
    mood: Mood,
    encryption: Encryption,
    acceptor: Option<TlsAcceptor>,
    inbox: Inbox,
}

impl Server {
    async fn start(self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(self.clone().serve(stream));
            }
        });
        address
    }

    async fn serve(self, mut stream: TcpStream) {
        match self.encryption {
            Encryption::Tls => {
                let Ok(stream) = self.acceptor.clone().unwrap().accept(stream).await else { return };
                self.talk(stream, true).await;
            }
            Encryption::None => self.talk(stream, true).await,
            Encryption::Starttls => {
                stream.write_all(b"220 mail.example.org\r\n").await.unwrap();
                read_to(&mut stream, "\r\n").await;
                stream.write_all(b"250-mail.example.org\r\n250-PIPELINING\r\n250 STARTTLS\r\n").await.unwrap();
                if read_to(&mut stream, "\r\n").await == "STARTTLS\r\n" {
                    stream.write_all(b"220 go on\r\n").await.unwrap();
                    let Ok(stream) = self.acceptor.clone().unwrap().accept(stream).await else { return };
                    self.talk(stream, false).await;
                }
            }
        }
    }

    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(self, mut stream: S, greets: bool) {
        match self.mood {
            Mood::Closes => return,
            Mood::Hangs => {
                let _ = stream.read(&mut [0]).await;
                return;
            }
            Mood::Floods => {
                while stream.write_all(&[b'2'; 8192]).await.is_ok() {}
                return;
            }
            Mood::Babbles => {
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
                return;
            }
            _ if greets => stream.write_all(b"220 mail.example.org ESMTP\r\n").await.unwrap(),
            _ => {}
        }
        let mut envelope = String::new();
        loop {
            let line = read_to(&mut stream, "\r\n").await;
            let verb = line.split([' ', ':', '\r']).next().unwrap_or_default().to_uppercase();
            let answer = match (verb.as_str(), self.mood) {
                ("EHLO", _) => "250-mail.example.org\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME\r\n".to_owned(),
                ("AUTH", Mood::Gone) => format!("535 5.7.8 refused: {line}"),
                ("AUTH", _) => {
                    envelope.push_str(&line);
                    "235 welcome\r\n".to_owned()
                }
                ("MAIL", _) => {
                    envelope.push_str(&line);
                    "250 ok\r\n".to_owned()
                }
                ("RCPT", Mood::Busy) => "451 4.7.1 try again later\r\n".to_owned(),
                ("RCPT", Mood::Gone) => "550 5.1.1 nobody of that name\r\n".to_owned(),
                ("RCPT", _) if line.contains("later@") => "450 4.2.0 greylisted\r\n".to_owned(),
                ("RCPT", _) if line.contains("nobody@") => "550 5.1.1 nobody of that name\r\n".to_owned(),
                ("RCPT", _) => {
                    envelope.push_str(&line);
                    "250 ok\r\n".to_owned()
                }
                ("DATA", _) => {
                    stream.write_all(b"354 go on\r\n").await.unwrap();
                    let mail = read_to(&mut stream, "\r\n.\r\n").await;
                    self.inbox.put(format!("{envelope}\n{mail}"));
                    "250 2.0.0 queued as 42\r\n".to_owned()
                }
                ("QUIT", _) => "221 bye\r\n".to_owned(),
                ("", _) => return,
                _ => "500 what?\r\n".to_owned(),
            };
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

/// A server of that mood without encryption.
pub(crate) async fn receiver(mood: Mood) -> (SocketAddr, Inbox) {
    let inbox = Inbox::default();
    let server = Server { mood, encryption: Encryption::None, acceptor: None, inbox: inbox.clone() };
    (server.start().await, inbox)
}

/// The same with encryption, and the trust in its certificate for 127.0.0.1.
async fn encrypted(mood: Mood, encryption: Encryption) -> (SocketAddr, Inbox, Outgoing) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    let provider = Arc::new(crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let trust = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let inbox = Inbox::default();
    let acceptor = Some(TlsAcceptor::from(Arc::new(config)));
    let server = Server { mood, encryption, acceptor, inbox: inbox.clone() };
    (server.start().await, inbox, outgoing().with_tls(trust))
}

fn server(address: SocketAddr, encryption: Encryption, login: Option<Login>) -> MailServer {
    let from = "Plimsoll <plimsoll@example.org>".to_owned();
    MailServer { host: address.ip().to_string(), port: address.port(), encryption, from, login }
}

pub(crate) fn mail(address: SocketAddr) -> Mail {
    let to = ["Ann <ann@example.org>".to_owned()];
    let mail = Mail::new(outgoing(), server(address, Encryption::None, None), &to).unwrap();
    mail.with_patience(Duration::from_millis(500))
}

fn login() -> Option<Login> {
    Some(Login { user: "plimsoll".to_owned(), password: "a password of some length".into() })
}

#[tokio::test]
async fn a_mail_says_what_happened_and_where_to_look() {
    let (address, inbox) = receiver(Mood::Takes).await;
    let message = message([failed(7, "npm ended with 1 – ü")]);
    let receipt = mail(address).deliver(&message).await.unwrap();
    assert_eq!((receipt.status, receipt.said.as_str()), (Some(250), "2.0.0 queued as 42"));

    let mail = inbox.all().remove(0);
    assert!(mail.starts_with("MAIL FROM:<plimsoll@example.org>\r\nRCPT TO:<ann@example.org>\r\n"), "{mail}");
    for line in [
        "Subject: shop production: deployment failed in building\r\n",
        "Message-ID: <dlv_01k8000000000000000000000a@example.org>\r\n",
        "Auto-Submitted: auto-generated\r\n",
        "To: Ann <ann@example.org>\r\n",
        "npm ended with 1",
        "https://deploy.example.org/deployments/dep_",
    ] {
        assert!(mail.contains(line), "{line}\n{mail}");
    }
    assert!(mail.is_ascii(), "a server without 8BITMIME could not take it");
}

#[tokio::test]
async fn both_kinds_of_encryption_carry_the_password() {
    for encryption in [Encryption::Tls, Encryption::Starttls] {
        let (address, inbox, outgoing) = encrypted(Mood::Takes, encryption).await;
        let mail = Mail::new(outgoing, server(address, encryption, login()), &["ann@example.org".to_owned()]).unwrap();
        mail.deliver(&message([failed(7, "no")])).await.unwrap();
        assert!(inbox.all().remove(0).starts_with("AUTH PLAIN AHBsaW1zb2xsAGEgcGFzc3dvcmQgb2Ygc29tZSBsZW5ndGg=\r\n"));
    }
}

#[tokio::test]
async fn a_server_without_encryption_is_told_nothing() {
    // It neither speaks TLS nor offers to begin it.
    for encryption in [Encryption::Tls, Encryption::Starttls] {
        let (address, inbox) = receiver(Mood::Takes).await;
        let mail =
            Mail::new(outgoing(), server(address, encryption, login()), &["ann@example.org".to_owned()]).unwrap();
        let failure = mail.deliver(&message([failed(7, "no")])).await.unwrap_err();
        assert_eq!((failure.then, inbox.all().len()), (Then::Again(None), 0), "{failure}");
    }
    let refused = Mail::new(
        outgoing(),
        server("127.0.0.1:25".parse().unwrap(), Encryption::None, login()),
        &["ann@example.org".to_owned()],
    );
    assert!(refused.is_err());
}

#[tokio::test]
async fn a_certificate_of_a_stranger_is_not_believed() {
    for encryption in [Encryption::Tls, Encryption::Starttls] {
        let (address, inbox, _) = encrypted(Mood::Takes, encryption).await;
        let mail =
            Mail::new(outgoing(), server(address, encryption, login()), &["ann@example.org".to_owned()]).unwrap();
        let failure = mail.deliver(&message([failed(7, "no")])).await.unwrap_err();
        assert!(failure.why.contains("certificate") && inbox.all().is_empty(), "{failure}");
    }
}

#[tokio::test]
async fn a_refused_password_may_be_put_right_and_is_not_repeated() {
    let (address, _, outgoing) = encrypted(Mood::Gone, Encryption::Tls).await;
    let mail = Mail::new(outgoing, server(address, Encryption::Tls, login()), &["ann@example.org".to_owned()]).unwrap();
    let failure = mail.deliver(&message([failed(7, "no")])).await.unwrap_err();
    assert_eq!((failure.then, failure.status), (Then::Again(None), Some(535)));
    // The server repeated the line with the password in Base64.
    assert!(!failure.why.contains("AHBsaW1zb2xs") && !failure.why.contains("a password of some"), "{failure}");
}

#[tokio::test]
async fn one_unknown_mailbox_keeps_the_others_from_nothing() {
    let (address, inbox) = receiver(Mood::Takes).await;
    let to = ["nobody@example.org".to_owned(), "ann@example.org".to_owned()];
    let mail = Mail::new(outgoing(), server(address, Encryption::None, None), &to).unwrap();
    let receipt = mail.deliver(&message([failed(7, "no")])).await.unwrap();
    let missed = receipt.missed.as_ref().unwrap();
    assert!(missed.starts_with("sent to 1 of 2; ") && missed.contains("nobody of that name"), "{receipt:?}");
    assert_eq!(inbox.all().len(), 1);
}

#[tokio::test]
async fn one_mailbox_that_may_be_taken_later_is_waited_for_twice() {
    let (address, inbox) = receiver(Mood::Takes).await;
    let to = ["ann@example.org".to_owned(), "later@example.org".to_owned(), "nobody@example.org".to_owned()];
    let mail = Mail::new(outgoing(), server(address, Encryption::None, None), &to).unwrap();
    for attempt in 1..=2 {
        let failure = mail.deliver(&Message { attempt, ..message([failed(7, "no")]) }).await.unwrap_err();
        assert!(failure.then == Then::Again(None) && failure.why.contains("later@example.org"), "{failure:?}");
        assert!(inbox.all().is_empty(), "nobody gets it twice");
    }
    let receipt = mail.deliver(&Message { attempt: 3, ..message([failed(7, "no")]) }).await.unwrap();
    let missed = receipt.missed.as_ref().unwrap();
    assert!(
        missed.starts_with("sent to 1 of 3; ") && missed.contains("later@") && missed.contains("nobody@"),
        "{missed}"
    );
    assert_eq!(inbox.all().len(), 1);
}

#[test]
fn what_is_no_mailbox_is_refused() {
    for bad in [vec![], vec!["ann"], vec!["ann@example.org", ""], vec!["ann@example.org\r\nBcc: all@example.org"]] {
        let to: Vec<String> = bad.into_iter().map(str::to_owned).collect();
        let server = server("127.0.0.1:25".parse().unwrap(), Encryption::None, None);
        assert!(Mail::new(outgoing(), server, &to).is_err(), "{to:?}");
    }
}
