//! What answered visitors is what the deployments say was there.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::DeploymentId;
use domain::deployment::Deployment;
use domain::phase::Phase;
use operations::environments::{EnvironmentRequest, Get};
use plimsoll_tests::http;

use super::deployments::is_of;
use crate::journal;
use crate::orders::{Fate, What};
use crate::visitors::{Seen, Visit};
use crate::world::World;

/// When a deployment may have answered.
struct Span<'a> {
    deployment: &'a Deployment,
    from: DateTime<Utc>,
    /// Open for what serves still.
    until: Option<DateTime<Utc>>,
    breaks: bool,
}

impl Span<'_> {
    fn touches(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> bool {
        self.from <= until && self.until.is_none_or(|end| from <= end)
    }
}

pub(super) async fn judge(world: &World, all: &BTreeMap<DeploymentId, Deployment>, seen: &Seen) {
    for place in 0..world.places.len() {
        let deployments: Vec<&Deployment> = all.values().filter(|d| is_of(world, place, d)).collect();
        let spans = spans(world, &deployments);
        let visits = seen.visits.get(&place).map_or(&[][..], Vec::as_slice);
        let first = deployments.iter().filter(|d| d.phase == Phase::Active).filter_map(|d| d.finished_at).min();
        for visit in visits {
            judge_visit(world, seen, &spans, first, visit);
        }
        instances(world, place, &spans);
        at_the_end(world, place, &deployments).await;
    }
}

fn spans<'a>(world: &World, deployments: &[&'a Deployment]) -> Vec<Span<'a>> {
    let accepted = world.ledger.accepted();
    let mut activated: Vec<&Deployment> = deployments.iter().filter(|d| d.phase == Phase::Active).copied().collect();
    activated.sort_by_key(|deployment| deployment.finished_at);
    let until = |deployment: &Deployment| match deployment.phase {
        Phase::Active => activated.iter().find(|d| d.finished_at > deployment.finished_at)?.finished_at,
        _ => deployment.finished_at,
    };
    let span = |deployment: &'a Deployment| {
        // Nothing of it answers before its health is checked.
        let from = deployment.phases.iter().find(|times| times.phase == Phase::HealthCheck)?.started_at;
        let order = accepted.get(&deployment.id)?;
        let breaks = order.order.what == What::Deploy(Fate::Breaks);
        Some(Span { deployment, from, until: until(deployment), breaks })
    };
    deployments.iter().filter_map(|deployment| span(deployment)).collect()
}

fn judge_visit(world: &World, seen: &Seen, spans: &[Span<'_>], first: Option<DateTime<Utc>>, visit: &Visit) {
    let label = world.places[visit.place].label();
    let there = |span: &&Span<'_>| span.touches(visit.sent, visit.ended);
    match &visit.answer {
        Ok(id) => {
            if !spans.iter().any(|span| span.deployment.id == *id && there(&span)) {
                let could: Vec<_> = spans.iter().filter(there).map(|span| &span.deployment.id).collect();
                let (sent, ended) = (visit.sent, visit.ended);
                world.story.wrong(format!("{label} was answered by {id} ({sent} to {ended}), not by one of {could:?}"));
            }
        }
        // Nothing was there yet.
        Err(_) if first.is_none_or(|first| visit.sent <= first) => {}
        Err(answer) => {
            let excused = spans.iter().filter(there).any(|span| span.breaks);
            seen.note_lost(excused);
            if !excused {
                let (sent, ended) = (visit.sent, visit.ended);
                world.story.wrong(format!("a visitor of {label} got no answer ({sent} to {ended}): {answer}"));
            }
        }
    }
}

/// No instance is started for what does not serve and will not.
fn instances(world: &World, place: usize, spans: &[Span<'_>]) {
    for line in journal::read(world, place).iter().filter(|line| line.what == "run" && line.kind == "begin") {
        let span = spans.iter().find(|span| span.deployment.id == line.deployment);
        if !span.is_some_and(|span| span.touches(line.at, line.at)) {
            let until = span.and_then(|span| span.until);
            world
                .story
                .wrong(format!("an instance began that nobody has use for (its time was over at {until:?}): {line}"));
        }
    }
}

/// The last that became active serves, and knows it.
async fn at_the_end(world: &World, place: usize, deployments: &[&Deployment]) {
    let newest = deployments.iter().filter(|d| d.phase == Phase::Active).max_by_key(|d| d.generation);
    let place = &world.places[place];
    let named = EnvironmentRequest { app: place.app.clone(), environment: place.environment.clone() };
    let environment = world.fleet.client(0).call::<Get>(&named).await.unwrap();
    let active = environment.active.map(|active| active.deployment);
    if active.as_ref() != newest.map(|d| &d.id) {
        let (label, newest) = (place.label(), newest.map(|d| &d.id));
        world.story.wrong(format!("in {label} {active:?} is active, and {newest:?} was the last to become so"));
    }
    let Some(newest) = newest else { return };
    let answer = http::get(world.fleet.site.ingress(), &place.host, "/").await;
    let right = |body: &str| body.contains(newest.id.as_str());
    if !answer.as_ref().is_ok_and(|(status, body)| *status == 200 && right(body)) {
        world.story.wrong(format!("{} answers {answer:?}, and {} serves there", place.label(), newest.id));
    }
}
