//! As much of HTTP/1.1 as the oracle needs, by hand: a real server cannot be made to break off where we want it to.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Largest request that is read.
const LIMIT: usize = 1 << 20;

/// A request.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    /// Null where there is none, or none that is JSON.
    pub(crate) body: Value,
}

/// The next request of a connection; `None` where the caller has ended it, whole or in the middle: a request that did not
/// arrive whole takes no effect.
pub(crate) async fn read(stream: &mut TcpStream) -> std::io::Result<Option<Request>> {
    let mut received = Vec::new();
    loop {
        if let Some(request) = parse(&received) {
            return Ok(Some(request));
        }
        if received.len() > LIMIT || stream.read_buf(&mut received).await? == 0 {
            return Ok(None);
        }
    }
}

/// The request, once all of it is there. Requests are never sent ahead, so nothing follows it.
fn parse(received: &[u8]) -> Option<Request> {
    let end = received.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, rest) = received.split_at(end);
    let body = &rest[4..];
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?);
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find_map(|(name, value)| {
            let is_length = name.eq_ignore_ascii_case("content-length");
            is_length.then(|| value.trim().parse::<usize>().unwrap_or(0))
        });
    let length = length.unwrap_or(0);
    if body.len() < length {
        return None;
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Some(Request {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        body: serde_json::from_slice(&body[..length]).unwrap_or(Value::Null),
    })
}

fn head(status: u16, headers: &[(String, String)], length: usize) -> String {
    let more: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let more = more.concat();
    format!(
        "HTTP/1.1 {status} said\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{more}\r\n"
    )
}

/// Answers.
pub(crate) async fn answer(
    stream: &mut TcpStream,
    status: u16,
    headers: &[(String, String)],
    body: &Value,
) -> std::io::Result<()> {
    let body = body.to_string();
    let answer = format!("{}{body}", head(status, headers, body.len()));
    stream.write_all(answer.as_bytes()).await
}

/// Half an answer; the connection ends with it.
pub(crate) async fn begin_to_answer(
    stream: &mut TcpStream,
    status: u16,
    body: &Value,
) -> std::io::Result<()> {
    let body = body.to_string();
    let answer = format!("{}{body}", head(status, &[], body.len()));
    let (begin, _) = answer.as_bytes().split_at(answer.len() - body.len() / 2 - 1);
    stream.write_all(begin).await?;
    stream.flush().await
}

/// Says nothing until the caller gives up.
pub(crate) async fn wait_for_the_end(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut more = [0; 64];
    while stream.read(&mut more).await? > 0 {}
    Ok(())
}
