-- What leaves the credentialing database, and who may touch what. Applied after schema.sql and
-- ../concord.sql; again is safe.

do $$ begin create role concord_capture nologin;
exception when duplicate_object or unique_violation then null; end $$;
do $$ begin create role concord_adapter_credentialing nologin;
exception when duplicate_object or unique_violation then null; end $$;

-- The row id and the owning entity's id: all that a delete needs to say, at half the WAL of FULL.
alter table provider replica identity using index provider_pkey;
alter table provider_name_history replica identity using index provider_name_history_identity;
alter table license replica identity using index license_identity;
alter table dea_registration replica identity using index dea_registration_identity;
alter table cds_registration replica identity using index cds_registration_identity;
alter table board_certification replica identity using index board_certification_identity;
alter table taxonomy replica identity using index taxonomy_identity;
alter table education replica identity using index education_identity;
alter table work_history replica identity using index work_history_identity;
alter table organization replica identity using index organization_pkey;
alter table affiliation replica identity using index affiliation_identity;
alter table practice_location replica identity using index practice_location_pkey;
alter table provider_location replica identity using index provider_location_identity;
alter table hospital_privilege replica identity using index hospital_privilege_identity;
alter table malpractice_coverage replica identity using index malpractice_coverage_identity;
alter table malpractice_claim replica identity using index malpractice_claim_identity;
alter table exclusion_hit replica identity using index exclusion_hit_identity;
alter table psv_record replica identity using index psv_record_identity;
alter table credentialing_cycle replica identity using index credentialing_cycle_identity;
alter table committee_decision replica identity using index committee_decision_identity;
alter table network_participation replica identity using index network_participation_identity;
alter table delegation_agreement replica identity using index delegation_agreement_identity;
alter table concord_applied replica identity using index concord_applied_identity;
alter table concord_request replica identity using index concord_request_identity;

-- Column lists stand only on tables with restricted columns (PostgreSQL then refuses DROP COLUMN and ALTER
-- TYPE on listed columns): provider.ssn is in no list and in no grant, so it cannot leave (Invariant 11).
do $$ begin create publication concord;
exception when duplicate_object then null; end $$;
alter publication concord set table
    provider (provider_id, npi, entity_type, first_name, middle_name, last_name, name_suffix, degree, dob,
        sex, caqh_id, languages, status, row_version, updated_at, updated_by),
    provider_name_history,
    license,
    dea_registration,
    cds_registration,
    board_certification,
    taxonomy,
    education,
    work_history,
    organization (org_id, npi, legal_name, dba, tin, tin_type, org_type, parent_id, delegated_flag),
    affiliation,
    practice_location,
    provider_location,
    hospital_privilege,
    malpractice_coverage,
    malpractice_claim,
    exclusion_hit,
    psv_record,
    credentialing_cycle,
    committee_decision,
    network_participation,
    delegation_agreement,
    concord_request,
    concord_applied,
    concord_canary,
    concord_signal,
    concord_heartbeat;

-- Capture: the mapped columns, read only; the heartbeat; signals.
revoke all on all tables in schema public from concord_capture;
grant usage on schema public to concord_capture;
grant select (provider_id, npi, entity_type, first_name, middle_name, last_name, name_suffix, degree, dob,
    sex, caqh_id, languages, status, row_version, updated_at, updated_by) on provider to concord_capture;
grant select (id, provider_id, name_type, first_name, middle_name, last_name, valid_from, valid_to) on
    provider_name_history to concord_capture;
grant select (license_id, provider_id, state, license_type, number, status, issued, expires,
    disciplinary_flag) on license to concord_capture;
grant select (dea_id, provider_id, number, state, schedules, activity_code, status, expires) on
    dea_registration to concord_capture;
grant select (cds_id, provider_id, state, number, schedules, status, expires) on cds_registration to
    concord_capture;
grant select (cert_id, provider_id, board, specialty, certificate_no, cert_type, issued, expires,
    moc_status, lifetime_flag) on board_certification to concord_capture;
grant select (taxonomy_id, provider_id, nucc_code, is_primary, license_id, effective_from, effective_to) on
    taxonomy to concord_capture;
