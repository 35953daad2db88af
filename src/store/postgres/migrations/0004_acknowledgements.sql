-- That a system is to be told that we have a record which its pull listed: written with the record, gone once it was told.
create table acknowledgement (
    seq         bigint generated always as identity primary key,
    adapter     text collate "C" not null,
    operation   text collate "C" not null,
    record      text collate "C" not null,  -- what the call names the record by
    error       text,                       -- code of the cause for which the record was refused
    failures    bigint not null default 0,  -- how often the system did not take it
    batch_limit bigint,                     -- in how large a call it may go, after one was refused whole
    until_ms    bigint,                     -- not to be made again before, by the steady clock
    unique (adapter, operation, record)
);
