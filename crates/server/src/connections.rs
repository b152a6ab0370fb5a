//! How many connections are open at once: each costs memory and a file, whether anything is asked on it or not.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use domain::network::{Network, counted};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Together; the next one waits until one of them ends.
const MOST: usize = 2048;
/// Of one network; the next one is closed. This machine and proxies that speak for others have as many as there are.
const MOST_OF_ONE: u32 = 512;

/// How many each network has open.
type Counts = Arc<Mutex<HashMap<IpAddr, u32>>>;

pub(crate) struct Connections {
    room: Arc<Semaphore>,
    trusted: Vec<Network>,
    of: Counts,
}

/// That a connection is open.
pub(crate) struct Open {
    _room: OwnedSemaphorePermit,
    counted: Option<(Counts, IpAddr)>,
}

impl Connections {
    pub(crate) fn new(trusted: Vec<Network>) -> Self {
        Self { room: Arc::new(Semaphore::new(MOST)), trusted, of: Arc::default() }
    }

    /// Ready when there is room for another one. `None` is never, as nobody closes the room.
    pub(crate) async fn room(&self) -> Option<OwnedSemaphorePermit> {
        self.room.clone().acquire_owned().await.ok()
    }

    /// Takes a connection in; `None` when its network has enough of them.
    pub(crate) fn open(&self, room: OwnedSemaphorePermit, from: IpAddr) -> Option<Open> {
        if from.to_canonical().is_loopback() || self.trusted.iter().any(|network| network.contains(from)) {
            return Some(Open { _room: room, counted: None });
        }
        let network = counted(from);
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let open = of.entry(network).or_insert(0);
        if *open >= MOST_OF_ONE {
            return None;
        }
        *open += 1;
        drop(of);
        Some(Open { _room: room, counted: Some((self.of.clone(), network)) })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let Some((of, network)) = self.counted.take() else { return };
        let mut of = of.lock().unwrap_or_else(PoisonError::into_inner);
        match of.get_mut(&network) {
            Some(open) if *open > 1 => *open -= 1,
            _ => drop(of.remove(&network)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_network_does_not_take_all_the_room() {
        let connections = Connections::new(vec!["10.0.0.0/8".parse().unwrap()]);
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut open = Vec::new();
        for _ in 0..MOST_OF_ONE {
            open.push(connections.open(connections.room().await.unwrap(), ip("192.0.2.1")).unwrap());
        }
        assert!(connections.open(connections.room().await.unwrap(), ip("192.0.2.1")).is_none());
        for other in ["192.0.2.2", "127.0.0.1", "10.1.2.3"] {
            assert!(connections.open(connections.room().await.unwrap(), ip(other)).is_some(), "{other}");
        }
        open.pop();
        open.push(connections.open(connections.room().await.unwrap(), ip("192.0.2.1")).unwrap());
        while open.len() < MOST {
            open.push(connections.open(connections.room().await.unwrap(), ip("127.0.0.1")).unwrap());
        }
        let next = tokio::time::timeout(std::time::Duration::from_millis(20), connections.room());
        assert!(next.await.is_err(), "the next one waits");
        open.clear();
        assert!(connections.of.lock().unwrap().is_empty() && connections.room.available_permits() == MOST);
    }
}
