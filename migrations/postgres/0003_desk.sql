-- Whoever needs a human has a case: made and closed by triggers on what makes it so, in the same transaction, so that no
-- part of the program can forget one. A person has one case, however often it is opened.
create table desk_case (
    campaign bigint not null,
    person bigint not null,
    -- Why it is open: the person needs a human, or a call to them lies on a sheet.
    why text not null check (why in ('human', 'call')),
    is_open bigint not null,
    opened_at bigint not null,
    -- How urgent it is and by when it should be worked off; null until the desk has looked at it.
    tier text,
    due_at bigint,
    -- Not to be taken up before: a call-back.
    not_before bigint,
    -- Calls made for it, on sheets and at the desk.
    calls bigint not null default 0,
    -- Whom the script speaks to, where a call has shown that it is somebody else: a role.
    speak_to text,
    -- Who works on it, and until when nobody else may.
    holder text,
    lease_until bigint,
    -- Why a person closed it.
    reason text,
    changed_at bigint not null,
    primary key (campaign, person),
    check ((holder is null) = (lease_until is null)),
    check (holder is null or is_open = 1)
) partition by list (campaign);
create index desk_case_new on desk_case (campaign, person) where is_open = 1 and due_at is null;
create index desk_case_ready on desk_case (campaign, due_at, person) where is_open = 1 and not_before is null;
create index desk_case_later on desk_case (campaign, not_before, person) where is_open = 1 and not_before is not null;
create index desk_case_held on desk_case (campaign, holder, person) where holder is not null;

do $$
declare c bigint;
begin
    for c in select no from campaign loop
        execute format('create table desk_case_%s partition of desk_case for values in (%s) with (fillfactor = 70)', c, c);
    end loop;
end $$;

create function person_needs_human() returns trigger language plpgsql as $$
declare at bigint := cast(extract(epoch from clock_timestamp()) * 1000000 as bigint);
begin
    if new.standing = 'needs_human' then
        insert into desk_case as c (campaign, person, why, is_open, opened_at, changed_at)
        values (new.campaign, new.no, 'human', 1, at, at)
        on conflict (campaign, person) do update set
            opened_at = case when c.is_open = 1 then c.opened_at else excluded.opened_at end,
            not_before = case when c.is_open = 1 then c.not_before end,
            why = 'human', is_open = 1, tier = null, due_at = null, reason = null, changed_at = excluded.changed_at;
    else
        update desk_case set is_open = 0, not_before = null, holder = null, lease_until = null, changed_at = at
        where campaign = new.campaign and person = new.no;
    end if;
    return null;
end $$;
create trigger person_needs_human after update of standing on person
for each row when ((new.standing = 'needs_human') <> (old.standing = 'needs_human'))
execute function person_needs_human();

-- A call that lies on a sheet is owed by a human. It is closed where its end is recorded; who takes a case up looks again.
create function call_is_owed() returns trigger language plpgsql as $$
declare at bigint := cast(extract(epoch from clock_timestamp()) * 1000000 as bigint);
begin
    insert into desk_case as c (campaign, person, why, is_open, opened_at, changed_at)
    values (new.campaign, new.notice / 4096, 'call', 1, at, at)
    on conflict (campaign, person) do update set
        why = 'call', is_open = 1, opened_at = excluded.opened_at, tier = null, due_at = null, not_before = null,
        reason = null, changed_at = excluded.changed_at
    where c.is_open = 0;
    return null;
end $$;
create trigger call_is_owed after update of class on attempt
for each row when (new.class = 'accepted' and new.provider = 'call-sheet')
execute function call_is_owed();

-- A remark about a person, sealed under the person's key.
alter table note add column sealed bytea;

-- Those who need a human already, and the calls that are owed already.
insert into desk_case (campaign, person, why, is_open, opened_at, changed_at)
select campaign, no, 'human', 1, cast(extract(epoch from clock_timestamp()) * 1000000 as bigint),
       cast(extract(epoch from clock_timestamp()) * 1000000 as bigint)
from person where standing = 'needs_human';
insert into desk_case (campaign, person, why, is_open, opened_at, changed_at)
select distinct n.campaign, n.id / 4096, 'call', 1, cast(extract(epoch from now()) * 1000000 as bigint),
       cast(extract(epoch from now()) * 1000000 as bigint)
from notice n
where n.channel = 'phone' and n.state = 'accepted' and exists (
    select 1 from attempt a
    where a.campaign = n.campaign and a.notice = n.id and a.class = 'accepted' and a.provider = 'call-sheet')
on conflict do nothing;
