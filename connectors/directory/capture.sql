-- What leaves the directory database, and who may touch what. Applied after schema.sql and ../concord.sql;
-- again is safe.

do $$ begin create role concord_capture nologin;
exception when duplicate_object or unique_violation then null; end $$;
do $$ begin create role concord_adapter_directory nologin;
exception when duplicate_object or unique_violation then null; end $$;

-- The row id and the owning entity's id: all that a delete needs to say, at half the WAL of FULL.
alter table dir_provider replica identity using index dir_provider_pkey;
alter table dir_location replica identity using index dir_location_pkey;
alter table dir_network replica identity using index dir_network_pkey;
alter table dir_listing replica identity using index dir_listing_identity;
alter table dir_attestation replica identity using index dir_attestation_identity;
alter table dir_publication replica identity using index dir_publication_identity;
alter table concord_applied replica identity using index concord_applied_identity;

-- No table has restricted columns, so none has a column list.
do $$ begin create publication concord;
exception when duplicate_object then null; end $$;
alter publication concord set table
    dir_provider,
    dir_location,
    dir_network,
    dir_listing,
    dir_attestation,
    dir_publication,
    concord_applied,
    concord_canary,
    concord_signal,
    concord_heartbeat;

-- Capture: the mapped columns, read only; the heartbeat; signals.
revoke all on all tables in schema public from concord_capture;
grant usage on schema public to concord_capture;
grant select (dir_provider_id, npi_number, display_name, last_name, first_name, credential_text, gender,
    langs, cred_provider_ref) on dir_provider to concord_capture;
grant select (dir_location_id, cred_location_ref, loc_name, street_1, street_2, city, state_cd, zip5, zip4,
    county_fips, lat, lon, phone10, fax10, url, ada, hours) on dir_location to concord_capture;
grant select (network_id, payer_name, plan_name, plan_type, network_name, market) on dir_network to
    concord_capture;
grant select (listing_id, dir_provider_id, dir_location_id, network_id, group_name, specialty_nucc,
    accepting_cd, accepting_notes, telehealth_cd, listed_from, listed_to, verified_on, verification_status,
    unverified_ind) on dir_listing to concord_capture;
grant select (attestation_id, dir_provider_id, listing_id, attested_by, channel, attested_at, changes) on
    dir_attestation to concord_capture;
grant select (publication_id, dir_provider_id, listing_id, resource_type, resource_id, version_id,
    published_at, withdrawn_at, info_received_at) on dir_publication to concord_capture;
grant select (kind, entity_id, local_id, revision, view_hash, applied_at) on concord_applied to
    concord_capture;
grant select (name, beat, at) on concord_canary to concord_capture;
grant select (id, at), update (at) on concord_heartbeat to concord_capture;
grant select (id, type, data), insert (id, type, data) on concord_signal to concord_capture;

-- The adapter: what it delivers and no more (Invariant 9). Whether a doctor takes patients, what was
-- verified and when, and a location's url are the directory's own. Listings are ended with listed_to:
-- nothing may be deleted.
revoke all on all tables in schema public from concord_adapter_directory;
revoke all on all sequences in schema public from concord_adapter_directory;
grant usage on schema public to concord_adapter_directory;
grant select, insert, update, delete on concord_applied, concord_pending, concord_request, concord_offset,
    concord_shape to concord_adapter_directory;
grant select on dir_provider, dir_location, dir_network, dir_listing to concord_adapter_directory;
grant insert (dir_provider_id, npi_number, display_name, last_name, first_name, credential_text, gender,
    langs, cred_provider_ref) on dir_provider to concord_adapter_directory;
grant update (npi_number, display_name, last_name, first_name, credential_text, gender, langs,
    cred_provider_ref) on dir_provider to concord_adapter_directory;
grant insert (dir_location_id, cred_location_ref, loc_name, street_1, street_2, city, state_cd, zip5, zip4,
    county_fips, lat, lon, phone10, fax10, ada, hours) on dir_location to concord_adapter_directory;
grant update (cred_location_ref, loc_name, street_1, street_2, city, state_cd, zip5, zip4, county_fips,
    lat, lon, phone10, fax10, ada, hours) on dir_location to concord_adapter_directory;
grant insert (listing_id, dir_provider_id, dir_location_id, network_id, group_name, specialty_nucc,
    telehealth_cd, listed_from, listed_to) on dir_listing to concord_adapter_directory;
grant update (group_name, specialty_nucc, telehealth_cd, listed_from, listed_to)
    on dir_listing to concord_adapter_directory;
grant usage
    on sequence dir_provider_dir_provider_id_seq, dir_location_dir_location_id_seq, dir_listing_listing_id_seq
    to concord_adapter_directory;
