-- What ends a transaction ends all of it. A trigger that only undoes its own statement (`abort`, and the `do update` of an
-- upsert) makes SQLite copy each page that such a statement touches before it touches it, and that is the dearest part of a
-- statement about many rows. The rules are the same.

drop trigger report_is_append_only_update;
create trigger report_is_append_only_update before update on report
when old.handled_at is not null or new.sealed is not old.sealed or new.route is not old.route
begin
    select raise(rollback, 'a report is never changed');
end;

drop trigger person_needs_human;
create trigger person_needs_human after update of standing on person
when new.standing = 'needs_human' and old.standing <> 'needs_human'
begin
    update desk_case set
        opened_at = case when is_open = 1 then opened_at else cast(unixepoch('subsec') * 1000000 as bigint) end,
        not_before = case when is_open = 1 then not_before end,
        why = 'human', is_open = 1, tier = null, due_at = null, reason = null,
        changed_at = cast(unixepoch('subsec') * 1000000 as bigint)
    where campaign = new.campaign and person = new.no;
    insert into desk_case (campaign, person, why, is_open, opened_at, changed_at)
    select new.campaign, new.no, 'human', 1, cast(unixepoch('subsec') * 1000000 as bigint),
           cast(unixepoch('subsec') * 1000000 as bigint)
    where not exists (select 1 from desk_case where campaign = new.campaign and person = new.no);
end;
