//! How often a system was asked within its limits.

use std::time::Duration;

use sqlx::sqlite::SqliteConnection;

use crate::store::{Quota, StoreError};

/// How long counts are kept after their window: nobody counts on, unless the wall is turned back meanwhile.
const KEPT: Duration = Duration::from_hours(48);

/// Counts one use of each limit; nothing at all if one of them is used up: which one.
pub(super) async fn spend(
    connection: &mut SqliteConnection,
    adapter: &str,
    quotas: &[Quota],
) -> Result<Option<usize>, StoreError> {
    for (place, quota) in quotas.iter().enumerate() {
        let used: i64 = sqlx::query_scalar(
            "insert into quota (adapter, name, until_ms, used) values (?1, ?2, ?3, 1)
             on conflict (adapter, name) do update set
                 used = iif(excluded.until_ms > until_ms, 1, used + 1), until_ms = max(until_ms, excluded.until_ms)
             returning used",
        )
        .bind(adapter)
        .bind(&quota.name)
        .bind(quota.until.as_millisecond())
        .fetch_one(&mut *connection)
        .await?;
        if used > i64::from(quota.limit) {
            for counted in &quotas[..=place] {
                sqlx::query("update quota set used = used - 1 where adapter = ?1 and name = ?2")
                    .bind(adapter)
                    .bind(&counted.name)
                    .execute(&mut *connection)
                    .await?;
            }
            return Ok(Some(place));
        }
        if used == 1 {
            let gone = quota.until.saturating_sub(KEPT).unwrap_or(quota.until);
            sqlx::query("delete from quota where adapter = ?1 and until_ms < ?2")
                .bind(adapter)
                .bind(gone.as_millisecond())
                .execute(&mut *connection)
                .await?;
        }
    }
    Ok(None)
}
