//! `[connection]`: how the system is reached, and how patient we are with it.

use std::sync::Arc;
use std::time::Duration;

use super::login::Login;
use super::wire::Wire;
use super::workshop::Workshop;
use crate::jq::Filter;
use crate::read::{Keys, Table, Words};

/// How a system is reached.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Which connector speaks to it.
    pub protocol: Protocol,
    /// Address that the paths of calls are appended to, without a slash at its end. May hold a secret.
    pub url: String,
    /// Longest a call may take, from connecting to the last byte.
    pub timeout: Duration,
    /// Longest that a call which was cut may take to be stored, or a search to show what was stored. Zero without pushes.
    pub settle: Duration,
    /// Calls at the same time.
    pub concurrency: usize,
    /// How deliveries are repeated.
    pub retry: RetrySettings,
    /// How a session is opened, if there are sessions.
    pub login: Option<Login>,
    /// jq that finds the system's message in an answer.
    pub reason: Option<Filter>,
}

/// Protocols with a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP.
    Http,
}

/// Waits between repetitions grow from `first` to `max`; after `give_up` a person decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetrySettings {
    /// First wait.
    pub first: Duration,
    /// Longest wait.
    pub max: Duration,
    /// How long it is tried at all.
    pub give_up: Duration,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(5),
            max: Duration::from_hours(1),
            // Longer than any outage that we know of: what was given up waits for a person.
            give_up: Duration::from_hours(30 * 24),
        }
    }
}

const PROTOCOLS: Words<Protocol> = &[("http", Protocol::Http)];

impl RetrySettings {
    pub(super) const KEYS: Keys = &["first", "max", "give_up"];

    fn read(table: &Table<'_>) -> Self {
        let default = Self::default();
        let read = |key, default| {
            table
                .get(key)
                .and_then(|value| value.duration())
                .unwrap_or(default)
        };
        Self {
            first: read("first", default.first),
            max: read("max", default.max),
            give_up: read("give_up", default.give_up),
        }
    }
}

impl Connection {
    pub(super) const KEYS: Keys = &[
        "protocol",
        "url",
        "headers",
        "send",
        "receive",
        "settle",
        "timeout",
        "concurrency",
        "retry",
        "reason",
        "login",
    ];

    /// Reads `[connection]`. `writes`: is there a push?
    pub(super) fn read(
        table: &Table<'_>,
        wire: &Arc<Wire>,
        writes: bool,
        workshop: &Workshop<'_>,
    ) -> Option<Self> {
        table.demand(&[
            ("protocol", "protocol = \"http\""),
            (
                "url",
                "the address of the system, as in \"https://portal.example.vn\"",
            ),
        ]);
        if writes {
            table.demand(&[(
                "settle",
                "the longest that a call which was cut may take to be stored, or a search to show it, as in \"90s\"",
            )]);
        }
        let protocol = table
            .get("protocol")
            .and_then(|value| value.word("unknown-word", PROTOCOLS));
        let duration = |key| table.get(key).and_then(|value| value.duration());
        let timeout = duration("timeout").unwrap_or(Duration::from_secs(30));
        let settle = duration("settle").unwrap_or_default();
        let concurrency = table
            .get("concurrency")
            .and_then(|value| value.number(1))
            .unwrap_or(4);
        let retry = table
            .get("retry")
            .and_then(|value| value.table(RetrySettings::KEYS));
        let retry = retry.as_ref().map(RetrySettings::read).unwrap_or_default();
        let login = table.get("login").and_then(|value| value.table(Login::KEYS));
        let login = match login {
            Some(login) => Some(Login::read(
                &login,
                &Arc::new(wire.without_token(table)),
                workshop,
            )?),
            None => None,
        };
        Some(Self {
            protocol: protocol?,
            url: wire.url.clone(),
            timeout,
            settle,
            concurrency: usize::try_from(concurrency).unwrap_or(usize::MAX),
            retry,
            login,
            reason: wire.reason.clone(),
        })
    }
}
