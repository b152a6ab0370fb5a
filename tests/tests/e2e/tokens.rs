//! Tokens: made, limited, revoked; and who guesses has to wait.

use domain::TokenId;
use operations::apps::{Create as CreateApp, CreateRequest as CreateAppRequest, List as ListApps, ListRequest};
use operations::tokens::{Access, Create, CreateRequest, List, Revoke, RevokeRequest, TokenState};
use operations::{Client, ErrorKind, sessions, tokens};
use plimsoll_tests::flow::refused;
use plimsoll_tests::server::files_below;
use plimsoll_tests::{Server, http};
use reqwest::Method;
use serde_json::{Value, json};

use crate::people::{invited, secret};

fn request(name: &str, read_only: bool) -> CreateRequest {
    CreateRequest { read_only, ..CreateRequest::named(name.parse().unwrap()) }
}

fn apps() -> ListRequest {
    ListRequest { limit: 10, ..ListRequest::default() }
}

fn client(server: &Server, secret: &str) -> Client {
    Client::new(&format!("http://{}", server.api()), &secret.to_owned().into()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_made_limited_and_revoked() {
    let server = Server::start().await;
    let owner = server.client();
    let full = owner.call::<Create>(&request("ci", false)).await.unwrap();
    let reader = owner.call_with_key::<Create>(&request("dashboard", true), Some("once")).await.unwrap();
    let (full_secret, reader_secret) = (full.secret.unwrap(), reader.secret.unwrap());

    // A repeated request makes no second one, and is not told the token again.
    let again = owner.call_with_key::<Create>(&request("dashboard", true), Some("once")).await.unwrap();
    assert_eq!((again.token.id.clone(), again.secret), (reader.token.id.clone(), None));
    let taken = refused(owner.call::<Create>(&request("ci", false)).await);
    assert_eq!(taken.code, ErrorKind::Conflict);

    let reading = client(&server, &reader_secret);
    reading.call::<ListApps>(&apps()).await.unwrap();
    let shop = CreateAppRequest { name: "shop".parse().unwrap(), source: None };
    let no = refused(reading.call::<CreateApp>(&shop).await);
    assert_eq!((no.code, no.status), (ErrorKind::Forbidden, 403));
    assert!(no.detail.contains("dashboard"), "{no}");
    let no = refused(reading.call::<Create>(&request("more", false)).await);
    assert_eq!(no.code, ErrorKind::Forbidden, "it can't make itself a better one");
    client(&server, &full_secret).call::<CreateApp>(&shop).await.unwrap();

    let gone = RevokeRequest { token: full.token.id.clone() };
    assert_eq!(owner.call::<Revoke>(&gone).await.unwrap().state, TokenState::Revoked);
    assert_eq!(owner.call::<Revoke>(&gone).await.unwrap().state, TokenState::Revoked, "twice is once");
    assert_eq!(refused(client(&server, &full_secret).call::<ListApps>(&apps()).await).code, ErrorKind::Unauthorized);
    let nobody: TokenId = "tok_01jd0000000000000000000000".parse().unwrap();
    assert_eq!(refused(owner.call::<Revoke>(&RevokeRequest { token: nobody }).await).code, ErrorKind::NotFound);

    let list = owner.call::<List>(&tokens::ListRequest {}).await.unwrap();
    let local = list.iter().find(|token| token.local).unwrap();
    let own = RevokeRequest { token: local.id.clone() };
    assert_eq!(refused(owner.call::<Revoke>(&own).await).code, ErrorKind::Conflict);
    let found = list.iter().find(|token| token.id == reader.token.id).unwrap();
    assert_eq!((found.access, found.state), (Access::ReadOnly, TokenState::Valid));

    // By hand: on this machine no token is needed, and the result is the token alone.
    let made = server.cli(&["tokens", "create", "laptop", "--expires-in", "30d"]);
    let laptop = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    client(&server, &laptop).call::<ListApps>(&apps()).await.unwrap();
    let shown = server.cli_json(&["tokens", "list", "--json"]);
    let row = shown.as_array().unwrap().iter().find(|t| t["name"] == "laptop").unwrap();
    assert!(row["expires_at"].is_string() && row["access"] == "full", "{row}");

    // No file and no log holds one of them.
    let mut places: Vec<(String, String)> = files_below(&server.data())
        .into_iter()
        .map(|path| (path.display().to_string(), String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned()))
        .collect();
    places.push(("the log".to_owned(), server.log()));
    for secret in [&full_secret, &reader_secret, &laptop] {
        let held: Vec<_> = places.iter().filter(|(_, text)| text.contains(secret.as_str())).map(|(p, _)| p).collect();
        assert!(held.is_empty(), "a token is in {held:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_wrong_tokens_has_to_wait_and_others_do_not() {
    let server = Server::start().await;
    let good = server.client().call::<Create>(&request("ci", false)).await.unwrap().secret.unwrap();
    let good = client(&server, &good);
    good.call::<ListApps>(&apps()).await.unwrap();
    // Made before, which takes longer than to ask: who waits between two guesses is let through again.
    let guesses: Vec<Client> = (0..30).map(|n| client(&server, &format!("plim_{n:064}"))).collect();
    let mut answers = Vec::new();
    for guess in guesses {
        answers.push(refused(guess.call::<ListApps>(&apps()).await));
    }
    assert_eq!(answers[0].code, ErrorKind::Unauthorized);
    let limited = answers.iter().find(|answer| answer.code == ErrorKind::RateLimited).unwrap();
    assert_eq!(limited.status, 429);
    assert!(limited.hint.as_ref().unwrap().contains("second"), "{limited:?}");
    let wrong = "GET /api/v1/apps HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer plim_x\r\nConnection: close\r\n\r\n";
    let mut head = String::new();
    // A guess or two may have come back by now.
    for _ in 0..3 {
        head = http::raw(server.api(), wrong).await;
        if head.starts_with("HTTP/1.1 429") {
            break;
        }
    }
    assert!(head.starts_with("HTTP/1.1 429") && head.to_lowercase().contains("retry-after:"), "{head}");
    // From the same address, with what was good before.
    good.call::<ListApps>(&apps()).await.unwrap();
    server.client().call::<ListApps>(&apps()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_with_less_than_its_person_takes_nothing_from_them() {
    let server = Server::start().await;
    let ann = invited(&server, "ann@example.org", "owner").await;
    let made = async |name: &str, grants: Value| {
        let body = json!({ "name": name, "for": "me", "grants": grants });
        let made = ann.ask(Method::POST, "tokens", body).await;
        let id: TokenId = made.1["token"]["id"].as_str().unwrap().parse().unwrap();
        (id, client(&server, &secret(&made)))
    };
    let (strong, whole) = made("strong", json!([])).await;
    let (weak, narrow) = made("weak", json!([{ "role": "deployer" }])).await;
    let (same, _) = made("same", json!([{ "role": "deployer" }])).await;

    let no = refused(narrow.call::<Revoke>(&RevokeRequest { token: strong.clone() }).await);
    assert_eq!(no.code, ErrorKind::NotFound, "{no}");
    let browser = whole.call::<sessions::List>(&Default::default()).await.unwrap()[0].id.clone();
    let no = refused(narrow.call::<sessions::List>(&Default::default()).await);
    assert_eq!(no.code, ErrorKind::Forbidden, "{no}");
    let no = refused(narrow.call::<sessions::End>(&sessions::EndRequest { session: browser.clone() }).await);
    assert_eq!(no.code, ErrorKind::Forbidden, "{no}");
    assert_eq!(ann.get("me").await.0, 200, "she is signed in still");

    // What is worth no more than it, and itself; and the whole one does all of it.
    for own in [same, weak] {
        assert_eq!(narrow.call::<Revoke>(&RevokeRequest { token: own }).await.unwrap().state, TokenState::Revoked);
    }
    whole.call::<sessions::End>(&sessions::EndRequest { session: browser }).await.unwrap();
    assert_eq!(ann.get("me").await.0, 401);
    assert_eq!(whole.call::<Revoke>(&RevokeRequest { token: strong }).await.unwrap().state, TokenState::Revoked);
}
