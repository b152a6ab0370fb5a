//! Channels, messages to them, the leader's place in the event log, and what people muted and have seen.

use chrono::TimeDelta;
use domain::access::Sees;
use domain::channel::{ChannelKind, DeliveryState, usual_topics};
use domain::event::EventKind;
use domain::notice::KINDS;
use store::apps::App;
use store::channels::{self, Channel, Settings};
use store::deliveries::{self, Attempt, Delivery, Group};
use store::events::{self, Stretch};
use store::mutes::{self, Mute};
use store::{Tx, apps, notice_cursor, retention, users};

use crate::database::Database;
use crate::fixture::{self, id, kept, name, now};

fn channel(app: Option<&App>) -> Channel {
    Channel {
        id: id(),
        app: app.map(|app| (app.id.clone(), app.name.clone())),
        kind: ChannelKind::Webhook,
        name: "On call \u{1f6a2}".into(),
        settings: Settings { address: Some("https://ops.example.org".into()), to: vec![] },
        wrapped: vec![0, 1, 255],
        sealed: vec![7; 40],
        topics: usual_topics(),
        environments: vec![name("production")],
        enabled: true,
        failing_since: None,
        created_by: "ann".into(),
        created_at: kept(),
    }
}

fn delivery(channel: &Channel, event: i64) -> Delivery {
    Delivery {
        id: id(),
        channel: channel.id.clone(),
        first_event: event,
        last_event: event,
        count: 1,
        group: Group::Alone,
        title: "shop production: deployment failed".into(),
        state: DeliveryState::Waiting,
        attempts: 0,
        due_at: kept(),
        status: None,
        error: None,
        created_at: kept(),
        done_at: None,
    }
}

/// A row in each table that goes into a backup.
pub(crate) async fn fill(tx: &Tx, app: &App) {
    let ann = crate::people::user("ann@example.org");
    users::insert(tx, &ann).await.unwrap();
    channels::insert(tx, &channel(Some(app))).await.unwrap();
    mutes::set(tx, &Mute { user: ann.id.clone(), app: app.id.clone(), until: Some(kept()) }).await.unwrap();
    mutes::note_seen(tx, &ann.id, 7).await.unwrap();
}

pub(crate) async fn channels_of_apps(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let shop = fixture::app(&tx, "shop").await;
    let (one, all) = (channel(Some(&shop)), channel(None));
    channels::insert(&tx, &one).await.unwrap();
    channels::insert(&tx, &all).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(channels::find(&store, &one.id).await.unwrap().as_ref(), Some(&one));
    assert_eq!(channels::list(&store).await.unwrap().len(), 2);
    assert_eq!((channels::count(&store, Some(&shop.id)).await, channels::count(&store, None).await), (Ok(1), Ok(1)));

    let tx = store.write().await.unwrap();
    channels::fails(&tx, &one.id, now()).await.unwrap();
    channels::fails(&tx, &one.id, now() + TimeDelta::hours(1)).await.unwrap();
    let found = channels::find(&tx, &one.id).await.unwrap().unwrap();
    assert_eq!(found.failing_since, Some(kept()), "since the first time");
    channels::works(&tx, &one.id).await.unwrap();
    channels::disable(&tx, &all.id).await.unwrap();
    let changed = Channel { name: "Ops".into(), sealed: vec![1], environments: vec![], ..one.clone() };
    channels::update(&tx, &changed).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(channels::enabled(&store).await.unwrap(), std::slice::from_ref(&changed));
    assert_eq!(changed.wants().app, Some(name("shop")));

    let tx = store.write().await.unwrap();
    assert!(deliveries::insert(&tx, &delivery(&one, 1)).await.unwrap());
    apps::purge(&tx, &shop.id).await.unwrap();
    assert_eq!(channels::find(&tx, &one.id).await.unwrap(), None, "it goes with the app");
    assert_eq!(deliveries::due(&tx, now(), &[], 9).await.unwrap(), [], "and its messages with it");
    assert!(channels::remove(&tx, &all.id).await.unwrap());
    assert!(!channels::remove(&tx, &all.id).await.unwrap());
    tx.commit().await.unwrap();
}

