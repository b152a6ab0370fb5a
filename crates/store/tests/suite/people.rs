//! People, members, invitations, sessions, failed sign-ins, and what belongs to people.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use domain::UserId;
use domain::access::{Grants, Role};
use domain::session::{SessionEnd, SignInMethod};
use sea_orm::ConnectionTrait;
use serde_json::json;
use store::apps::App;
use store::invitations::{Acceptance, Invitation, Inviter};
use store::memberships::Membership;
use store::sign_ins::{Failures, Needed};
use store::tokens::Token;
use store::users::User;
use store::{
    Constraint, StoreError, Tx, apps, idempotency, invitations, memberships, recovery_codes, schedules, sessions,
    sign_ins, tokens, totp, uploads, users,
};

use crate::database::Database;
use crate::fixture::{self, id, kept, now};

pub(crate) fn user(email: &str) -> User {
    User {
        id: id(),
        email: email.parse().unwrap(),
        name: "Zoë \u{1f6a2}".into(),
        password: Some("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".into()),
        password_changed_at: Some(kept()),
        disabled: false,
        everywhere: None,
        grants_version: 1,
        preferences: json!({ "theme": "dark" }),
        created_at: kept(),
        created_by: "admin".into(),
        last_sign_in_at: None,
    }
}

async fn added(tx: &Tx, email: &str) -> User {
    let user = user(email);
    users::insert(tx, &user).await.unwrap();
    user
}

fn member(user: &User, app: &App, role: Role) -> Membership {
    Membership { user: user.id.clone(), app: app.id.clone(), role, granted_by: "admin".into(), granted_at: kept() }
}

fn invitation(hash: &str, app: Option<&App>) -> Invitation {
    Invitation {
        id: id(),
        hash: hash.repeat(64),
        email: Some("new@example.org".parse().unwrap()),
        everywhere: Some(Role::Viewer),
        app: app.map(|app| (app.id.clone(), Role::Deployer)),
        created_by: "admin".into(),
        inviter: Inviter::Nobody,
        vouches: true,
        created_at: kept(),
        expires_at: kept() + TimeDelta::days(7),
        accepted: None,
    }
}

fn session(user: &User, hash: &str) -> sessions::Record {
    sessions::Record {
        id: id(),
        user: user.id.clone(),
        hash: hash.repeat(64),
        via: SignInMethod::Password,
        created_at: kept(),
        seen_at: kept(),
        ends_at: kept() + TimeDelta::days(7),
        confirmed_at: kept(),
        address: "192.0.2.7".into(),
        agent: "Mozilla/5.0".into(),
        ended: None,
    }
}

/// A row in each table that goes into a backup.
pub(crate) async fn fill(tx: &Tx, app: &App) {
    let zoe = added(tx, "zoe@example.org").await;
    memberships::set(tx, &member(&zoe, app, Role::Admin)).await.unwrap();
    let accepted = Some(Acceptance { by: zoe.id.clone(), at: kept() });
    invitations::insert(tx, &Invitation { accepted, ..invitation("a", Some(app)) }).await.unwrap();
    store::identities::insert(tx, &crate::sign_in_ways::identity(&zoe, "1")).await.unwrap();
    assert!(totp::begin(tx, &zoe.id, &[1, 2, 3], kept()).await.unwrap());
    recovery_codes::replace(tx, &zoe.id, &["c".repeat(64)]).await.unwrap();
    tokens::insert(tx, &Token { user: Some(zoe.id), ..crate::nouns::token("7") }).await.unwrap();
}

