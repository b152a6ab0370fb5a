//! The other ways in, each gone to its end: a second factor, a program that is let in, a signed token. What is wrong is tried first.

use plimsoll_tests::canary::Told;
use reqwest::Method;
use serde_json::{Value, json};

use super::people::{Sender, line_of, session};
use crate::second_factor::{code, step};

const EMAIL: &str = "nina@example.org";
const PASSWORD: &str = "nine herons beneath a ferry 2357";
const FACTOR: &str = "/api/v1/me/totp";
const SHOW: &str = "/api/v1/auth/second-factor";

/// What was made on the way.
#[derive(Default)]
pub(super) struct Made {
    /// What somebody may type or send.
    pub(super) sent: Vec<String>,
    /// What is only shown.
    pub(super) shown: Vec<String>,
    /// Codes of six digits.
    pub(super) codes: Vec<String>,
}

/// `ours` is who invites: headers of an owner.
pub(super) async fn plant(sender: &Sender<'_>, ours: &[(&str, &str)], told: &mut Told) -> Made {
    let mut made = Made { sent: vec![PASSWORD.to_owned()], ..Made::default() };
    let invite = json!({ "email": EMAIL, "role": "admin" });
    let (invited, _) = sender.good(Method::POST, "/api/v1/invitations", ours, invite).await;
    let invitation = invited["secret"].as_str().unwrap().to_owned();
    let accept = json!({ "invitation": invitation, "name": "Nina", "password": PASSWORD });
    let (_, cookies) = sender.good(Method::POST, "/api/v1/auth/accept", &[], accept).await;
    made.sent.extend([invitation, session(&cookies)]);
    let line = line_of(&cookies);
    let with = [("cookie", line.as_str()), ("sec-fetch-site", "same-origin")];
    let recovery = factor(sender, &with, told, &mut made).await;
    enter(sender, &recovery, told, &mut made).await;
    program(sender, &with, told, &mut made).await;
    signed(sender, ours, told, &mut made).await;
    for path in ["me", "me/totp", "sessions", "tokens", "devices/BBBB-BBBB"] {
        let said = sender.send(Method::GET, &format!("/api/v1/{path}"), &with, None).await;
        told.add(format!("/api/v1/{path} for who has a second factor"), said.text().await.unwrap());
    }
    made
}

/// A second factor is set up and switched on; the recovery codes.
async fn factor(sender: &Sender<'_>, with: &[(&str, &str)], told: &mut Told, made: &mut Made) -> Vec<String> {
    let begin = [with, &[("idempotency-key", "a-second-factor")]].concat();
    let (begun, _) = sender.good(Method::POST, FACTOR, &begin, json!({})).await;
    let setup = &begun["setup"];
    let key = setup["secret"].as_str().unwrap().to_owned();
    let (again, _) = sender.good(Method::POST, FACTOR, &begin, json!({})).await;
    told.add("a second factor, begun once more", again.to_string());
    made.sent.extend([key.clone(), key.replace(' ', "")]);
    made.shown.extend([&setup["url"], &setup["picture"]["path"]].map(|form| form.as_str().unwrap().to_owned()));

    let now = step().await;
    made.codes = vec![code(&key, now - 1), code(&key, now)];
    let wrong = json!({ "code": made.codes[0], "more": made.codes[0] }).to_string();
    sender.refused_by(Method::PUT, FACTOR, with, Some(wrong), told).await;
    let confirm = [with, &[("idempotency-key", "its-first-code")]].concat();
    let right = json!({ "code": made.codes[0] });
    let (on, _) = sender.good(Method::PUT, FACTOR, &confirm, right.clone()).await;
    let recovery: Vec<String> = serde_json::from_value(on["recovery_codes"].clone()).unwrap();
    let (again, _) = sender.good(Method::PUT, FACTOR, &confirm, right).await;
    told.add("a second factor, confirmed once more", again.to_string());
    // A code is good once.
    let used = json!({ "code": made.codes[0] }).to_string();
    sender.refused("/api/v1/auth/confirm", with, Some(used), told).await;
    made.shown.extend(recovery.iter().map(|code| code.replace('-', "")));
    made.sent.extend(recovery.iter().cloned());
    recovery
}

