//! What the broker calls itself. It says so in the first frame of every connection, which the client keeps to itself: a
//! connection of this module's own hears that frame and goes.

use std::sync::OnceLock;
use std::time::Duration;

use futures_util::{AsyncReadExt, AsyncWriteExt};
use lapin::tcp::{AMQPUriTcpExt, OwnedTLSConfig};
use lapin::uri::AMQPUri;
use tokio::time::timeout;

/// What a client of AMQP 0-9-1 says first.
const HELLO: &[u8] = b"AMQP\0\0\x09\x01";

/// `Connection.Start`, the method that answers it.
const START: [u8; 4] = [0, 10, 0, 10];

/// Longest frame that is read.
const LONGEST: u32 = 64 << 10;

/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(2);

/// Product and version, once they were heard.
static NAME: OnceLock<String> = OnceLock::new();

/// What the broker is, with its version once it has said it.
pub(super) fn name() -> &'static str {
    NAME.get().map_or("RabbitMQ", String::as_str)
}

/// Asks for it, unless it is known. What comes of it is nothing to rely on.
pub(super) async fn listen(uri: &AMQPUri, tls: &OwnedTLSConfig) {
    if NAME.get().is_some() {
        return;
    }
    if let Ok(Some(name)) = timeout(LIMIT, greeting(uri, tls)).await {
        drop(NAME.set(name));
    } else {
        tracing::debug!("the broker has not said which version it is");
    }
}

async fn greeting(uri: &AMQPUri, tls: &OwnedTLSConfig) -> Option<String> {
    let runtime = lapin::runtime::default_runtime().ok()?;
    let connected = uri.connect_with_config_async(tls.as_ref(), &runtime).await;
    let mut stream = connected.ok()?;
    stream.write_all(HELLO).await.ok()?;
    stream.flush().await.ok()?;
    // type, channel, length
    let mut head = [0; 7];
    stream.read_exact(&mut head).await.ok()?;
    let [1, 0, 0, length @ ..] = head else {
        return None;
    };
    let length = u32::from_be_bytes(length);
    let mut start = vec![0; usize::try_from(length).ok().filter(|_| length <= LONGEST)?];
    stream.read_exact(&mut start).await.ok()?;
    named(&start)
}

/// Product and version in the payload of a `Connection.Start`.
fn named(start: &[u8]) -> Option<String> {
    // the versions of the protocol are between the method and its table
    let mut rest = start.strip_prefix(&START)?.get(2..)?;
    let mut table = long(&mut rest)?;
    let (mut product, mut version) = (None, None);
    while !table.is_empty() {
        let length = take(&mut table, 1)?[0];
        let key = take(&mut table, length.into())?;
        match take(&mut table, 1)? {
            b"S" => {
                let value = long(&mut table)?;
                match key {
                    b"product" => product = word(value),
                    b"version" => version = word(value),
                    _ => {}
                }
            }
            b"F" => drop(long(&mut table)?),
            b"t" => drop(take(&mut table, 1)?),
            b"I" => drop(take(&mut table, 4)?),
            // whatever else, nobody knows its length
            _ => break,
        }
    }
    Some(format!("{} {}", product?, version?))
}

/// Text that can be shown.
fn word(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let is_plain = !text.is_empty() && text.len() <= 60 && text.chars().all(|c| c.is_ascii_graphic());
    is_plain.then_some(text)
}

/// Bytes behind their length.
fn long<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take(bytes, 4)?.try_into().ok()?;
    take(bytes, usize::try_from(u32::from_be_bytes(length)).ok()?)
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What RabbitMQ 3.10.8 said.
    const RECORDED: &str = "000a000a0009000001d60c6361706162696c697469657346000000c7127075626c69736865725f636f6e6669726d7374011a\
        65786368616e67655f65786368616e67655f62696e64696e677374010a62617369632e6e61636b740116636f6e73756d6572\
        5f63616e63656c5f6e6f74696679740112636f6e6e656374696f6e2e626c6f636b6564740113636f6e73756d65725f707269\
        6f72697469657374011c61757468656e7469636174696f6e5f6661696c7572655f636c6f73657401107065725f636f6e7375\
        6d65725f716f7374010f6469726563745f7265706c795f746f74010c636c75737465725f6e616d6553000000147261626269\
        74406d712e6578616d706c652e766e09636f707972696768745300000037436f707972696768742028632920323030372d32\
        30323220564d776172652c20496e632e206f722069747320616666696c69617465732e0b696e666f726d6174696f6e530000\
        00394c6963656e73656420756e64657220746865204d504c20322e302e20576562736974653a2068747470733a2f2f726162\
        6269746d712e636f6d08706c6174666f726d530000001145726c616e672f4f54502032352e322e330770726f647563745300\
        0000085261626269744d510776657273696f6e5300000006332e31302e380000000e504c41494e20414d51504c41494e0000\
        0005656e5f5553";

    fn recorded() -> Vec<u8> {
        hex::decode(RECORDED).unwrap()
    }

    #[test]
    fn broker_is_known_by_what_it_says_first() {
        assert_eq!(named(&recorded()).as_deref(), Some("RabbitMQ 3.10.8"));
    }

    #[test]
    fn greeting_that_is_cut_short_names_nothing() {
        let whole = recorded();
        let table = 10 + usize::try_from(u32::from_be_bytes(whole[6..10].try_into().unwrap())).unwrap();
        for length in 0..table {
            assert_eq!(named(&whole[..length]), None, "{length}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_said_instead_does_no_harm(
            mut bytes in prop::collection::vec(any::<u8>(), 0..400),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        ) {
            named(&bytes);
            bytes.splice(0..0, START);
            named(&bytes);
            let mut changed = recorded();
            for (place, byte) in changes {
                *place.get_mut(&mut changed) = byte;
            }
            named(&changed);
        }
    }
}
