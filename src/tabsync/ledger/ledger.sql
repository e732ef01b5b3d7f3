-- What the ledger is read by: the same text for SQLite and for PostgreSQL, so no word that only one of them knows.

-- name: evidence
-- The newest first. subject, ok: null for any.
select id, at, kind, subject, ok, run_id, facts
  from evidence
 where kind = :kind and subject = coalesce(:subject, subject) and ok = coalesce(:ok, ok)
 order by at desc
 limit :limit

-- name: audit
-- The newest first.
select id, at, actor, action, target, detail, run_id from audit order by id desc limit :limit

-- name: runs
-- The newest first, without their plans, which are long. procedure: null for any.
select id, procedure, title, state, approval, actor, host, pid, target, plan_digest, manual_digest,
       started_at, finished_at, parent
  from run
 where procedure = coalesce(:procedure, procedure)
 order by started_at desc
 limit :limit

-- name: running
-- What a home has begun and not ended, as far as is known here.
select id from run where state = 'running' and (home = :home or home = '' and host = :host)

-- name: newest_run
select id from run order by started_at desc limit 1

-- name: run
select id, procedure, title, state, approval, actor, host, pid, target, plan, plan_digest, manual_digest,
       started_at, finished_at, parent
  from run
 where id = :id

-- name: runs_under
-- The runs that belong to a run, in order.
select id, procedure, title, state, actor, started_at, finished_at from run where parent = :parent order by started_at

-- name: steps
-- Of a run, in order.
select run_id, number, key, title, state, started_at, seconds, facts, fact, hint
  from step
 where run_id = :run_id
 order by number

-- name: manual_versions
-- In the order in which they came into force.
select id, at, digest, program, subject, items from manual_version order by id

-- name: evidence_from
-- Of a kind, the oldest first.
select at, subject, ok, run_id, facts from evidence where kind = :kind and at >= :since order by at

-- name: evidence_good_moments
-- The same of what is good, without what it says.
select at, subject, run_id from evidence where kind = :kind and at >= :since and ok order by at

-- name: evidence_bad
-- The rest.
select at, subject, ok, run_id, facts from evidence where kind = :kind and at >= :since and not ok order by at

-- name: occurrences
-- All that were due since a moment.
select item, due, state, service, host, fence, tries, directory, started_at, limit_at, ended_at, exit, fact, run_id,
       retry_at
  from occurrence
 where due >= :since

-- name: occurrences_of
-- Of an item, since <= due < until.
select item, due, state, service, host, fence, tries, directory, started_at, limit_at, ended_at, exit, fact, run_id,
       retry_at
  from occurrence
 where item = :item and due >= :since and due < :until

-- name: occurrence
select item, due, state, service, host, fence, tries, directory, started_at, limit_at, ended_at, exit, fact, run_id,
       retry_at, output
  from occurrence
 where item = :item and due = :due

-- name: open_occurrences
select item, due, state, service, host, home, fence, tries, directory, started_at, limit_at, ended_at, exit, fact, run_id,
       retry_at
  from occurrence
 where state = 'running'

-- name: marks
select id, at, kind, item, due, who, note, digest from mark where at >= :since order by id

-- name: approvals
select id, at, kind, item, due, who, note, digest from mark where kind = 'approve' order by id

-- name: services
select name, host, pid, started_at, beat_at, facts from service order by name

-- name: lease
select name, holder, fence, until from lease where name = :name

-- name: old_runs
select count(*) as count from run where started_at < :before and state <> 'running'

-- name: old_alerts
select count(*) as count from episode where ended_at < :before and not is_test

-- name: open_episodes
-- What has not ended, and what ended lately: someone may have to be told of its end.
select id, subject, kind, rule, label, state, level, began_at, fired_at, ended_at, seen_at, acked_at, acked_by, is_test,
       facts
  from episode
 where ended_at is null or ended_at >= :since
 order by began_at, id

