-- How often a limit was used up to the end of its time, by the wall clock.
create table quota (
    adapter  text    not null,
    name     text    not null,
    until_ms integer not null,
    used     integer not null,
    primary key (adapter, name)
) strict, without rowid;
