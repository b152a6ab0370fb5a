//! One request at a time through the ingress.

use std::net::SocketAddr;
use std::time::Duration;

/// Status and body of a GET for `host` at `address`, or why there was no answer.
pub async fn get(address: SocketAddr, host: &str, path: &str) -> Result<(u16, String), String> {
    let client =
        reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().map_err(|e| e.to_string())?;
    let response = client
        .get(format!("http://{address}{path}"))
        .header("Host", host)
        .send()
        .await
        .map_err(|e| format!("{e:?}"))?;
    let status = response.status().as_u16();
    let body = response.text().await.map_err(|e| e.to_string())?;
    Ok((status, body.trim_end().to_owned()))
}
