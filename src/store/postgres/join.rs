//! Two dossiers become one: what was kept under the id that goes is kept under the one that stays.

/// In this order, each with `$1` the id that goes and `$2` the one that stays. What the other dossier has of its own
/// stays as it is; the caller has merged what can be merged.
pub(super) const STATEMENTS: [&str; 11] = [
    "update link set dossier_id = $2 where dossier_id = $1",
    "update journal set dossier_id = $2 where dossier_id = $1",
    "update inbox set dossier_id = $2 where dossier_id = $1",
    "update alias set dossier_id = $2 where dossier_id = $1",
    "insert into alias (id, dossier_id, seq)
     values ($1, $2, (select max(seq) from journal where dossier_id = $2))
     on conflict (id) do update set dossier_id = excluded.dossier_id, seq = excluded.seq",
    "update decision set dossier_id = $2 where dossier_id = $1",
    "update shadow set dossier_id = $2 where dossier_id = $1 and not exists (
         select 1 from shadow as own where own.dossier_id = $2 and own.adapter = shadow.adapter)",
    "update delivery set dossier_id = $2 where dossier_id = $1 and not exists (
         select 1 from delivery as own
         where own.dossier_id = $2 and own.adapter = delivery.adapter and own.push = delivery.push
           and own.item = delivery.item)",
    "delete from shadow where dossier_id = $1 and $1 <> $2",
    "delete from delivery where dossier_id = $1 and $1 <> $2",
    "delete from dossier where id = $1 and $1 <> $2",
];
