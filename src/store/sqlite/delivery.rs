//! The ledger: the statements that pick what may be worked on.

/// One row per dossier: that of the dossier itself before its items, items in their order. `?4` rows are looked at, so
/// that a step's price does not grow with the backlog.
pub(super) const DUE: &str = "
    with free as not materialized (
        select d.* from delivery d
        where adapter = ?1 and push in (select value from json_each(?5))
          -- an item waits for the open items before it: a target sees them in their order; questions are free of each other
          and not exists (
              select 1 from delivery e
              where d.item <> '' and d.push not like 'lookup.%' and e.adapter = d.adapter and e.push = d.push and e.dossier_id = d.dossier_id
                and e.item <> '' and e.ordinal < d.ordinal
                and e.state in ('due', 'waiting', 'backing_off', 'in_doubt'))
          -- a call that may still take effect: nothing else is said about this dossier meanwhile
          and not exists (
              select 1 from delivery e
              where e.adapter = d.adapter and e.dossier_id = d.dossier_id
                and e.state = 'in_doubt' and e.until_ms > ?2)
    ),
    ready as (
        select * from (select * from free where state = 'due' order by due_ms limit ?4)
        union all
        select * from (
            select * from free where state in ('waiting', 'backing_off', 'in_doubt') and until_ms <= ?2
            order by until_ms limit ?4)
    ),
    numbered as (
        select *, row_number() over (partition by dossier_id order by item <> '', push, ordinal) as place from ready
    )
    select * from numbered where place = 1 order by due_ms limit ?3";

/// How many rows are looked at for each that may be taken: a dossier may have several.
pub(super) const LOOKED_AT: u32 = 16;

pub(super) const OF_DOSSIER: &str =
    "select * from delivery where dossier_id = ?1 order by adapter, push, ordinal";

/// Open items of the push and dossier of row `?1..?4`, the next in their order. One whose time has not come ends the line:
/// a target sees them in their order.
pub(super) const MATES: &str = "
    select * from delivery d
    where adapter = ?1 and push = ?2 and dossier_id = ?3 and item <> '' and ordinal > ?4
      and (state = 'due' or (state in ('waiting', 'backing_off', 'in_doubt') and until_ms <= ?6))
      and not exists (
          select 1 from delivery e
          where e.adapter = d.adapter and e.push = d.push and e.dossier_id = d.dossier_id and e.item <> ''
            and e.ordinal > ?4 and e.ordinal < d.ordinal and e.state in ('waiting', 'backing_off', 'in_doubt')
            and (e.until_ms is null or e.until_ms > ?6))
    order by ordinal limit ?5";

/// When the next row that waits for a time comes due.
pub(super) const NEXT_DUE: &str = "
    select min(until_ms) from delivery
    where adapter = ?1 and state in ('waiting', 'backing_off', 'in_doubt') and until_ms > ?2";