pub(crate) async fn users(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    assert!(!users::has_owner(&tx, None).await.unwrap());
    let zoe = User { everywhere: Some(Role::Owner), created_at: now(), ..user("zoe@example.org") };
    users::insert(&tx, &zoe).await.unwrap();
    let zoe = User { created_at: kept(), ..zoe };
    let twin = StoreError::Conflict(Constraint::UserEmail { email: "zoe@example.org".into() });
    assert_eq!(users::insert(&tx, &user("Zoe@Example.org")).await, Err(twin));
    let ann = added(&tx, "ann@example.org").await;
    tx.commit().await.unwrap();
    assert_eq!(users::get(&store, &zoe.id).await.unwrap(), zoe);
    assert_eq!(users::find_by_email(&store, &ann.email).await.unwrap().as_ref(), Some(&ann));
    assert_eq!(users::find_by_email(&store, &"no@example.org".parse().unwrap()).await.unwrap(), None);
    assert_eq!(users::list(&store, None, 1).await.unwrap(), std::slice::from_ref(&ann));
    assert_eq!(users::list(&store, Some(&ann.email), 9).await.unwrap(), std::slice::from_ref(&zoe));
    assert!(!format!("{zoe:?}").contains("argon2"), "the hash of a password is not shown");

    // The last owner, and one who is disabled.
    assert!(users::has_owner(&store, None).await.unwrap());
    assert!(!users::has_owner(&store, Some(&zoe.id)).await.unwrap());
    let tx = store.write().await.unwrap();
    users::set_everywhere(&tx, &ann.id, Some(Role::Owner)).await.unwrap();
    assert!(users::has_owner(&tx, Some(&zoe.id)).await.unwrap());
    users::set_disabled(&tx, &ann.id, true).await.unwrap();
    assert!(!users::has_owner(&tx, Some(&zoe.id)).await.unwrap());
    assert_eq!(users::get(&tx, &ann.id).await.unwrap().grants_version, ann.grants_version + 2);
    users::set_everywhere(&tx, &ann.id, None).await.unwrap();

    users::rename(&tx, &zoe.id, "Z\0").await.unwrap();
    users::set_preferences(&tx, &zoe.id, &json!({})).await.unwrap();
    let later = kept() + TimeDelta::days(1);
    users::set_password(&tx, &zoe.id, "$new", later).await.unwrap();
    users::rehash_password(&tx, &zoe.id, "$old", "$other").await.unwrap();
    users::signed_in(&tx, &zoe.id, later).await.unwrap();
    let expected = User {
        name: "Z\u{fffd}".into(),
        preferences: json!({}),
        password: Some("$new".into()),
        password_changed_at: Some(later),
        last_sign_in_at: Some(later),
        ..zoe.clone()
    };
    assert_eq!(users::get(&tx, &zoe.id).await.unwrap(), expected, "and none of it changes what one may do");
    users::rehash_password(&tx, &zoe.id, "$new", "$stronger").await.unwrap();
    assert_eq!(users::get(&tx, &zoe.id).await.unwrap().password.as_deref(), Some("$stronger"));
    let nobody: UserId = id();
    assert!(matches!(users::set_disabled(&tx, &nobody, true).await, Err(StoreError::NotFound { .. })));
    assert!(matches!(users::delete(&tx, &nobody).await, Err(StoreError::NotFound { .. })));
    tx.commit().await.unwrap();
}

