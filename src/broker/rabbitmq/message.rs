//! Events as AMQP 0-9-1 messages: CloudEvents 1.0 in binary mode. The attributes are headers with the prefix
//! `cloudEvents_`, the data is the body. (The official binding is for AMQP 1.0; the names are its.)

use std::collections::BTreeMap;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::key;
use crate::broker::{Unfit, malformed};
use crate::event::Event;
use crate::fault::Fault;

/// What the names of attributes begin with.
const PREFIX: &str = "cloudEvents_";

/// Content type of the data.
const JSON: &str = "application/json";

/// Longest id of an event, in bytes: it is a key of tables, and the message's id.
const LONGEST_ID: usize = 255;

/// Header in which the broker writes down which queues set a message aside.
const DEATHS: &str = "x-death";

/// A queue that such a header does not name.
const NAMELESS: &str = "a queue without a name";

/// Delivery mode of what outlives the broker.
const PERSISTENT: u8 = 2;

/// A message as it came, and the form in which it is kept if it is unfit.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Message {
    /// The account that the broker vouches for.
    account: Option<String>,
    /// The key under which the broker let it speak; empty in what was kept before that was judged.
    #[serde(default)]
    key: String,
    /// Queues that it was set aside from, other than the one from which it may have been.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    detours: Vec<String>,
    content_type: Option<String>,
    attributes: BTreeMap<String, String>,
    /// The data; bytes that are no text are replaced.
    body: String,
}

/// Who may speak for whom.
#[derive(Debug, Clone)]
pub(super) struct Accounts {
    pub(super) own_store: String,
    pub(super) own_account: String,
    pub(super) others: BTreeMap<String, String>,
    /// Adapter → the one account that speaks for it.
    pub(super) speakers: BTreeMap<String, String>,
}

impl Accounts {
    fn of<'a>(&'a self, store_id: &'a str) -> &'a str {
        if store_id == self.own_store {
            return &self.own_account;
        }
        self.others.get(store_id).map_or(store_id, String::as_str)
    }
}

