//! A saga in memory: reserve, charge, ship, notify. Run it and see one order go through and one be undone.
//!
//!     cargo run -p plimsoll-saga --example order
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use saga::{Cancel, Engine, Failure, Fence, Kind, Listener, MemoryJournal, Notice, Retry, Saga, SagaId, Stage, Step};
use serde::{Deserialize, Serialize};

/// The services: here a table from names to what they stand for.
#[derive(Default)]
struct Shop {
    records: Mutex<BTreeMap<String, String>>,
}

impl Shop {
    /// Idempotent: the name says what it is, and writing it twice changes nothing.
    fn put(&self, name: String, value: &str) {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).insert(name, value.to_owned());
    }

    fn remove(&self, name: &str) {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct State {
    order: String,
    cents: u32,
    /// An output of `charge`.
    receipt: Option<String>,
}

struct Order;

impl Saga for Order {
    type World = Shop;
    type State = State;
    type Error = String;
    const NAME: &'static str = "order";
    const VERSION: u32 = 1;

    fn stages() -> Vec<Box<dyn Stage<Self>>> {
        vec![Box::new(Reserve), Box::new(Charge), Box::new(Ship), Box::new(Notify)]
    }

    fn timed_out(stage: &str, limit: Duration) -> String {
        format!("{stage} took longer than {limit:?}")
    }

    fn panicked(stage: &str, message: String) -> String {
        format!("{stage} panicked: {message}")
    }
}

struct Reserve;

#[async_trait]
impl Stage<Order> for Reserve {
    fn name(&self) -> &'static str {
        "reserve"
    }

    async fn run(&self, shop: &Shop, state: State, _step: &Step) -> Result<State, Failure<String>> {
        shop.put(format!("reservation-{}", state.order), "one anvil");
        Ok(state)
    }

    async fn undo(&self, shop: &Shop, state: &State) -> Result<(), Failure<String>> {
        shop.remove(&format!("reservation-{}", state.order));
        Ok(())
    }
}

struct Charge;

#[async_trait]
impl Stage<Order> for Charge {
    fn name(&self) -> &'static str {
        "charge"
    }

    fn retry(&self) -> Retry {
        Retry::attempts(3).base(Duration::from_millis(50))
    }

    async fn run(&self, shop: &Shop, mut state: State, step: &Step) -> Result<State, Failure<String>> {
        if step.attempt == 1 {
            return Err(Failure::retry("the bank did not answer".to_owned()));
        }
        if state.cents > 100_000 {
            return Err(Failure::permanent(format!("the card is not good for {} cents", state.cents)));
        }
        let receipt = format!("payment-{}", state.order);
        shop.put(receipt.clone(), &format!("{} cents", state.cents));
        state.receipt = Some(receipt);
        Ok(state)
    }

    async fn undo(&self, shop: &Shop, state: &State) -> Result<(), Failure<String>> {
        // By name and not by `state.receipt`, which is missing if the stage was interrupted.
        shop.remove(&format!("payment-{}", state.order));
        Ok(())
    }
}

/// Once the parcel is on its way there is no taking it back.
struct Ship;

#[async_trait]
impl Stage<Order> for Ship {
    fn name(&self) -> &'static str {
        "ship"
    }

    fn kind(&self) -> Kind {
        Kind::Pivot
    }

    async fn run(&self, shop: &Shop, state: State, _step: &Step) -> Result<State, Failure<String>> {
        shop.put(format!("parcel-{}", state.order), "one anvil");
        Ok(state)
    }

    async fn undo(&self, shop: &Shop, state: &State) -> Result<(), Failure<String>> {
        shop.remove(&format!("parcel-{}", state.order));
        Ok(())
    }
}

struct Notify;

#[async_trait]
impl Stage<Order> for Notify {
    fn name(&self) -> &'static str {
        "notify"
    }

    fn kind(&self) -> Kind {
        Kind::ForwardOnly
    }

    async fn run(&self, shop: &Shop, state: State, _step: &Step) -> Result<State, Failure<String>> {
        shop.put(format!("letter-{}", state.order), "your anvil is on its way");
        Ok(state)
    }
}

/// Prints every transition as it is journaled.
struct Printer;

#[async_trait]
impl Listener<Order> for Printer {
    async fn on_transition(&self, notice: &Notice<Order>) {
        let stage = notice.record.event.stage().and_then(|stage| notice.after.stages().get(stage));
        let name = stage.map(|stage| stage.name.as_str()).unwrap_or_default();
        println!("  {:>2} {:<16} {name}", notice.record.seq, notice.record.event.name());
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let shop = Arc::new(Shop::default());
    let engine = Engine::<Order>::new(Arc::new(MemoryJournal::new()), Arc::clone(&shop), vec![Arc::new(Printer)])?;

    for (order, cents) in [("cheap", 4_200), ("dear", 4_200_000)] {
        println!("order {order}, {cents} cents");
        let id = SagaId::new(order);
        engine.start(&id, Fence(0), State { order: order.to_owned(), cents, receipt: None }).await?;
        let outcome = engine.run(&id, Fence(0), &Cancel::new()).await?;
        println!("  → {}", outcome.name());
        for stage in engine.history(&id).await?.stages() {
            let error = stage.error.as_deref().unwrap_or_default();
            println!("    {:<8} {:<12?} {} attempt(s) {error}", stage.name, stage.status, stage.attempts);
        }
    }
    println!("left in the shop:");
    for (name, value) in shop.records.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        println!("  {name}: {value}");
    }
    Ok(())
}
