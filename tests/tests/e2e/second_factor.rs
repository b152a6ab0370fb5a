//! A second factor: set up with an app that is not ours, asked for at sign-in, good once, and off again.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use plimsoll_tests::Server;
use plimsoll_tests::server::files_below;
use reqwest::Method;
use serde_json::{Value, json};

use crate::audit::sql;
use crate::sign_in::{Answer, Browser, EMAIL, PASSWORD, owner};

/// An app of somebody else's: the standard in a few lines of another language. The key comes by its standard input.
const APP: &str = "
import base64, hashlib, hmac, struct, sys
key, step = sys.stdin.read().split('\\n')[:2]
key = base64.b32decode(key.replace(' ', ''))
digest = hmac.new(key, struct.pack('>q', int(step)), hashlib.sha1).digest()
at = digest[-1] & 15
print('%06d' % ((struct.unpack('>I', digest[at:at + 4])[0] & 0x7fffffff) % 1000000))
";

pub(crate) fn code(key: &str, step: u64) -> String {
    let mut app = Command::new("python3");
    let mut app = app.args(["-c", APP]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    write!(app.stdin.take().unwrap(), "{key}\n{step}\n").unwrap();
    let output = app.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The half minute of now, when enough of it is left for what comes next.
pub(crate) async fn step() -> u64 {
    let deadline = Instant::now() + Duration::from_secs(40);
    loop {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        if now % 30 < 12 {
            return now / 30;
        }
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

impl Browser {
    async fn totp(&mut self, method: Method, body: Option<Value>) -> Answer {
        self.send(method, "/api/v1/me/totp", body).await
    }

    /// The ticket that the right password earns.
    async fn ticket(&mut self) -> String {
        let answer = self.sign_in(EMAIL, PASSWORD).await;
        assert_eq!((answer.status, &answer.body["state"]), (200, &json!("second_factor")), "{}", answer.body);
        assert!(!answer.headers.contains_key("set-cookie"), "the password alone makes no session");
        answer.body["ticket"].as_str().unwrap().to_owned()
    }

    async fn show(&mut self, ticket: &str, code: &str) -> Answer {
        self.post("/api/v1/auth/second-factor", json!({ "ticket": ticket, "code": code })).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_asked_for_besides_the_password_and_is_good_once() {
    let server = Server::start().await;
    let mut ann = owner(&server, "127.0.0.1").await;
    assert_eq!(ann.totp(Method::GET, None).await.body, json!({ "enabled": false, "recovery_codes": 0 }));
    let too_soon = ann.totp(Method::PUT, Some(json!({ "code": "123456" }))).await;
    assert_eq!(too_soon.status, 409, "{}", too_soon.body);
    let begun = ann.totp(Method::POST, Some(json!({}))).await;
    assert_eq!(begun.status, 201, "{}", begun.body);
    let setup = &begun.body["setup"];
    let key = setup["secret"].as_str().unwrap().to_owned();
    assert!(setup["url"].as_str().unwrap().contains(&key.replace(' ', "")), "{setup}");
    assert!(setup["picture"]["path"].as_str().unwrap().starts_with('M') && setup["picture"]["size"].is_u64());
    // Begun is not on.
    assert_eq!(Browser::at(&server, "127.0.0.2").sign_in(EMAIL, PASSWORD).await.body["state"], "signed_in");

    let now = step().await;
    let wrong = ann.totp(Method::PUT, Some(json!({ "code": "000000" }))).await;
    assert!(wrong.status == 400 && wrong.body["detail"].as_str().unwrap().starts_with("`code`"), "{}", wrong.body);
    let on = ann.totp(Method::PUT, Some(json!({ "code": code(&key, now - 1) }))).await;
    assert_eq!(on.status, 200, "{}", on.body);
    let codes: Vec<String> = serde_json::from_value(on.body["recovery_codes"].clone()).unwrap();
    assert_eq!(codes.len(), 10);
    let state = ann.totp(Method::GET, None).await.body;
    assert_eq!((&state["enabled"], &state["recovery_codes"]), (&json!(true), &json!(10)));
    assert_eq!(ann.totp(Method::POST, Some(json!({}))).await.status, 409, "one in use is not replaced by a slip");

    // The code that switched it on is used up; the next one is good, once; then the one after it.
    let mut phone = Browser::at(&server, "127.0.0.2");
    let ticket = phone.ticket().await;
    assert_eq!(phone.me().await.status, 401);
    assert_eq!(phone.show(&ticket, &code(&key, now - 1)).await.status, 401, "a code of before");
    let good = code(&key, now);
    let answer = phone.show(&ticket, &good).await;
    assert_eq!((answer.status, &answer.body), (200, &json!({ "state": "signed_in" })));
    assert_eq!(phone.me().await.body["email"], EMAIL);
    let mut thief = Browser::at(&server, "127.0.0.3");
    let ticket = thief.ticket().await;
    assert_eq!(thief.show(&ticket, &good).await.status, 401, "looked at over a shoulder");
    let again = thief.show(&ticket, &code(&key, now + 1)).await;
    assert_eq!(again.status, 200, "{}", again.body);

    // A recovery code goes in, once, however it is typed. Nothing else does.
    let mut away = Browser::at(&server, "127.0.0.4");
    let ticket = away.ticket().await;
    let typed = codes[0].to_uppercase().replace('-', " ");
    assert_eq!(away.show(&ticket, &typed).await.status, 200);
    assert_eq!(away.totp(Method::GET, None).await.body["recovery_codes"], 9);
    let mut late = Browser::at(&server, "127.0.0.5");
    let ticket = late.ticket().await;
    let changed = format!("{ticket}A");
    let (ticket, changed, unused) = (ticket.as_str(), changed.as_str(), codes[1].as_str());
    for (ticket, code) in [(ticket, codes[0].as_str()), ("not a ticket", unused), (changed, unused), (ticket, "")] {
        let answer = late.show(ticket, code).await;
        assert_eq!((answer.status, answer.headers.contains_key("set-cookie")), (401, false), "{}", answer.body);
    }

    // It also confirms that it is still her; either the one or the other, not both or none.
    assert_eq!(ann.post("/api/v1/auth/confirm", json!({ "code": codes[1] })).await.status, 204);
    assert_eq!(ann.post("/api/v1/auth/confirm", json!({ "code": codes[1] })).await.status, 401, "once");
    for said in [json!({}), json!({ "code": codes[2], "password": PASSWORD })] {
        assert_eq!(ann.post("/api/v1/auth/confirm", said).await.status, 400);
    }
    // Not with a token of hers.
    let token = ann.post("/api/v1/tokens", json!({ "name": "laptop", "for": "me" })).await.body;
    let bearer = token["secret"].as_str().unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/api/v1/me/totp", server.api());
    for own in [url.clone(), format!("{url}?user={EMAIL}")] {
        let no = client.delete(&own).bearer_auth(bearer).send().await.unwrap();
        let (status, said) = (no.status().as_u16(), no.text().await.unwrap());
        assert!(status == 403 && said.contains("not changed with a token"), "{own}: {status} {said}");
    }
    assert_eq!(ann.totp(Method::GET, None).await.body["enabled"], true);

    // A password that was changed ends the tickets of the one before.
    let mut slow = Browser::at(&server, "127.0.0.6");
    let ticket = slow.ticket().await;
    let next = "thimble walnut harbour lantern";
    let changed = json!({ "current": PASSWORD, "new": next });
    assert_eq!(ann.send(Method::PUT, "/api/v1/me/password", Some(changed)).await.status, 200);
    assert_eq!(slow.show(&ticket, &codes[3]).await.status, 401);

    // Neither key nor codes are kept or told in the open.
    let places = files_below(&server.data());
    let secrets = [key.replace(' ', ""), key.clone()].into_iter().chain(codes.iter().cloned());
    for secret in secrets.chain(codes.iter().map(|code| code.replace('-', ""))) {
        for place in &places {
            let held = String::from_utf8_lossy(&std::fs::read(place).unwrap()).contains(&secret);
            assert!(!held, "a secret of the second factor is in {}", place.display());
        }
        assert!(!server.log().contains(&secret), "and none is in the log");
    }
    let audit = server.cli_json(&["audit", "list", "--limit", "500", "--json"]);
    let did = |operation: &str| audit.to_string().contains(&format!("\"{operation}\""));
    for operation in ["totp.begin", "totp.confirm", "auth.second_factor", "auth.recovery_code", "auth.confirm"] {
        assert!(did(operation), "{operation} is not in the audit log");
    }

    // Who has lost everything is helped by an owner, or on the server's machine.
    let help = server.cli(&["users", "remove-second-factor", EMAIL, "--yes"]);
    assert!(help.status.success(), "{help:?}");
    assert_eq!(Browser::at(&server, "127.0.0.7").sign_in(EMAIL, next).await.body["state"], "signed_in");
    assert_eq!(ann.totp(Method::GET, None).await.body, json!({ "enabled": false, "recovery_codes": 0 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_code_is_not_guessed_in_a_session_that_was_left_open() {
    let server = Server::start().await;
    let mut ann = owner(&server, "127.0.0.1").await;
    let begun = ann.totp(Method::POST, Some(json!({}))).await.body;
    let key = begun["setup"]["secret"].as_str().unwrap().to_owned();
    // Eleven minutes later.
    sql(&server, "UPDATE sessions SET confirmed_at = confirmed_at - 660000000").unwrap();
    let wrong = |guess: u32| Some(json!({ "code": format!("00000{guess}") }));
    let stale = ann.totp(Method::PUT, wrong(0)).await;
    assert_eq!((stale.status, &stale.body["code"]), (403, &json!("confirm_identity")), "{}", stale.body);
    assert_eq!(ann.post("/api/v1/auth/confirm", json!({ "password": PASSWORD })).await.status, 204);
    for guess in 0..5 {
        let answer = ann.totp(Method::PUT, wrong(guess)).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
    }
    let right = Some(json!({ "code": code(&key, step().await) }));
    let locked = ann.totp(Method::PUT, right).await;
    assert_eq!((locked.status, &locked.body["code"]), (429, &json!("rate_limited")), "{}", locked.body);
    assert_eq!(ann.totp(Method::GET, None).await.body["enabled"], false);
    let told = server.cli_json(&["audit", "list", "--operation", "totp.confirm", "--limit", "100", "--json"]);
    assert!(told.to_string().contains("\"has_to_wait\":true"), "{told}");

    // What was begun waits for ten minutes, wherever its code comes from.
    let mut phone = Browser::at(&server, "127.0.0.2");
    assert_eq!(phone.sign_in(EMAIL, PASSWORD).await.status, 200);
    sql(&server, "UPDATE totp SET begun_at = begun_at - 600000000").unwrap();
    let right = Some(json!({ "code": code(&key, step().await) }));
    let late = phone.totp(Method::PUT, right).await;
    assert!(late.status == 409 && late.body["detail"].as_str().unwrap().contains("too long"), "{}", late.body);
    let begun = phone.totp(Method::POST, Some(json!({}))).await.body;
    let key = begun["setup"]["secret"].as_str().unwrap().to_owned();
    let right = Some(json!({ "code": code(&key, step().await) }));
    let on = phone.totp(Method::PUT, right).await;
    assert_eq!(on.status, 200, "{}", on.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_of_codes_count_with_those_of_passwords() {
    let server = Server::start().await;
    let mut ann = owner(&server, "127.0.0.1").await;
    let key = ann.totp(Method::POST, Some(json!({}))).await.body["setup"]["secret"].as_str().unwrap().to_owned();
    let now = step().await;
    let on = ann.totp(Method::PUT, Some(json!({ "code": code(&key, now - 1) }))).await;
    assert_eq!(on.status, 200, "{}", on.body);
    let codes: Vec<String> = serde_json::from_value(on.body["recovery_codes"].clone()).unwrap();

    // Whoever has the password signs in as often as they like, and has five guesses all the same.
    let mut guesser = Browser::at(&server, "127.0.0.2");
    let mut ticket = String::new();
    for guess in 0..5 {
        ticket = guesser.ticket().await;
        let answer = guesser.show(&ticket, &format!("00000{guess}")).await;
        assert_eq!(answer.status, 401, "{}", answer.body);
    }
    let locked = guesser.show(&ticket, &codes[0]).await;
    assert_eq!((locked.status, &locked.body["code"]), (429, &json!("rate_limited")), "{}", locked.body);
    assert!(locked.headers.contains_key("retry-after"));
    assert_eq!(guesser.sign_in(EMAIL, PASSWORD).await.status, 429, "nor does the password help");
    // From elsewhere it goes on, and the code that nobody looked at is still good.
    let mut home = Browser::at(&server, "127.0.0.3");
    let ticket = home.ticket().await;
    assert_eq!(home.show(&ticket, &codes[0]).await.status, 200);
    // Two at once with the same code: one of them.
    let mut twins = Vec::new();
    for address in ["127.0.0.4", "127.0.0.5", "127.0.0.6"] {
        let mut twin = Browser::at(&server, address);
        let ticket = twin.ticket().await;
        let code = codes[1].clone();
        twins.push(async move { twin.show(&ticket, &code).await.status });
    }
    let mut answers = futures::future::join_all(twins).await;
    answers.sort_unstable();
    assert_eq!(answers, [200, 401, 401]);
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_of_codes_from_many_networks_count_together() {
    let server = Server::start().await;
    let mut ann = owner(&server, "127.0.0.1").await;
    let key = ann.totp(Method::POST, Some(json!({}))).await.body["setup"]["secret"].as_str().unwrap().to_owned();
    let now = step().await;
    let on = ann.totp(Method::PUT, Some(json!({ "code": code(&key, now - 1) }))).await;
    assert_eq!(on.status, 200, "{}", on.body);
    let codes: Vec<String> = serde_json::from_value(on.body["recovery_codes"].clone()).unwrap();

    for network in 0..5 {
        let mut guesser = Browser::at(&server, &format!("127.0.1.{network}"));
        for guess in 0..4 {
            let ticket = guesser.ticket().await;
            let answer = guesser.show(&ticket, &format!("00{network}00{guess}")).await;
            assert_eq!(answer.status, 401, "{}", answer.body);
        }
    }
    let mut next = Browser::at(&server, "127.0.1.5");
    let ticket = next.ticket().await;
    let answer = next.show(&ticket, "005000").await;
    assert_eq!((answer.status, &answer.body["code"]), (429, &json!("rate_limited")), "{}", answer.body);
    assert!(answer.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 80_000);
    let told = server.cli_json(&["audit", "list", "--operation", "auth.second_factor", "--limit", "100", "--json"]);
    assert!(told.to_string().contains("\"wrong_codes\":20"), "{told}");

    // She herself goes on where she has signed in before, and elsewhere with what can't be guessed.
    let mut home = Browser::at(&server, "127.0.0.1");
    let ticket = home.ticket().await;
    let now = step().await;
    let answer = home.show(&ticket, &code(&key, now)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let ticket = next.ticket().await;
    assert_eq!(next.show(&ticket, &codes[0]).await.status, 200);
}