pub(crate) async fn messages(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let (one, two) = (channel(None), channel(None));
    channels::insert(&tx, &one).await.unwrap();
    channels::insert(&tx, &two).await.unwrap();
    let first = delivery(&one, 3);
    assert!(deliveries::insert(&tx, &first).await.unwrap());
    assert!(
        !deliveries::insert(&tx, &delivery(&one, 3)).await.unwrap(),
        "an event that is read again makes no second one"
    );
    let many = Delivery { group: Group::Many, due_at: kept() + TimeDelta::minutes(1), ..delivery(&one, 3) };
    assert!(deliveries::insert(&tx, &many).await.unwrap());
    let other = Delivery { due_at: kept() + TimeDelta::seconds(1), ..delivery(&two, 3) };
    assert!(deliveries::insert(&tx, &other).await.unwrap());
    tx.commit().await.unwrap();

    let due = |at, but: Vec<_>| {
        let store = store.clone();
        async move { deliveries::due(&store, at, &but, 9).await.unwrap() }
    };
    let soon = kept() + TimeDelta::seconds(1);
    assert_eq!(due(soon, vec![]).await, [first.clone(), other.clone()]);
    assert_eq!(due(soon, vec![one.id.clone()]).await, std::slice::from_ref(&other));
    assert_eq!(deliveries::next_due(&store, std::slice::from_ref(&one.id)).await, Ok(Some(other.due_at)));
    assert_eq!(deliveries::next_due(&store, &[one.id.clone(), two.id.clone()]).await, Ok(None));
    assert_eq!(deliveries::open(&store, &one.id, kept()).await.unwrap().as_ref(), Some(&many));
    assert_eq!(deliveries::open(&store, &one.id, many.due_at).await.unwrap(), None, "it is about to be sent");
    assert_eq!(deliveries::open(&store, &two.id, kept()).await.unwrap(), None);
    let lately = kept() - TimeDelta::minutes(10);
    assert_eq!(deliveries::recent(&store, &one.id, Group::Alone, lately).await, Ok(1));
    assert_eq!(deliveries::recent(&store, &one.id, Group::Many, kept()).await, Ok(0));

    let tx = store.write().await.unwrap();
    let more = Delivery { count: 5, last_event: 9, title: "5 notices".into(), ..many };
    deliveries::extend(&tx, &more).await.unwrap();
    assert_eq!(deliveries::find(&tx, &more.id).await.unwrap().as_ref(), Some(&more));
    let failed = Attempt {
        state: DeliveryState::Waiting,
        due_at: kept() + TimeDelta::seconds(10),
        status: Some(500),
        error: Some("answered 500\0".into()),
        title: first.title.clone(),
        at: kept(),
    };
    let until = kept() + TimeDelta::seconds(5);
    let under_way = deliveries::claim(&tx, &first, until).await.unwrap().unwrap();
    assert_eq!((under_way.attempts, under_way.due_at), (1, until));
    assert_eq!(deliveries::find(&tx, &first.id).await.unwrap().as_ref(), Some(&under_way));
    assert_eq!(deliveries::claim(&tx, &first, until).await, Ok(None), "somebody was quicker");
    assert!(!deliveries::attempted(&tx, &first, &failed).await.unwrap(), "another one is under way");
    assert!(deliveries::attempted(&tx, &under_way, &failed).await.unwrap());
    assert!(!deliveries::attempted(&tx, &under_way, &failed).await.unwrap(), "that attempt is noted already");
    let many = deliveries::claim(&tx, &more, until).await.unwrap().unwrap();
    assert_eq!(deliveries::open(&tx, &one.id, kept()).await, Ok(None), "what is under way takes nothing more in");
    assert!(deliveries::again(&tx, &many.id, kept()).await.unwrap());
    let waits = deliveries::find(&tx, &first.id).await.unwrap().unwrap();
    assert_eq!((waits.attempts, waits.status, waits.done_at, waits.due_at), (1, Some(500), None, failed.due_at));
    // Somebody wants it sent now, while an attempt is under way.
    assert!(deliveries::again(&tx, &first.id, kept()).await.unwrap());
    assert!(!deliveries::attempted(&tx, &waits, &failed).await.unwrap(), "it was asked for anew meanwhile");
    let again = deliveries::find(&tx, &first.id).await.unwrap().unwrap();
    assert_eq!((again.attempts, again.due_at, again.state), (0, kept(), DeliveryState::Waiting));
    let sent = Attempt { state: DeliveryState::Sent, error: None, status: Some(200), ..failed };
    let again = deliveries::claim(&tx, &again, until).await.unwrap().unwrap();
    assert!(deliveries::attempted(&tx, &again, &sent).await.unwrap());
    let gone = deliveries::find(&tx, &first.id).await.unwrap().unwrap();
    assert_eq!((gone.state, gone.done_at, gone.error), (DeliveryState::Sent, Some(kept()), None));
    assert_eq!(deliveries::drop_waiting(&tx, &one.id, "disabled", kept()).await, Ok(1));
    tx.commit().await.unwrap();

    let page = deliveries::list(&store, &one.id, None, 9).await.unwrap();
    assert_eq!(page.iter().map(|d| d.state).collect::<Vec<_>>(), [DeliveryState::Dropped, DeliveryState::Sent]);
    let before = deliveries::list(&store, &one.id, Some(&page[0].id), 9).await.unwrap();
    assert_eq!(before, page[1..]);
    let tx = store.write().await.unwrap();
    assert_eq!(deliveries::purge(&tx, kept()).await, Ok(0));
    assert_eq!(deliveries::purge(&tx, kept() + TimeDelta::seconds(1)).await, Ok(2), "what waits stays");
    tx.commit().await.unwrap();
}

