//! A receiver of HTTP, and what webhooks and Slack put into it.

use std::net::SocketAddr;

use chrono::Utc;
use domain::webhook::{Secret, verify};
use notify::{Driver, Slack, Then, Webhook};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Inbox, Mood, failed, message, outgoing, read_to};

/// Puts head and body of each request into the inbox.
pub(crate) async fn receiver(mood: Mood) -> (SocketAddr, Inbox) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let inbox = Inbox::default();
    let arrived = inbox.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, mood, arrived.clone()));
        }
    });
    (address, inbox)
}

async fn serve(mut stream: TcpStream, mood: Mood, inbox: Inbox) {
    let head = read_to(&mut stream, "\r\n\r\n").await;
    let length = head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.unwrap();
    inbox.put(format!("{head}{}", String::from_utf8(body).unwrap()));
    let answer = match mood {
        Mood::Takes => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        Mood::Busy => "HTTP/1.1 429 Slow Down\r\nretry-after: 30\r\ncontent-length: 0\r\n\r\n",
        Mood::Gone => "HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n",
        Mood::Closes => "",
        Mood::Babbles => "220 mail.example.org ESMTP\r\n",
        Mood::Hangs => {
            let _ = stream.read(&mut [0]).await;
            return;
        }
        Mood::Floods => {
            let _ = stream.write_all(b"HTTP/1.1 500 No\r\ncontent-length: 1000000000\r\n\r\n").await;
            while stream.write_all(&[b'x'; 8192]).await.is_ok() {}
            return;
        }
    };
    let _ = stream.write_all(answer.as_bytes()).await;
}

pub(crate) fn webhook(address: SocketAddr) -> Webhook {
    let address = format!("http://{address}/hook").parse().unwrap();
    Webhook { outgoing: outgoing(), address, secret: Secret::new([7; 32]) }
}

pub(crate) fn slack(address: SocketAddr) -> Slack {
    Slack::new(outgoing(), &format!("http://{address}/services/T0/B0/secret").into()).ok().unwrap()
}

#[tokio::test]
async fn a_webhook_is_signed_and_says_all_there_is() {
    let (address, inbox) = receiver(Mood::Takes).await;
    let message = message([failed(7, "npm ended with 1")]);
    webhook(address).deliver(&message).await.unwrap();

    let request = inbox.all().remove(0);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap();
    assert!(head.starts_with("POST /hook HTTP/1.1"), "{head}");
    assert_eq!((header("webhook-id"), header("content-type")), (message.id.as_str(), "application/json"));
    let (timestamp, signature) = (header("webhook-timestamp"), header("webhook-signature"));
    let now = Utc::now().timestamp();
    let secret = Secret::new([7; 32]);
    assert_eq!(verify(&secret, &message.id, timestamp, signature, body.as_bytes(), now), Ok(()));

    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!((&body["type"], &body["data"]["count"]), (&"deployment_failed".into(), &1.into()));
    let notice = &body["data"]["notices"][0];
    assert_eq!((&notice["cursor"], &notice["app"], &notice["level"]), (&7.into(), &"shop".into(), &"failure".into()));
    assert_eq!(notice["body"], "npm ended with 1\nRun it on your machine");
    let url = format!("https://deploy.example.org/deployments/{}", notice["deployment"].as_str().unwrap());
    assert_eq!((notice["url"].as_str(), body["data"]["url"].as_str()), (Some(url.as_str()), Some(url.as_str())));
}

#[tokio::test]
async fn slack_gets_one_text_in_which_nothing_of_others_is_a_mark() {
    let (address, inbox) = receiver(Mood::Takes).await;
    slack(address).deliver(&message([failed(7, "<!channel> & <https://evil.example.org|click>")])).await.unwrap();
    let request = inbox.all().remove(0);
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let text = body["text"].as_str().unwrap();
    assert!(text.starts_with(":red_circle: *shop production: deployment failed in building*\n"), "{text}");
    assert!(text.contains("> &lt;!channel&gt; &amp; &lt;https://evil.example.org|click&gt;\n"), "{text}");
    assert!(text.contains("\n<https://deploy.example.org/deployments/dep_"), "{text}");
}

#[tokio::test]
async fn many_in_one_are_counted_and_the_first_shown() {
    let (address, inbox) = receiver(Mood::Takes).await;
    let message = message((0..500).map(|n| failed(n, "no")));
    webhook(address).deliver(&message).await.unwrap();
    slack(address).deliver(&message).await.unwrap();
    let [webhook, slack] = inbox.all().try_into().unwrap();
    assert!(webhook.contains(r#""type":"notices""#) && webhook.contains(r#""count":500"#), "{webhook}");
    assert_eq!(webhook.matches(r#""cursor":"#).count(), 20);
    assert!(slack.contains("*500 notices: 500 failed*") && slack.contains("and 480 more"), "{slack}");
}

#[tokio::test]
async fn slack_says_in_words_that_an_address_is_dead() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_to(&mut stream, "}").await;
        stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 10\r\n\r\nno_service").await.unwrap();
    });
    let failure = slack(address).deliver(&message([failed(7, "no")])).await.unwrap_err();
    served.await.unwrap();
    assert_eq!((failure.then, failure.status), (Then::Disable, Some(404)));
}
