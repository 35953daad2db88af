//! Servers and databases that no store may lie in; each refusal names what is wrong and what to do. And what is enough.

use lienthong::store;

use super::refusal;
use crate::stores::server::Server;
use crate::stores::{Database, tell};

#[tokio::test]
async fn server_that_may_lose_a_commit_is_refused_by_the_name_of_its_setting() {
    let server = Server::start().await;
    let version = store::open(&server.url).await.unwrap().version().to_owned();
    for setting in ["synchronous_commit", "fsync", "full_page_writes"] {
        set(&server, setting, "off").await;
        let said = refusal(&server.url).await;
        assert!(said.contains(&format!("`{setting}` is off")), "{said}");
        assert!(said.contains("set it to `on`"), "{said}");
        set(&server, setting, "on").await;
        store::open(&server.url).await.unwrap();
    }
    tell(&format!("{version} · refused with each of three settings off"));
}

/// Has the server read its configuration anew, and waits until new sessions have it.
async fn set(server: &Server, setting: &str, value: &str) {
    server
        .execute(&format!("alter system set {setting} = {value}"))
        .await;
    server.execute("select pg_reload_conf()").await;
    crate::support::until("the setting is in force", async || {
        let mut connection = server.connect().await;
        let now: String = sqlx::query_scalar("select current_setting($1)")
            .bind(setting)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        (now == value).then_some(())
    })
    .await;
}

#[tokio::test]
async fn setting_of_one_database_counts_like_that_of_the_server() {
    let database = Database::create().await;
    let name = database.name();
    database
        .execute(&format!("alter database {name} set synchronous_commit = off"))
        .await;
    let said = refusal(&database.url()).await;
    assert!(said.contains("`synchronous_commit` is off"), "{said}");
}

#[tokio::test]
async fn database_that_cannot_hold_every_letter_is_refused() {
    let database = Database::create_with("encoding 'LATIN1' locale 'C' template template0").await;
    let said = refusal(&database.url()).await;
    assert!(
        said.contains("encoding is LATIN1") && said.contains("encoding 'UTF8'"),
        "{said}"
    );
}

#[tokio::test]
async fn plain_role_that_owns_its_database_is_enough() {
    let database = Database::create().await;
    let name = database.name();
    // as with `createuser` and `createdb --owner`: no superuser, and nothing granted
    database
        .execute(&format!(
            "create role {name} login password 'thu'; alter database {name} owner to {name}"
        ))
        .await;
    let url = database.url();
    let (_, place) = url.rsplit_once('@').unwrap();
    let store = store::open(&format!("postgres://{name}:thu@{place}"))
        .await
        .unwrap();
    store.take(true).await.unwrap();
    store.begin().await.unwrap().commit().await.unwrap();
    store.leave("nobody").await.unwrap();
    drop(store);
    database
        .execute(&format!(
            "reassign owned by {name} to lienthong; drop owned by {name} cascade; drop role {name}"
        ))
        .await;
}

#[tokio::test]
async fn address_that_is_none_does_not_tell_its_password() {
    let said = refusal("postgress://lienthong:geheim@db/lienthong").await;
    assert!(said.contains("postgress") && !said.contains("geheim"), "{said}");
}

#[tokio::test]
async fn password_that_is_wrong_is_told_by_nobody() {
    let url = Database::create().await.url();
    let (_, place) = url.rsplit_once('@').unwrap();
    let said = refusal(&format!("postgres://lienthong:geheim@{place}")).await;
    assert!(
        said.contains("authentication") && !said.contains("geheim"),
        "{said}"
    );
}
