-- When the report of a notice's delivery is overdue: where a route says by when one should be there, and asks, or hands
-- the person to a human, if none comes. The index holds what waits for such a report, and nothing else.
alter table notice add column report_due bigint check (report_due is null or state = 'accepted');
create index notice_overdue on notice (campaign, route, report_due, id) where report_due is not null;
-- Calls by machines that were taken before there was a time to wait for.
update notice set report_due = changed_at
where channel = 'phone' and state = 'accepted' and exists (
    select 1 from attempt a where a.campaign = notice.campaign and a.notice = notice.id and a.no = notice.attempts
      and a.provider <> 'call-sheet');