grant select (id, provider_id, institution, degree, from_date, to_date, ecfmg_no) on education to
    concord_capture;
grant select (id, provider_id, employer, from_date, to_date, gap_explanation) on work_history to
    concord_capture;
grant select (org_id, npi, legal_name, dba, tin, tin_type, org_type, parent_id, delegated_flag) on
    organization to concord_capture;
grant select (affiliation_id, provider_id, org_id, role, bills_under, effective_from, effective_to) on
    affiliation to concord_capture;
grant select (location_id, org_id, location_npi, name, line1, line2, city, state, zip, county_fips,
    latitude, longitude, geocoded_at, phone, fax, hours, accessibility, telehealth) on practice_location to
    concord_capture;
grant select (id, provider_id, location_id, is_primary, effective_from, effective_to) on provider_location
    to concord_capture;
grant select (id, provider_id, facility_org_id, category, status, effective_from, effective_to) on
    hospital_privilege to concord_capture;
grant select (id, provider_id, carrier, policy_no, per_occurrence, aggregate, effective_from, effective_to,
    tail) on malpractice_coverage to concord_capture;
grant select (id, provider_id, claim_no, occurred_on, reported_on, closed_on, status, allegation,
    amount_paid) on malpractice_claim to concord_capture;
grant select (id, provider_id, source, match_type, row_hash, disposition, reviewer, decided_at) on
    exclusion_hit to concord_capture;
grant select (id, provider_id, element, element_ref, source, method, performed_at, expires_at, result,
    evidence_hash, performed_by) on psv_record to concord_capture;
grant select (cycle_id, provider_id, type, application_received, attestation_signed_at, status, due_date) on
    credentialing_cycle to concord_capture;
grant select (id, provider_id, cycle_id, decision, decided_at, minutes_ref) on committee_decision to
    concord_capture;
grant select (id, provider_id, payer, product, network, tier, par_status, effective, term, reason) on
    network_participation to concord_capture;
grant select (id, org_id, payer, standards, roster_cadence, last_audit) on delegation_agreement to
    concord_capture;
grant select (kind, entity_id, local_id, revision, view_hash, applied_at) on concord_applied to
    concord_capture;
grant select (request_id, kind, entity_id, field, outcome, at) on concord_request to concord_capture;
grant select (name, beat, at) on concord_canary to concord_capture;
grant select (id, at), update (at) on concord_heartbeat to concord_capture;
grant select (id, type, data), insert (id, type, data) on concord_signal to concord_capture;

-- The adapter: its bookkeeping, and the columns that others may propose a value of (authority file): those of root rows,
-- and those of rows below them that another system holds. An approved change request sets one of them, if it still holds
-- what the approval is bound to. No view writes here.
revoke all on all tables in schema public from concord_adapter_credentialing;
revoke all on all sequences in schema public from concord_adapter_credentialing;
grant usage on schema public to concord_adapter_credentialing;
grant select, insert, update, delete on concord_applied, concord_pending, concord_request, concord_offset,
    concord_shape to concord_adapter_credentialing;
grant select (provider_id, first_name, middle_name, last_name, name_suffix, degree, sex, caqh_id, languages),
    update (first_name, middle_name, last_name, name_suffix, degree, sex, caqh_id, languages)
    on provider to concord_adapter_credentialing;
grant select (org_id, dba, tin, tin_type, org_type, parent_id, delegated_flag),
    update (dba, tin, tin_type, org_type, parent_id, delegated_flag)
    on organization to concord_adapter_credentialing;
grant select (location_id, org_id, name, line1, line2, city, state, zip, phone, fax, hours, accessibility,
    telehealth),
    update (org_id, name, line1, line2, city, state, zip, phone, fax, hours, accessibility, telehealth)
    on practice_location to concord_adapter_credentialing;
grant select (license_id, provider_id, state, number, expires), update (state, number, expires)
    on license to concord_adapter_credentialing;
grant select (affiliation_id, provider_id, effective_to), update (effective_to)
    on affiliation to concord_adapter_credentialing;
