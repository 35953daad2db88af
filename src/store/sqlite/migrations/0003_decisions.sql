-- What people decided about dead letters. Rows are only added.
create table decision (
    seq        integer primary key autoincrement,
    at_ms      integer not null,        -- by the wall clock
    decided_by text    not null,
    letter     text    not null,        -- id of the dead letter
    dossier_id text,
    verb       text    not null check (verb in ('retry', 'discard')),
    reason     text
) strict;
create index decision_letter on decision (letter, seq);
create index decision_dossier on decision (dossier_id, seq) where dossier_id is not null;

-- A person gave the record up: if it comes in again as it was and is refused again, it is no new dead letter.
alter table inbox add column discarded integer not null default 0;
create index inbox_discarded on inbox (adapter, operation, raw_hash) where discarded = 1;

-- The place in the journal after which two dossiers were joined.
alter table alias add column seq integer;
