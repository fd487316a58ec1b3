-- What came back later, as it came: sealed, since it names addresses. It is there before its sender is answered, and what
-- became of it is written beside it once.
create table report (
    id bigint generated always as identity primary key,
    -- The route whose address it came to; '' where it came another way and its notices name themselves.
    route text not null,
    digest bytea not null,
    sealed bytea not null,
    received_at bigint not null,
    -- When to handle it (again); null once it is handled.
    due_at bigint,
    -- How often it was looked at.
    tries bigint not null default 0,
    -- JSON: which of its events still wait for their notice, and what became of the others. Null: not looked at yet.
    progress text,
    handled_at bigint,
    outcome text check (outcome in ('applied', 'late', 'duplicate', 'no-such-notice', 'empty', 'unreadable')),
    check ((handled_at is null) = (due_at is not null)),
    check ((handled_at is null) = (outcome is null))
) with (fillfactor = 80);
-- Sealed bytes do not get smaller.
alter table report alter column sealed set storage external;
create index report_due on report (due_at, id) where due_at is not null;

-- One event about one notice: beside the attempts, the delivery log.
create sequence receipt_id;
create table receipt (
    campaign bigint not null,
    id bigint not null default nextval('receipt_id'),
    notice bigint not null,
    -- The attempt it speaks of.
    attempt bigint not null,
    report bigint not null,
    route text not null,
    event text not null check (event in ('progress', 'delivered', 'acknowledged', 'failed', 'complained')),
    class text,
    code text not null,
    text text not null,
    provider_id text,
    -- When it happened, by the provider.
    at bigint,
    received_at bigint not null,
    -- The same in a repeat of the same event.
    sign bigint not null,
    -- What it left the notice in; null while the attempt has not ended that it speaks of.
    state text,
    primary key (campaign, id),
    check ((event = 'failed') = (class is not null))
) partition by list (campaign);
create unique index receipt_once on receipt (campaign, notice, sign);
create index receipt_early on receipt (campaign, notice) where state is null;

-- What the provider calls the message of an attempt, where a report may name it by nothing else. An index on attempt would
-- cost those who never ask: mail servers, and there is no route with more attempts.
create table known_as (
    campaign bigint not null,
    provider_id text not null,
    notice bigint not null,
    attempt bigint not null,
    primary key (provider_id, campaign, notice, attempt)
) partition by list (campaign);

create function receipt_is_append_only() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' then
        raise exception 'receipts are never deleted';
    end if;
    raise exception 'a receipt that was applied is never changed';
end $$;
create trigger receipt_is_append_only_delete before delete on receipt
for each row execute function receipt_is_append_only();
create trigger receipt_is_append_only_update before update on receipt
for each row when (old.state is not null) execute function receipt_is_append_only();

create function report_is_append_only() returns trigger language plpgsql as $$
begin
    raise exception 'a report is never changed';
end $$;
create trigger report_is_append_only_update before update on report
for each row when (old.handled_at is not null or new.sealed is distinct from old.sealed
                   or new.route is distinct from old.route)
execute function report_is_append_only();

-- The campaigns that are there already get their part.
do $$
declare c bigint;
begin
    for c in select no from campaign order by no loop
        execute format('create table receipt_%s partition of receipt for values in (%s)', c, c);
        execute format('create table known_as_%s partition of known_as for values in (%s)', c, c);
    end loop;
end $$;
insert into known_as (campaign, provider_id, notice, attempt)
select campaign, provider_id, notice, no from attempt where provider_id is not null and provider <> 'smtp';

-- What a provider signed for one report and for no other, as a digest: whatever comes with the same again is a duplicate,
-- whatever else it says.
create table report_seen (
    route text not null,
    once text not null,
    seen_at bigint not null,
    primary key (route, once)
);
create index report_seen_at on report_seen (seen_at);
