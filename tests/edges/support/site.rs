//! A node inside the test: the shipped one-stop and targets of the test, a real store in a file, a clock that is moved.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use lienthong::clock::{Clock, ManualClock};
use lienthong::config::{Agreed, Config, System};
use lienthong::demo::SECRETS;
use lienthong::dossier::Ownership;
use lienthong::event::Event;
use lienthong::node::Node;
use lienthong::store::{Delivery, State, Store};
use serde_json::{Map, Value};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{AssertSqlSafe, Row};
use tempfile::TempDir;

use super::{install_tls, post, until};
use crate::stores;
use crate::stores::database::connect;

/// A target with a register of dossiers, asked and written over HTTP. Its parts are replaced by tests.
pub(crate) const MANIFEST: &str = r#"lienthong = 1
title = "Sổ của bài thử"
subscribe = { procedures = ["*"] }
needs = ["*"]
answer = [{ when = '$http.status == 200 and .code != "0"', is = "refused" }]
[connection]
protocol = "http"
url = "http://127.0.0.1:9"
timeout = "20s"
settle = "90s"
retry = { first = "4s", max = "60s", give_up = "7d" }
reason = '.message'
[push.dossier]
record = '{id: .code, name: .applicant.person.name, status: .status.value, summary: .summary}'
key = '.id'
mandatory = ["id", "name"]
echo = false
find = { path = '/find', body = '{id: $key}', records = '.result[]?' }
same_when = '.id == $record.id and .name == $record.name'
create = { path = '/create', body = '.' }
update = { path = '/update', body = '.' }
"#;

/// In place of a manifest: the shipped adapter of that name, whose secrets are as [`secret`] has them.
pub(crate) const SHIPPED: &str = "";

/// When tests begin.
pub(crate) const START: &str = "2026-03-06T02:00:00Z";

/// The node and what it stands on.
pub(crate) struct Site {
    folder: TempDir,
    config: Config,
    node: Node,
    clock: ManualClock,
}

