//! How many connections are open at once: each costs memory and a file, whether anything is asked on it or not.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use domain::network::{Network, counted};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Of strangers together; the next one is closed.
const MOST: usize = 2048;
/// Of one network; the next one is closed.
const MOST_OF_ONE: u32 = 512;
/// What strangers leave to this machine and to proxies that speak for others. Those have as many as there are; the next one waits.
const RESERVE: usize = 256;

/// How many each network has open.
type Counts = Arc<Mutex<HashMap<IpAddr, u32>>>;

pub(crate) struct Connections {
    room: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    trusted: Vec<Network>,
    of: Counts,
}

/// That a connection is open.
pub(crate) struct Open {
    _room: OwnedSemaphorePermit,
    /// Of a stranger's.
    counted: Option<(Counts, IpAddr, OwnedSemaphorePermit)>,
}

impl Connections {
    pub(crate) fn new(trusted: Vec<Network>) -> Self {
        let room = |most| Arc::new(Semaphore::new(most));
        Self { room: room(MOST + RESERVE), strangers: room(MOST), trusted, of: Arc::default() }
    }

    /// Ready when there is room for another one. `None` is never, as nobody closes the room.
    pub(crate) async fn room(&self) -> Option<OwnedSemaphorePermit> {
        self.room.clone().acquire_owned().await.ok()
    }

    /// Takes a connection in; `None` when its network, or strangers together, have enough of them.
    pub(crate) fn open(&self, room: OwnedSemaphorePermit, from: IpAddr) -> Option<Open> {
        if from.to_canonical().is_loopback() || self.trusted.iter().any(|network| network.contains(from)) {
            return Some(Open { _room: room, counted: None });
        }
        let stranger = self.strangers.clone().try_acquire_owned().ok()?;
        let network = counted(from);
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let open = of.entry(network).or_insert(0);
        if *open >= MOST_OF_ONE {
            return None;
        }
        *open += 1;
        drop(of);
        Some(Open { _room: room, counted: Some((self.of.clone(), network, stranger)) })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let Some((of, network, _stranger)) = self.counted.take() else { return };
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
    async fn neither_one_network_nor_all_strangers_take_all_the_room() {
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
        let mut n = 0_u32;
        while open.len() < MOST {
            let from = IpAddr::from(std::net::Ipv4Addr::from(0xc633_0000 + n));
            open.push(connections.open(connections.room().await.unwrap(), from).unwrap());
            n += 1;
        }
        let stranger = connections.open(connections.room().await.unwrap(), ip("198.51.100.200"));
        assert!(stranger.is_none(), "strangers have all of theirs");
        while open.len() < MOST + RESERVE {
            open.push(connections.open(connections.room().await.unwrap(), ip("127.0.0.1")).expect("the reserve"));
        }
        let next = tokio::time::timeout(std::time::Duration::from_millis(20), connections.room());
        assert!(next.await.is_err(), "the next one waits");
        open.clear();
        assert!(connections.of.lock().unwrap().is_empty() && connections.room.available_permits() == MOST + RESERVE);
        assert_eq!(connections.strangers.available_permits(), MOST);
    }
}