pub(crate) async fn members(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let (shop, blog) = (fixture::app(&tx, "shop").await, fixture::app(&tx, "blog").await);
    let (zoe, ann) = (added(&tx, "zoe@example.org").await, added(&tx, "ann@example.org").await);
    memberships::set(&tx, &member(&zoe, &shop, Role::Viewer)).await.unwrap();
    memberships::set(&tx, &member(&zoe, &shop, Role::Owner)).await.unwrap();
    memberships::set(&tx, &member(&zoe, &blog, Role::Deployer)).await.unwrap();
    memberships::set(&tx, &member(&ann, &shop, Role::Viewer)).await.unwrap();
    let apps = BTreeMap::from([(shop.id.clone(), Role::Owner), (blog.id.clone(), Role::Deployer)]);
    let expected = Grants { everywhere: Some(Role::Viewer), apps };
    assert_eq!(memberships::grants(&tx, &zoe.id, Some(Role::Viewer)).await.unwrap(), expected);
    assert_eq!(memberships::grants(&tx, &id(), None).await.unwrap(), Grants::default());
    assert_eq!(users::get(&tx, &zoe.id).await.unwrap().grants_version, zoe.grants_version + 3);
    let of_shop = memberships::of_app(&tx, &shop.id).await.unwrap();
    let shown: Vec<_> = of_shop.iter().map(|(m, u)| (u.email.as_str(), m.role)).collect();
    assert_eq!(shown, [("ann@example.org", Role::Viewer), ("zoe@example.org", Role::Owner)]);
    assert_eq!(memberships::find(&tx, &zoe.id, &shop.id).await.unwrap(), Some(member(&zoe, &shop, Role::Owner)));

    assert!(!memberships::has_owner(&tx, &shop.id, &zoe.id).await.unwrap());
    memberships::set(&tx, &member(&ann, &shop, Role::Owner)).await.unwrap();
    assert!(memberships::has_owner(&tx, &shop.id, &zoe.id).await.unwrap());
    users::set_disabled(&tx, &ann.id, true).await.unwrap();
    assert!(!memberships::has_owner(&tx, &shop.id, &zoe.id).await.unwrap());

    let before = users::get(&tx, &zoe.id).await.unwrap().grants_version;
    assert!(memberships::remove(&tx, &zoe.id, &blog.id).await.unwrap());
    assert!(!memberships::remove(&tx, &zoe.id, &blog.id).await.unwrap());
    assert_eq!(users::get(&tx, &zoe.id).await.unwrap().grants_version, before + 1);
    tx.commit().await.unwrap();
    // They go with the app, and with the person.
    let tx = store.write().await.unwrap();
    users::delete(&tx, &ann.id).await.unwrap();
    assert_eq!(memberships::of_app(&tx, &shop.id).await.unwrap().len(), 1);
    apps::purge(&tx, &shop.id).await.unwrap();
    assert_eq!(memberships::grants(&tx, &zoe.id, None).await.unwrap(), Grants::default());
    tx.commit().await.unwrap();
    let tx = store.write().await.unwrap();
    let gone = memberships::set(&tx, &member(&zoe, &shop, Role::Viewer)).await;
    assert_eq!(gone, Err(StoreError::Conflict(Constraint::Reference)));
}

