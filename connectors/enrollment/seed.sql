-- Fictitious payers, products and contracts. A product's network_code is the text credentialing's
-- network_participation and the directory's network_name use; the group tax ids are those of the
-- generator's first groups.

insert into payer (name, payer_code, edi_receiver_id) values
    ('Fernhollow Health Plan', 'FERN', 'FERNHOLLOW01'),
    ('Blue Heron Mutual', 'HERON', 'HERONEDI'),
    ('Cedar Gate Community Care', 'CEDAR', 'CEDARGATE'),
    ('Northlantern Senior Advantage', 'LANTERN', 'NLSA0001')
on conflict do nothing;

insert into payer_product (payer_id, line_of_business, network_code)
select p.payer_id, v.line_of_business, v.network_code
from (values
    ('FERN', 'Commercial PPO', 'Fernhollow Choice'),
    ('FERN', 'Commercial HMO', 'Fernhollow Core'),
    ('FERN', 'Exchange', 'Fernhollow Market'),
    ('HERON', 'Commercial PPO', 'Heron Open Access'),
    ('HERON', 'Medicare Advantage', 'Heron Silver'),
    ('CEDAR', 'Medicaid', 'Cedar Gate Family'),
    ('CEDAR', 'CHIP', 'Cedar Gate Kids'),
    ('LANTERN', 'Medicare Advantage', 'Lantern Gold')
) v (payer_code, line_of_business, network_code)
join payer p using (payer_code)
on conflict do nothing;

insert into contract (payer_id, group_tax_id, product_id, start_date)
select pp.payer_id, (997000000 + n)::text, pp.product_id, date '2020-01-01'
from payer_product pp
join payer p using (payer_id)
cross join generate_series(0, 11) n
where p.payer_code in ('FERN', 'HERON', 'CEDAR', 'LANTERN')
on conflict do nothing;
