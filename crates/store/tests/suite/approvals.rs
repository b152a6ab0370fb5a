//! Approvals, votes and policies, and what is held in the queue for them.

use chrono::TimeDelta;
use domain::access::{Grants, Role, Sees};
use domain::approval::{ApprovalKind, ApprovalState, Policy, Tally, Verdict};
use domain::{ApprovalId, DeploymentId, UserId};
use store::approval_policies::{self, Record};
use store::approvals::{self, Approval, Filter, Vote};
use store::environments::Environment;
use store::{Constraint, StoreError, Tx, apps, bypasses, queue, starts};

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
    assert_eq!(approvals::pending(&store, &production.id).await.unwrap(), 2);
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
    let (zoe, asker): (UserId, _) = (id(), first.requester_person.clone().unwrap());
    let mine = |user: &UserId, grants: Grants| Filter { waits_for: Some((user.clone(), grants)), ..Filter::default() };
    assert_eq!(list(mine(&zoe, Grants::everywhere(Role::Admin))).await, newest);
    assert!(list(mine(&zoe, Grants::everywhere(Role::Deployer))).await.is_empty(), "it takes an admin");
    assert!(list(mine(&asker, Grants::everywhere(Role::Owner))).await.is_empty(), "one's own");
    let at_blog = Grants { everywhere: Some(Role::Viewer), apps: [(blog.id.clone(), Role::Owner)].into() };
    assert_eq!(list(mine(&zoe, at_blog)).await, newest[..1]);

    // A vote takes the place of the one before it.
    let tx = store.write().await.unwrap();
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
    assert_eq!(approvals::pending(&tx, &production.id).await.unwrap(), 1);
    queue::remove(&tx, &first.deployment).await.unwrap();
    assert_eq!(approvals::not_begun(&tx, &production.id).await.unwrap(), [], "it has begun");
    let unknown = approvals::decide(&tx, &id(), ApprovalState::Void, None, kept()).await;
    assert!(matches!(unknown, Err(StoreError::NotFound { .. })));
    tx.commit().await.unwrap();
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
    assert_eq!(queue::head_of(&store, &place.id).await.unwrap(), None);
    assert_eq!(queue::next_time(&store, "here", now()).await.unwrap(), None);
    assert_eq!(starts::ready(&store, &waiting).await.unwrap(), []);
    assert_eq!(queue::of_environment(&store, &place.id).await.unwrap().len(), 3, "they are shown all the same");

    // The second of them was approved of: the first is not in its way.
    let tx = store.write().await.unwrap();
    queue::set_held(&tx, &waiting[1], false).await.unwrap();
    queue::set_held(&tx, &waiting[2], false).await.unwrap();
    bypasses::approve(&tx, &waiting[0], Some("Ann, Zoë")).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(heads().await.into_iter().map(|c| c.deployment).collect::<Vec<_>>(), waiting[1..2]);
    assert_eq!(queue::head_of(&store, &place.id).await.unwrap().as_ref(), Some(&waiting[1]));
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