pub(crate) async fn invitations(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let shop = fixture::app(&tx, "shop").await;
    let machine = Inviter::Machine(id());
    let (one, two) = (
        Invitation { inviter: Inviter::Person(id()), ..invitation("1", Some(&shop)) },
        Invitation { email: None, inviter: machine, ..invitation("2", None) },
    );
    invitations::insert(&tx, &one).await.unwrap();
    invitations::insert(&tx, &two).await.unwrap();
    let again = invitations::insert(&tx, &Invitation { id: id(), ..one.clone() }).await;
    assert_eq!(again, Err(StoreError::Conflict(Constraint::Id { what: "invitation" })));
    tx.commit().await.unwrap();
    assert_eq!(invitations::find_by_hash(&store, &one.hash).await.unwrap().as_ref(), Some(&one));
    assert_eq!(invitations::find(&store, &two.id).await.unwrap().as_ref(), Some(&two));
    assert_eq!(invitations::find_by_hash(&store, "x").await.unwrap(), None);
    assert!(!format!("{one:?}").contains(&one.hash));
    assert_eq!(invitations::open(&store, None, now()).await.unwrap(), [one.clone(), two.clone()]);
    assert_eq!(invitations::open(&store, Some(&shop.id), now()).await.unwrap(), std::slice::from_ref(&one));
    assert_eq!(invitations::open(&store, None, one.expires_at).await.unwrap(), []);
    assert!(one.is_open(now()) && !one.is_open(one.expires_at));

    let tx = store.write().await.unwrap();
    let (person, address) = (added(&tx, "new@example.org").await, one.email.clone().unwrap());
    let by = person.id.clone();
    assert!(!invitations::vouches(&tx, &by, &address).await.unwrap(), "nobody has accepted it");
    let late = Acceptance { by: by.clone(), at: one.expires_at };
    assert!(!invitations::accept(&tx, &one.id, &late).await.unwrap(), "it has expired");
    let accepted = Acceptance { by, at: kept() };
    assert!(invitations::accept(&tx, &one.id, &accepted).await.unwrap());
    assert!(!invitations::accept(&tx, &one.id, &accepted).await.unwrap(), "only once");
    assert!(!invitations::withdraw(&tx, &one.id).await.unwrap(), "what was accepted stays");
    assert!(invitations::withdraw(&tx, &two.id).await.unwrap());
    assert!(!invitations::accept(&tx, &two.id, &accepted).await.unwrap(), "it was withdrawn");
    let found = invitations::find(&tx, &one.id).await.unwrap().unwrap();
    assert_eq!(found, Invitation { accepted: Some(accepted), ..one.clone() });
    assert!(!found.is_open(now()));
    assert_eq!(invitations::purge(&tx, one.expires_at).await.unwrap(), 0);
    let over = one.expires_at + TimeDelta::seconds(1);
    assert_eq!(invitations::purge(&tx, over).await.unwrap(), 0, "it says whose the address is");
    assert!(invitations::vouches(&tx, &person.id, &address).await.unwrap());
    assert!(!invitations::vouches(&tx, &id(), &address).await.unwrap());
    assert!(!invitations::vouches(&tx, &person.id, &"zoe@example.org".parse().unwrap()).await.unwrap());
    users::delete(&tx, &person.id).await.unwrap();
    assert_eq!(invitations::purge(&tx, over).await.unwrap(), 1, "of nobody who is here");
    // Whoever came by an open one has said an address, and by one that an admin of an app made, the admin has.
    let said = added(&tx, "said@example.org").await;
    let by_an_admin = Invitation { email: Some(said.email.clone()), vouches: false, ..invitation("5", Some(&shop)) };
    let accepted = Acceptance { by: said.id.clone(), at: kept() };
    let first = Invitation { email: None, inviter: Inviter::System, ..invitation("4", None) };
    for (record, vouches) in [(two.clone(), false), (by_an_admin, false), (first, true)] {
        invitations::insert(&tx, &record).await.unwrap();
        assert!(invitations::accept(&tx, &record.id, &accepted).await.unwrap());
        assert_eq!(invitations::vouches(&tx, &said.id, &said.email).await, Ok(vouches));
    }
    assert_eq!(invitations::purge(&tx, over).await.unwrap(), 2);
    assert!(invitations::vouches(&tx, &said.id, &said.email).await.unwrap());
    invitations::insert(&tx, &one).await.unwrap();
    apps::purge(&tx, &shop.id).await.unwrap();
    assert_eq!(invitations::find(&tx, &one.id).await.unwrap(), None, "it goes with the app");

    let first = Invitation { inviter: Inviter::System, ..invitation("3", None) };
    invitations::insert(&tx, &first).await.unwrap();
    invitations::insert(&tx, &two).await.unwrap();
    assert_eq!(invitations::withdraw_first(&tx).await.unwrap(), 1);
    assert_eq!(invitations::find(&tx, &first.id).await.unwrap(), None);
    assert_eq!(invitations::find(&tx, &two.id).await.unwrap(), Some(two));
    assert_eq!(invitations::withdraw_first(&tx).await.unwrap(), 0);
    tx.commit().await.unwrap();
}

