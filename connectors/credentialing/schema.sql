-- The credentialing system's own tables (the master). It mints the ids of providers, groups and locations.
-- Formats (NPI, ZIP, phone), date order and "one primary" are not constrained here: real systems hold such
-- defects, and finding them is Concord's work. Closed code lists and references are.

create table if not exists provider (
    provider_id  uuid primary key default gen_random_uuid(),
    npi          text,
    entity_type  char(1) not null default '1' check (entity_type in ('1', '2')),
    first_name   text,
    middle_name  text,
    last_name    text,
    name_suffix  text,
    degree       text,
    dob          date,
    sex          char(1) check (sex in ('M', 'F', 'X')),
    caqh_id      text,
    languages    jsonb not null default '[]',
    status       text not null default 'applicant'
                 check (status in ('applicant', 'active', 'suspended', 'inactive', 'terminated', 'deceased')),
    ssn          char(9),
    row_version  bigint not null default 1,
    updated_at   timestamptz not null default now(),
    updated_by   text not null default current_user
);
create index if not exists provider_npi on provider (npi);  -- not unique: two records of one NPI do happen
create index if not exists provider_name on provider (last_name, first_name);

create or replace function provider_touch() returns trigger language plpgsql as $$
begin
    new.row_version := old.row_version + 1;
    new.updated_at := now();
    if new.updated_by is not distinct from old.updated_by then new.updated_by := current_user; end if;
    return new;
end $$;
create or replace trigger provider_touch before update on provider for each row execute function provider_touch();

create table if not exists provider_name_history (
    id           uuid primary key default gen_random_uuid(),
    provider_id  uuid not null references provider on delete cascade,
    name_type    text not null default 'former',
    first_name   text,
    middle_name  text,
    last_name    text,
    valid_from   date,
    valid_to     date
);
create unique index if not exists provider_name_history_identity on provider_name_history (id, provider_id);
create index if not exists provider_name_history_provider on provider_name_history (provider_id);

create table if not exists license (
    license_id         uuid primary key default gen_random_uuid(),
    provider_id        uuid not null references provider on delete cascade,
    state              char(2) not null,
    license_type       text not null,
    number             text not null,
    status             text not null default 'pending' check (status in ('active', 'probation', 'restricted',
                       'suspended', 'surrendered', 'revoked', 'expired', 'inactive', 'pending')),
    issued             date,
    expires            date,
    disciplinary_flag  boolean not null default false,
    unique (state, license_type, number, provider_id)
);
create unique index if not exists license_identity on license (license_id, provider_id);
create index if not exists license_provider on license (provider_id);

create table if not exists dea_registration (
    dea_id         uuid primary key default gen_random_uuid(),
    provider_id    uuid not null references provider on delete cascade,
    number         text not null,
    state          char(2),
    schedules      text[] not null default '{}',
    activity_code  text,
    status         text not null default 'active',
    expires        date,
    unique (provider_id, number)
);
create unique index if not exists dea_registration_identity on dea_registration (dea_id, provider_id);

create table if not exists cds_registration (
    cds_id       uuid primary key default gen_random_uuid(),
    provider_id  uuid not null references provider on delete cascade,
    state        char(2) not null,
    number       text not null,
    schedules    text[] not null default '{}',
    status       text not null default 'active',
    expires      date,
    unique (provider_id, state, number)
);
create unique index if not exists cds_registration_identity on cds_registration (cds_id, provider_id);

create table if not exists board_certification (
    cert_id         uuid primary key default gen_random_uuid(),
    provider_id     uuid not null references provider on delete cascade,
    board           text not null,
    specialty       text,
    certificate_no  text,
    cert_type       text check (cert_type in ('initial', 'MOC', 'lifetime')),
    issued          date,
    expires         date,
    moc_status      text,
    lifetime_flag   boolean not null default false,
    unique (provider_id, board, certificate_no)
);
create unique index if not exists board_certification_identity on board_certification (cert_id, provider_id);

