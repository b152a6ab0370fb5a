//! One HTTP request.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;

use crate::answer::{Answer, read};
use crate::error::root;
use crate::resolve::{Target, shown};
use crate::{Address, Outgoing, OutgoingError};

const AGENT: &str = concat!("plimsoll/", env!("CARGO_PKG_VERSION"));

impl Outgoing {
    /// Whether `address` would be called now. Asked again at each call, as names lead elsewhere a moment later.
    pub async fn check(&self, address: &Address) -> Result<(), OutgoingError> {
        self.judged(address).await.map(drop)
    }

    async fn judged(&self, address: &Address) -> Result<Target, OutgoingError> {
        let (host, port) = address.host();
        let target = self.target(&host, port).await?;
        match address.is_encrypted() || target.allowed {
            true => Ok(target),
            false => Err(OutgoingError::Plain { host: shown(&host) }),
        }
    }

    /// Sends a request and returns whatever is answered: an error status or a redirect is an answer, too.
    pub async fn send(
        &self,
        method: Method,
        address: &Address,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, OutgoingError> {
        let (host, _) = address.host();
        let target = self.judged(address).await?;
        let client = self.client(target).map_err(|e| self.failure(&host, e))?;
        let sent = client.request(method, address.url().clone()).headers(headers).body(body).send();
        let response = sent.await.map_err(|e| self.failure(&host, e))?;
        read(response).await.map_err(|e| self.failure(&host, e))
    }

    /// One that knows no addresses but these.
    fn client(&self, target: Target) -> Result<reqwest::Client, reqwest::Error> {
        reqwest::Client::builder()
            .dns_resolver(Arc::new(Pinned(target)))
            .tls_backend_preconfigured((*self.tls).clone())
            .redirect(Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(0)
            .connect_timeout(self.limits.connect)
            .timeout(self.limits.whole)
            .user_agent(AGENT)
            .build()
    }

    fn failure(&self, host: &str, error: reqwest::Error) -> OutgoingError {
        let host = shown(host);
        // An error of reqwest's shows the whole address, and Slack's is a secret.
        let error = error.without_url();
        if error.is_timeout() {
            let (limit, what) = match error.is_connect() {
                true => (self.limits.connect, "be connected to"),
                false => (self.limits.whole, "answer"),
            };
            return OutgoingError::Slow { host, limit, what };
        }
        let reason = root(&error);
        match error.is_connect() {
            true => OutgoingError::Unreachable { host, reason },
            false => OutgoingError::Broken { host, reason },
        }
    }
}

/// Gives the judged addresses, whatever it is asked for. (An address that is a literal is not asked for, and was judged as
/// it is.)
struct Pinned(Target);

impl Resolve for Pinned {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: Addrs = Box::new(self.0.addresses.clone().into_iter());
        Box::pin(std::future::ready(Ok(addresses)))
    }
}