pub(crate) async fn sessions(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let zoe = added(&tx, "zoe@example.org").await;
    let mine: Vec<_> = ["1", "2", "3"].map(|hash| session(&zoe, hash)).into();
    for record in &mine {
        sessions::insert(&tx, record).await.unwrap();
    }
    let again = sessions::insert(&tx, &sessions::Record { id: id(), ..mine[0].clone() }).await;
    assert_eq!(again, Err(StoreError::Conflict(Constraint::Id { what: "session" })));
    tx.commit().await.unwrap();
    let found = sessions::find_by_hash(&store, &mine[0].hash).await.unwrap();
    assert_eq!(found, Some((mine[0].clone(), zoe.clone())));
    assert_eq!(sessions::find_by_hash(&store, "x").await.unwrap(), None);
    assert!(!format!("{:?}", mine[0]).contains(&mine[0].hash));
    let open = sessions::of_user(&store, &zoe.id, now()).await.unwrap();
    assert_eq!(open, [mine[2].clone(), mine[1].clone(), mine[0].clone()]);
    assert_eq!(sessions::of_user(&store, &zoe.id, mine[0].ends_at).await.unwrap(), []);

    let tx = store.write().await.unwrap();
    let later = kept() + TimeDelta::hours(1);
    sessions::touch(&tx, &mine[0].id, later).await.unwrap();
    sessions::confirm(&tx, &mine[0].id, &"9".repeat(64), later).await.unwrap();
    assert_eq!(sessions::find_by_hash(&tx, &mine[0].hash).await.unwrap(), None, "the old secret is worth nothing");
    let (confirmed, _) = sessions::find_by_hash(&tx, &"9".repeat(64)).await.unwrap().unwrap();
    let expected = sessions::Record { hash: "9".repeat(64), seen_at: later, confirmed_at: later, ..mine[0].clone() };
    assert_eq!(confirmed, expected);
    let idle = TimeDelta::hours(24);
    assert!(confirmed.is_open(later + TimeDelta::hours(23), idle));
    assert!(!confirmed.is_open(later + idle, idle) && !confirmed.is_open(mine[0].ends_at, TimeDelta::days(99)));

    assert!(sessions::end(&tx, &mine[1].id, later, SessionEnd::SignedOut).await.unwrap());
    assert!(!sessions::end(&tx, &mine[1].id, later, SessionEnd::Ended).await.unwrap());
    let ended = sessions::find(&tx, &mine[1].id).await.unwrap().unwrap();
    assert_eq!(ended.ended, Some((later, SessionEnd::SignedOut)));
    assert!(!ended.is_open(later, idle));
    assert!(matches!(sessions::confirm(&tx, &ended.id, "x", later).await, Err(StoreError::NotFound { .. })));
    let changed = SessionEnd::PasswordChanged;
    assert_eq!(sessions::end_all(&tx, &zoe.id, Some(&mine[0].id), later, changed).await.unwrap(), 1);
    assert_eq!(sessions::of_user(&tx, &zoe.id, later).await.unwrap(), [expected]);
    assert_eq!(sessions::end_all(&tx, &zoe.id, None, later, SessionEnd::Disabled).await.unwrap(), 1);
    assert_eq!(sessions::end_all(&tx, &id(), None, later, SessionEnd::Disabled).await.unwrap(), 0);
    let long = sessions::Record { agent: "ö\0".repeat(300), ..session(&zoe, "4") };
    sessions::insert(&tx, &long).await.unwrap();
    let agent = sessions::find(&tx, &long.id).await.unwrap().unwrap().agent;
    assert_eq!((agent.chars().count(), agent.contains('\0')), (200, false));
    assert_eq!(sessions::purge(&tx, mine[0].ends_at).await.unwrap(), 0);
    assert_eq!(sessions::purge(&tx, mine[0].ends_at + TimeDelta::seconds(1)).await.unwrap(), 4);
    sessions::insert(&tx, &mine[0]).await.unwrap();
    users::delete(&tx, &zoe.id).await.unwrap();
    assert_eq!(sessions::find(&tx, &mine[0].id).await.unwrap(), None);
    tx.commit().await.unwrap();
}

