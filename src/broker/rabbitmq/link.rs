//! Connections: how they are opened, how long anything may take, and how it is told what went wrong.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lapin::tcp::OwnedTLSConfig;
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Connection, ConnectionProperties, ConnectionStatus, ErrorKind};
use tokio::time::{Instant, timeout};

use super::{greeting, topology};
use crate::broker::{Address, BrokerError, Subscriber, without_password};

/// Longest time that any exchange with the broker may take.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// Seconds between two signs of life; after two of them without one the connection is dead.
const HEARTBEAT_S: u16 = 10;

/// How long the broker is left alone after it was found to have something else than it must, or to refuse it.
const DRIFT_PAUSE: Duration = Duration::from_secs(15);

/// How to reach the broker, and what to set up there.
pub(super) struct Dial {
    uri: AMQPUri,
    tls: Option<String>,
    place: String,
    pub(super) subscriber: Subscriber,
    /// Until when the store's queue is to be left alone.
    young: Mutex<Instant>,
}

/// The account in an address of RabbitMQ.
pub(in crate::broker) fn account(url: &str) -> Option<String> {
    let uri: AMQPUri = url.parse().ok()?;
    Some(uri.authority.userinfo.username)
}

impl Dial {
    /// # Errors
    /// The address cannot be understood, or the CA cannot be read.
    pub(super) fn new(address: &Address, subscriber: Subscriber) -> Result<Self, BrokerError> {
        let place = without_password(&address.url);
        let mut uri: AMQPUri = address
            .url
            .parse()
            .map_err(|_| BrokerError::Address(place.clone()))?;
        if let Some(password) = &address.password {
            uri.authority.userinfo.password.clone_from(password);
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT_S);
        let read = |file: &std::path::PathBuf| {
            std::fs::read_to_string(file).map_err(|error| BrokerError::Ca {
                file: file.display().to_string(),
                cause: error.to_string(),
            })
        };
        Ok(Self {
            tls: address.ca.as_ref().map(read).transpose()?,
            uri,
            place,
            subscriber,
            young: Mutex::new(Instant::now()),
        })
    }

    /// The account through which this node speaks.
    pub(super) fn account(&self) -> &str {
        &self.uri.authority.userinfo.username
    }

    pub(super) fn vhost(&self) -> &str {
        &self.uri.vhost
    }

    /// The store's queue is a new one.
    pub(super) fn is_young_until(&self, time: Instant) {
        *self.young.lock().unwrap_or_else(PoisonError::into_inner) = time;
    }

    /// Until when the store's queue is to be left alone.
    pub(super) fn is_young(&self) -> Instant {
        *self.young.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// A connection for one purpose, with everything declared.
    pub(super) async fn open(&self, purpose: &str) -> Result<Connection, BrokerError> {
        let name = format!("lienthong {} {purpose}", self.subscriber.store_id);
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let connection = async {
            let runtime = lapin::runtime::default_runtime()?;
            Connection::connect_uri_with_config(self.uri.clone(), properties, self.tls(), runtime).await
        };
        let connection = self.within(connection).await?;
        greeting::listen(&self.uri, &self.tls()).await;
        topology::declare(&connection, self).await?;
        tracing::info!(broker = self.place, purpose, "connected to the broker");
        Ok(connection)
    }

    fn tls(&self) -> OwnedTLSConfig {
        OwnedTLSConfig {
            identity: None,
            cert_chain: self.tls.clone(),
        }
    }

    /// Waits for an answer of the broker, for as long as one may take.
    pub(super) async fn within<T>(
        &self,
        answer: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, BrokerError> {
        let answer = self.answer(answer).await?;
        answer.map_err(|error| self.away(&error.to_string()))
    }

    /// The same for what takes a right that the account may lack.
    pub(super) async fn permitted<T>(
        &self,
        answer: impl Future<Output = lapin::Result<T>>,
        what: &str,
        right: &str,
    ) -> Result<T, BrokerError> {
        let answer = self.answer(answer).await?;
        answer.map_err(|error| self.refused(&error, what, right))
    }

    async fn answer<T>(&self, answer: impl Future<Output = T>) -> Result<T, BrokerError> {
        let late = |_| self.away(&format!("no answer within {} s", LIMIT.as_secs()));
        timeout(LIMIT, answer).await.map_err(late)
    }

    /// What an error is to one who tried `what`, for which an account needs this right.
    pub(super) fn refused(&self, error: &lapin::Error, what: &str, right: &str) -> BrokerError {
        match error.kind() {
            ErrorKind::ProtocolError(said) if said.get_id() == topology::ACCESS_REFUSED => {
                self.forbidden(what, said.get_message().as_str(), right)
            }
            _ => self.away(&error.to_string()),
        }
    }

    pub(super) fn forbidden(&self, what: &str, cause: &str, right: &str) -> BrokerError {
        BrokerError::Forbidden {
            account: self.account().to_owned(),
            what: what.to_owned(),
            cause: cause.to_owned(),
            repair: format!(
                "give it {right} in the virtual host {}; deploy/rabbitmq/definitions.json shows how",
                self.vhost()
            ),
        }
    }

    pub(super) fn away(&self, cause: &str) -> BrokerError {
        let hint = match self.uri.scheme {
            AMQPScheme::AMQPS if cause.contains("certificate") => {
                "; broker.ca must name the CA that signed the broker's certificate, which must be for this host"
            }
            _ => "",
        };
        BrokerError::Away {
            place: self.place.clone(),
            cause: format!("{cause}{hint}"),
        }
    }
}

/// One side's connection, what it was found to be, and why there is none.
pub(super) struct Line<T> {
    pub(super) live: Option<T>,
    trouble: Option<(Instant, BrokerError)>,
}

impl<T> Line<T> {
    pub(super) fn new() -> Self {
        Self {
            live: None,
            trouble: None,
        }
    }

    /// Says again what is wrong, where the broker is to be left alone for a while.
    pub(super) fn may_open(&self) -> Result<(), BrokerError> {
        match &self.trouble {
            Some((since, error @ (BrokerError::Drift { .. } | BrokerError::Forbidden { .. })))
                if since.elapsed() < DRIFT_PAUSE =>
            {
                Err(error.clone())
            }
            _ => Ok(()),
        }
    }

    /// The connection is up.
    pub(super) fn opened(&mut self, live: T) {
        self.trouble = None;
        self.live = Some(live);
    }

    /// Whatever was wrong, the connection goes; the next exchange makes another one.
    pub(super) fn broken(&mut self, error: BrokerError) -> BrokerError {
        self.live = None;
        if self.may_open().is_ok() {
            self.trouble = Some((Instant::now(), error.clone()));
        }
        error
    }
}

/// What `status` tells of one side.
#[derive(Default)]
pub(super) struct Health {
    pub(super) connection: Option<ConnectionStatus>,
    pub(super) trouble: Option<BrokerError>,
}
