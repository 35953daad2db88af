//! HTTP: one client per system, with limits on everything and no repetition behind the ledger's back.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, redirect, retry};

use super::{Reply, Transport};
use crate::adapter::{Failure, Request};

/// Longest wait for a connection: a system that is down is told from one that is slow.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an unused connection is kept. Shorter than the five seconds after which a common server closes its end: a
/// call that leaves on a connection just closed would be in doubt for nothing.
const IDLE: Duration = Duration::from_secs(3);

/// Largest answer that is read.
const ANSWER_LIMIT: usize = 32 << 20;

/// The HTTP client of one system.
pub struct Http {
    client: Client,
}

impl Http {
    /// A client whose calls, from the first byte sent to the last received, take at most `timeout`.
    ///
    /// # Errors
    /// The TLS set-up of this machine cannot be used.
    pub fn new(timeout: Duration) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .user_agent(concat!("lienthong/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .timeout(timeout)
            .pool_idle_timeout(IDLE)
            // A redirect would carry a record to an address that no manifest names.
            .redirect(redirect::Policy::none())
            // A repetition is a decision of the ledger: on a reused connection that broke, too.
            .retry(retry::never())
            .build()?;
        Ok(Self { client })
    }
}

#[async_trait]
impl Transport for Http {
    async fn send(&self, request: Request) -> Result<Reply, Failure> {
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|_| Failure::NotConnected("the manifest names no HTTP method".to_owned()))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &request.headers {
            let pair = (
                HeaderName::from_bytes(name.as_bytes()),
                HeaderValue::from_str(value),
            );
            let (Ok(name), Ok(value)) = pair else {
                return Err(Failure::NotConnected(format!("the header {name} cannot be sent")));
            };
            headers.insert(name, value);
        }
        let mut builder = self.client.request(method, &request.url).headers(headers);
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        let mut response = builder.send().await.map_err(|error| unsent_or_broken(&error))?;
        let status = response.status().as_u16();
        let headers: BTreeMap<String, String> = response
            .headers()
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
            .collect();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| unsent_or_broken(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_LIMIT {
                let problem = format!("more than {ANSWER_LIMIT} bytes");
                return Err(Failure::Undecodable {
                    status,
                    headers,
                    problem,
                });
            }
        }
        Ok(Reply {
            status,
            headers,
            body,
        })
    }
}

/// The message of an error without its URL: a query may hold a personal number.
fn unsent_or_broken(error: &reqwest::Error) -> Failure {
    let mut reason = String::new();
    let mut source: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(cause) = source {
        reason = cause.to_string();
        source = cause.source();
    }
    if error.is_connect() || error.is_builder() {
        Failure::NotConnected(reason)
    } else if error.is_timeout() {
        Failure::Broken("no answer in time".to_owned())
    } else {
        Failure::Broken(reason)
    }
}
