//! The other end of the admin API.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::RequestBuilder;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Refusal;

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why a question got no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens on the socket.
    #[error("reach the node at {}: {reason}. Is it running (`lienthong run`), and is this its socket (`--socket`)?", socket.display())]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The node says no.
    #[error("{0}")]
    Refused(String),
    /// The answer is not what this version understands.
    #[error("read the node's answer: {0}")]
    Answer(String),
}

/// A client of the node behind one socket.
pub struct Client {
    socket: PathBuf,
    http: reqwest::Client,
}

impl Client {
    /// A client of the node that listens on `socket`.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn new(socket: &Path) -> Result<Self, ClientError> {
        let http = reqwest::Client::builder()
            .unix_socket(socket)
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| ClientError::Answer(error.to_string()))?;
        Ok(Self {
            socket: socket.to_owned(),
            http,
        })
    }

    /// Asks for what these segments name, which stand behind `/v1`.
    ///
    /// # Errors
    /// Nobody listens, the node refuses, or the answer is of another version.
    pub async fn get<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        query: &[(&str, String)],
    ) -> Result<T, ClientError> {
        let mut url = address(segments)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.send(self.http.get(url)).await
    }

    /// Tells the node to do what these segments name.
    ///
    /// # Errors
    /// Nobody listens, the node refuses, or the answer is of another version.
    pub async fn post<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.send(self.http.post(address(segments)?).json(body)).await
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ClientError> {
        let response = request.send().await.map_err(|error| {
            let mut reason = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                reason = cause.to_string();
                source = cause.source();
            }
            ClientError::Unreachable {
                socket: self.socket.clone(),
                reason,
            }
        })?;
        let refused = !response.status().is_success();
        let body = response
            .bytes()
            .await
            .map_err(|error| ClientError::Answer(error.to_string()))?;
        if refused {
            let refusal: Refusal =
                serde_json::from_slice(&body).map_err(|error| ClientError::Answer(error.to_string()))?;
            return Err(ClientError::Refused(refusal.error));
        }
        serde_json::from_slice(&body).map_err(|error| ClientError::Answer(error.to_string()))
    }
}

/// # Panics
/// Never: the beginning of the address is a constant.
fn address(segments: &[&str]) -> Result<reqwest::Url, ClientError> {
    // A path drops these: the question would be another one.
    if let Some(dots) = segments.iter().find(|segment| matches!(**segment, "." | "..")) {
        return Err(ClientError::Refused(format!("nothing has the name {dots:?}")));
    }
    let mut url = reqwest::Url::parse("http://admin/v1").expect("a constant address");
    url.path_segments_mut()
        .expect("an http address has a path")
        .extend(segments);
    Ok(url)
}
