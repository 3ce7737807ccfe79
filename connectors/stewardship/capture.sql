-- What leaves the stewardship database, and who may touch what. Applied after schema.sql and
-- ../concord.sql; again is safe.

do $$ begin create role concord_capture nologin;
exception when duplicate_object or unique_violation then null; end $$;
do $$ begin create role concord_adapter_stewardship nologin;
exception when duplicate_object or unique_violation then null; end $$;
do $$ begin create role concord_steward nologin;
exception when duplicate_object or unique_violation then null; end $$;
do $$ begin create role concord_audit nologin;
exception when duplicate_object or unique_violation then null; end $$;

-- The row id and the owning entity's id: all that a delete needs to say, at half the WAL of FULL.
alter table proposal replica identity using index proposal_identity;
alter table ruling replica identity using index ruling_identity;
alter table approval replica identity using index approval_identity;
alter table comment replica identity using index comment_identity;
alter table concord_applied replica identity using index concord_applied_identity;

-- Column lists stand on the tables whose values a person typed: a TIN may be among them.
do $$ begin create publication concord;
exception when duplicate_object then null; end $$;
alter publication concord set table
    proposal (proposal_id, entity_id, kind, system, record, row_id, field, value, effective_date, position,
        author, reason, state, submitted_at, expires_at),
    ruling (ruling_id, entity_id, kind, proposal_id, record, row_id, field, decision, value, bound_position,
        effective_date, expires_at, reason, ruled_by, ruled_at),
    approval (approval_id, entity_id, kind, proposal_id, level, approver, role, verdict, bound_position, decided_at,
        evidence),
    comment (comment_id, entity_id, kind, proposal_id, author, body, written_at),
    concord_applied,
    concord_canary,
    concord_signal,
    concord_heartbeat;

-- Capture: the mapped columns, read only; the heartbeat; signals.
revoke all on all tables in schema public from concord_capture;
grant usage on schema public to concord_capture;
grant select (proposal_id, entity_id, kind, system, record, row_id, field, value, effective_date, position,
    author, reason, state, submitted_at, expires_at) on proposal to concord_capture;
grant select (ruling_id, entity_id, kind, proposal_id, record, row_id, field, decision, value,
    bound_position, effective_date, expires_at, reason, ruled_by, ruled_at) on ruling to concord_capture;
grant select (approval_id, entity_id, kind, proposal_id, level, approver, role, verdict, bound_position,
    decided_at, evidence) on approval to concord_capture;
grant select (comment_id, entity_id, kind, proposal_id, author, body, written_at) on comment to
    concord_capture;
grant select (kind, entity_id, local_id, revision, view_hash, applied_at) on concord_applied to
    concord_capture;
grant select (name, beat, at) on concord_canary to concord_capture;
grant select (id, at), update (at) on concord_heartbeat to concord_capture;
grant select (id, type, data), insert (id, type, data) on concord_signal to concord_capture;

-- The adapter: proposals are the platform's, and what it says of them; reason and date are people's, like rulings,
-- approvals and comments. Nothing may be deleted.
revoke all on all tables in schema public from concord_adapter_stewardship;
revoke all on all sequences in schema public from concord_adapter_stewardship;
grant usage on schema public to concord_adapter_stewardship;
grant select, insert, update, delete on concord_applied, concord_pending, concord_request, concord_offset,
    concord_shape to concord_adapter_stewardship;
grant select on proposal, ruling, audit to concord_adapter_stewardship;
grant execute on function audit_append(text, text, text, text, jsonb) to concord_adapter_stewardship;
grant insert (proposal_id, kind, entity_id, system, record, row_id, field, value, position, author, state, expires_at,
    current_value, owner, level, approvers, requires, way, rule, edited_by, edited_at)
    on proposal to concord_adapter_stewardship;
grant update (proposal_id, kind, entity_id, system, record, row_id, field, value, position, state, expires_at,
    current_value, owner, level, approvers, requires, way, rule, edited_by, edited_at)
    on proposal to concord_adapter_stewardship;

-- People, by `concord proposals` or any other tool: what they say is added, under the database's own time, and never
-- changed or taken away. The audit is read, and grows only by what its function writes.
revoke all on all tables in schema public from concord_steward;
revoke all on all sequences in schema public from concord_steward;
grant usage on schema public to concord_steward;
grant select on proposal, ruling, approval, comment, handling, audit to concord_steward;
grant insert (kind, entity_id, proposal_id, level, approver, role, verdict, bound_position, evidence)
    on approval to concord_steward;
grant insert (kind, entity_id, proposal_id, record, row_id, field, decision, value, bound_position, effective_date,
    expires_at, reason, ruled_by) on ruling to concord_steward;
grant insert (kind, entity_id, proposal_id, author, body) on comment to concord_steward;
grant insert (kind, entity_id, code, subject, act, assignee, until, reason, said_by) on handling to concord_steward;
grant execute on function audit_append(text, text, text, text, jsonb) to concord_steward;

-- Operators' commands and the guard: they write down what they are about to do, and read the audit. Nothing else.
revoke all on all tables in schema public from concord_audit;
revoke all on all sequences in schema public from concord_audit;
grant usage on schema public to concord_audit;
grant select on audit to concord_audit;
grant execute on function audit_append(text, text, text, text, jsonb) to concord_audit;
