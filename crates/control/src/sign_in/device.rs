//! Logins of programs: from a code that a person types to a token that acts for them.
//!
//! The token is made when the program fetches it, not when it is approved: until then there is nothing to keep, and nothing
//! to be lost in between.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use domain::device::UserCode;
use domain::event::EventKind;
use domain::network::counted;
use domain::session::IDLE;
use identity::secret::Kind;
use operations::sign_in::{DeviceAnswer, DeviceBegun, LONGEST_NAME, Login};
use operations::variables::Value as Secret;
use operations::{Error, ErrorKind};
use secrecy::ExposeSecret;
use store::device_logins::{self, Answer, Approval, DeviceLogin};
use store::tokens::Token;
use store::users::User;
use store::{Session, StoreError, Tx};

use super::record::Told;
use super::{Denied, Visitor};
use crate::audit::{Unasked, commit, commit_unasked};
use crate::error::store_error;
use crate::{Control, tokens};

/// So long a person has to answer.
const OPEN: TimeDelta = TimeDelta::minutes(10);
/// Between two questions of the program.
const INTERVAL: u32 = 2;
/// So long the token is good.
const GOOD: TimeDelta = TimeDelta::days(90);
/// Anybody can ask: so many wait at once, from one network and from all.
const MOST_FROM_ONE: usize = 10;
const MOST: usize = 1_000;
/// How long who came too late has to wait for room.
const FULL: std::time::Duration = std::time::Duration::from_secs(60);

impl Control {
    /// A program asks to be let in; what it is to show, and what it asks with.
    ///
    /// # Errors
    /// `Invalid` for its name. `RateLimited` when too many wait.
    pub async fn begin_device_login(&self, visitor: &Visitor, name: &str) -> Result<DeviceBegun, Denied> {
        let name = checked(name)?;
        let now = store::time::micros(store::clock::now());
        // Looked at without a turn to write first: who has to wait costs the others nothing.
        look_for_room(self.store(), visitor.address, now).await?;
        let tx = self.write().await?;
        look_for_room(&tx, visitor.address, now).await?;
        let (secret, hash) = Kind::Device.make();
        let user_code = UserCode::from_random(rand::random());
        let login = DeviceLogin {
            hash,
            user_code: user_code.clone(),
            name,
            address: visitor.address.to_string(),
            answer: None,
            created_at: now,
            expires_at: now + OPEN,
        };
        match device_logins::insert(&tx, &login).await {
            // One in 25 million, at the most that wait.
            Err(StoreError::Conflict(_)) => return Err(Error::unavailable("try again: that code was taken").into()),
            other => other.map_err(store_error)?,
        }
        commit_unasked(tx, Unasked::Waits).await?;
        Ok(DeviceBegun {
            device_code: Secret(secret),
            user_code,
            address: None,
            interval: INTERVAL,
            // Ten minutes.
            expires_in: OPEN.num_seconds() as u32,
        })
    }

    /// What became of it. An answer is given once.
    ///
    /// # Errors
    /// `NotFound` when it is over, was answered before, or never was.
    pub async fn collect_device_login(&self, visitor: &Visitor, sent: &str) -> Result<DeviceAnswer, Error> {
        let hash = Kind::Device.hash(sent).ok_or_else(over)?;
        let now = store::time::micros(store::clock::now());
        if open_one(self.store(), &hash, now).await?.answer.is_none() {
            return Ok(DeviceAnswer::Waiting);
        }
        let tx = self.write().await?;
        let login = open_one(&tx, &hash, now).await?;
        device_logins::remove(&tx, &hash).await.map_err(store_error)?;
        let user = match &login.answer {
            Some(Answer::Approved(approval)) => who_said_so(&tx, approval, now).await?,
            Some(Answer::Refused) | None => None,
        };
        let Some(user) = user else {
            commit_unasked(tx, Unasked::Waits).await?;
            return Ok(DeviceAnswer::Refused);
        };
        let grants = store::memberships::grants(&tx, &user.id, user.everywhere).await.map_err(store_error)?;
        let (secret, token) = tokens::make(&login.name, now);
        let expires_at = now + GOOD;
        let token = Token { grants, expires_at: Some(expires_at), ..of(token, &user) };
        store::tokens::insert(&tx, &token).await.map_err(store_error)?;
        let event = EventKind::TokenCreated { token: token.id.clone(), name: token.name.clone() };
        store::events::insert(&tx, None, None, None, &event, now).await.map_err(store_error)?;
        let told = Told { operation: "auth.device", target: token.id.to_string(), failures: 0 };
        let recorded = self.record_person(&tx, &user, visitor, told, now).await?;
        commit(tx, recorded).await?;
        let secret = secret.expose_secret().to_owned();
        Ok(DeviceAnswer::Approved(Login { secret, token: token.id, person: user.name, expires_at }))
    }
}

