-- The tables of migrations/sqlite/, for PostgreSQL 15 and later. Times are BIGINT microseconds since the Unix epoch, UTC.
-- No personal data stands here in the clear.
--
-- The large tables are partitioned by campaign: a campaign is archived or dropped by detaching or dropping its
-- partitions, without touching a row of another. The program makes the partitions when it makes the campaign.

-- A batch travels as one JSON text. SQLite has this function built in; the statements are the same on both. `strict`
-- keeps it from being taken apart by the planner, and `rows 1` makes it what a join begins with: a batch then finds its
-- rows by key, also in a table that has grown by millions since it was last analysed.
create function json_each(batch text) returns table (value jsonb)
language sql immutable strict parallel safe rows 1
as 'select jsonb_array_elements(batch::jsonb)';

create table meta (
    name text not null primary key,
    value text not null
);

create table campaign (
    no bigint not null primary key,
    id text not null unique,
    incident text not null,
    kind text not null check (kind in ('initial', 'update', 'final', 'drill')),
    title text not null,
    -- 'finished' is not a state here: it is a query over the persons.
    state text not null check (state in ('draft', 'approved', 'running', 'paused', 'cancelled')),
    reason text,
    created_at bigint not null,
    created_by text not null,
    started_at bigint,
    -- The incident file and the templates as they were approved; a campaign never reads them from disk again.
    incident_file text not null,
    templates text not null,
    sender text not null,
    list_digest text not null,
    texts_digest text not null,
    ladder_digest text not null,
    keys bytea not null,
    -- The highest person number given out, and the highest one whose first notice is planned.
    last_person bigint not null default 0,
    planned bigint not null default 0,
    unique (incident, kind)
);

create table source (
    campaign bigint not null references campaign (no) on delete cascade,
    no bigint not null,
    name text not null,
    digest text not null,
    encoding text not null,
    delimiter text not null,
    rows_read bigint not null,
    persons bigint not null,
    merged bigint not null,
    rejected bigint not null,
    without_contact bigint not null,
    -- 0 while its rows are being taken in; a campaign with such a source does not start.
    complete bigint not null default 0,
    primary key (campaign, no)
);

create table row_problem (
    campaign bigint not null,
    source bigint not null,
    row_no bigint not null,
    n bigint not null,
    rejected bigint not null,
    field text not null,
    code text not null,
    message text not null,
    primary key (campaign, source, row_no, n)
) partition by list (campaign);

create table approval (
    id bigint generated always as identity primary key,
    campaign bigint not null references campaign (no) on delete cascade,
    at bigint not null,
    by_name text not null,
    list_digest text not null,
    texts_digest text not null,
    ladder_digest text not null,
    void_at bigint,
    void_reason text
);

create table person (
    campaign bigint not null,
    no bigint not null,
    source bigint not null,
    row_no bigint not null,
    ref_hash bytea not null,
    -- The kinds of the contacts in order, a letter each: e, p.
    reach text not null,
    locale text not null,
    country text not null,
    standing text not null check (standing in ('satisfied', 'in_flight', 'needs_human', 'unreachable', 'excluded')),
    primary key (campaign, no)
) partition by list (campaign);
create unique index person_ref on person (campaign, ref_hash);
create index person_open on person (campaign, standing, no) where standing in ('needs_human', 'unreachable', 'excluded');

-- Beside the person, so that a change of standing does not write the sealed bytes again.
create table sealed_person (
    campaign bigint not null,
    no bigint not null,
    -- The person's own key, wrapped; destroying it destroys the person.
    wrapped_key bytea not null,
    sealed bytea not null,
    primary key (campaign, no)
) partition by list (campaign);

create table contact (
    campaign bigint not null,
    hash bigint not null,
    person bigint not null,
    ordinal bigint not null,
    primary key (campaign, hash, person, ordinal)
) partition by list (campaign);

