//! What others know us by: the password at a mail server, the secret at a sign-in provider. Each is used, and used in vain.

use std::net::SocketAddr;
use std::sync::Arc;

use plimsoll_tests::Server;
use plimsoll_tests::canary::Told;
use plimsoll_tests::oidc::{CLIENT, Lie, Provider, SECRET};
use plimsoll_tests::server::free_address;
use reqwest::header::LOCATION;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto};

use super::people::{Sender, cookies_of, line_of, session};
use super::places;
use crate::edge::Pair;

pub(super) const MAIL: &str = "hunter2-licks-the-stamps-of-the-parrot";
const SETTINGS: &str = "/api/v1/settings/mail";
const ACCESS: &str = "/api/v1/settings/access";

/// A mail server that lets nobody in, and repeats what it was told.
pub(super) async fn refuser(pair: &Pair) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let certificate = CertificateDer::from_pem_slice(pair.pem().as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(pair.key().as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::aws_lc_rs::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate], key).unwrap()));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let (reader, mut writer) = tokio::io::split(stream);
                let mut lines = BufReader::new(reader).lines();
                let mut answer = "220 mail.example.org ESMTP\r\n".to_owned();
                while writer.write_all(answer.as_bytes()).await.is_ok() {
                    let Ok(Some(line)) = lines.next_line().await else { return };
                    answer = match line.split(' ').next() {
                        Some("EHLO") => "250-mail.example.org\r\n250 AUTH PLAIN LOGIN\r\n".to_owned(),
                        _ => format!("535 5.7.8 who says {line}?\r\n"),
                    };
                }
            });
        }
    });
    address
}

/// A channel whose mails never arrive; its server stays named.
pub(super) async fn plant_mail(server: &Server, refuser: SocketAddr, told: &mut Told) {
    let target = json!({ "kind": "mail", "to": ["ops@example.org"] });
    let channel = json!({ "name": "mailbox", "target": target, "topics": ["deployment_active", "deployment_failed"] });
    let (status, answer) = places::ask(server, &places::post("channels", &channel)).await;
    assert_eq!(status, 201, "{answer}");
    let made: Value = serde_json::from_str(answer.split_once('\n').unwrap().1).unwrap();
    let id = made["channel"]["id"].as_str().unwrap();
    let set = |port: Value, more: (&str, Value)| {
        let mut server = json!({ "host": "127.0.0.1", "port": port, "from": "plimsoll@example.org",
            "user": "plimsoll", "password": MAIL });
        server[more.0] = more.1;
        places::put(SETTINGS, &json!({ "server": server }))
    };
    for wrong in [
        set(json!(MAIL), ("encryption", json!("tls"))),
        set(json!(25), ("encryption", json!("none"))),
        set(json!(25), ("encryption", json!(MAIL))),
        set(json!(25), ("password", json!([MAIL]))),
        set(json!(25), ("user", Value::Null)),
        set(json!(25), ("more", json!(MAIL))),
    ] {
        let (status, answer) = places::ask(server, &wrong).await;
        assert!((400..500).contains(&status), "{status} {answer}");
        told.add("mail.set, refused", answer);
    }
    // Nobody listens; somebody says no to the password.
    let nobody = free_address().port();
    for (port, encryption) in [(nobody, "tls"), (nobody, "starttls"), (refuser.port(), "tls")] {
        let (status, answer) = places::ask(server, &set(json!(port), ("encryption", json!(encryption)))).await;
        assert_eq!(status, 200, "{answer}");
        told.add("mail.set", answer);
        let test = places::post(&format!("channels/{id}/test"), &json!({}));
        let (status, answer) = places::ask(server, &test).await;
        assert!(status == 200 && answer.contains("\"arrived\":false"), "{status} {answer}");
        told.add("the test of a mailbox", answer);
    }
    let said = told.at("the test of a mailbox");
    assert!(said.contains("refuses user or password (535)"), "it has come as far as the password: {said}");
}

