//! Everything a stage writes: one statement per batch, rows as one JSON parameter.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::{Row, Sqlite};

use super::{
    REPLICAS, RESOLVE, SHADOWS, batch, code_keys, decide, delivery, document, ids, inbox, join, quota,
    shadow_keys,
};
use crate::dossier::{DossierCode, DossierId, Hlc, Shadow};
use crate::event::Event;
use crate::store::cells::Cells;
use crate::store::{
    CodeKey, Come, Decided, Decision, Delivery, InboxRow, Item, Outcome, Owed, Quota, Replica, RowKey,
    SUPERSEDED, StoreError, Taken, Transaction, Wanted, stored,
};

/// The open write transaction; `begin immediate`, so that it never fails half way for want of the lock.
pub(super) struct SqliteTransaction {
    inner: sqlx::Transaction<'static, Sqlite>,
}

impl SqliteTransaction {
    pub(super) fn new(inner: sqlx::Transaction<'static, Sqlite>) -> Self {
        Self { inner }
    }

    /// Runs a statement whose first parameter is a batch; an empty batch costs nothing.
    async fn write(&mut self, sql: &'static str, rows: Vec<serde_json::Value>) -> Result<(), StoreError> {
        if !rows.is_empty() {
            sqlx::query(sql)
                .bind(batch(rows))
                .execute(&mut *self.inner)
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
                .await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Transaction for SqliteTransaction {
    /// There is no other write transaction.
    async fn lock(&mut self, _dossiers: &[DossierId], _codes: &[CodeKey]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn resolve(&mut self, keys: &[CodeKey]) -> Result<HashMap<CodeKey, DossierId>, StoreError> {
        stored::resolved(
            &sqlx::query(RESOLVE)
                .bind(code_keys(keys))
                .fetch_all(&mut *self.inner)
                .await?,
        )
    }

    async fn replicas(&mut self, dossiers: &[DossierId]) -> Result<HashMap<DossierId, Replica>, StoreError> {
        stored::replicas(
            &sqlx::query(REPLICAS)
                .bind(ids(dossiers))
                .fetch_all(&mut *self.inner)
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
                .await?,
        )
    }

    async fn journaled(&mut self, events: &[&str]) -> Result<HashMap<String, Event>, StoreError> {
        let rows: Vec<String> = sqlx::query_scalar(
            "select body from journal where event_id in (select value from json_each(?1))",
        )
        .bind(batch(events.iter().map(|id| json!(id))))
        .fetch_all(&mut *self.inner)
        .await?;
        rows.iter()
            .map(|body| document::<Event>("journal", body).map(|event| (event.id.clone(), event)))
            .collect()
    }

    async fn aliases(&mut self, dossiers: &[DossierId]) -> Result<HashMap<DossierId, DossierId>, StoreError> {
        let rows =
            sqlx::query("select id, dossier_id from alias where id in (select value from json_each(?1))")
                .bind(ids(dossiers))
                .fetch_all(&mut *self.inner)
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
            "select distinct modern, dossier_id from link where modern in (select value from json_each(?1))
             order by dossier_id",
        )
        .bind(batch(codes.iter().map(|code| json!(code))))
        .fetch_all(&mut *self.inner)
        .await?;
        for row in &rows {
            let id = row.dossier("dossier_id")?;
            found.entry(row.try_get("modern")?).or_default().push(id);
        }
        Ok(found)
    }

    async fn open_creates(&mut self, adapter: &str) -> Result<Vec<DossierId>, StoreError> {
        let rows = sqlx::query(
            "select distinct dossier_id from delivery
             where adapter = ?1 and intent is not null and holder is not null and item = ''
               and presence <> 'present' and state <> 'discarded'",
        )
        .bind(adapter)
        .fetch_all(&mut *self.inner)
        .await?;
        rows.iter().map(|row| Ok(row.dossier("dossier_id")?)).collect()
    }

    async fn deliveries(&mut self, id: DossierId) -> Result<Vec<Delivery>, StoreError> {
        let rows = sqlx::query(delivery::OF_DOSSIER)
            .bind(id.to_string())
            .fetch_all(&mut *self.inner)
            .await?;
        rows.iter().map(stored::delivery).collect()
    }

    async fn put_inbox(&mut self, rows: &[InboxRow]) -> Result<(), StoreError> {
        self.write(
            inbox::PUT,
            rows.iter().map(|row| stored::write_record(row, 0)).collect(),
        )
        .await
    }

    async fn settle_records(&mut self, rows: &[(i64, InboxRow)]) -> Result<(), StoreError> {
        let rows: Vec<_> = rows
            .iter()
            .map(|(seq, row)| stored::write_record(row, *seq))
            .collect();
        for statement in inbox::SETTLE {
            self.write(statement, rows.clone()).await?;
        }
        Ok(())
    }

    async fn release_records(&mut self, come: &[Come]) -> Result<(), StoreError> {
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
            .await?;
        let deliveries = sqlx::query(
            "update delivery set state = 'due', cause = null, judged_by = null, due_ms = ?3
             where adapter = ?1 and state = 'parked' and not held and judged_by <> ?2",
        )
        .bind(adapter)
        .bind(version)
        .bind(now.as_millisecond())
        .execute(&mut *self.inner)
        .await?;
        Ok(records.rows_affected() + deliveries.rows_affected())
    }

    async fn close_refused(&mut self, taken: &[Taken]) -> Result<(), StoreError> {
        let rows = taken.iter().map(|taken| {
            json!({"adapter": taken.adapter, "code": taken.code, "raw_hash": taken.raw_hash, "cause": SUPERSEDED})
        });
        self.write(
            "update inbox set state = 'ignored', cause = ?1 ->> '$[0].cause' where seq in (
                 select refused.seq
                 from json_each(?1) cross join inbox as refused
                     on refused.code = value ->> 'code' and refused.adapter = value ->> 'adapter'
                     and refused.state = 'refused'
                 -- a repetition of what came before the refusal says nothing about what was refused
                 where not exists (
                     select 1 from inbox as older
                     where older.code = refused.code and older.adapter = refused.adapter
                     and older.raw_hash = value ->> 'raw_hash' and older.seq < refused.seq))",
            rows.collect(),
        )
        .await
    }

    async fn put_shadows(&mut self, shadows: &[(String, DossierId, Shadow)]) -> Result<(), StoreError> {
        let rows = shadows.iter().map(
            |(adapter, id, shadow)| json!({"adapter": adapter, "id": id, "body": json!(shadow).to_string()}),
        );
        self.write(
            "insert into shadow (adapter, dossier_id, body)
             select value ->> 'adapter', value ->> 'id', value ->> 'body' from json_each(?1) where true
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
            "insert into outbox (event_id, body) select value ->> 'id', value ->> 'body' from json_each(?1)",
            rows.collect(),
        )
        .await
    }

    async fn forget_outbox(&mut self, events: &[&str]) -> Result<(), StoreError> {
        self.write(
            "delete from outbox where event_id in (select value from json_each(?1))",
            events.iter().map(|id| json!(id)).collect(),
        )
        .await
    }

    async fn put_cursor(&mut self, adapter: &str, operation: &str, body: &str) -> Result<(), StoreError> {
        self.write(
            "insert into cursor (adapter, operation, body)
             select value ->> 0, value ->> 1, value ->> 2 from json_each(?1) where true
             on conflict (adapter, operation) do update set body = excluded.body",
            vec![json!([adapter, operation, body])],
        )
        .await
    }

    async fn owe(
        &mut self,
        adapter: &str,
        operation: &str,
        records: &[(Value, Option<String>)],
    ) -> Result<(), StoreError> {
        let rows = records
            .iter()
            .map(|(record, error)| json!([adapter, operation, record.to_string(), error]));
        self.write(
            "insert into acknowledgement (adapter, operation, record, error)
             select value ->> 0, value ->> 1, value ->> 2, value ->> 3 from json_each(?1) where true
             on conflict (adapter, operation, record) do update set error = excluded.error",
            rows.collect(),
        )
        .await
    }

    async fn forget_owed(&mut self, owed: &[Owed]) -> Result<(), StoreError> {
        self.write(
            "delete from acknowledgement where seq in (select value from json_each(?1))",
            owed.iter().map(|owed| owed.seq.into()).collect(),
        )
        .await
    }

    async fn put_off(&mut self, owed: &[Owed], until: Timestamp) -> Result<(), StoreError> {
        self.write_at(
            "update acknowledgement set failures = value ->> 'failures', batch_limit = value ->> 'batch_limit', until_ms = ?2
             from json_each(?1) where seq = value ->> 'seq'",
            owed.iter().map(stored::write_owed).collect(),
            until,
        )
        .await
    }

    async fn count_on(&mut self, adapter: &str, operation: &str, by: u64) -> Result<u64, StoreError> {
        let by = i64::try_from(by).unwrap_or(i64::MAX);
        let last: i64 = sqlx::query_scalar(
            "insert into cursor (adapter, operation, body) values (?1, ?2, cast(?3 as text))
             on conflict (adapter, operation) do update set body = cast(cast(body as integer) + ?3 as text)
             returning cast(body as integer)",
        )
        .bind(adapter)
        .bind(operation)
        .bind(by)
        .fetch_one(&mut *self.inner)
        .await?;
        Ok(u64::try_from(last - by).unwrap_or(0))
    }

    async fn spend(&mut self, adapter: &str, quotas: &[Quota]) -> Result<Option<usize>, StoreError> {
        quota::spend(&mut self.inner, adapter, quotas).await
    }

    async fn put_clock(&mut self, hlc: Hlc) -> Result<(), StoreError> {
        self.write(
            "insert into meta (name, value) select 'clock', value ->> 0 from json_each(?1) where true
             on conflict (name) do update set value = excluded.value",
            vec![json!([json!(hlc).to_string()])],
        )
        .await
    }

    async fn put_journal(&mut self, events: &[Event], received: Timestamp) -> Result<(), StoreError> {
        let rows = events
            .iter()
            .map(|event| json!({"id": event.id, "dossier": event.data.id, "body": json!(event).to_string()}));
        self.write_at(
            "insert into journal (event_id, dossier_id, received_ms, body)
             select value ->> 'id', value ->> 'dossier', ?2, value ->> 'body' from json_each(?1)",
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
             select value ->> 'id', value ->> 'code', value ->> 'version', value ->> 'updated', value ->> 'body'
             from json_each(?1) where true
             on conflict (id) do update set code = excluded.code, version = excluded.version,
                 updated_ms = excluded.updated_ms, body = excluded.body",
            rows.collect(),
        )
        .await
    }

    async fn join(&mut self, gone: DossierId, stays: DossierId) -> Result<(), StoreError> {
        for statement in join::STATEMENTS {
            sqlx::query(statement)
                .bind(gone.to_string())
                .bind(stays.to_string())
                .execute(&mut *self.inner)
                .await?;
        }
        Ok(())
    }

    async fn put_links(&mut self, links: &[(CodeKey, DossierId)]) -> Result<(), StoreError> {
        self.write(
            "insert or ignore into link (system, code_key, dossier_id, modern)
             select value ->> 0, value ->> 1,
                    coalesce((select dossier_id from alias where id = value ->> 2), value ->> 2), value ->> 3
             from json_each(?1)",
            links
                .iter()
                .map(|((system, key), id)| {
                    let modern = DossierCode::parse(key).map(|code| code.modern());
                    json!([system, key, id, modern])
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
        self.write(
            delivery::PLACE_ITEMS,
            items.iter().map(|row| json!(row)).collect(),
        )
        .await?;
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
            .await?;
        rows.iter()
            .map(|row| {
                let id = row.dossier("dossier_id")?;
                Ok((id, row.try_get("push")?, row.try_get("item")?))
            })
            .collect()
    }

    async fn release(
        &mut self,
        waiting: &[(String, DossierId, String)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write_at(
            "update delivery set state = 'due', until_ms = null, requirement = null, due_ms = ?2
             from (select value as r from json_each(?1))
             where adapter = r ->> 0 and dossier_id = r ->> 1 and requirement = r ->> 2 and state = 'waiting'",
            waiting.iter().map(|(adapter, id, requirement)| json!([adapter, id, requirement])).collect(),
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
        decide::decide(&mut self.inner, decisions, asked, now).await
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        Ok(self.inner.commit().await?)
    }
}