pub(crate) async fn places(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let shop = fixture::app(&tx, "shop").await;
    let bypassed = EventKind::WindowBypassed { by: "ann".into(), reason: "sale".into(), rule: None };
    for n in 0..6 {
        let (app, kind) = if n % 2 == 0 { (Some(&shop.name), bypassed.clone()) } else { (None, EventKind::AppCreated) };
        events::insert(&tx, app, None, None, &kind, now() + TimeDelta::days(n)).await.unwrap();
    }
    tx.commit().await.unwrap();
    let all = events::list(&store, &Default::default(), 0, 99).await.unwrap();
    let cursors: Vec<i64> = all.iter().map(|event| event.cursor).collect();
    let newest = *cursors.last().unwrap();

    // Of some kinds, between two cursors, as far as one sees.
    let stretch = |after, until, sees| Stretch { kinds: &KINDS, sees, after, until };
    let first = events::first_of(&store, &stretch(cursors[0], newest, &Sees::All), 9).await.unwrap();
    assert_eq!(first.iter().map(|e| e.cursor).collect::<Vec<_>>(), [cursors[2], cursors[4]]);
    let last = events::last_of(&store, &stretch(0, cursors[3], &Sees::All), 1).await.unwrap();
    assert_eq!(last.iter().map(|e| e.cursor).collect::<Vec<_>>(), [cursors[2]]);
    let nobody = Sees::Only(Default::default());
    assert_eq!(events::first_of(&store, &stretch(0, newest, &nobody), 9).await.unwrap(), []);
    let theirs = Sees::Only([shop.id.clone()].into());
    assert_eq!(events::first_of(&store, &stretch(0, newest, &theirs), 9).await.unwrap().len(), 3);

    // What is old goes, but for what nobody was told of yet.
    let before = now() + TimeDelta::days(5);
    let kept_from = || retention::first_event_from(&store, before);
    assert_eq!(notice_cursor::find(&store).await, Ok(None));
    assert_eq!(kept_from().await, Ok(cursors[5]));
    let tx = store.write().await.unwrap();
    assert_eq!(notice_cursor::begin(&tx).await, Ok(newest));
    notice_cursor::set(&tx, cursors[2]).await.unwrap();
    assert_eq!(notice_cursor::begin(&tx).await, Ok(cursors[2]), "it goes on where it was");
    tx.commit().await.unwrap();
    assert_eq!(kept_from().await, Ok(cursors[2] + 1));
    let ops = channel(None);
    let tx = store.write().await.unwrap();
    notice_cursor::set(&tx, newest).await.unwrap();
    channels::insert(&tx, &ops).await.unwrap();
    let waits = delivery(&ops, cursors[1]);
    deliveries::insert(&tx, &waits).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(notice_cursor::find(&store).await, Ok(Some(newest)));
    assert_eq!(kept_from().await, Ok(cursors[1]), "a message that waits tells of it");
    let tx = store.write().await.unwrap();
    deliveries::drop_waiting(&tx, &ops.id, "disabled", now()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(kept_from().await, Ok(cursors[5]));
}

pub(crate) async fn muted(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let (shop, blog) = (fixture::app(&tx, "shop").await, fixture::app(&tx, "blog").await);
    let zoe = crate::people::user("zoe@example.org");
    users::insert(&tx, &zoe).await.unwrap();
    let later = kept() + TimeDelta::hours(2);
    let until = Some(later);
    let of = |app: &App, until| Mute { user: zoe.id.clone(), app: app.id.clone(), until };
    mutes::set(&tx, &of(&shop, None)).await.unwrap();
    mutes::set(&tx, &of(&shop, until)).await.unwrap();
    mutes::set(&tx, &of(&blog, None)).await.unwrap();
    tx.commit().await.unwrap();
    let both = [(of(&blog, None), name("blog")), (of(&shop, until), name("shop"))];
    assert_eq!(mutes::of_user(&store, &zoe.id, kept()).await.unwrap(), both);
    assert_eq!(mutes::of_user(&store, &zoe.id, later).await.unwrap(), both[..1], "its time is over");
    assert_eq!(mutes::of_user(&store, &id(), kept()).await.unwrap(), []);

    let tx = store.write().await.unwrap();
    assert_eq!(mutes::remove(&tx, &zoe.id, &shop.id).await.unwrap(), Some(of(&shop, until)));
    assert_eq!(mutes::remove(&tx, &zoe.id, &shop.id).await.unwrap(), None);
    assert_eq!(mutes::seen(&tx, &zoe.id).await, Ok(None));
    assert_eq!(mutes::note_seen(&tx, &zoe.id, 7).await, Ok(7));
    assert_eq!(mutes::note_seen(&tx, &zoe.id, 5).await, Ok(7), "a mark only moves forward");
    assert_eq!(mutes::note_seen(&tx, &zoe.id, 9).await, Ok(9));
    apps::purge(&tx, &blog.id).await.unwrap();
    assert_eq!(mutes::of_user(&tx, &zoe.id, kept()).await.unwrap(), [], "it goes with the app");
    users::delete(&tx, &zoe.id).await.unwrap();
    assert_eq!(mutes::seen(&tx, &zoe.id).await, Ok(None), "and with the person");
    tx.commit().await.unwrap();
}