create table if not exists taxonomy (
    taxonomy_id     uuid primary key default gen_random_uuid(),
    provider_id     uuid not null references provider on delete cascade,
    nucc_code       text not null,
    is_primary      boolean not null default false,
    license_id      uuid references license on delete set null,
    effective_from  date,
    effective_to    date,
    unique (provider_id, nucc_code, effective_from)
);
create unique index if not exists taxonomy_identity on taxonomy (taxonomy_id, provider_id);
create index if not exists taxonomy_license on taxonomy (license_id);

create table if not exists education (
    id           uuid primary key default gen_random_uuid(),
    provider_id  uuid not null references provider on delete cascade,
    institution  text not null,
    degree       text,
    from_date    date,
    to_date      date,
    ecfmg_no     text
);
create unique index if not exists education_identity on education (id, provider_id);
create index if not exists education_provider on education (provider_id);

create table if not exists work_history (
    id               uuid primary key default gen_random_uuid(),
    provider_id      uuid not null references provider on delete cascade,
    employer         text not null,
    from_date        date,
    to_date          date,
    gap_explanation  text
);
create unique index if not exists work_history_identity on work_history (id, provider_id);
create index if not exists work_history_provider on work_history (provider_id);

create table if not exists organization (
    org_id          uuid primary key default gen_random_uuid(),
    npi             text,
    legal_name      text,
    dba             text,
    tin             char(9),
    tin_type        text check (tin_type in ('EIN', 'SSN')),
    org_type        text check (org_type in ('fac', 'prvgrp', 'payer', 'atyprv', 'bus')),
    parent_id       uuid references organization check (parent_id <> org_id),
    delegated_flag  boolean not null default false
);
create index if not exists organization_npi on organization (npi);
create index if not exists organization_parent on organization (parent_id);

create table if not exists affiliation (
    affiliation_id  uuid primary key default gen_random_uuid(),
    provider_id     uuid not null references provider on delete cascade,
    org_id          uuid not null references organization,
    role            text not null default 'member' check (role in ('member', 'employed', 'locum', 'supervising')),
    bills_under     boolean not null default true,
    effective_from  date,
    effective_to    date,
    unique (provider_id, org_id, role, effective_from)
);
create unique index if not exists affiliation_identity on affiliation (affiliation_id, provider_id);
create index if not exists affiliation_organization on affiliation (org_id);

create table if not exists practice_location (
    location_id    uuid primary key default gen_random_uuid(),
    org_id         uuid references organization,
    location_npi   text,
    name           text,
    line1          text,
    line2          text,
    city           text,
    state          text,
    zip            text,
    county_fips    text,
    latitude       numeric(9, 6) check (latitude between -90 and 90),
    longitude      numeric(9, 6) check (longitude between -180 and 180),
    geocoded_at    timestamptz,
    phone          text,
    fax            text,
    hours          jsonb not null default '[]',
    accessibility  text[] not null default '{}',
    telehealth     text not null default 'none' check (telehealth in ('none', 'in_addition', 'only'))
);
create index if not exists practice_location_organization on practice_location (org_id);

create table if not exists provider_location (
    id              uuid primary key default gen_random_uuid(),
    provider_id     uuid not null references provider on delete cascade,
    location_id     uuid not null references practice_location,
    is_primary      boolean not null default false,
    effective_from  date,
    effective_to    date,
    unique (provider_id, location_id, effective_from)
);
create unique index if not exists provider_location_identity on provider_location (id, provider_id);
create index if not exists provider_location_location on provider_location (location_id);

create table if not exists hospital_privilege (
    id               uuid primary key default gen_random_uuid(),
    provider_id      uuid not null references provider on delete cascade,
    facility_org_id  uuid references organization,
    category         text,
    status           text,
    effective_from   date,
    effective_to     date
);
create unique index if not exists hospital_privilege_identity on hospital_privilege (id, provider_id);
create index if not exists hospital_privilege_provider on hospital_privilege (provider_id);

create table if not exists malpractice_coverage (
    id              uuid primary key default gen_random_uuid(),
    provider_id     uuid not null references provider on delete cascade,
    carrier         text not null,
    policy_no       text,
    per_occurrence  numeric check (per_occurrence >= 0),
    aggregate       numeric check (aggregate >= 0),
    effective_from  date,
    effective_to    date,
    tail            boolean not null default false
);
create unique index if not exists malpractice_coverage_identity on malpractice_coverage (id, provider_id);
create index if not exists malpractice_coverage_provider on malpractice_coverage (provider_id);