/// A provider whose word is taken, which lies once, and is gone in the end.
pub(super) async fn plant_provider(sender: &Sender<'_>, ours: &[(&str, &str)], told: &mut Told) -> Vec<String> {
    let nobody = format!("http://{}", free_address());
    let access = |issuer: &str| json!({ "oidc": { "name": "Example Inc.", "issuer": issuer, "client_id": CLIENT, "client_secret": SECRET } });
    for wrong in [
        access(&nobody),
        access(SECRET),
        access(&format!("https://me:{SECRET}@example.org")),
        json!({ "oidc": { "name": "x", "issuer": nobody, "client_id": CLIENT, "client_secret": [SECRET] } }),
        json!({ "oidc": { "client_secret": SECRET } }),
    ] {
        sender.refused_by(Method::PUT, ACCESS, ours, Some(wrong.to_string()), told).await;
    }
    let provider = Provider::start().await;
    let (said, _) = sender.good(Method::PUT, ACCESS, ours, access(&provider.issuer())).await;
    told.add("auth_settings.set", said.to_string());
    let invite = json!({ "email": "olga@example.org", "role": "viewer" });
    sender.good(Method::POST, "/api/v1/invitations", ours, invite).await;
    provider.next_is(json!({ "sub": "248", "email": "olga@example.org", "email_verified": true, "name": "Olga" }));

    let mut secrets = vec![SECRET.to_owned()];
    for (lie, end) in [(Lie::ClientSecret, "trouble=provider"), (Lie::None, "/queue")] {
        provider.lie(lie);
        let (back, asked) = there(sender, &mut secrets).await;
        let came = sender.send(Method::GET, &back, &[("cookie", &asked)], None).await;
        let cookies = cookies_of(&came);
        assert!(location(&came).ends_with(end), "{lie:?}: {}", location(&came));
        if lie == Lie::None {
            secrets.push(session(&cookies));
            let line = line_of(&cookies);
            sender.good(Method::GET, "/api/v1/me", &[("cookie", &line)], Value::Null).await;
        }
        // Once more, and with what belongs to nobody.
        for cookie in [asked.clone(), format!("{asked}A")] {
            let again = sender.send(Method::GET, &back, &[("cookie", &cookie)], None).await;
            told.add("coming back once more", format!("{:?}", again.headers()));
        }
        let bad = back.replace("state=", "state=x");
        let other = sender.send(Method::GET, &bad, &[("cookie", &asked)], None).await;
        told.add("coming back with another state", format!("{:?}", other.headers()));
    }
    // It is gone while somebody is on the way.
    let (back, asked) = there(sender, &mut secrets).await;
    drop(provider);
    let came = sender.send(Method::GET, &back, &[("cookie", &asked)], None).await;
    assert!(location(&came).contains("trouble="), "{}", location(&came));
    told.add("coming back from a provider that is gone", format!("{:?}", came.headers()));
    for secret in &secrets {
        let next = format!("/auth/oidc/start?next={secret}");
        sender.refused(&next, &[], None, told).await;
    }
    secrets
}

/// To the provider: the path that it sends the browser back to, and the cookie that it comes with.
async fn there(sender: &Sender<'_>, secrets: &mut Vec<String>) -> (String, String) {
    let asked = sender.send(Method::GET, "/auth/oidc/start?next=/queue", &[], None).await;
    assert_eq!(asked.status().as_u16(), 303);
    let cookie = cookies_of(&asked).into_iter().find(|cookie| cookie.contains("asked=")).unwrap();
    let back = sender.elsewhere(&location(&asked)).await;
    let back = location(&back);
    let query = back.split_once('?').unwrap().1;
    secrets.extend(query.split('&').map(|pair| pair.split_once('=').unwrap().1.to_owned()));
    secrets.push(cookie.split_once('=').unwrap().1.to_owned());
    (back[back.find("/auth/").unwrap()..].to_owned(), cookie)
}

fn location(response: &Response) -> String {
    response.headers()[LOCATION].to_str().unwrap().to_owned()
}
