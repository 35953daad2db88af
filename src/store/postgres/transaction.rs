//! Everything a stage writes: one statement per batch, rows as one JSON parameter.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::{Postgres, Row};
use uuid::Uuid;

use super::session::InTime;
use super::{
    REPLICAS, RESOLVE, SHADOWS, batch, claim, code_keys, decide, delivery, document, ids, inbox, join, quota,
    shadow_keys, text,
};
use crate::dossier::{DossierCode, DossierId, Hlc, Shadow};
use crate::event::Event;
use crate::store::cells::Cells;
use crate::store::{
    CREATE_OPEN, CodeKey, Come, Decided, Decision, Delivery, InboxRow, Item, Outcome, Owed, Quota, Replica,
    RowKey, SUPERSEDED, StoreError, Taken, Transaction, Wanted, stored,
};

/// An open write transaction, and the slots of the locks that it has.
pub(super) struct PostgresTransaction {
    inner: sqlx::Transaction<'static, Postgres>,
    held: Vec<i32>,
}

impl PostgresTransaction {
    pub(super) fn new(inner: sqlx::Transaction<'static, Postgres>) -> Self {
        Self {
            inner,
            held: Vec::new(),
        }
    }

    /// Runs a statement whose first parameter is a batch; an empty batch costs nothing.
    async fn write(&mut self, sql: &'static str, rows: Vec<serde_json::Value>) -> Result<(), StoreError> {
        if !rows.is_empty() {
            sqlx::query(sql)
                .bind(batch(rows))
                .execute(&mut *self.inner)
                .in_time()
                .await?;
        }
        Ok(())
    }