-- name: episodes
-- That fired, the newest first.
select id, subject, kind, rule, label, state, level, began_at, fired_at, ended_at, seen_at, acked_at, acked_by, is_test,
       facts
  from episode
 where fired_at >= :since
 order by fired_at desc, id
 limit :limit

-- name: episode
select id, subject, kind, rule, label, state, level, began_at, fired_at, ended_at, seen_at, acked_at, acked_by, is_test,
       facts
  from episode
 where id = :id

-- name: last_notice
-- The newest of a kind that is told once and is no alert.
select began_at from episode where kind = :kind and subject = :subject order by began_at desc limit 1

-- name: deliveries
-- Of one episode, in the order in which they were made.
select id, episode, contact, channel, event, created_at, due_at, state, tries, sent_at, fact
  from delivery
 where episode = :episode
 order by id

-- name: silences
-- In force at a moment.
select id, rule, label, reason, owner, from_at, until_at, ended_at, ended_by
  from silence
 where ended_at is null and until_at > :now
 order by id

-- name: alert_windows
-- That are open at a moment, or will be.
select id, reason, owner, zone, from_at, until_at, ended_at, critical_too, run_id
  from alert_window
 where ended_at is null and until_at > :now
 order by from_at, id

-- name: deliveries_since
-- Of all episodes that have not ended, or did lately.
select d.id, d.episode, d.contact, d.channel, d.event, d.created_at, d.due_at, d.state, d.tries, d.sent_at, d.fact
  from delivery d join episode e on e.id = d.episode
 where e.ended_at is null or e.ended_at >= :since
 order by d.id

-- name: runs_between
-- That began between two moments, the newest first.
select id, procedure, state, actor, started_at, finished_at
  from run
 where started_at >= :since and started_at < :until
 order by started_at desc
 limit :limit

-- name: alert_windows_between
-- That were open at some time between two moments.
select id, reason, owner, from_at, coalesce(ended_at, until_at) as until_at
  from alert_window
 where from_at < :until and coalesce(ended_at, until_at) > :since
 order by from_at, id

-- name: running_since
-- Runs that have begun since a moment, and not ended as far as is known.
select id, procedure, actor, started_at from run where state = 'running' and started_at >= :since order by started_at

-- name: incident_entries
-- Of the newest incidents, in the order in which they were written.
select e.id, e.incident, e.at, e.kind, e.who, e.text, e.facts
  from incident_entry e
 where e.incident in (select o.incident from incident_entry o where o.kind = 'opened' order by o.at desc limit :limit)
 order by e.id

-- name: episodes_between
-- That fired, or began, between two moments, or had not ended by the first, in order.
select id, rule, label, level, began_at, fired_at, ended_at, acked_at, acked_by, is_test
  from episode
 where fired_at is not null and began_at < :until and (ended_at is null or ended_at >= :since) and kind not in ('hidden', 'report', 'incident')
 order by began_at, id

-- name: deliveries_between
-- Messages that were taken between two moments, in order.
select d.contact, d.channel, d.event, d.sent_at, e.kind, e.rule, e.label
  from delivery d join episode e on e.id = d.episode
 where d.sent_at >= :since and d.sent_at < :until
 order by d.sent_at, d.id

-- name: titled_runs_between
-- Runs that began between two moments, the newest first, with what they were called; those that entries and steps tell are left out.
select id, procedure, title, state, actor, started_at, finished_at, parent
  from run
 where started_at >= :since and started_at < :until and parent = ''
   and substr(procedure, 1, 9) <> 'incident ' and procedure not in ('alert ack', 'runbook run')
 order by started_at desc
 limit :limit

-- name: steps_between
-- Of the runbooks that were gone through: each step that began between two moments, in order.
select s.run_id, s.number, s.title, s.state, s.started_at, s.seconds, s.fact, s.facts
  from step s join run r on r.id = s.run_id
 where r.procedure = 'runbook run' and s.started_at >= :since and s.started_at < :until
 order by s.started_at

-- name: last_known
-- What was known of a database when it last answered.
select at, facts from last_known where subject = :subject
