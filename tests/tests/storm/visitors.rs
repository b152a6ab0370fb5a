//! Visitors of the apps, who notice nothing of all this.
//!
//! What they are promised: servers and their database may come and go, the ingress and what is active serve on; a version
//! takes another's place without a lost request. Only a version that breaks in their hands does harm, until it is taken back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::DeploymentId;
use plimsoll_tests::RawLoad;
use tokio::task::{JoinHandle, JoinSet};

use crate::world::World;

/// Environments with an open-loop load.
const LOADS: usize = 4;
/// Requests a second to each.
const RATE: u32 = 8;
/// Between two looks at everything.
const ROUND: Duration = Duration::from_millis(600);

/// One answer.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    pub(crate) place: usize,
    pub(crate) sent: DateTime<Utc>,
    pub(crate) ended: DateTime<Utc>,
    /// Whose instance answered, or what was there instead.
    pub(crate) answer: Result<DeploymentId, String>,
}

pub(crate) struct Visitors {
    loads: Vec<(usize, DateTime<Utc>, RawLoad)>,
    leave: Arc<AtomicBool>,
    walker: JoinHandle<Vec<Visit>>,
}

/// All that they saw, by environment, in the order of asking.
pub(crate) struct Seen {
    pub(crate) visits: BTreeMap<usize, Vec<Visit>>,
    lost: AtomicUsize,
    excused: AtomicUsize,
}

impl Visitors {
    pub(crate) async fn come(world: &Arc<World>) -> Self {
        let address = world.fleet.site.ingress();
        let calm = world.places.iter().enumerate().filter(|(_, place)| !place.rough);
        let every = (world.places.len() / LOADS).max(1);
        let loads = calm.step_by(every).take(LOADS);
        let loads = loads.map(|(n, place)| (n, Utc::now(), RawLoad::start(address, &place.host, RATE))).collect();
        let leave = Arc::new(AtomicBool::new(false));
        let walker = tokio::spawn(walk(Arc::clone(world), Arc::clone(&leave)));
        Self { loads, leave, walker }
    }

    pub(crate) async fn leave(self) -> Seen {
        self.leave.store(true, Ordering::SeqCst);
        let mut all = self.walker.await.unwrap();
        for (place, began, load) in self.loads {
            let tally = tokio::task::block_in_place(|| load.stop());
            all.extend(tally.ends.into_iter().map(|end| Visit {
                place,
                sent: began + end.sent,
                ended: began + end.ended,
                answer: end.answer.and_then(|(status, body)| who(status, &body)),
            }));
        }
        all.sort_by_key(|visit| visit.sent);
        let mut visits: BTreeMap<usize, Vec<Visit>> = BTreeMap::new();
        for visit in all {
            visits.entry(visit.place).or_default().push(visit);
        }
        Seen { visits, lost: Default::default(), excused: Default::default() }
    }
}

impl Seen {
    /// A request without a good answer. `excused`: a version was there that breaks.
    pub(crate) fn note_lost(&self, excused: bool) {
        let counter = if excused { &self.excused } else { &self.lost };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn summary(&self) -> String {
        let all: usize = self.visits.values().map(Vec::len).sum();
        format!(
            "{all} requests of visitors, {} lost, {} met a version that breaks",
            self.lost.load(Ordering::Relaxed),
            self.excused.load(Ordering::Relaxed)
        )
    }
}

/// From place to place.
async fn walk(world: Arc<World>, leave: Arc<AtomicBool>) -> Vec<Visit> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
    let url = format!("http://{}/", world.fleet.site.ingress());
    let mut visits = Vec::new();
    while !leave.load(Ordering::SeqCst) {
        let began = tokio::time::Instant::now();
        let mut round = JoinSet::new();
        for (place, at) in world.places.iter().enumerate() {
            // A few at a time: they are to look, not to press.
            if round.len() >= 4 {
                visits.extend(round.join_next().await.map(Result::unwrap));
            }
            round.spawn(look(client.get(&url).header("Host", &at.host), place));
        }
        visits.extend(round.join_all().await);
        tokio::time::sleep_until(began + ROUND).await;
    }
    visits
}

async fn look(request: reqwest::RequestBuilder, place: usize) -> Visit {
    let sent = Utc::now();
    let answer = async {
        let response = request.send().await.map_err(|e| format!("{e:?}"))?;
        let status = response.status().as_u16();
        let body = response.text().await.map_err(|e| format!("{e:?}"))?;
        who(status, &body)
    };
    Visit { place, sent, answer: answer.await, ended: Utc::now() }
}

/// The version is of no interest: its deployment says all.
fn who(status: u16, body: &str) -> Result<DeploymentId, String> {
    let instance = body.trim().split(' ').nth(1).and_then(|instance| instance.split('-').next());
    match (status, instance.and_then(|id| id.parse().ok())) {
        (200, Some(id)) => Ok(id),
        _ => Err(format!("status {status}: {}", body.trim().chars().take(120).collect::<String>())),
    }
}
