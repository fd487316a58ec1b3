-- Time stamps of an authority (RFC 3161) over signed heads of the evidence log.

create table time_stamp (
    -- How many facts the head had that was stamped.
    size bigint not null primary key,
    -- When, as the authority says; and when the answer came, by our clock.
    at bigint not null,
    taken_at bigint not null,
    -- The answer as it came.
    reply bytea not null,
    -- The fact `anchor` that holds its digest.
    leaf bigint not null
);
create trigger time_stamp_is_append_only before update on time_stamp
for each row execute function log_is_append_only();
-- Who may ask the authority, and how it went lately.
create table time_stamp_turn (
    one bigint not null primary key check (one = 1),
    -- Nobody asks before then: somebody is asking, or it failed.
    next_at bigint not null,
    -- Since when it fails, how often, and why; null, 0 and nothing where it does not.
    failing_since bigint,
    tries bigint not null,
    why text not null
);
insert into time_stamp_turn (one, next_at, tries, why) values (1, 0, 0, '');
