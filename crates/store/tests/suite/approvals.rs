//! Approvals, votes and policies, and what is held in the queue for them.

use chrono::TimeDelta;
use domain::access::{Grants, Role, Sees};
use domain::approval::{ApprovalKind, ApprovalState, Policy, Tally, Verdict};
use domain::audit::{Draft, Outcome};
use domain::{ApprovalId, DeploymentId, UserId};
use sea_orm::ConnectionTrait;
use store::approval_policies::{self, Record};
use store::approvals::{self, Approval, Filter, Vote};
use store::environments::Environment;
use store::memberships::{self, Membership};
use store::tokens::Token;
use store::users::{self, User};
use store::{Constraint, StoreError, Tx, apps, audit, bypasses, queue, starts, tokens};

use crate::database::Database;
use crate::fixture::{self, app, entry, environment, id, kept, name, now};

pub(crate) fn approval(environment: &Environment, deployment: &DeploymentId) -> Approval {
    Approval {
        id: id(),
        kind: ApprovalKind::Deployment,
        deployment: deployment.clone(),
        app_id: environment.app_id.clone(),
        app: environment.app.clone(),
        environment_id: environment.id.clone(),
        environment: environment.name.clone(),
        subject: "commit:0123#1".into(),
        subject_note: "commit 0123 by Zoë".into(),
        requester: "usr_01hf7yat00000000000000000a".into(),
        requester_person: Some("usr_01hf7yat00000000000000000a".parse().unwrap()),
        requester_name: "Ann".into(),
        required: 2,
        role: Role::Admin,
        state: ApprovalState::Pending,
        why: None,
        created_at: kept(),
        expires_at: kept() + TimeDelta::hours(1),
        decided_at: None,
    }
}

pub(crate) fn yes(user: &UserId) -> Vote {
    Vote {
        user: user.clone(),
        name: "Zoë".into(),
        verdict: Verdict::Approve,
        comment: Some("fine".into()),
        subject: "commit:0123#1".into(),
        via: "web".into(),
        at: kept(),
        counts: true,
    }
}

pub(crate) fn policy(environment: &Environment) -> Record {
    Record {
        app: environment.app_id.clone(),
        environment: environment.name.clone(),
        policy: Policy {
            required: 2,
            role: Role::Deployer,
            rollbacks: false,
            bypasses: true,
            expires_in: "4h".parse().unwrap(),
        },
        changed_by: "Ann".into(),
        changed_at: kept(),
    }
}

/// One of each, for those who look at whole tables.
pub(crate) async fn fill(tx: &Tx, environment: &Environment, deployment: &DeploymentId) {
    let asked = approval(environment, deployment);
    approvals::insert(tx, &asked).await.unwrap();
    approvals::vote(tx, &asked.id, &yes(&id())).await.unwrap();
    approval_policies::set(tx, &policy(environment)).await.unwrap();
}