/// The event as properties and body, said through this account.
pub(super) fn write(event: &Event, account: &str) -> Result<(BasicProperties, Vec<u8>), serde_json::Error> {
    let mut headers = FieldTable::default();
    if let Value::Object(attributes) = serde_json::to_value(event)? {
        for (name, value) in attributes {
            if let (Value::String(text), false) = (value, name == "datacontenttype") {
                let name = ShortString::from(format!("{PREFIX}{name}"));
                headers.insert(name, AMQPValue::LongString(LongString::from(text)));
            }
        }
    }
    let properties = BasicProperties::default()
        .with_content_type(JSON.into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(event.id.as_str().into())
        .with_user_id(account.into())
        .with_headers(headers);
    Ok((properties, serde_json::to_vec(&event.data)?))
}

impl Message {
    /// What came. `home` is the queue that it may have been set aside from, if any.
    pub(super) fn new(key: &str, properties: &BasicProperties, body: &[u8], home: Option<&str>) -> Self {
        let mut attributes = BTreeMap::new();
        for (name, value) in properties.headers().iter().flat_map(FieldTable::inner) {
            let Some(name) = name.as_str().strip_prefix(PREFIX) else {
                continue;
            };
            let text = match value {
                AMQPValue::LongString(text) => String::from_utf8_lossy(text.as_bytes()).into_owned(),
                AMQPValue::ShortString(text) => text.to_string(),
                other => format!("{other:?}"),
            };
            attributes.insert(name.to_owned(), text);
        }
        Self {
            account: properties.user_id().as_ref().map(ToString::to_string),
            key: key.to_owned(),
            detours: detours(properties, home),
            content_type: properties.content_type().as_ref().map(ToString::to_string),
            attributes,
            body: String::from_utf8_lossy(body).into_owned(),
        }
    }

    /// The event that it is.
    pub(super) fn event(&self, accounts: &Accounts) -> Result<Event, Unfit> {
        self.read(accounts).map_err(|fault| self.unfit(fault))
    }

    fn unfit(&self, fault: Fault) -> Unfit {
        let source = self.attributes.get("source");
        let adapter = source.and_then(|source| source.strip_prefix('/')?.split_once('/'));
        Unfit {
            adapter: adapter.map(|(_, adapter)| adapter.to_owned()),
            event: self.attributes.get("id").cloned(),
            raw: serde_json::to_string(self).unwrap_or_default(),
            fault,
        }
    }

    fn read(&self, accounts: &Accounts) -> Result<Event, Fault> {
        let content = self.content_type.as_deref().unwrap_or_default();
        if content.split(';').next().map(str::trim) != Some(JSON) {
            return Err(malformed("content-type", content));
        }
        let mut event = Map::new();
        for (name, text) in &self.attributes {
            event.insert(name.clone(), Value::String(text.clone()));
        }
        event.insert("datacontenttype".to_owned(), JSON.into());
        let data = serde_json::from_str(&self.body).map_err(|error| malformed("data", &error.to_string()))?;
        event.insert("data".to_owned(), data);
        let event: Event =
            serde_json::from_value(event.into()).map_err(|error| malformed("event", &error.to_string()))?;
        if event.specversion != "1.0" {
            return Err(malformed("specversion", &event.specversion));
        }
        let parts: Vec<&str> = event.source.split('/').collect();
        let ["", store_id, adapter] = parts[..] else {
            return Err(malformed("source", &event.source));
        };
        if store_id.is_empty() || adapter.is_empty() {
            return Err(malformed("source", &event.source));
        }
        if event.id.is_empty() || event.id.len() > LONGEST_ID {
            return Err(malformed("id", &format!("{} bytes", event.id.len())));
        }
        // PostgreSQL could not tell it from another one.
        if event.id.contains('\0') {
            return Err(malformed("id", "a null character"));
        }
        self.vouched(accounts, store_id)?;
        self.straight(&event)?;
        self.keyed(&event)?;
        self.spoken_for(accounts, adapter)?;
        Ok(event)
    }

    /// Whether the account is the one that speaks for this store.
    fn vouched(&self, accounts: &Accounts, store_id: &str) -> Result<(), Fault> {
        let wanted = accounts.of(store_id);
        let (code, found) = match self.account.as_deref() {
            Some(account) if account == wanted => return Ok(()),
            Some(account) => ("account-mismatch", account),
            None => ("account-missing", "a message without user-id"),
        };
        Err(Fault::new(code)
            .field("user-id")
            .found(found)
            .expected(format!("the account {wanted:?} of the store {store_id:?}"))
            .remedy(
                "if it is right, say so in [broker.accounts] of lienthong.toml, start the node anew and retry this; \
                 else find out who forges events",
            ))
    }

    /// Whether the account speaks for this adapter. The broker's rights by key alone do not keep one account from speaking for
    /// another's adapter: it judges no key where one exchange hands on to another.
    fn spoken_for(&self, accounts: &Accounts, adapter: &str) -> Result<(), Fault> {
        let account = self.account.as_deref().unwrap_or_default();
        match accounts.speakers.get(adapter) {
            Some(wanted) if wanted != account => Err(Fault::new("adapter-mismatch")
                .field("user-id")
                .found(account)
                .expected(format!("the account {wanted:?}, which speaks for the adapter {adapter:?}"))
                .remedy(format!(
                    "if the adapter has moved to another store, correct [province.adapters.{adapter}] in lienthong.toml, start \
                     the node anew and retry this; else find out who forges events"
                ))),
            _ => Ok(()),
        }
    }

    /// Whether it was said as it came. The broker judges the key of what is published, not the one that a queue gives to what
    /// it sets aside, and such a message keeps its user-id: by that road an account could speak under any key.
    fn straight(&self, event: &Event) -> Result<(), Fault> {
        if self.detours.is_empty() {
            return Ok(());
        }
        let account = self.account.as_deref().unwrap_or_default();
        Err(Fault::new("dead-letter-forwarded")
            .field(DEATHS)
            .found(self.detours.join(", "))
            .expected("an event that was published where it is brought from, set aside by no queue but this node's own")
            .remedy(format!(
                "find out who has these queues set aside what is said through the account {account:?}, in the name of the \
                 adapter {:?}: nobody judged the key; then discard this",
                event.adapter()
            )))
    }

    /// Whether it came under its own key. The broker's rights are by key, and a key begins with the adapter: under another
    /// one an account could speak for an adapter that is not its own.
    fn keyed(&self, event: &Event) -> Result<(), Fault> {
        let wanted = key::of(event);
        if self.key == wanted {
            return Ok(());
        }
        let account = self.account.as_deref().unwrap_or_default();
        Err(Fault::new("key-mismatch")
            .field("routing-key")
            .found(&self.key)
            .expected(format!("{wanted:?}, the key of an event of the adapter {:?}", event.adapter()))
            .remedy(format!(
                "find out who speaks through the account {account:?} and either forges events or has a program that makes \
                 wrong keys; then discard this"
            )))
    }
}

/// Queues that set the message aside, but `home`. A header that the broker would not write so counts as one without a name.
fn detours(properties: &BasicProperties, home: Option<&str>) -> Vec<String> {
    let headers = properties.headers().as_ref();
    let Some(deaths) = headers.and_then(|headers| headers.inner().get(DEATHS)) else {
        return Vec::new();
    };
    let queue = |death: &AMQPValue| match death {
        AMQPValue::FieldTable(death) => match death.inner().get("queue")? {
            AMQPValue::LongString(name) => Some(String::from_utf8_lossy(name.as_bytes()).into_owned()),
            AMQPValue::ShortString(name) => Some(name.to_string()),
            _ => None,
        },
        _ => None,
    };
    let mut queues: Vec<String> = match deaths {
        AMQPValue::FieldArray(deaths) if !deaths.as_slice().is_empty() => {
            let queue = |death| queue(death).unwrap_or_else(|| NAMELESS.to_owned());
            deaths.as_slice().iter().map(queue).collect()
        }
        _ => vec![NAMELESS.to_owned()],
    };
    queues.retain(|queue| Some(queue.as_str()) != home);
    queues.sort_unstable();
    queues.dedup();
    queues
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dossier::{Dossier, Hlc, Origin};

    fn event() -> Event {
        let time = "2026-03-05T08:40:00Z".parse().unwrap();
        let hlc = Hlc {
            wall_ms: 1_772_700_000_000,
            counter: 0,
        };
        let data = Dossier::new(Origin::new("one-stop", "H56.14-260305-0001"));
        Event::new("store", "one-stop", None, time, hlc, data, true)
    }

    fn accounts() -> Accounts {
        Accounts {
            own_store: "mine".to_owned(),
            own_account: "me".to_owned(),
            others: [("store".to_owned(), "so-tu-phap".to_owned())].into(),
            speakers: [
                ("one-stop".to_owned(), "so-tu-phap".to_owned()),
                ("national-portal".to_owned(), "trung-tam".to_owned()),
            ]
            .into(),
        }
    }

    #[test]
    fn event_comes_back_as_it_was_said() {
        let (properties, body) = write(&event(), "so-tu-phap").unwrap();
        let message = Message::new(&key::of(&event()), &properties, &body, None);
        assert_eq!(message.event(&accounts()), Ok(event()));
        let kept: Message = serde_json::from_str(&serde_json::to_string(&message).unwrap()).unwrap();
        assert_eq!(kept.event(&accounts()), Ok(event()));
    }

    #[test]
    fn what_is_no_event_of_ours_is_named() {
        type Row<'a> = (&'a str, &'a str, &'a dyn Fn(&mut Message));
        let (properties, body) = write(&event(), "so-tu-phap").unwrap();
        let sound = Message::new(&key::of(&event()), &properties, &body, None);
        let told = |change: &dyn Fn(&mut Message)| {
            let mut message = sound.clone();
            change(&mut message);
            let unfit = message.event(&accounts()).unwrap_err();
            (unfit.fault.code, unfit.fault.field.unwrap_or_default())
        };
        let rows: [Row<'_>; 11] = [
            ("account-missing", "user-id", &|message| message.account = None),
            ("account-mismatch", "user-id", &|message| {
                message.account = Some("me".to_owned());
            }),
            // An exchange of its own before that of all: the key is as it should be.
            ("adapter-mismatch", "user-id", &|message| {
                let source = "/store/national-portal".to_owned();
                message.attributes.insert("source".to_owned(), source);
                message.key = message.key.replace("one-stop", "national-portal");
            }),
            ("key-mismatch", "routing-key", &|message| {
                message.key = message.key.replace("one-stop", "judicial-records");
            }),
            ("key-mismatch", "routing-key", &|message| {
                message.key = message.key.replace(".-.", ".G15.");
            }),
            ("event-malformed", "content-type", &|message| {
                message.content_type = None;
            }),
            ("event-malformed", "data", &|message| message.body.truncate(9)),
            ("event-malformed", "event", &|message| {
                drop(message.attributes.remove("hlc"));
            }),
            ("event-malformed", "source", &|message| {
                message
                    .attributes
                    .insert("source".to_owned(), "//one-stop".to_owned());
            }),
            ("event-malformed", "specversion", &|message| {
                message
                    .attributes
                    .insert("specversion".to_owned(), "0.3".to_owned());
            }),
            ("event-malformed", "id", &|message| {
                message.attributes.insert("id".to_owned(), "x".repeat(256));
            }),
        ];
        for (code, field, change) in rows {
            assert_eq!(told(change), (code.to_owned(), field.to_owned()));
        }
    }

    /// The event with what a broker writes of these queues that set it aside.
    fn set_aside(deaths: AMQPValue, home: Option<&str>) -> Message {
        let (properties, body) = write(&event(), "so-tu-phap").unwrap();
        let mut headers = properties.headers().clone().unwrap_or_default();
        headers.insert(DEATHS.into(), deaths);
        Message::new(&key::of(&event()), &properties.with_headers(headers), &body, home)
    }

    fn by(queues: &[&str]) -> AMQPValue {
        let death = |queue: &&str| {
            let mut death = FieldTable::default();
            death.insert("queue".into(), AMQPValue::LongString((*queue).into()));
            death.insert("count".into(), AMQPValue::LongLongInt(1));
            AMQPValue::FieldTable(death)
        };
        AMQPValue::FieldArray(queues.iter().map(death).collect::<Vec<_>>().into())
    }

    #[test]
    fn event_that_any_queue_set_aside_is_refused_among_the_events() {
        let rows = [
            (by(&["lienthong.node.theirs"]), "lienthong.node.theirs"),
            (by(&["b", "lienthong.node.mine", "b"]), "b, lienthong.node.mine"),
            (by(&[]), NAMELESS),
            (
                AMQPValue::FieldArray(vec![AMQPValue::Boolean(true)].into()),
                NAMELESS,
            ),
            (
                AMQPValue::FieldArray(vec![AMQPValue::FieldTable(FieldTable::default())].into()),
                NAMELESS,
            ),
            (AMQPValue::LongString("none".into()), NAMELESS),
            (AMQPValue::Void, NAMELESS),
        ];
        for (deaths, found) in rows {
            let message = set_aside(deaths, None);
            let fault = message.event(&accounts()).unwrap_err().fault;
            assert_eq!(fault.code, "dead-letter-forwarded");
            assert_eq!(fault.field.as_deref(), Some("x-death"));
            assert_eq!(fault.found.as_deref(), Some(found));
            let kept: Message = serde_json::from_str(&serde_json::to_string(&message).unwrap()).unwrap();
            assert_eq!(kept.event(&accounts()).unwrap_err().fault, fault, "it stays so");
        }
    }

    #[test]
    fn suspect_that_only_its_own_queue_set_aside_is_an_event_like_any_other() {
        let home = Some("lienthong.node.mine");
        for own in [
            by(&["lienthong.node.mine"]),
            by(&["lienthong.node.mine", "lienthong.node.mine"]),
        ] {
            assert_eq!(set_aside(own, home).event(&accounts()), Ok(event()));
        }
        for foreign in [
            by(&["lienthong.node.theirs"]),
            by(&["lienthong.node.mine", "lienthong.node.theirs"]),
            by(&["lienthong.node.mine2"]),
            by(&[]),
        ] {
            let unfit = set_aside(foreign, home).event(&accounts()).unwrap_err();
            assert_eq!(unfit.fault.code, "dead-letter-forwarded");
        }
    }
}