pub(crate) async fn second_factors(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let (zoe, ann) = (added(&tx, "zoe@example.org").await.id, added(&tx, "ann@example.org").await.id);
    assert_eq!(totp::find(&tx, &zoe).await.unwrap(), None);
    assert!(!totp::confirm(&tx, &zoe, kept(), 7).await.unwrap(), "nothing was begun");
    assert!(totp::begin(&tx, &zoe, &[1, 2], kept() - TimeDelta::hours(1)).await.unwrap());
    assert!(totp::begin(&tx, &zoe, &[3, 4], kept()).await.unwrap(), "another one in its place");
    let begun =
        totp::Totp { user: zoe.clone(), sealed: vec![3, 4], begun_at: kept(), confirmed_at: None, last_step: None };
    assert_eq!(totp::find(&tx, &zoe).await.unwrap(), Some(begun.clone()));
    assert!(!totp::take(&tx, &zoe, 9).await.unwrap(), "nobody has confirmed it");
    assert!(totp::confirm(&tx, &zoe, kept(), 7).await.unwrap());
    assert!(!totp::confirm(&tx, &zoe, kept(), 8).await.unwrap(), "once");
    assert!(!totp::begin(&tx, &zoe, &[5, 6], kept()).await.unwrap(), "one in use stays");
    let confirmed = totp::Totp { confirmed_at: Some(kept()), last_step: Some(7), ..begun };
    assert_eq!(totp::find(&tx, &zoe).await.unwrap(), Some(confirmed.clone()));
    assert_eq!(totp::list(&tx).await.unwrap(), std::slice::from_ref(&confirmed));
    totp::reseal(&tx, &zoe, &[7]).await.unwrap();
    assert_eq!(totp::list(&tx).await.unwrap(), [totp::Totp { sealed: vec![7], ..confirmed }]);

    // A code is good once, and an older one no more after it.
    for (step, taken) in [(7, false), (6, false), (8, true), (8, false), (10, true), (9, false)] {
        assert_eq!(totp::take(&tx, &zoe, step).await.unwrap(), taken, "{step}");
    }
    let codes = ["a".repeat(64), "b".repeat(64)];
    recovery_codes::replace(&tx, &zoe, &codes).await.unwrap();
    recovery_codes::replace(&tx, &ann, &codes[..1]).await.unwrap();
    assert!(recovery_codes::take(&tx, &zoe, &codes[0], kept()).await.unwrap());
    assert!(!recovery_codes::take(&tx, &zoe, &codes[0], kept()).await.unwrap(), "once");
    assert!(!recovery_codes::take(&tx, &ann, &codes[1], kept()).await.unwrap(), "somebody else's");
    tx.commit().await.unwrap();
    assert_eq!(recovery_codes::left(&store, &zoe).await.unwrap(), 1);
    assert_eq!(recovery_codes::left(&store, &ann).await.unwrap(), 1);

    let tx = store.write().await.unwrap();
    recovery_codes::replace(&tx, &zoe, &codes).await.unwrap();
    assert_eq!(recovery_codes::left(&tx, &zoe).await.unwrap(), 2, "new ones in the place of all");
    assert!(totp::remove(&tx, &zoe).await.unwrap());
    assert!(!totp::remove(&tx, &zoe).await.unwrap());
    assert_eq!(recovery_codes::left(&tx, &zoe).await.unwrap(), 0, "they go with it");
    assert!(totp::begin(&tx, &ann, &[1], kept()).await.unwrap());
    users::delete(&tx, &ann).await.unwrap();
    assert_eq!((totp::find(&tx, &ann).await.unwrap(), recovery_codes::left(&tx, &ann).await.unwrap()), (None, 0));
    tx.commit().await.unwrap();
}