    /// The same for statements that take the time as their second parameter.
    async fn write_at(
        &mut self,
        sql: &'static str,
        rows: Vec<serde_json::Value>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if !rows.is_empty() {
            sqlx::query(sql)
                .bind(batch(rows))
                .bind(now.as_millisecond())
                .execute(&mut *self.inner)
                .in_time()
                .await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Transaction for PostgresTransaction {
    async fn lock(&mut self, dossiers: &[DossierId], codes: &[CodeKey]) -> Result<(), StoreError> {
        claim::lock(&mut self.inner, &mut self.held, dossiers, codes).await
    }

    async fn resolve(&mut self, keys: &[CodeKey]) -> Result<HashMap<CodeKey, DossierId>, StoreError> {
        stored::resolved(
            &sqlx::query(RESOLVE)
                .bind(code_keys(keys))
                .fetch_all(&mut *self.inner)
                .in_time()
                .await?,
        )
    }

    async fn replicas(&mut self, dossiers: &[DossierId]) -> Result<HashMap<DossierId, Replica>, StoreError> {
        stored::replicas(
            &sqlx::query(REPLICAS)
                .bind(ids(dossiers))
                .fetch_all(&mut *self.inner)
                .in_time()
                .await?,
        )
    }

    async fn shadows(
        &mut self,
        keys: &[(String, DossierId)],
    ) -> Result<HashMap<(String, DossierId), Shadow>, StoreError> {
        stored::shadows(
            &sqlx::query(SHADOWS)
                .bind(shadow_keys(keys))
                .fetch_all(&mut *self.inner)
                .in_time()
                .await?,
        )
    }

    async fn journaled(&mut self, events: &[&str]) -> Result<HashMap<String, Event>, StoreError> {
        let rows: Vec<String> = sqlx::query_scalar("select body from journal where event_id = any($1)")
            .bind(events.iter().map(|id| text(id).into_owned()).collect::<Vec<_>>())
            .fetch_all(&mut *self.inner)
            .in_time()
            .await?;
        rows.iter()
            .map(|body| document::<Event>("journal", body).map(|event| (event.id.clone(), event)))
            .collect()
    }

    async fn aliases(&mut self, dossiers: &[DossierId]) -> Result<HashMap<DossierId, DossierId>, StoreError> {
        let rows = sqlx::query("select id, dossier_id from alias where id = any($1)")
            .bind(ids(dossiers))
            .fetch_all(&mut *self.inner)
            .in_time()
            .await?;
        rows.iter()
            .map(|row| Ok((row.dossier("id")?, row.dossier("dossier_id")?)))
            .collect()
    }

    async fn candidates(&mut self, codes: &[String]) -> Result<HashMap<String, Vec<DossierId>>, StoreError> {
        let mut found: HashMap<String, Vec<DossierId>> = HashMap::new();
        if codes.is_empty() {
            return Ok(found);
        }
        let rows = sqlx::query(
            "select distinct modern, dossier_id from link where modern = any($1) order by dossier_id",
        )
        .bind(
            codes
                .iter()
                .map(|code| text(code).into_owned())
                .collect::<Vec<_>>(),
        )
        .fetch_all(&mut *self.inner)
        .in_time()
        .await?;
        for row in &rows {
            found
                .entry(row.try_get("modern")?)
                .or_default()
                .push(row.dossier("dossier_id")?);
        }
        Ok(found)
    }

    async fn open_creates(&mut self, adapter: &str) -> Result<Vec<DossierId>, StoreError> {
        claim::no_create_is_settled(&mut self.inner, adapter).await?;
        let rows: Vec<Uuid> = sqlx::query_scalar(
            "select distinct dossier_id from delivery
             where adapter = $1 and intent is not null and holder is not null and item = ''
               and presence <> 'present' and state <> 'discarded'",
        )
        .bind(adapter)
        .fetch_all(&mut *self.inner)
        .in_time()
        .await?;
        Ok(rows.into_iter().map(DossierId).collect())
    }

    async fn deliveries(&mut self, id: DossierId) -> Result<Vec<Delivery>, StoreError> {
        let rows = sqlx::query(delivery::OF_DOSSIER)
            .bind(id.0)
            .fetch_all(&mut *self.inner)
            .in_time()
            .await?;
        rows.iter().map(stored::delivery).collect()
    }

    async fn put_inbox(&mut self, rows: &[InboxRow]) -> Result<(), StoreError> {
        let rows = rows
            .iter()
            .zip(0..)
            .map(|(row, seq)| stored::write_record(row, seq));
        self.write(inbox::PUT, rows.collect()).await
    }

    async fn settle_records(&mut self, rows: &[(i64, InboxRow)]) -> Result<(), StoreError> {
        let rows = rows.iter().map(|(seq, row)| stored::write_record(row, *seq));
        self.write(inbox::SETTLE, rows.collect()).await
    }

    async fn release_records(&mut self, come: &[Come]) -> Result<(), StoreError> {
        let mut created: Vec<&str> = come
            .iter()
            .filter(|come| come.reason == CREATE_OPEN)
            .map(|come| come.adapter.as_str())
            .collect();
        created.sort_unstable();
        created.dedup();
        claim::creates_are_settled(&mut self.inner, &created).await?;
        self.write(inbox::RELEASE, come.iter().map(|come| json!(come)).collect())
            .await
    }

    async fn release_judged(
        &mut self,
        adapter: &str,
        version: &str,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let records = sqlx::query(inbox::RELEASE_JUDGED)
            .bind(adapter)
            .bind(version)
            .execute(&mut *self.inner)
            .in_time()
            .await?;
        let deliveries = sqlx::query(
            "update delivery set state = 'due', cause = null, judged_by = null, due_ms = $3
             where adapter = $1 and state = 'parked' and not held and judged_by <> $2",
        )
        .bind(adapter)
        .bind(version)
        .bind(now.as_millisecond())
        .execute(&mut *self.inner)
        .in_time()
        .await?;
        Ok(records.rows_affected() + deliveries.rows_affected())
    }

    async fn close_refused(&mut self, taken: &[Taken]) -> Result<(), StoreError> {
        if taken.is_empty() {
            return Ok(());
        }
        let rows = taken
            .iter()
            .map(|taken| json!({"adapter": taken.adapter, "code": taken.code, "raw_hash": taken.raw_hash}));
        sqlx::query(inbox::CLOSE)
            .bind(batch(rows))
            .bind(SUPERSEDED)
            .execute(&mut *self.inner)
            .in_time()
            .await?;
        Ok(())
    }

    async fn put_shadows(&mut self, shadows: &[(String, DossierId, Shadow)]) -> Result<(), StoreError> {
        let rows = shadows.iter().map(
            |(adapter, id, shadow)| json!({"adapter": adapter, "id": id, "body": json!(shadow).to_string()}),
        );
        self.write(
            "insert into shadow (adapter, dossier_id, body)
             select adapter, id, body from json_to_recordset($1::json) as r(adapter text, id uuid, body text)
             order by adapter, id
             on conflict (adapter, dossier_id) do update set body = excluded.body",
            rows.collect(),
        )
        .await
    }

    async fn put_outbox(&mut self, events: &[Event]) -> Result<(), StoreError> {
        let rows = events
            .iter()
            .map(|event| json!({"id": event.id, "body": json!(event).to_string()}));
        self.write(
            "insert into outbox (event_id, body)
             select id, body from json_to_recordset($1::json) as r(id text, body text)",
            rows.collect(),
        )
        .await
    }

    async fn forget_outbox(&mut self, events: &[&str]) -> Result<(), StoreError> {
        sqlx::query("delete from outbox where event_id = any($1)")
            .bind(events)
            .execute(&mut *self.inner)
            .in_time()
            .await?;
        Ok(())
    }

    async fn put_cursor(&mut self, adapter: &str, operation: &str, body: &str) -> Result<(), StoreError> {
        sqlx::query(
            "insert into cursor (adapter, operation, body) values ($1, $2, $3)
             on conflict (adapter, operation) do update set body = excluded.body",
        )
        .bind(adapter)
        .bind(operation)
        .bind(text(body))
        .execute(&mut *self.inner)
        .in_time()
        .await?;
        Ok(())
    }

    async fn owe(
        &mut self,
        adapter: &str,
        operation: &str,
        records: &[(Value, Option<String>)],
    ) -> Result<(), StoreError> {
        let rows = records.iter().zip(0..).map(|((record, error), seq)| {
            json!({
                "seq": seq, "adapter": adapter, "operation": operation, "record": record.to_string(), "error": error,
            })
        });
        self.write(
            "insert into acknowledgement (adapter, operation, record, error)
             select adapter, operation, record, error
             from json_to_recordset($1::json) as r(seq bigint, adapter text, operation text, record text, error text)
             order by seq
             on conflict (adapter, operation, record) do update set error = excluded.error",
            rows.collect(),
        )
        .await
    }

    async fn forget_owed(&mut self, owed: &[Owed]) -> Result<(), StoreError> {
        let seqs: Vec<i64> = owed.iter().map(|owed| owed.seq).collect();
        sqlx::query("delete from acknowledgement where seq = any($1)")
            .bind(seqs)
            .execute(&mut *self.inner)
            .in_time()
            .await?;
        Ok(())
    }

    async fn put_off(&mut self, owed: &[Owed], until: Timestamp) -> Result<(), StoreError> {
        self.write_at(
            "update acknowledgement a set failures = r.failures, batch_limit = r.batch_limit, until_ms = $2
             from json_to_recordset($1::json) as r(seq bigint, failures bigint, batch_limit bigint) where a.seq = r.seq",
            owed.iter().map(stored::write_owed).collect(),
            until,
        )
        .await
    }

    async fn count_on(&mut self, adapter: &str, operation: &str, by: u64) -> Result<u64, StoreError> {
        let last: i64 = sqlx::query_scalar(
            "insert into cursor (adapter, operation, body) values ($1, $2, $3::bigint::text)
             on conflict (adapter, operation) do update set body = (cursor.body::bigint + $3::bigint)::text
             returning body::bigint",
        )
        .bind(text(adapter))
        .bind(text(operation))
        .bind(i64::try_from(by).unwrap_or(i64::MAX))
        .fetch_one(&mut *self.inner)
        .in_time()
        .await?;
        Ok(u64::try_from(last).unwrap_or(0).saturating_sub(by))
    }

    async fn spend(&mut self, adapter: &str, quotas: &[Quota]) -> Result<Option<usize>, StoreError> {
        quota::spend(&mut self.inner, adapter, quotas).await
    }

    async fn put_clock(&mut self, hlc: Hlc) -> Result<(), StoreError> {
        // A row for few connections, not one for all: whoever wrote it would make all others wait for its commit. The
        // clock is the newest of them.
        sqlx::query(
            "insert into meta (name, value) values ('clock ' || (pg_backend_pid() % 64), $1)
             on conflict (name) do update set value = excluded.value
             where string_to_array(meta.value::json #>> '{}', '-')::bigint[]
                 < string_to_array(excluded.value::json #>> '{}', '-')::bigint[]",
        )
        .bind(json!(hlc).to_string())
        .execute(&mut *self.inner)
        .in_time()
        .await?;
        Ok(())
    }

    async fn put_journal(&mut self, events: &[Event], received: Timestamp) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        claim::journal(&mut self.inner).await?;
        let rows = events
            .iter()
            .map(|event| json!({"id": event.id, "dossier": event.data.id, "body": json!(event).to_string()}));
        self.write_at(
            "insert into journal (event_id, dossier_id, received_ms, body)
             select id, dossier, $2, body from json_to_recordset($1::json) as r(id text, dossier uuid, body text)",
            rows.collect(),
            received,
        )
        .await
    }

    async fn put_replicas(&mut self, replicas: &[Replica]) -> Result<(), StoreError> {
        let rows = replicas.iter().map(|replica| {
            json!({
                "id": replica.dossier.id, "code": replica.dossier.code(), "version": replica.version,
                "updated": replica.updated.as_millisecond(), "body": json!(replica.dossier).to_string(),
            })
        });
        self.write(
            "insert into dossier (id, code, version, updated_ms, body)
             select id, code, version, updated, body
             from json_to_recordset($1::json) as r(id uuid, code text, version bigint, updated bigint, body text)
             order by id
             on conflict (id) do update set code = excluded.code, version = excluded.version,
                 updated_ms = excluded.updated_ms, body = excluded.body",
            rows.collect(),
        )
        .await
    }

    async fn join(&mut self, gone: DossierId, stays: DossierId) -> Result<(), StoreError> {
        for statement in join::STATEMENTS {
            sqlx::query(statement)
                .bind(gone.0)
                .bind(stays.0)
                .execute(&mut *self.inner)
                .in_time()
                .await?;
        }
        Ok(())
    }

    async fn put_links(&mut self, links: &[(CodeKey, DossierId)]) -> Result<(), StoreError> {
        self.write(
            "insert into link (system, code_key, dossier_id, modern)
             select system, key, coalesce((select dossier_id from alias where alias.id = r.id), r.id), modern
             from json_to_recordset($1::json) as r(seq bigint, system text, key text, id uuid, modern text)
             order by seq
             on conflict do nothing",
            links
                .iter()
                .zip(0..)
                .map(|(((system, key), id), seq)| {
                    let modern = DossierCode::parse(key).map(|code| code.modern());
                    json!({"seq": seq, "system": system, "key": key, "id": id, "modern": modern})
                })
                .collect(),
        )
        .await
    }

    async fn want(&mut self, wanted: &[Wanted], now: Timestamp) -> Result<(), StoreError> {
        self.write_at(delivery::WANT, wanted.iter().map(|row| json!(row)).collect(), now)
            .await
    }

    async fn put_items(&mut self, items: &[Item], now: Timestamp) -> Result<(), StoreError> {
        self.write_at(
            delivery::PUT_ITEMS,
            items.iter().map(|row| json!(row)).collect(),
            now,
        )
        .await
    }

    async fn save(&mut self, outcomes: &[Outcome], now: Timestamp) -> Result<HashSet<RowKey>, StoreError> {
        if outcomes.is_empty() {
            return Ok(HashSet::new());
        }
        let rows = sqlx::query(delivery::SAVE)
            .bind(batch(outcomes.iter().map(stored::write_outcome)))
            .bind(now.as_millisecond())
            .fetch_all(&mut *self.inner)
            .in_time()
            .await?;
        rows.iter()
            .map(|row| {
                Ok((
                    row.dossier("dossier_id")?,
                    row.try_get("push")?,
                    row.try_get("item")?,
                ))
            })
            .collect()
    }

    async fn release(
        &mut self,
        waiting: &[(String, DossierId, String)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write_at(
            "update delivery d set state = 'due', until_ms = null, requirement = null, due_ms = $2
             from json_to_recordset($1::json) as r(adapter text, id uuid, requirement text)
             where d.adapter = r.adapter and d.dossier_id = r.id and d.requirement = r.requirement and d.state = 'waiting'",
            waiting
                .iter()
                .map(|(adapter, id, requirement)| json!({"adapter": adapter, "id": id, "requirement": requirement}))
                .collect(),
            now,
        )
        .await
    }

    async fn decide(
        &mut self,
        decisions: &[Decision],
        asked: &[(String, String)],
        now: Timestamp,
    ) -> Result<Vec<Decided>, StoreError> {
        decide::decide(&mut self.inner, &mut self.held, decisions, asked, now).await
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        Ok(self.inner.commit().in_time().await?)
    }
}
