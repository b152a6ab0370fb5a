//! One switch of the ingress, from the command to its effect.

use std::time::Instant;

use crate::Outcome;
use crate::alone::{Alone, HOST};
use crate::figure::{Figure, Goal, quantile};
use crate::page::Page;
use crate::upstream::Upstream;

const ROUNDS: usize = 200;

/// From the command on the ingress's socket, which has it ask the new upstream for its health and write the table to the disk, until
/// the new upstream answers on a connection that was open before.
pub(crate) async fn run() -> Outcome {
    let mut ingress = Alone::start().await;
    let upstreams = [Upstream::start("v0"), Upstream::start("v1")];
    let mut page = Page::of(ingress.listen, HOST);
    let mut times = Vec::new();
    for n in 0..ROUNDS {
        let began = Instant::now();
        ingress.cutover(upstreams[n % 2].address).await?;
        page.until(&format!("v{}", n % 2)).await;
        times.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(vec![
        Figure::new("one switch, health check included", quantile(&times, 0.5), "ms", Goal::Below(36.0)),
        Figure::new("the same, slowest of 200", quantile(&times, 1.0), "ms", Goal::Shown),
    ])
}