/// In with a code, and in with a recovery code.
async fn enter(sender: &Sender<'_>, recovery: &[String], told: &mut Told, made: &mut Made) {
    for code in [made.codes[1].clone(), recovery[0].clone()] {
        let right = json!({ "email": EMAIL, "password": PASSWORD });
        let (answer, _) = sender.good(Method::POST, "/api/v1/auth/sign-in", &[], right).await;
        let ticket = answer["ticket"].as_str().unwrap().to_owned();
        for wrong in [
            json!({ "ticket": format!("{ticket}A"), "code": code }),
            json!({ "ticket": ticket, "code": [code] }),
            json!({ "ticket": code, "code": ticket }),
        ] {
            sender.refused(SHOW, &[], Some(wrong.to_string()), told).await;
        }
        let shown = json!({ "ticket": ticket, "code": code });
        let (answer, cookies) = sender.good(Method::POST, SHOW, &[], shown.clone()).await;
        told.add("the answer to a code", answer.to_string());
        sender.refused(SHOW, &[], Some(shown.to_string()), told).await;
        made.sent.extend([ticket, session(&cookies)]);
        made.shown
            .extend(cookies.iter().filter_map(|cookie| cookie.strip_prefix("plimsoll_place=").map(str::to_owned)));
    }
}

/// A program is let in with a code that it shows.
async fn program(sender: &Sender<'_>, with: &[(&str, &str)], told: &mut Told, made: &mut Made) {
    const COLLECT: &str = "/api/v1/auth/device/token";
    let (begun, _) = sender.good(Method::POST, "/api/v1/auth/device", &[], json!({ "name": "a laptop" })).await;
    let [device, user] = ["device_code", "user_code"].map(|name| begun[name].as_str().unwrap().to_owned());
    let collect = json!({ "device_code": device });
    let (waits, _) = sender.good(Method::POST, COLLECT, &[], collect.clone()).await;
    told.add("a program that waits", waits.to_string());
    let approve = json!({ "verdict": "approve", "more": device }).to_string();
    sender.refused(&format!("/api/v1/devices/{user}"), with, Some(approve), told).await;
    let approve = json!({ "verdict": "approve" });
    sender.good(Method::POST, &format!("/api/v1/devices/{user}"), with, approve).await;
    let (login, _) = sender.good(Method::POST, COLLECT, &[], collect.clone()).await;
    sender.refused(COLLECT, &[], Some(collect.to_string()), told).await;
    let secret = login["secret"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {secret}");
    sender.good(Method::GET, "/api/v1/me", &[("authorization", &bearer)], Value::Null).await;
    // The code for people is no secret: it lets in whoever shows the other one, with the rights of who answers it.
    made.sent.extend([device, secret]);
}

/// A token that is signed, of one that is not.
async fn signed(sender: &Sender<'_>, ours: &[(&str, &str)], told: &mut Told, made: &mut Made) {
    let (token, _) = sender.good(Method::POST, "/api/v1/tokens", ours, json!({ "name": "ci" })).await;
    let token = token["secret"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {token}");
    let by = [("authorization", bearer.as_str())];
    let (signed, _) = sender.good(Method::POST, "/api/v1/auth/jwt", &by, json!({})).await;
    let jwt = signed["secret"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {jwt}");
    let by = [("authorization", bearer.as_str())];
    sender.good(Method::GET, "/api/v1/me", &by, Value::Null).await;
    for wrong in [json!({}), json!({ "audience": jwt }), json!({ "expires_in": jwt }), json!({ "more": jwt })] {
        sender.refused("/api/v1/auth/jwt", &by, Some(wrong.to_string()), told).await;
    }
    // What makes it one stands at its end.
    made.shown.push(jwt.rsplit('.').next().unwrap().to_owned());
    made.sent.extend([token, jwt]);
}