create table notice (
    campaign bigint not null,
    -- Person, contact and channel in one number: this key is what keeps anybody from being told twice.
    id bigint not null,
    channel text not null check (channel in ('email', 'sms', 'phone')),
    state text not null check (state in ('queued', 'sending', 'accepted', 'delivered', 'acknowledged', 'deferred',
                                         'failed', 'unknown', 'suppressed', 'cancelled')),
    -- When to claim it; null: not by itself.
    due_at bigint,
    -- When it was first tried (before that: when it fell due); giving up counts from here.
    first_due bigint not null,
    attempts bigint not null default 0,
    tries bigint not null default 0,
    -- Definite refusals so far: part of the idempotency key.
    refusals bigint not null default 0,
    reason text,
    route text,
    -- Who has it on the way; nobody else may record its outcome.
    worker bigint,
    changed_at bigint not null,
    primary key (campaign, id),
    check ((state = 'sending') = (worker is not null)),
    check (due_at is null or state in ('queued', 'deferred', 'unknown')),
    check ((state = 'failed') = (reason is not null))
) partition by list (campaign);
create index notice_due on notice (campaign, channel, due_at, id) where due_at is not null;
create index notice_sending on notice (campaign, worker, id) where state = 'sending';
create index notice_open on notice (campaign, state, reason, id) where state in ('failed', 'unknown');
create index notice_call on notice (campaign, channel, state, id) where channel = 'phone' and state = 'accepted';

create sequence attempt_id;
create table attempt (
    campaign bigint not null,
    id bigint not null default nextval('attempt_id'),
    notice bigint not null,
    no bigint not null,
    route text not null,
    provider text not null,
    started_at bigint not null,
    finished_at bigint,
    class text,
    state text,
    code text,
    text text,
    provider_id text,
    primary key (campaign, id),
    check ((finished_at is null) = (class is null))
) partition by list (campaign);
create unique index attempt_notice on attempt (campaign, notice, no);

-- What people and the program did to the campaign as a whole, and to single notices outside an attempt.
create sequence note_id;
create table note (
    campaign bigint not null,
    id bigint not null default nextval('note_id'),
    notice bigint,
    at bigint not null,
    by_name text not null,
    what text not null,
    text text not null,
    primary key (campaign, id)
) partition by list (campaign);
create index note_notice on note (campaign, notice, id) where notice is not null;

-- Sums kept in the transaction of the facts they count, so that a status is read, never computed.
create table tally (
    campaign bigint not null,
    kind text not null,
    name text not null,
    n bigint not null,
    primary key (campaign, kind, name)
) with (fillfactor = 50);

-- A route's schedule (which slots of its limits are taken) and health, shared by all workers.
create table route (
    name text not null,
    -- '' for the route's own limits, else the domain's name.
    lane text not null,
    schedule text not null,
    primary key (name, lane)
) with (fillfactor = 30);

create table route_health (
    name text not null,
    -- Each worker sees a route for itself.
    worker bigint not null,
    state text not null,
    reason text not null,
    until bigint,
    per_second double precision not null,
    changed_at bigint not null,
    primary key (name, worker)
) with (fillfactor = 30);

-- Every process that sent or sends. One whose lease ran out has lost its notices to the others.
create table worker (
    id bigint generated always as identity primary key,
    host text not null,
    process bigint not null,
    version text not null,
    started_at bigint not null,
    seen_at bigint not null,
    lease_until bigint not null,
    ended text check (ended in ('stopped', 'lost')),
    ended_at bigint,
    check ((ended is null) = (ended_at is null))
);

create function attempt_is_append_only() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' then
        raise exception 'attempts are never deleted';
    end if;
    raise exception 'a finished attempt is never changed';
end $$;
create trigger attempt_is_append_only_delete before delete on attempt
for each row execute function attempt_is_append_only();
create trigger attempt_is_append_only_update before update on attempt
for each row when (old.finished_at is not null) execute function attempt_is_append_only();
