-- Dead letters are listed oldest first; what is refused or parked is found without what is not.
create index inbox_refused on inbox (observed_ms, seq) where state = 'refused';
create index delivery_parked on delivery (due_ms) where state = 'parked';
