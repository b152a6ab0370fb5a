//! Subjects of sign-in providers, and programs that a person lets in.

use chrono::TimeDelta;
use domain::device::UserCode;
use store::device_logins::{Answer, Approval, DeviceLogin};
use store::identities::Identity;
use store::users::User;
use store::{Constraint, StoreError, device_logins, identities, users};

use crate::database::Database;
use crate::fixture::{id, kept, now};
use crate::people::user;

pub(crate) fn identity(user: &User, subject: &str) -> Identity {
    Identity {
        issuer: "https://id.example.org".into(),
        subject: subject.into(),
        user: user.id.clone(),
        email: Some("zoe@example.org".into()),
        linked_at: kept(),
        used_at: kept(),
    }
}

pub(crate) async fn identities(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let (zoe, ann) = (user("zoe@example.org"), user("ann@example.org"));
    users::insert(&tx, &zoe).await.unwrap();
    users::insert(&tx, &ann).await.unwrap();
    let hers = identity(&zoe, "248 \u{df}");
    identities::insert(&tx, &hers).await.unwrap();
    let taken = StoreError::Conflict(Constraint::Id { what: "identity" });
    assert_eq!(identities::insert(&tx, &Identity { user: ann.id.clone(), ..hers.clone() }).await, Err(taken));
    // The same subject of another provider is somebody else.
    let other = Identity { issuer: "https://id.example.com".into(), email: None, ..identity(&ann, &hers.subject) };
    identities::insert(&tx, &other).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(identities::find(&store, &hers.issuer, &hers.subject).await.unwrap().as_ref(), Some(&hers));
    assert_eq!(identities::find(&store, &hers.issuer, "248 SS").await.unwrap(), None);
    assert_eq!(identities::of_user(&store, &ann.id).await.unwrap(), std::slice::from_ref(&other));

    let tx = store.write().await.unwrap();
    let later = kept() + TimeDelta::days(1);
    identities::used(&tx, &hers.issuer, &hers.subject, None, later).await.unwrap();
    let expected = Identity { used_at: later, ..hers.clone() };
    let found = identities::find(&tx, &hers.issuer, &hers.subject).await.unwrap();
    assert_eq!(found, Some(expected), "an address that was not told is no other one");
    identities::used(&tx, &hers.issuer, &hers.subject, Some("z@example.org"), later).await.unwrap();
    let expected = Identity { email: Some("z@example.org".into()), used_at: later, ..hers.clone() };
    assert_eq!(identities::find(&tx, &hers.issuer, &hers.subject).await.unwrap(), Some(expected));
    assert_eq!(identities::of_user(&tx, &ann.id).await.unwrap(), [other], "that of others stays");
    // Who goes is nobody's subject any more.
    users::delete(&tx, &zoe.id).await.unwrap();
    assert_eq!(identities::find(&tx, &hers.issuer, &hers.subject).await.unwrap(), None);
    tx.commit().await.unwrap();
    store.close().await;
}

fn login(hash: &str, code: &str) -> DeviceLogin {
    DeviceLogin {
        hash: hash.repeat(64),
        user_code: code.parse().unwrap(),
        name: "plimsoll on laptop".into(),
        address: "192.0.2.7".into(),
        answer: None,
        created_at: kept(),
        expires_at: kept() + TimeDelta::minutes(10),
    }
}

pub(crate) async fn device_logins(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let zoe = user("zoe@example.org");
    users::insert(&tx, &zoe).await.unwrap();
    let (one, two) = (login("a", "WDJB-MJHT"), DeviceLogin { address: "::1".into(), ..login("b", "BBBB-BBBB") });
    device_logins::insert(&tx, &one).await.unwrap();
    device_logins::insert(&tx, &two).await.unwrap();
    let taken = StoreError::Conflict(Constraint::Id { what: "login of a program" });
    assert_eq!(device_logins::insert(&tx, &login("c", "WDJB-MJHT")).await, Err(taken.clone()));
    assert_eq!(device_logins::insert(&tx, &login("a", "CCCC-CCCC")).await, Err(taken));
    tx.commit().await.unwrap();
    assert_eq!(device_logins::find(&store, &one.hash).await.unwrap().as_ref(), Some(&one));
    let code: UserCode = "bbbb bbbb".parse().unwrap();
    assert_eq!(device_logins::find_by_code(&store, &code).await.unwrap().as_ref(), Some(&two));
    let mut open = device_logins::open(&store, kept()).await.unwrap();
    open.sort();
    let mut from = [one.address.clone(), two.address.clone()];
    from.sort();
    assert_eq!(open, from);
    assert!(device_logins::open(&store, one.expires_at).await.unwrap().is_empty());

    // One answer, in time.
    let tx = store.write().await.unwrap();
    let approval = Approval { by: zoe.id.clone(), session: id(), at: kept() };
    let (yes, no) = (Answer::Approved(approval), Answer::Refused);
    assert!(!device_logins::answer(&tx, &one.user_code, &yes, one.expires_at).await.unwrap(), "too late");
    assert!(device_logins::answer(&tx, &one.user_code, &yes, kept()).await.unwrap());
    assert!(!device_logins::answer(&tx, &one.user_code, &no, kept()).await.unwrap(), "it has one");
    assert!(device_logins::answer(&tx, &two.user_code, &no, kept()).await.unwrap());
    assert_eq!(device_logins::find(&tx, &one.hash).await.unwrap().unwrap().answer, Some(yes));
    assert_eq!(device_logins::find(&tx, &two.hash).await.unwrap().unwrap().answer, Some(no));
    assert!(device_logins::remove(&tx, &two.hash).await.unwrap());
    assert!(!device_logins::remove(&tx, &two.hash).await.unwrap());
    // With who has let it in, it goes.
    users::delete(&tx, &zoe.id).await.unwrap();
    assert_eq!(device_logins::find(&tx, &one.hash).await.unwrap(), None);
    device_logins::insert(&tx, &one).await.unwrap();
    assert_eq!(device_logins::purge(&tx, one.expires_at).await.unwrap(), 0);
    assert_eq!(device_logins::purge(&tx, now().max(one.expires_at) + TimeDelta::seconds(1)).await.unwrap(), 1);
    tx.commit().await.unwrap();
    store.close().await;
}
