-- What leaves the billing database, and who may touch what. Applied after schema.sql and ../concord.sql;
-- again is safe.

do $$ begin create role concord_capture nologin;
exception when duplicate_object or unique_violation then null; end $$;
do $$ begin create role concord_adapter_billing nologin;
exception when duplicate_object or unique_violation then null; end $$;

-- The row id and the owning entity's id: all that a delete needs to say, at half the WAL of FULL.
alter table bil_rendering replica identity using index bil_rendering_pkey;
alter table bil_billing_entity replica identity using index bil_billing_entity_pkey;
alter table bil_service_location replica identity using index bil_service_location_pkey;
alter table bil_provider_payer replica identity using index bil_provider_payer_identity;
alter table bil_affiliation replica identity using index bil_affiliation_identity;
alter table bil_claim replica identity using index bil_claim_identity;
alter table bil_claim_hold replica identity using index bil_claim_hold_identity;
alter table bil_denial replica identity using index bil_denial_identity;
alter table concord_applied replica identity using index concord_applied_identity;

-- The only column list stands on the table with the TIN.
do $$ begin create publication concord;
exception when duplicate_object then null; end $$;
alter publication concord set table
    bil_rendering,
    bil_billing_entity (be_id, cred_org_ref, billing_npi, tax_id, legal_nm, addr1, city, st, zip9,
        billing_taxonomy10, remit_addr),
    bil_service_location,
    bil_provider_payer,
    bil_affiliation,
    bil_claim,
    bil_claim_hold,
    bil_denial,
    concord_applied,
    concord_canary,
    concord_signal,
    concord_heartbeat;

-- Capture: the mapped columns, read only; the heartbeat; signals.
revoke all on all tables in schema public from concord_capture;
grant usage on schema public to concord_capture;
grant select (rend_id, rendering_npi, last_nm, first_nm, taxonomy10, cred_ref) on bil_rendering to
    concord_capture;
grant select (be_id, cred_org_ref, billing_npi, tax_id, legal_nm, addr1, city, st, zip9, billing_taxonomy10,
    remit_addr) on bil_billing_entity to concord_capture;
grant select (sl_id, cred_location_ref, facility_npi, facility_nm, addr1, city, st, zip9, pos_cd) on
    bil_service_location to concord_capture;
grant select (bpp_id, rend_id, be_id, sl_id, payer_cd, product_cd, payer_prov_id, eff_dt, end_dt,
    network_ind, src_enrollment_version) on bil_provider_payer to concord_capture;
grant select (ba_id, rend_id, be_id, eff_dt, end_dt) on bil_affiliation to concord_capture;
grant select (claim_id, rend_id, be_id, sl_id, payer_cd, product_cd, dos_from, dos_to, status,
    attr_version_snapshot, timely_filing_deadline) on bil_claim to concord_capture;
grant select (hold_id, rend_id, claim_id, be_id, sl_id, payer_cd, product_cd, reason_code, opened_at,
    oldest_dos, released_at, release_event_id) on bil_claim_hold to concord_capture;
grant select (denial_id, rend_id, claim_id, group_code, carc, rarc, normalized_reason, field_at_fault,
    received_at) on bil_denial to concord_capture;
grant select (kind, entity_id, local_id, revision, view_hash, applied_at) on concord_applied to
    concord_capture;
grant select (name, beat, at) on concord_canary to concord_capture;
grant select (id, at), update (at) on concord_heartbeat to concord_capture;
grant select (id, type, data), insert (id, type, data) on concord_signal to concord_capture;

-- The adapter: what it delivers and no more (Invariant 9). Where the money goes (billing address, remit
-- address, billing taxonomy), the place of service, payer ids, claims and holds are billing's own.
-- Affiliations are ended with end_dt.
revoke all on all tables in schema public from concord_adapter_billing;
revoke all on all sequences in schema public from concord_adapter_billing;
grant usage on schema public to concord_adapter_billing;
grant select, insert, update, delete on concord_applied, concord_pending, concord_request, concord_offset,
    concord_shape to concord_adapter_billing;
grant select
    on bil_rendering, bil_billing_entity, bil_service_location, bil_affiliation to concord_adapter_billing;
grant insert (rend_id, rendering_npi, last_nm, first_nm, taxonomy10, cred_ref)
    on bil_rendering to concord_adapter_billing;
grant update (rendering_npi, last_nm, first_nm, taxonomy10, cred_ref)
    on bil_rendering to concord_adapter_billing;
grant insert (be_id, cred_org_ref, billing_npi, tax_id, legal_nm)
    on bil_billing_entity to concord_adapter_billing;
grant update (cred_org_ref, billing_npi, tax_id, legal_nm) on bil_billing_entity to concord_adapter_billing;
grant insert (sl_id, cred_location_ref, facility_npi, facility_nm, addr1, city, st, zip9)
    on bil_service_location
    to concord_adapter_billing;
grant update (cred_location_ref, facility_npi, facility_nm, addr1, city, st, zip9)
    on bil_service_location to concord_adapter_billing;
grant insert (ba_id, rend_id, be_id, eff_dt, end_dt) on bil_affiliation to concord_adapter_billing;
grant update (eff_dt, end_dt) on bil_affiliation to concord_adapter_billing;
grant usage
    on sequence bil_rendering_rend_id_seq, bil_billing_entity_be_id_seq, bil_service_location_sl_id_seq,
    bil_affiliation_ba_id_seq to concord_adapter_billing;