pub(crate) async fn sign_ins(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    assert_eq!(sign_ins::failures(&tx, "a").await.unwrap(), None);
    let first = Failures { count: 1, since: kept(), locked_until: None };
    let locked = Failures { count: 5, locked_until: Some(kept() + TimeDelta::minutes(15)), ..first };
    sign_ins::fail(&tx, "a", &first).await.unwrap();
    sign_ins::fail(&tx, "a", &locked).await.unwrap();
    sign_ins::fail(&tx, "b", &first).await.unwrap();
    sign_ins::know(&tx, "a", kept()).await.unwrap();
    sign_ins::know(&tx, "a", kept() + TimeDelta::days(1)).await.unwrap();
    sign_ins::know(&tx, "c", kept()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(sign_ins::failures(&store, "a").await.unwrap(), Some(locked));
    assert_eq!(sign_ins::failures(&store, "b").await.unwrap(), Some(first));
    assert_eq!(sign_ins::known(&store, "a").await.unwrap(), Some(kept() + TimeDelta::days(1)));
    assert_eq!(sign_ins::known(&store, "b").await.unwrap(), None);

    let tx = store.write().await.unwrap();
    let later = kept() + TimeDelta::minutes(10);
    let needed = |moment| Needed { failed: moment, long: kept(), seen: moment };
    let key = format!("{}d", sign_ins::LONG);
    sign_ins::fail(&tx, &key, &first).await.unwrap();
    assert_eq!(sign_ins::purge(&tx, later, needed(kept())).await.unwrap(), 0);
    let moment = kept() + TimeDelta::seconds(1);
    assert_eq!(sign_ins::purge(&tx, later, needed(moment)).await.unwrap(), 2, "b and c; a is locked, and seen since");
    assert_eq!(sign_ins::purge(&tx, locked.locked_until.unwrap(), needed(moment)).await.unwrap(), 1);
    assert_eq!(sign_ins::failures(&tx, &key).await.unwrap(), Some(first), "some count for longer");
    assert_eq!(sign_ins::purge(&tx, later, Needed { long: moment, ..needed(moment) }).await.unwrap(), 1);
    sign_ins::fail(&tx, "b", &first).await.unwrap();
    assert!(sign_ins::forgive(&tx, "b").await.unwrap());
    assert!(!sign_ins::forgive(&tx, "b").await.unwrap());
    assert!(sign_ins::known(&tx, "a").await.unwrap().is_some());
    tx.commit().await.unwrap();
}

pub(crate) async fn tokens_of_people(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let shop = fixture::app(&tx, "shop").await;
    let zoe = added(&tx, "zoe@example.org").await;
    let only_shop = Grants { everywhere: None, apps: BTreeMap::from([(shop.id.clone(), Role::Viewer)]) };
    let hers = Token { user: Some(zoe.id.clone()), grants: only_shop, ..crate::nouns::token("1") };
    let old = Token { id: id(), hash: "3".repeat(64), revoked: true, ..hers.clone() };
    let machine = crate::nouns::token("2");
    for token in [&hers, &old, &machine] {
        tokens::insert(&tx, token).await.unwrap();
    }
    tx.commit().await.unwrap();
    assert!(hers.read_only() && !machine.read_only());
    let found = tokens::find_with_user(&store, &hers.hash).await.unwrap();
    assert_eq!(found, Some((hers.clone(), Some(zoe.clone()))));
    let found = tokens::find_with_user(&store, &machine.hash).await.unwrap();
    assert_eq!(found, Some((machine.clone(), None)));
    assert_eq!(tokens::find_with_user(&store, "x").await.unwrap(), None);
    assert_eq!(tokens::of_user(&store, &zoe.id).await.unwrap(), [hers.clone(), old]);
    // With the person go the tokens, but for their rows.
    let tx = store.write().await.unwrap();
    let revoked = users::delete(&tx, &zoe.id).await.unwrap();
    assert_eq!(revoked, std::slice::from_ref(&hers.id), "that one was good until now");
    let (token, user) = tokens::find_with_user(&tx, &hers.hash).await.unwrap().unwrap();
    assert_eq!((token, user), (Token { revoked: true, ..hers }, None));
    assert!(!tokens::find_by_hash(&tx, &machine.hash).await.unwrap().unwrap().revoked);
    tx.commit().await.unwrap();
}

/// Tokens could do everything or look, uploads and schedules had no owner, and keys belonged to tokens.
pub(crate) async fn before(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let app = fixture::app(&tx, "shop").await;
    let environment = fixture::environment(&tx, &app, "production").await;
    let schedule = crate::schedules::schedule(&environment, "nightly");
    schedules::insert(&tx, &schedule).await.unwrap();
    let (all, looks) =
        (crate::nouns::token("1"), Token { grants: Grants::everywhere(Role::Viewer), ..crate::nouns::token("2") });
    tokens::insert(&tx, &all).await.unwrap();
    tokens::insert(&tx, &looks).await.unwrap();
    let upload = uploads::Upload { requested_by: all.name.clone(), ..crate::uploads::announced(1) };
    let of_nobody = uploads::Upload { requested_by: "who?".into(), ..crate::uploads::announced(1) };
    uploads::insert(&tx, &upload).await.unwrap();
    uploads::insert(&tx, &of_nobody).await.unwrap();
    tx.commit().await.unwrap();
    store.close().await;
    // As it was before the migrations.
    let raw = db.raw().await;
    let answered = format!(
        "INSERT INTO idempotency (token_id, key, operation, request_digest, status, response, created_at) \
         VALUES ('{}', 'k', 'apps.create', 'x', 201, '{{\"name\":\"shop\"}}', 1)",
        all.id
    );
    let drops = [
        "totp",
        "recovery_codes",
        "deliveries",
        "channels",
        "mutes",
        "inbox_marks",
        "notice_cursor",
        "audit_head",
        "audit",
        "identities",
        "device_logins",
        "sign_in_failures",
        "known_places",
        "sessions",
        "invitations",
        "memberships",
        "users",
        "idempotency",
    ];
    let mut statements: Vec<String> = drops.iter().map(|table| format!("DROP TABLE {table}")).collect();
    if db.kind == store::Kind::Postgres {
        statements.push("DROP FUNCTION audit_is_kept".into());
    }
    statements.extend(
        [
            "DROP INDEX tokens_user_id",
            "ALTER TABLE tokens DROP COLUMN user_id",
            "ALTER TABLE tokens DROP COLUMN grants",
            "ALTER TABLE tokens DROP COLUMN created_by",
            "ALTER TABLE uploads DROP COLUMN owner",
            "ALTER TABLE schedules DROP COLUMN owner",
            "CREATE TABLE idempotency (token_id text NOT NULL REFERENCES tokens (id) ON DELETE CASCADE, key text NOT NULL, \
             operation text NOT NULL, request_digest text NOT NULL, status integer NOT NULL, response text NOT NULL, \
             created_at bigint NOT NULL, PRIMARY KEY (token_id, key))",
            "CREATE INDEX idempotency_created_at ON idempotency (created_at)",
            &answered,
            "DELETE FROM seaql_migrations WHERE version IN ('m0020_people', 'm0021_audit', 'm0022_access', 'm0024_notices', \
             'm0025_sign_in_ways', 'm0029_proofs')",
        ]
        .map(str::to_owned),
    );
    for sql in statements {
        raw.execute_unprepared(&sql).await.unwrap();
    }
    raw.close().await.unwrap();

    let store = db.open().await;
    let unowned = Token { created_by: String::new(), ..all.clone() };
    assert_eq!(tokens::get(&store, &all.id).await.unwrap(), unowned);
    let unowned = Token { created_by: String::new(), ..looks };
    assert_eq!(tokens::get(&store, &unowned.id).await.unwrap(), unowned);
    // The newest token of the name; both are called so.
    let upload = uploads::Upload { owner: unowned.id.to_string(), ..upload };
    assert_eq!(
        uploads::list_all(&store).await.unwrap(),
        [upload, uploads::Upload { owner: String::new(), ..of_nobody }]
    );
    let found = schedules::find(&store, &schedule.id).await.unwrap().unwrap();
    assert_eq!(found, schedules::Schedule { owner: String::new(), ..schedule });
    let answer = idempotency::find(&store, all.id.as_str(), "k").await.unwrap().unwrap();
    assert_eq!((answer.status, answer.response), (201, json!({ "name": "shop" })));
    let tx = store.write().await.unwrap();
    added(&tx, "zoe@example.org").await;
    crate::audit::add(&tx, 1).await;
    tx.commit().await.unwrap();
}
