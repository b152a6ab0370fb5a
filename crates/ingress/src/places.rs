//! How many clients may be connected: altogether, and from one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// All places there are.
pub(crate) struct Places {
    free: Arc<Semaphore>,
    per_client: usize,
    /// Whether clients on this machine are counted, too.
    local: bool,
    clients: Mutex<HashMap<IpAddr, usize>>,
    refused: AtomicU64,
}

/// One of them, until this is dropped.
pub(crate) struct Place {
    of: Option<(Arc<Places>, IpAddr)>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub(crate) fn new(most: usize, per_client: usize, local: bool) -> Arc<Self> {
        let free = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        Arc::new(Self { free, per_client, local, clients: Mutex::default(), refused: AtomicU64::new(0) })
    }

    /// Waits for a place for whoever comes next.
    pub(crate) async fn wait(&self) -> Option<OwnedSemaphorePermit> {
        self.free.clone().acquire_owned().await.ok()
    }

    /// The place, unless the client has its share.
    pub(crate) fn take(self: &Arc<Self>, permit: OwnedSemaphorePermit, client: IpAddr) -> Option<Place> {
        let client = client.to_canonical();
        if client.is_loopback() && !self.local {
            return Some(Place { of: None, _permit: permit });
        }
        let client = network(client);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = clients.entry(client).or_insert(0);
        if *taken >= self.per_client {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        *taken += 1;
        Some(Place { of: Some((self.clone(), client)), _permit: permit })
    }

    /// Connections that were closed at once, as their client had its share.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((places, client)) = &self.of {
            let mut clients = places.clients.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(taken) = clients.get_mut(client) {
                *taken -= 1;
                if *taken == 0 {
                    clients.remove(client);
                }
            }
        }
    }
}

/// One customer of a provider has 64 bits of IPv6 addresses at least.
fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_client_has_its_share_and_gives_it_back() {
        let places = Places::new(10, 2, false);
        let take = async |text: &str| places.take(places.wait().await.unwrap(), text.parse().unwrap());
        let first = take("10.0.0.1").await;
        let second = take("::ffff:10.0.0.1").await;
        assert!(first.is_some() && second.is_some());
        assert!(take("10.0.0.1").await.is_none());
        assert!(take("10.0.0.2").await.is_some());
        drop(first);
        assert!(take("10.0.0.1").await.is_some());
        let (a, b) = (take("2001:db8::1").await, take("2001:db8::2").await);
        assert!(a.is_some() && b.is_some() && take("2001:db8::3").await.is_none());
        assert!(take("2001:db8:0:1::3").await.is_some());
        let mut local = vec![];
        for _ in 0..5 {
            local.push(take("127.0.0.1").await.unwrap());
        }
        assert_eq!(places.refused(), 2);
        drop((a, b, second, local));
        assert_eq!(places.free.available_permits(), 10);
        assert!(places.clients.lock().unwrap().is_empty(), "nothing is kept for clients that are gone");
    }
}