/// The person by whose word a program is let in, if it still holds: not after they were kept out, or have ended the session in which
/// it was said. Who changes the password because somebody else was signed in takes back what that one said, too.
async fn who_said_so(tx: &Tx, approval: &Approval, now: DateTime<Utc>) -> Result<Option<User>, Error> {
    let session = store::sessions::find(tx, &approval.session).await.map_err(store_error)?;
    if session.is_none_or(|session| !session.is_open(now, IDLE)) {
        return Ok(None);
    }
    let user = store::users::find(tx, &approval.by).await.map_err(store_error)?;
    Ok(user.filter(|user| !user.disabled && user.password_changed_at.is_none_or(|changed| changed < approval.at)))
}

fn of(token: Token, user: &User) -> Token {
    Token { user: Some(user.id.clone()), created_by: user.name.clone(), maker: Some(user.id.clone()), ..token }
}

async fn open_one(session: &impl Session, hash: &str, now: DateTime<Utc>) -> Result<DeviceLogin, Error> {
    let found = device_logins::find(session, hash).await.map_err(store_error)?;
    found.filter(|login| !login.is_over(now)).ok_or_else(over)
}

fn over() -> Error {
    Error::not_found("this login is over: it took too long, was answered before, or never was")
        .hint("begin again, with `plimsoll login`")
}

async fn look_for_room(session: &impl Session, address: IpAddr, now: DateTime<Utc>) -> Result<(), Denied> {
    let open = device_logins::open(session, now).await.map_err(store_error)?;
    if has_room(&open, address) {
        return Ok(());
    }
    let error = Error::new(ErrorKind::RateLimited, "too many programs wait to be let in")
        .hint("answer those that wait, or try again in some minutes");
    Err(Denied { error, wait: Some(FULL) })
}

/// Beside those that asked from `open`.
fn has_room(open: &[String], address: IpAddr) -> bool {
    let network = counted(address);
    let from_there =
        open.iter().filter_map(|from| from.parse::<IpAddr>().ok()).filter(|from| counted(*from) == network).count();
    from_there < MOST_FROM_ONE && open.len() < MOST
}

fn checked(name: &str) -> Result<String, Error> {
    let name = name.trim();
    match (1..=LONGEST_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
        true => Ok(name.to_owned()),
        false => Err(Error::invalid(format!(
            "`name`: it has 1 to {LONGEST_NAME} characters, none of them a control character"
        ))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn one_network_does_not_take_all_the_room() {
        let open: Vec<String> = (0..10).map(|n| format!("2001:db8:0:1:{n}::1")).collect();
        let room = |from: &str| has_room(&open, from.parse().unwrap());
        assert!(!room("2001:db8:0:1:ffff::2"), "one customer has all these addresses");
        assert!(room("2001:db8:0:2::1") && room("192.0.2.1"));
        assert!(has_room(&open[1..], "2001:db8:0:1::1".parse().unwrap()));
        let full: Vec<String> = (0..1000).map(|n| format!("2001:db8:{n:x}::1")).collect();
        assert!(!has_room(&full, "192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn a_programs_name_is_a_short_line() {
        assert_eq!(checked(" plimsoll on laptop ").unwrap(), "plimsoll on laptop");
        for bad in ["", "  ", "a\nb", "a\u{1b}[2J", &"a".repeat(101)] {
            assert!(checked(bad).unwrap_err().detail.starts_with("`name`: "), "{bad:?}");
        }
    }
}