pub(crate) async fn policies(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let (shop, blog) = (app(&tx, "shop").await, app(&tx, "blog").await);
    let production = environment(&tx, &shop, "production").await;
    let staging = environment(&tx, &shop, "staging").await;
    let other = environment(&tx, &blog, "production").await;
    for place in [&staging, &production, &other] {
        approval_policies::set(&tx, &policy(place)).await.unwrap();
    }
    let mut changed = policy(&production);
    changed.policy =
        Policy { required: 5, role: Role::Owner, rollbacks: true, bypasses: false, expires_in: "30d".parse().unwrap() };
    approval_policies::set(&tx, &changed).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(approval_policies::of_app(&store, &shop.id).await.unwrap(), [changed.clone(), policy(&staging)]);
    let found = approval_policies::find(&store, &shop.id, &name("production")).await.unwrap();
    assert_eq!(found, Some(changed));
    assert_eq!(approval_policies::find(&store, &shop.id, &name("nowhere")).await.unwrap(), None);

    let tx = store.write().await.unwrap();
    assert!(approval_policies::remove(&tx, &shop.id, &name("staging")).await.unwrap());
    assert!(!approval_policies::remove(&tx, &shop.id, &name("staging")).await.unwrap());
    apps::purge(&tx, &blog.id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(approval_policies::of_app(&store, &blog.id).await.unwrap(), [], "they go with their app");
}

pub(crate) async fn rows(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let (shop, blog) = (app(&tx, "shop").await, app(&tx, "blog").await);
    let (production, other) = (environment(&tx, &shop, "production").await, environment(&tx, &blog, "staging").await);
    let mut all = Vec::new();
    for place in [&production, &production, &other] {
        let record = fixture::deployment(&tx, place).await;
        let held = queue::Entry { held: true, ..entry(&record, 5) };
        queue::insert(&tx, &held).await.unwrap();
        let asked = approval(place, &record.deployment.id);
        approvals::insert(&tx, &asked).await.unwrap();
        all.push(asked);
    }
    let again = approvals::insert(&tx, &Approval { id: id(), ..all[0].clone() }).await;
    assert_eq!(again, Err(StoreError::Conflict(Constraint::Id { what: "approval" })), "one for each deployment");
    tx.commit().await.unwrap();
    let ids = |found: Vec<Approval>| found.into_iter().map(|a| a.id).collect::<Vec<ApprovalId>>();
    let [first, second, third] = all.as_slice() else { panic!() };
    assert_eq!(approvals::find(&store, &first.id).await.unwrap().as_ref(), Some(first));
    assert_eq!(approvals::pending(&store, &production.id, None).await.unwrap(), 2);
    for (requester, count) in [(first.requester.as_str(), 2), ("usr_01hf7yat00000000000000000b", 0)] {
        assert_eq!(approvals::pending(&store, &production.id, Some(requester)).await.unwrap(), count);
    }
    assert_eq!(approvals::next_expiry(&store).await.unwrap(), Some(first.expires_at));
    assert_eq!(approvals::expired(&store, now(), 9).await.unwrap(), []);
    assert_eq!(approvals::expired(&store, first.expires_at, 9).await.unwrap().len(), 3);

    // Lists, and who may see and vote.
    let list = async |filter: Filter| ids(approvals::list(&store, &filter, None, 9).await.unwrap());
    let newest = [third.id.clone(), second.id.clone(), first.id.clone()];
    assert_eq!(list(Filter::default()).await, newest);
    let before = approvals::list(&store, &Filter::default(), Some(&second.id), 9).await.unwrap();
    assert_eq!(ids(before), std::slice::from_ref(&first.id));
    let sees = Sees::Only([blog.id.clone()].into());
    assert_eq!(list(Filter { sees, ..Filter::default() }).await, std::slice::from_ref(&third.id));
    assert_eq!(list(Filter { app: Some(shop.id.clone()), ..Filter::default() }).await, newest[1..]);
    assert_eq!(list(Filter { environment: Some(name("staging")), ..Filter::default() }).await, newest[..1]);
    assert!(list(Filter { state: Some(ApprovalState::Void), ..Filter::default() }).await.is_empty());
    let admin = User { everywhere: Some(Role::Admin), ..crate::people::user("zoe@example.org") };
    let (zoe, asker) = (admin.id.clone(), first.requester_person.clone().unwrap());
    let mine = |user: &UserId, grants: Grants| Filter { waits_for: Some((user.clone(), grants)), ..Filter::default() };
    assert_eq!(list(mine(&zoe, Grants::everywhere(Role::Admin))).await, newest);
    assert!(list(mine(&zoe, Grants::everywhere(Role::Deployer))).await.is_empty(), "it takes an admin");
    assert!(list(mine(&asker, Grants::everywhere(Role::Owner))).await.is_empty(), "one's own");
    let at_blog = Grants { everywhere: Some(Role::Viewer), apps: [(blog.id.clone(), Role::Owner)].into() };
    assert_eq!(list(mine(&zoe, at_blog)).await, newest[..1]);

    // A vote takes the place of the one before it.
    let tx = store.write().await.unwrap();
    users::insert(&tx, &admin).await.unwrap();
    let no = Vote { verdict: Verdict::Refuse, comment: None, ..yes(&zoe) };
    approvals::vote(&tx, &first.id, &no).await.unwrap();
    approvals::vote(&tx, &first.id, &yes(&zoe)).await.unwrap();
    tx.commit().await.unwrap();
    let votes = approvals::votes(&store, &[&first.id, &second.id]).await.unwrap();
    assert_eq!(votes.get(&first.id).map(Vec::as_slice), Some(&[yes(&zoe)][..]));
    assert!(!votes.contains_key(&second.id));
    assert_eq!(first.tally(&votes[&first.id]), Tally::Open { got: 1 });
    assert_eq!(list(mine(&zoe, Grants::everywhere(Role::Admin))).await, newest[..2], "she has voted on the first");

    // Asked anew.
    let tx = store.write().await.unwrap();
    let later = kept() + TimeDelta::hours(9);
    approvals::decide(&tx, &first.id, ApprovalState::Approved, None, kept()).await.unwrap();
    assert_eq!(approvals::not_begun(&tx, &production.id).await.unwrap().len(), 2, "it still waits for its turn");
    approvals::reset(&tx, &first.id, "commit:0123#2", later).await.unwrap();
    let reset = approvals::find(&tx, &first.id).await.unwrap().unwrap();
    let expected = Approval { subject: "commit:0123#2".into(), expires_at: later, ..first.clone() };
    assert_eq!(reset, expected);
    let votes = approvals::votes(&tx, &[&first.id]).await.unwrap();
    assert_eq!(votes[&first.id], [Vote { counts: false, ..yes(&zoe) }]);
    assert_eq!(first.tally(&votes[&first.id]), Tally::Open { got: 0 });

    // What has ended is open no more.
    let gone = approvals::void(&tx, &second.deployment, "cancelled by ann", kept()).await.unwrap();
    assert_eq!(gone.as_ref(), Some(&second.id));
    assert_eq!(approvals::void(&tx, &second.deployment, "again", kept()).await.unwrap(), None);
    let voided = approvals::find(&tx, &second.id).await.unwrap().unwrap();
    assert_eq!((voided.state, voided.why.as_deref()), (ApprovalState::Void, Some("cancelled by ann")));
    assert_eq!(approvals::pending(&tx, &production.id, None).await.unwrap(), 1);
    queue::remove(&tx, &first.deployment).await.unwrap();
    assert_eq!(approvals::not_begun(&tx, &production.id).await.unwrap(), [], "it has begun");
    let unknown = approvals::decide(&tx, &id(), ApprovalState::Void, None, kept()).await;
    assert!(matches!(unknown, Err(StoreError::NotFound { .. })));
    tx.commit().await.unwrap();
}

/// Whose yes counts is asked of what they are now, until it is decided.
pub(crate) async fn standing(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let (shop, blog) = (app(&tx, "shop").await, app(&tx, "blog").await);
    let production = environment(&tx, &shop, "production").await;
    let record = fixture::deployment(&tx, &production).await;
    let asked = approval(&production, &record.deployment.id);
    approvals::insert(&tx, &asked).await.unwrap();
    let people = ["everywhere", "member", "elsewhere", "disabled", "removed", "deployer", "against"].map(|who| {
        let everywhere = (who != "member" && who != "elsewhere").then_some(Role::Admin);
        User { everywhere, ..crate::people::user(&format!("{who}@example.org")) }
    });
    for person in &people {
        users::insert(&tx, person).await.unwrap();
        let verdict = if person.email.as_str().starts_with("against") { Verdict::Refuse } else { Verdict::Approve };
        approvals::vote(&tx, &asked.id, &Vote { verdict, ..yes(&person.id) }).await.unwrap();
    }
    let [_, member, elsewhere, disabled, removed, deployer, against] = &people;
    for (person, app) in [(member, &shop), (elsewhere, &blog)] {
        let granted = Membership {
            user: person.id.clone(),
            app: app.id.clone(),
            role: Role::Owner,
            granted_by: "Ann".into(),
            granted_at: kept(),
        };
        memberships::set(&tx, &granted).await.unwrap();
    }
    users::set_disabled(&tx, &disabled.id, true).await.unwrap();
    users::set_everywhere(&tx, &deployer.id, Some(Role::Deployer)).await.unwrap();
    users::set_disabled(&tx, &against.id, true).await.unwrap();
    users::delete(&tx, &removed.id).await.unwrap();
    tx.commit().await.unwrap();
    let counting = async || -> Vec<String> {
        let votes = approvals::votes(&store, &[&asked.id]).await.unwrap();
        let counted = votes[&asked.id].iter().filter(|vote| vote.counts);
        let named = counted.filter_map(|vote| people.iter().find(|person| person.id == vote.user));
        let mut names: Vec<String> = named.map(|person| person.email.to_string()).collect();
        names.sort();
        names
    };
    let expected = ["against@example.org", "everywhere@example.org", "member@example.org"];
    assert_eq!(counting().await, expected, "a no stays");

    // What was decided stays as it was counted, whatever becomes of people.
    let tx = store.write().await.unwrap();
    let votes = approvals::votes(&tx, &[&asked.id]).await.unwrap();
    approvals::settle(&tx, &asked.id, &votes[&asked.id]).await.unwrap();
    approvals::decide(&tx, &asked.id, ApprovalState::Approved, None, kept()).await.unwrap();
    users::set_disabled(&tx, &disabled.id, false).await.unwrap();
    users::set_disabled(&tx, &member.id, true).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(counting().await, expected);
}

/// What is held starts by no way, and stands in nobody's.
pub(crate) async fn held(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let shop = app(&tx, "shop").await;
    let place = environment(&tx, &shop, "production").await;
    let (mut waiting, later) = (Vec::new(), kept() + TimeDelta::hours(1));
    for n in 0..3 {
        let record = fixture::deployment(&tx, &place).await;
        let not_before = (n == 2).then_some(later);
        queue::insert(&tx, &queue::Entry { held: true, not_before, ..entry(&record, n) }).await.unwrap();
        waiting.push(record.deployment.id);
    }
    bypasses::insert(&tx, &crate::schedules::bypass(waiting[0].clone())).await.unwrap();
    tx.commit().await.unwrap();
    let heads = async || queue::heads(&store, "here", now(), None).await.unwrap();
    assert_eq!(heads().await, []);
    assert_eq!(queue::passing(&store, "here", now()).await.unwrap(), []);
    assert_eq!(queue::head_of(&store, &place.id, now()).await.unwrap(), None);
    assert_eq!(queue::next_time(&store, "here", now()).await.unwrap(), None);
    assert_eq!(starts::ready(&store, &waiting).await.unwrap(), []);
    assert_eq!(queue::of_environment(&store, &place.id).await.unwrap().len(), 3, "they are shown all the same");

    // The second of them was approved of: the first is not in its way.
    let tx = store.write().await.unwrap();
    queue::set_held(&tx, &waiting[1], false).await.unwrap();
    queue::set_held(&tx, &waiting[2], false).await.unwrap();
    bypasses::approve(&tx, &waiting[0], Some("Ann, Zoë")).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(heads().await.into_iter().map(|head| head.candidate.deployment).collect::<Vec<_>>(), waiting[1..2]);
    assert_eq!(queue::head_of(&store, &place.id, now()).await.unwrap().as_ref(), Some(&waiting[1]));
    assert_eq!(starts::ready(&store, &waiting).await.unwrap().len(), 2);
    assert_eq!(queue::next_time(&store, "here", now()).await.unwrap(), Some(later));
    let past = bypasses::find(&store, &waiting[0]).await.unwrap().unwrap();
    assert_eq!(past.approved_by.as_deref(), Some("Ann, Zoë"));

    let tx = store.write().await.unwrap();
    queue::set_held(&tx, &waiting[1], true).await.unwrap();
    bypasses::approve(&tx, &waiting[0], None).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(heads().await, []);
    assert_eq!(bypasses::find(&store, &waiting[0]).await.unwrap().unwrap().approved_by, None);
}

/// Tokens knew the name of who made them, which is nobody in particular; the audit log knows more.
pub(crate) async fn makers(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let zoe = crate::people::user("zoe@example.org");
    users::insert(&tx, &zoe).await.unwrap();
    let all: Vec<Token> = ["1", "2", "3", "4", "5"].map(crate::nouns::token).into();
    let hers = Token { user: Some(zoe.id.clone()), ..crate::nouns::token("6") };
    for token in all.iter().chain([&hers]) {
        tokens::insert(&tx, token).await.unwrap();
    }
    let [by_zoe, by_it, by_that, refused, unknown] = &all[..] else { panic!("five tokens") };
    for (actor, target, outcome) in [
        (zoe.id.as_str(), by_zoe, Outcome::Done),
        (by_zoe.id.as_str(), by_it, Outcome::Done),
        (by_it.id.as_str(), by_that, Outcome::Done),
        (zoe.id.as_str(), refused, Outcome::Refused),
        ("system", unknown, Outcome::Done),
    ] {
        let (actor, target) = (actor.to_owned(), Some(target.id.to_string()));
        let draft =
            Draft { actor, target, outcome, operation: "tokens.create".into(), app_id: None, ..crate::audit::draft(1) };
        audit::append(&tx, &[crate::audit::key()], draft).await.unwrap();
    }
    tx.commit().await.unwrap();
    store.close().await;
    let raw = db.raw().await;
    for sql in ["ALTER TABLE tokens DROP COLUMN maker", "DELETE FROM seaql_migrations WHERE version = 'm0027_makers'"] {
        raw.execute_unprepared(sql).await.unwrap();
    }
    raw.close().await.unwrap();

    let store = db.open().await;
    for (token, maker) in [
        (by_zoe, Some(&zoe.id)),
        (by_it, Some(&zoe.id)),
        (by_that, Some(&zoe.id)),
        (refused, None),
        (unknown, None),
        (&hers, Some(&zoe.id)),
    ] {
        assert_eq!(tokens::get(&store, &token.id).await.unwrap().maker.as_ref(), maker, "{token:?}");
    }
    store.close().await;
}
