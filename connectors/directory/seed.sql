-- Fictitious networks. payer_name and network_name are the texts credentialing's network_participation
-- uses: listings find their network by these two.

insert into dir_network (payer_name, plan_name, plan_type, network_name, market) values
    ('Fernhollow Health Plan', 'Commercial PPO', 'commppo', 'Fernhollow Choice', 'statewide'),
    ('Fernhollow Health Plan', 'Commercial HMO', 'commhmo', 'Fernhollow Core', 'metro'),
    ('Fernhollow Health Plan', 'Exchange', 'qhp', 'Fernhollow Market', 'statewide'),
    ('Blue Heron Mutual', 'Commercial PPO', 'commppo', 'Heron Open Access', 'statewide'),
    ('Blue Heron Mutual', 'Medicare Advantage', 'mediadv', 'Heron Silver', 'statewide'),
    ('Cedar Gate Community Care', 'Medicaid', 'medi', 'Cedar Gate Family', 'statewide'),
    ('Cedar Gate Community Care', 'CHIP', 'medi', 'Cedar Gate Kids', 'statewide'),
    ('Northlantern Senior Advantage', 'Medicare Advantage', 'mediadv', 'Lantern Gold', 'metro')
on conflict (payer_name, network_name) do nothing;
