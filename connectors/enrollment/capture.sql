-- What leaves the enrollment database, and who may touch what. Applied after schema.sql and
-- ../concord.sql; again is safe.

do $$ begin create role concord_capture nologin;
exception when duplicate_object or unique_violation then null; end $$;
do $$ begin create role concord_adapter_enrollment nologin;
exception when duplicate_object or unique_violation then null; end $$;

-- The row id and the owning entity's id: all that a delete needs to say, at half the WAL of FULL.
alter table payer replica identity using index payer_pkey;
alter table payer_product replica identity using index payer_product_pkey;
alter table contract replica identity using index contract_pkey;
alter table enr_provider replica identity using index enr_provider_pkey;
alter table enrollment replica identity using index enrollment_identity;
alter table enrollment_event replica identity using index enrollment_event_identity;
alter table roster_row replica identity using index roster_row_identity;
alter table payer_response_row replica identity using index payer_response_row_identity;
alter table recon_item replica identity using index recon_item_identity;
alter table concord_applied replica identity using index concord_applied_identity;

-- Column lists stand only on tables with restricted columns: the TIN, values of comparisons that may be a
-- TIN, and the roster payload, which may carry an SSN and is in no list and in no grant (Invariant 11).
do $$ begin create publication concord;
exception when duplicate_object then null; end $$;
alter publication concord set table
    payer,
    payer_product,
    contract (contract_id, payer_id, group_tax_id, product_id, start_date, end_date),
    enr_provider,
    enrollment (enrollment_id, enr_provider_id, group_npi, group_tax_id, svc_loc_ref, payer_id, product_id,
        state, par_status, requested_eff, payer_eff, loaded_at, retro_bill_from, term_dt, term_reason_cd,
        payer_prov_id, payer_loc_id),
    enrollment_event,
    roster_row (roster_row_id, enr_provider_id, submission_id, row_no, enrollment_id, action, row_state),
    payer_response_row (response_id, enr_provider_id, submission_id, row_no, status, reason_code,
        normalized_reason, payer_prov_id, effective_date, term_date, field, submitted_value, payer_value),
    recon_item (recon_id, enr_provider_id, enrollment_id, class, field, internal_value, payer_value,
        opened_at, state, owner_team),
    concord_applied,
    concord_canary,
    concord_signal,
    concord_heartbeat;

-- Capture: the mapped columns, read only; the heartbeat; signals.
revoke all on all tables in schema public from concord_capture;
grant usage on schema public to concord_capture;
grant select (payer_id, name, payer_code, edi_receiver_id) on payer to concord_capture;
grant select (product_id, payer_id, line_of_business, network_code) on payer_product to concord_capture;
grant select (contract_id, payer_id, group_tax_id, product_id, start_date, end_date) on contract to
    concord_capture;
grant select (enr_provider_id, prov_npi, prov_last, prov_first, prov_mi, cred_ref, taxonomy_cd, lic_state,
    lic_no, lic_exp) on enr_provider to concord_capture;
grant select (enrollment_id, enr_provider_id, group_npi, group_tax_id, svc_loc_ref, payer_id, product_id,
    state, par_status, requested_eff, payer_eff, loaded_at, retro_bill_from, term_dt, term_reason_cd,
    payer_prov_id, payer_loc_id) on enrollment to concord_capture;
grant select (event_id, enr_provider_id, enrollment_id, from_state, to_state, reason_cd, at, actor) on
    enrollment_event to concord_capture;
grant select (roster_row_id, enr_provider_id, submission_id, row_no, enrollment_id, action, row_state) on
    roster_row to concord_capture;
grant select (response_id, enr_provider_id, submission_id, row_no, status, reason_code, normalized_reason,
    payer_prov_id, effective_date, term_date, field, submitted_value, payer_value) on payer_response_row to
    concord_capture;
grant select (recon_id, enr_provider_id, enrollment_id, class, field, internal_value, payer_value,
    opened_at, state, owner_team) on recon_item to concord_capture;
grant select (kind, entity_id, local_id, revision, view_hash, applied_at) on concord_applied to
    concord_capture;
grant select (name, beat, at) on concord_canary to concord_capture;
grant select (id, at), update (at) on concord_heartbeat to concord_capture;
grant select (id, type, data), insert (id, type, data) on concord_signal to concord_capture;

-- The adapter: what it delivers and no more (Invariant 9). An enrollment is opened, stated and ended by
-- the system itself: of its rows only the group's identity, which credentialing owns, is written.
revoke all on all tables in schema public from concord_adapter_enrollment;
revoke all on all sequences in schema public from concord_adapter_enrollment;
grant usage on schema public to concord_adapter_enrollment;
grant select, insert, update, delete on concord_applied, concord_pending, concord_request, concord_offset,
    concord_shape to concord_adapter_enrollment;
grant select on enr_provider to concord_adapter_enrollment;
grant insert (enr_provider_id, prov_npi, prov_last, prov_first, prov_mi, cred_ref, taxonomy_cd, lic_state,
    lic_no, lic_exp) on enr_provider to concord_adapter_enrollment;
grant update (prov_npi, prov_last, prov_first, prov_mi, cred_ref, taxonomy_cd, lic_state, lic_no, lic_exp)
    on enr_provider to concord_adapter_enrollment;
grant usage on sequence enr_provider_enr_provider_id_seq to concord_adapter_enrollment;
grant select (enrollment_id, enr_provider_id, svc_loc_ref, group_npi, group_tax_id, state)
    on enrollment to concord_adapter_enrollment;
grant update (group_npi, group_tax_id) on enrollment to concord_adapter_enrollment;
