use chrono::TimeDelta;
use domain::access::Sees;
use domain::deployment::DeploymentKind;
use domain::plan::{Basis, Differences, Downtime, Plan, PlanRef, PlannedRelease, PlannedStart};
use domain::release::Digest;
use store::environments::Environment;
use store::plans::{self, Filter, Kept};
use store::{Constraint, StoreError};

use crate::database::Database;
use crate::fixture::{app, environment, id, kept, new_release};

pub(crate) fn plan(app: &store::apps::App, environment: &Environment, digest: &str, hours: i64) -> Kept {
    let digest = Digest(format!("{digest:0<64}"));
    let release = PlannedRelease { digest: digest.clone(), release: None, number: None };
    let basis = Basis {
        kind: DeploymentKind::Deploy,
        app: app.id.clone(),
        environment: environment.id.clone(),
        source: None,
        tree: None,
        spec: digest.clone(),
        variables: None,
        release: digest.clone(),
        exists: None,
        routes: vec![],
        steps: vec![],
        serving: None,
    };
    let plan = Plan {
        digest,
        app: app.name.clone(),
        environment: environment.name.clone(),
        kind: DeploymentKind::Deploy,
        source: None,
        reference: None,
        commit: None,
        release,
        live: None,
        nothing_to_do: None,
        findings: vec![],
        steps: vec![],
        approval: None,
        start: PlannedStart { waiting: None, waiting_for: None, ahead: 0, estimate: None },
        duration: None,
        downtime: Downtime { expected_ms: 0, components: vec![], notes: vec!["\u{1f6a2}\0".into()] },
        differences: Differences::default(),
        notes: vec![],
        spec: new_release(app, "x").spec,
        basis,
        created_by: "admin".into(),
        created_at: kept(),
        expires_at: kept() + TimeDelta::hours(hours),
    };
    Kept { id: id(), app: app.id.clone(), environment: environment.id.clone(), plan }
}

pub(crate) async fn rows(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let (shop, blog) = (app(&tx, "shop").await, app(&tx, "blog").await);
    let (production, staging) = (environment(&tx, &shop, "production").await, environment(&tx, &shop, "staging").await);
    let other = environment(&tx, &blog, "production").await;
    let one = plan(&shop, &production, "aaaaaaaa0", 24);
    let two = plan(&shop, &staging, "aaaaaaaa1", 24);
    let short = plan(&shop, &production, "bbbbbbbb", 1);
    let blogs = plan(&blog, &other, "cccccccc", 24);
    for kept in [&one, &two, &short, &blogs] {
        plans::put(&tx, kept).await.unwrap();
    }
    let stolen = Kept { id: one.id.clone(), ..plan(&shop, &production, "dddddddd", 24) };
    assert_eq!(plans::put(&tx, &stolen).await, Err(StoreError::Conflict(Constraint::Id { what: "plan" })));
    tx.commit().await.unwrap();

    let named = |text: &str| text.parse::<PlanRef>().unwrap();
    let now = kept();
    assert_eq!(
        plans::find(&store, &Sees::All, &named(one.plan.digest.as_str()), now).await.unwrap(),
        std::slice::from_ref(&one)
    );
    assert_eq!(plans::find(&store, &Sees::All, &named("aaaaaaaa1"), now).await.unwrap(), std::slice::from_ref(&two));
    assert_eq!(plans::find(&store, &Sees::All, &named("aaaaaaaa"), now).await.unwrap(), [one.clone(), two.clone()]);
    assert_eq!(plans::find(&store, &Sees::All, &named("aaaaaaab"), now).await.unwrap(), []);
    let later = now + TimeDelta::hours(1);
    assert_eq!(plans::find(&store, &Sees::All, &named("bbbbbbbb"), now).await.unwrap(), std::slice::from_ref(&short));
    assert_eq!(plans::find(&store, &Sees::All, &named("bbbbbbbb"), later).await.unwrap(), [], "it has expired");

    let all = Filter::default();
    let of_shop = Filter { app: Some(shop.id.clone()), ..Filter::default() };
    let of_production = Filter { environment: Some(production.id.clone()), ..Filter::default() };
    assert_eq!(plans::list(&store, &all, later, None, 9).await.unwrap(), [blogs.clone(), two.clone(), one.clone()]);
    assert_eq!(plans::list(&store, &all, now, Some(&blogs.id), 1).await.unwrap(), std::slice::from_ref(&short));
    assert_eq!(plans::list(&store, &of_shop, later, None, 9).await.unwrap(), [two.clone(), one.clone()]);
    assert_eq!(plans::list(&store, &of_production, later, None, 9).await.unwrap(), std::slice::from_ref(&one));

    // The same facts again: the newer row stands, and it is one.
    let tx = store.write().await.unwrap();
    let again = Kept { id: id(), ..one.clone() };
    plans::put(&tx, &again).await.unwrap();
    let more = plan(&shop, &production, "eeeeeeee", 24);
    plans::put(&tx, &more).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(plans::list(&store, &of_production, now, None, 9).await.unwrap(), [more.clone(), again.clone(), short]);

    let tx = store.write().await.unwrap();
    assert_eq!(plans::sweep(&tx, &production.id, later, 1).await.unwrap(), 2, "one expired, one is crowded out");
    assert_eq!(plans::sweep(&tx, &production.id, later, 1).await.unwrap(), 0);
    tx.commit().await.unwrap();
    assert_eq!(plans::list(&store, &all, now, None, 9).await.unwrap(), [more, blogs, two]);

    // A plan goes with its environment.
    let tx = store.write().await.unwrap();
    store::environments::delete(&tx, &staging.id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(plans::list(&store, &all, now, None, 9).await.unwrap().len(), 2);
}
