-- Every process that sent or sends. One whose lease ran out has lost its notices to the others.
create table worker (
    id integer primary key,
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
-- What was being sent before there were workers by name belongs to one that is gone.
insert into worker (host, process, version, started_at, seen_at, lease_until, ended, ended_at)
values ('', 0, '', 0, 0, 0, 'lost', 0);

-- A notice that is being sent belongs to a worker, whose lease is the notice's.
create table new_notice (
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
) without rowid;
insert into new_notice select campaign, id, channel, state, due_at, first_due, attempts, tries, refusals, reason, route,
    case when state = 'sending' then 1 end, changed_at from notice;
drop table notice;
alter table new_notice rename to notice;
create index notice_due on notice (campaign, channel, due_at, id) where due_at is not null;
create index notice_sending on notice (campaign, worker, id) where state = 'sending';
create index notice_open on notice (campaign, state, reason, id) where state in ('failed', 'unknown');
create index notice_call on notice (campaign, channel, state, id) where channel = 'phone' and state = 'accepted';

-- Each worker sees a route for itself.
drop table route_health;
create table route_health (
    name text not null,
    worker bigint not null,
    state text not null,
    reason text not null,
    until bigint,
    per_second double precision not null,
    changed_at bigint not null,
    primary key (name, worker)
) without rowid;
