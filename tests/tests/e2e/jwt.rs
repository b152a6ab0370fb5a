//! Signed tokens: made of an API token, worth the same, for an hour at most.

use chrono::{DateTime, TimeDelta, Utc};
use operations::apps::{Create as CreateApp, CreateRequest as CreateAppRequest, List as ListApps, ListRequest};
use operations::sign_in::{JWT, Sign, Signed};
use operations::tokens::{self, Create, CreateRequest, Revoke, RevokeRequest};
use operations::{Client, ErrorKind};
use plimsoll_tests::Server;
use plimsoll_tests::flow::refused;
use plimsoll_tests::server::files_below;
use serde_json::json;

use crate::people::invited;

fn client(server: &Server, secret: &str) -> Client {
    Client::new(&format!("http://{}", server.api()), &secret.to_owned().into()).unwrap()
}

fn all() -> ListRequest {
    ListRequest { limit: 10, ..ListRequest::default() }
}

async fn signed(client: &Client, expires_in: Option<&str>) -> Signed {
    let expires_in = expires_in.map(|text| text.parse().unwrap());
    client.ask(JWT, &Sign { expires_in, ..Sign::default() }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_token_is_worth_its_api_token_and_ends_with_it() {
    let server = Server::start_with(&["--public-url", "https://deploy.example.org"], &[]).await;
    let made = server.client().call::<Create>(&CreateRequest::named("ci".parse().unwrap())).await.unwrap();
    let api = client(&server, made.secret.as_deref().unwrap());
    let signed_one = signed(&api, None).await;
    let lasts = signed_one.expires_at - Utc::now();
    assert!(lasts > TimeDelta::minutes(14) && lasts <= TimeDelta::minutes(15), "{lasts}");
    let ci = client(&server, &signed_one.secret);
    ci.call::<ListApps>(&all()).await.unwrap();
    ci.call::<CreateApp>(&CreateAppRequest { name: "shop".parse().unwrap(), source: None }).await.unwrap();
    let events = server.cli_json(&["audit", "list", "--json", "--operation", "apps.create"]);
    let row = &events["items"][0];
    assert_eq!((&row["token"], &row["actor_name"]), (&json!(made.token.id), &json!("ci")), "{row}");

    // For this server by its name, too, and for nobody else.
    let named = Sign { audience: Some("https://deploy.example.org".into()), expires_in: Some("1h".parse().unwrap()) };
    let named: Signed = api.ask(JWT, &named).await.unwrap();
    assert!(named.expires_at - Utc::now() > TimeDelta::minutes(59));
    client(&server, &named.secret).call::<ListApps>(&all()).await.unwrap();
    let invalid = async |client: &Client, ask: Sign| refused(client.ask::<Signed>(JWT, &ask).await);
    for ask in [
        Sign { audience: Some("https://other.example.org".into()), expires_in: None },
        Sign { audience: None, expires_in: Some("61m".parse().unwrap()) },
    ] {
        let no = invalid(&api, ask).await;
        assert_eq!((no.code, no.status), (ErrorKind::Invalid, 400), "{no}");
    }
    // It makes neither another one nor a token that is good for longer; of this machine's there is none.
    assert_eq!(invalid(&ci, Sign::default()).await.status, 400);
    assert_eq!(invalid(server.client(), Sign::default()).await.status, 400);
    let more = refused(ci.call::<Create>(&CreateRequest::named("more".parse().unwrap())).await);
    assert_eq!(more.code, ErrorKind::Forbidden, "{more}");
    let short =
        CreateRequest { expires_in: Some("5m".parse().unwrap()), ..CreateRequest::named("short".parse().unwrap()) };
    let short = ci.call::<Create>(&short).await.unwrap();
    // Nor one that outlives what it is made of.
    let end: DateTime<Utc> = short.token.expires_at.unwrap();
    let of_short = signed(&client(&server, short.secret.as_deref().unwrap()), Some("30m")).await;
    assert!(of_short.expires_at <= end, "{} after {end}", of_short.expires_at);

    // Withdrawn, it ends at once; a restart of the server changes nothing.
    server.client().call::<Revoke>(&RevokeRequest { token: made.token.id.clone() }).await.unwrap();
    for secret in [&signed_one.secret, &named.secret] {
        assert_eq!(refused(client(&server, secret).call::<ListApps>(&all()).await).code, ErrorKind::Unauthorized);
    }
    for path in files_below(&server.data()) {
        let bytes = std::fs::read(&path).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(&signed_one.secret), "{}", path.display());
    }
    assert!(!server.log().contains(&signed_one.secret));
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_and_forgeries_get_none() {
    let server = Server::start().await;
    let zoe = invited(&server, "zoe@example.org", "owner").await;
    let (status, no) = zoe.ask(reqwest::Method::POST, "auth/jwt", json!({})).await;
    assert_eq!((status, &no["code"]), (400, &json!("invalid")), "{no}");

    let made = server.client().call::<Create>(&CreateRequest::named("ci".parse().unwrap())).await.unwrap();
    let good = signed(&client(&server, made.secret.as_deref().unwrap()), Some("1m")).await.secret;
    let parts: Vec<&str> = good.split('.').collect();
    let [head, body, signature] = parts[..] else { panic!("{} parts", parts.len()) };
    // {"alg":"none"}, and {"alg":"HS256","kid":"../../dev/null"}.
    let (none, kid) = ("eyJhbGciOiJub25lIn0", "eyJhbGciOiJIUzI1NiIsImtpZCI6Ii4uLy4uL2Rldi9udWxsIn0");
    for bad in [
        format!("{none}.{body}."),
        format!("{none}.{body}.{signature}"),
        format!("{kid}.{body}.{signature}"),
        format!("{head}.{body}."),
        format!("{head}.{}.{signature}", body.replacen('e', "f", 1)),
        format!("{head}.{body}.{signature}A"),
    ] {
        let no = refused(client(&server, &bad).call::<ListApps>(&all()).await);
        assert_eq!((no.code, no.status), (ErrorKind::Unauthorized, 401), "{bad}");
    }
    // Another server's key is another one.
    let other = Server::start().await;
    assert_eq!(refused(client(&other, &good).call::<ListApps>(&all()).await).status, 401);
    client(&server, &good).call::<tokens::List>(&tokens::ListRequest {}).await.unwrap();
}
