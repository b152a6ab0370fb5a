//! Cutovers under load: what is lost, and how long it takes meanwhile.

use std::time::Duration;

use domain::deployment::Deployment;
use plimsoll_tests::load::Tally;
use plimsoll_tests::{RawLoad, Server};

use crate::figure::{Figure, Goal, quantile};
use crate::{Outcome, site};

const CUTOVERS: u32 = 50;
const RATE: u32 = 1000;
/// After a cutover, whose old instance is stopped by then; and what counts as rest.
const SETTLE: Duration = Duration::from_millis(200);
const REST: Duration = Duration::from_millis(300);

/// What happens during each cutover.
#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    None,
    ServerKilled,
    IngressRestarted,
}

/// 50 cutovers between two releases, with a rest after each, while an open-loop client that hides nothing sends 1,000 requests a second. The old instance ends
/// at once when its requests in flight are done: it knows no polite stop. Then the same with `kill -9` of the server at a random
/// moment of each, and with the ingress restarted in each.
pub(crate) async fn run() -> Outcome {
    let mut figures = Vec::new();
    for (trouble, name) in [
        (Trouble::None, "50 cutovers at 1,000 requests/s"),
        (Trouble::ServerKilled, "the same, server killed at random"),
        (Trouble::IngressRestarted, "the same, ingress restarted"),
    ] {
        let (tally, cutovers, rests) = under_load(trouble).await;
        let lost = tally.lost().len() as f64;
        println!("{name}: {} requests, {} lost", tally.ends.len(), tally.lost().len());
        if lost > 0.0 {
            println!("{tally}");
        }
        figures.push(Figure::new(format!("{name}: lost"), lost, "requests", Goal::Is(0.0)));
        figures.push(
            Figure::new(format!("{name}: p99"), p99(&tally, &cutovers), "ms", Goal::RatioAtMost(2.0))
                .against("p99 at rest, in between", p99(&tally, &rests)),
        );
    }
    Ok(figures)
}

/// From when to when.
type Span = (Duration, Duration);

/// All requests, when the cutovers took place, and when there was rest.
async fn under_load(trouble: Trouble) -> (Tally, Vec<Span>, Vec<Span>) {
    let mut server = Server::start().await;
    let repo = site::repository();
    server.create_app("site", repo.source()).await;
    for n in 1..=2 {
        site::version(&repo, n);
        server.deploy_well("site").await;
    }
    let load = RawLoad::start(server.ingress(), "site.localhost", RATE);
    let (mut cutovers, mut rests) = (Vec::new(), Vec::new());
    for n in 0..CUTOVERS {
        let from = load.elapsed();
        let started = server.rollback("site", Some(n % 2 + 1)).await.unwrap();
        // Somewhere between the first stage and the last.
        let moment = Duration::from_millis(rand::random_range(0..400));
        match trouble {
            Trouble::None => {}
            Trouble::ServerKilled => {
                tokio::time::sleep(moment).await;
                server.kill9();
                server.restart().await;
            }
            Trouble::IngressRestarted => {
                tokio::time::sleep(moment).await;
                server.restart_ingress();
            }
        }
        let ended: Deployment = server.end(&started.id).await;
        assert!(ended.failure.is_none(), "{ended:#?}");
        server.settle("site").await;
        cutovers.push((from, load.elapsed()));
        tokio::time::sleep(SETTLE).await;
        let from = load.elapsed();
        tokio::time::sleep(REST).await;
        rests.push((from, load.elapsed()));
    }
    (load.stop(), cutovers, rests)
}

/// In milliseconds, from when a request was due until its answer was there whole.
fn p99(tally: &Tally, spans: &[Span]) -> f64 {
    let times: Vec<f64> = tally
        .ends
        .iter()
        .filter(|end| spans.iter().any(|(from, to)| (*from..=*to).contains(&end.sent)))
        .map(|end| (end.ended.saturating_sub(end.sent)).as_secs_f64() * 1000.0)
        .collect();
    quantile(&times, 0.99)
}