impl Site {
    /// A node with the shipped one-stop, which answers nowhere, and these targets: name, manifest, address.
    pub(crate) async fn start(targets: &[(&str, &str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(START.parse().unwrap());
        let config = configure(folder.path(), targets);
        let node = Node::start(&config, Arc::new(clock.clone())).await.unwrap();
        Self {
            folder,
            config,
            node,
            clock,
        }
    }

    /// The node stops, `meanwhile` happens, and another one goes on with the same store.
    pub(crate) async fn restart(mut self, meanwhile: impl FnOnce(&ManualClock, &Path)) -> Self {
        self.node.stop().await;
        meanwhile(&self.clock, &self.config.adapters);
        self.node = Node::start(&self.config, Arc::new(self.clock.clone()))
            .await
            .unwrap();
        self
    }

    /// The node stops, and one goes on that hosts another system too.
    pub(crate) async fn host(mut self, name: &str, manifest: &str) -> Self {
        let adapter = self.folder.path().join("adapters").join(name);
        std::fs::create_dir_all(&adapter).unwrap();
        std::fs::write(adapter.join("adapter.toml"), manifest).unwrap();
        self.config
            .systems
            .push(system(name, adapter, "http://127.0.0.1:9"));
        self.restart(|_, _| {}).await
    }

    /// The node stops, and one goes on that knows what the province has agreed on of a system elsewhere.
    pub(crate) async fn agree(mut self, name: &str, owns: Ownership) -> Self {
        let account = "elsewhere".to_owned();
        self.config
            .province
            .insert(name.to_owned(), Agreed { account, owns });
        self.restart(|_, _| {}).await
    }

    /// What a hosted system may write.
    pub(crate) fn rights(&self, name: &str) -> Ownership {
        self.node.shared().adapter(name).unwrap().owns.clone()
    }

    /// Another node says this, and this one answers for it.
    pub(crate) async fn hear(&self, event: &Event) -> Vec<bool> {
        let broker = &self.node.shared().broker;
        broker.publish(vec![event.clone()]).await.unwrap()
    }

    /// The first event that this node has merged.
    pub(crate) async fn said(&self) -> Event {
        until("an event in the journal", async || {
            let mut journal = self.store().journal(0, 1).await.unwrap();
            Some(journal.pop()?.event)
        })
        .await
    }

    /// Somebody turns the wall clock by so many seconds; no time passes.
    pub(crate) fn turn(&self, seconds: i64) {
        self.clock
            .set(self.clock.now() + SignedDuration::from_secs(seconds));
    }

    /// The steady time now.
    pub(crate) fn steady(&self) -> Timestamp {
        self.node.shared().steady.now()
    }

    pub(crate) fn hook(&self, path: &str) -> String {
        format!("http://{}{path}", self.node.webhooks())
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("lienthong.db")
    }

    /// Address of the store.
    pub(crate) fn store_url(&self) -> &str {
        &self.config.store
    }

    pub(crate) fn socket(&self) -> &Path {
        self.node.admin()
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.node.shared().store
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The one-stop tells of this row, and the node takes it.
    pub(crate) async fn tell(&self, row: &Value) {
        let (status, answer) = post(&self.hook("/hooks/one-stop"), row).await;
        assert_eq!((status, &answer["maLoi"]), (200, &Value::from("0")), "{answer}");
    }

    /// Time goes on by so many seconds, and the node notices.
    pub(crate) fn advance(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
        self.node.shared().deliveries.ring();
    }

    /// The rows of the ledger about one dossier at one target, those of items in their order.
    pub(crate) async fn deliveries(&self, code: &str, target: &str) -> Vec<Delivery> {
        let Some(replica) = self.store().find_replica(code).await.unwrap() else {
            return Vec::new();
        };
        let mut rows = self.store().deliveries_of(replica.dossier.id).await.unwrap();
        rows.retain(|row| row.adapter == target);
        rows
    }

    /// The row of the dossier itself once it is in a state that the test waits for.
    pub(crate) async fn delivery(
        &self,
        code: &str,
        target: &str,
        wanted: impl Fn(&Delivery) -> bool,
    ) -> Delivery {
        self.row(code, target, 0, wanted).await
    }

    /// The same for the item at this place, from 1.
    pub(crate) async fn row(
        &self,
        code: &str,
        target: &str,
        ordinal: i64,
        wanted: impl Fn(&Delivery) -> bool,
    ) -> Delivery {
        let push = if ordinal == 0 { "dossier" } else { "step" };
        let what = format!("row {ordinal} of {code} at {target}");
        until(&what, async || {
            let rows = self.deliveries(code, target).await;
            rows.into_iter()
                .find(|row| row.push == push && row.ordinal == ordinal && wanted(row))
        })
        .await
    }

    /// Waits until the dossier has arrived in its newest version.
    pub(crate) async fn arrived(&self, code: &str, target: &str) -> Delivery {
        self.delivery(code, target, |row| {
            row.state == State::Applied && row.applied == Some(row.desired)
        })
        .await
    }

    /// The one-stop tells of this row; the replica has its news, and so every target has been told what it should have.
    pub(crate) async fn learn(&self, row: &Value) {
        self.tell(row).await;
        until("the replica has the news", async || {
            let code = row["MaHoSo"].as_str().unwrap();
            let replica = self.store().find_replica(code).await.unwrap()?;
            (replica.dossier.register("summary") == Some(&row["TrichYeuHoSo"])).then_some(())
        })
        .await;
    }

    /// Waits until every event is where it belongs.
    pub(crate) async fn quiet(&self) {
        until("an empty outbox", async || {
            let counts = self.store().counts().await.unwrap();
            (counts.outbox == 0).then_some(())
        })
        .await;
    }

    pub(crate) async fn stop(self) {
        self.node.stop().await;
    }
}

/// The shipped one-stop and these targets: name, manifest, address.
pub(super) fn configure(folder: &Path, targets: &[(&str, &str, &str)]) -> Config {
    install_tls();
    let mut systems = vec![system("one-stop", shipped("one-stop"), "http://127.0.0.1:9")];
    for (name, manifest, url) in targets {
        if *manifest == SHIPPED {
            systems.push(system(name, shipped(name), url));
            continue;
        }
        let adapter = folder.join("adapters").join(name);
        std::fs::create_dir_all(&adapter).unwrap();
        std::fs::write(adapter.join("adapter.toml"), manifest).unwrap();
        systems.push(system(name, adapter, url));
    }
    Config {
        file: "lienthong.toml".to_owned(),
        store: stores::url(folder),
        broker: "loopback:".into(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        socket: folder.join("admin.sock"),
        adapters: folder.join("adapters"),
        files: Some(folder.join("files")),
        files_url: None,
        province: BTreeMap::new(),
        systems,
        environment: Arc::new(|name| Some(secret(name))),
    }
}

/// A secret of that name: that of the demo, else its name in lower case.
pub(crate) fn secret(name: &str) -> String {
    let known = SECRETS.iter().find(|(known, _)| *known == name);
    known.map_or_else(|| name.to_lowercase(), |(_, value)| (*value).to_owned())
}

pub(super) fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters").join(name)
}

fn system(name: &str, folder: PathBuf, url: &str) -> System {
    System {
        name: name.to_owned(),
        folder: folder.into_os_string().into_string().unwrap(),
        variant: None,
        url: Some(url.to_owned()),
        settings: Map::new(),
    }
}

/// Everything that lies in a store, table by table.
pub(crate) async fn contents_of(store: &str) -> BTreeMap<String, String> {
    if let Some(file) = store.strip_prefix("sqlite://") {
        return contents(Path::new(file)).await;
    }
    let mut connection = connect(store).await;
    let tables: Vec<String> =
        sqlx::query_scalar("select tablename::text from pg_tables where schemaname = current_schema()")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    let mut contents = BTreeMap::new();
    for table in tables {
        let lines: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(format!("select one::text from {table} as one")))
                .fetch_all(&mut connection)
                .await
                .unwrap();
        contents.insert(table, lines.join("\n"));
    }
    contents
}

/// The same for a store's file.
pub(crate) async fn contents(file: &Path) -> BTreeMap<String, String> {
    let options = SqliteConnectOptions::new().filename(file).read_only(true);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar(
        "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    let mut contents = BTreeMap::new();
    for table in tables {
        let columns = sqlx::query(AssertSqlSafe(format!("pragma table_info({table})")))
            .fetch_all(&pool)
            .await
            .unwrap();
        let columns: Vec<String> = columns
            .iter()
            .map(|column| format!("quote({})", column.get::<String, _>("name")))
            .collect();
        let line = columns.join(" || '|' || ");
        let lines: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!("select {line} from {table}")))
            .fetch_all(&pool)
            .await
            .unwrap();
        contents.insert(table, lines.join("\n"));
    }
    pool.close().await;
    contents
}