create table if not exists malpractice_claim (
    id           uuid primary key default gen_random_uuid(),
    provider_id  uuid not null references provider on delete cascade,
    claim_no     text,
    occurred_on  date,
    reported_on  date,
    closed_on    date,
    status       text not null default 'open' check (status in ('open', 'settled', 'dismissed', 'judgment')),
    allegation   text,
    amount_paid  numeric check (amount_paid >= 0)
);
create unique index if not exists malpractice_claim_identity on malpractice_claim (id, provider_id);
create index if not exists malpractice_claim_provider on malpractice_claim (provider_id);

create table if not exists exclusion_hit (
    id           uuid primary key default gen_random_uuid(),
    provider_id  uuid not null references provider on delete cascade,
    source       text not null check (source in ('LEIE', 'SAM', 'state', 'board', 'NPDB')),
    match_type   text check (match_type in ('npi', 'name_dob', 'name_dob_state', 'name_only')),
    row_hash     text,
    disposition  text not null default 'open' check (disposition in ('open', 'confirmed', 'false_positive', 'waived')),
    reviewer     text,
    decided_at   timestamptz,
    unique (provider_id, source, row_hash)
);
create unique index if not exists exclusion_hit_identity on exclusion_hit (id, provider_id);

create table if not exists psv_record (
    id             uuid primary key default gen_random_uuid(),
    provider_id    uuid not null references provider on delete cascade,
    element        text not null,
    element_ref    uuid,
    source         text,
    method         text,
    performed_at   timestamptz,
    expires_at     timestamptz,
    result         text check (result in ('verified', 'discrepancy', 'unavailable')),
    evidence_hash  text,
    performed_by   text
);
create unique index if not exists psv_record_identity on psv_record (id, provider_id);
create index if not exists psv_record_provider on psv_record (provider_id);

create table if not exists credentialing_cycle (
    cycle_id               uuid primary key default gen_random_uuid(),
    provider_id            uuid not null references provider on delete cascade,
    type                   text not null default 'initial' check (type in ('initial', 'recred')),
    application_received   date,
    attestation_signed_at  timestamptz,
    status                 text not null default 'application_received' check (status in ('application_received',
                           'attested', 'psv_in_progress', 'psv_complete', 'committee_review', 'approved', 'denied',
                           'withdrawn', 'active', 'recred_due', 'recred_in_progress', 'lapsed', 'terminated',
                           'suspended')),
    due_date               date
);
create unique index if not exists credentialing_cycle_identity on credentialing_cycle (cycle_id, provider_id);
create index if not exists credentialing_cycle_provider on credentialing_cycle (provider_id);

create table if not exists committee_decision (
    id           uuid primary key default gen_random_uuid(),
    provider_id  uuid not null references provider on delete cascade,
    cycle_id     uuid references credentialing_cycle on delete cascade,
    decision     text not null check (decision in ('approve', 'deny', 'pend', 'approve_with_conditions')),
    decided_at   timestamptz,
    minutes_ref  text
);
create unique index if not exists committee_decision_identity on committee_decision (id, provider_id);
create index if not exists committee_decision_provider on committee_decision (provider_id);
create index if not exists committee_decision_cycle on committee_decision (cycle_id);

create table if not exists network_participation (  -- observed copy: enrollment owns participation
    id           uuid primary key default gen_random_uuid(),
    provider_id  uuid not null references provider on delete cascade,
    payer        text not null,
    product      text,
    network      text,
    tier         text,
    par_status   text check (par_status in ('par', 'non_par', 'pending', 'terminated', 'opted_out')),
    effective    date,
    term         date,  -- the last covered day
    reason       text,
    unique (provider_id, payer, product, network, effective)
);
create unique index if not exists network_participation_identity on network_participation (id, provider_id);

create table if not exists delegation_agreement (
    id              uuid primary key default gen_random_uuid(),
    org_id          uuid not null references organization on delete cascade,
    payer           text not null,
    standards       text,
    roster_cadence  text,
    last_audit      date,
    unique (org_id, payer)
);
create unique index if not exists delegation_agreement_identity on delegation_agreement (id, org_id);
