"""The invented world of the generator: names nobody bears, clinics on streets that are not there.

Nothing here can meet a real person: last names are compounds, NPIs begin with 2 (none is issued), SSNs lie in a
range that is never issued, telephone numbers are 555-01xx. Cities, ZIP codes and counties agree with each other,
because rules compare them. Data only.
"""

from __future__ import annotations

from typing import NamedTuple

FIRST_NAMES = (
    "Ada Alban Amara Anselm Beatrix Benno Callum Carys Corin Dagny Darius Delphine Edda Elio Esme Farid Fenna "
    "Gideon Greta Hanneke Idris Imogen Ines Jorah Juno Kaito Lennart Leocadia Linnea Lucan Maelis Mattia Mirela "
    "Nadim Nerys Odalys Orla Osric Petra Quentin Rafaela Roan Saskia Selim Soren Tamsin Thea Ulla Valdis Wanda "
    "Xenia Yannick Yusra Zelda"
).split()  # fmt: skip
NAME_STARTS = (
    "Amber Birch Bramble Cinder Clover Copper Dapple Ember Fable Fern Flint Gorse Harrow Heather Hollow Ivory "
    "Jasper Kestrel Larch Marrow Mossy Nettle Oaken Otter Pebble Quill Raven Saffron Sorrel Tansy Thistle Umber "
    "Velvet Willow Wren Yarrow"
).split()  # fmt: skip
NAME_ENDS = (
    "bottom combe croft dale feather field gate hurst ingale lock mere more quist shade shaw thorpe wick worth"
).split()
UNUSUAL_ENDS = ("-Quillón", "-Ñandor", "'s-Mere", " de la Fable", "-O'Wick")
STREETS = (
    "Candlewick Row",
    "Dandelion Crossing",
    "Featherstone Pike",
    "Gingerbread Lane",
    "Kettlewell Avenue",
    "Lanternfish Street",
    "Marmalade Boulevard",
    "Nutmeg Terrace",
    "Pinwheel Drive",
    "Quicksilver Court",
    "Thimblerig Way",
    "Windchime Road",
)
CLINIC_KINDS = (
    "Family Medicine",
    "Internal Medicine Associates",
    "Children's Clinic",
    "Heart Center",
    "Community Health",
    "Behavioral Health",
    "Women's Health",
    "Medical Group",
)
CARRIERS = ("Umbrella Pine Indemnity", "Stonecrop Mutual Liability", "Harbor Fable Assurance")
SCHOOLS = (
    "Thistledown School of Medicine",
    "University of West Umber",
    "Larchmere College of Health Sciences",
)
LANGUAGES = ("es", "zh", "vi", "ar", "fr", "ko", "ru", "ase")
ACCESSIBILITY = ("cultcomp", "handiaccess", "adacomp", "pubtrans", "anssrvc", "cognitive", "mobility")


class Place(NamedTuple):
    """A real city with one of its ZIP codes, its county and an area code of it."""

    city: str
    state: str
    zip5: str
    county_fips: str
    area_code: str
    latitude: float
    longitude: float


PLACES = (
    Place("Springfield", "IL", "62701", "17167", "217", 39.7998, -89.6501),
    Place("Madison", "WI", "53703", "55025", "608", 43.0776, -89.3838),
    Place("Columbus", "OH", "43215", "39049", "614", 39.9660, -83.0045),
    Place("Portland", "OR", "97204", "41051", "503", 45.5184, -122.6746),
    Place("Austin", "TX", "78701", "48453", "512", 30.2706, -97.7426),
    Place("Denver", "CO", "80202", "08031", "303", 39.7513, -104.9976),
    Place("Raleigh", "NC", "27601", "37183", "919", 35.7740, -78.6335),
    Place("Nashville", "TN", "37203", "47037", "615", 36.1500, -86.7900),
    Place("Tucson", "AZ", "85701", "04019", "520", 32.2170, -110.9710),
    Place("Albany", "NY", "12207", "36001", "518", 42.6580, -73.7470),
    Place("Boise", "ID", "83702", "16001", "208", 43.6330, -116.2040),
    Place("Des Moines", "IA", "50309", "19153", "515", 41.5860, -93.6250),
)


class Specialty(NamedTuple):
    """A NUCC code with the degree and licence that go with it."""

    nucc_code: str
    name: str
    degree: str
    license_type: str
    board: str | None
    prescribes: bool


SPECIALTIES = (
    Specialty("207Q00000X", "Family Medicine", "MD", "MD", "American Board of Family Medicine", True),
    Specialty("207R00000X", "Internal Medicine", "MD", "MD", "American Board of Internal Medicine", True),
    Specialty("208000000X", "Pediatrics", "MD", "MD", "American Board of Pediatrics", True),
    Specialty("207RC0000X", "Cardiovascular Disease", "MD", "MD", "American Board of Internal Medicine", True),
    Specialty("207V00000X", "Obstetrics & Gynecology", "MD", "MD", "American Board of Obstetrics and Gynecology", True),
    Specialty("2084P0800X", "Psychiatry", "DO", "DO", "American Osteopathic Board of Neurology and Psychiatry", True),
    Specialty("207N00000X", "Dermatology", "MD", "MD", "American Board of Dermatology", True),
    Specialty("207X00000X", "Orthopaedic Surgery", "DO", "DO", "American Osteopathic Board of Orthopedics", True),
    Specialty("363LF0000X", "Family Nurse Practitioner", "NP", "APRN", None, True),
    Specialty("363A00000X", "Physician Assistant", "PA", "PA", None, True),
    Specialty("1041C0700X", "Clinical Social Work", "LCSW", "LCSW", None, False),
    Specialty("225100000X", "Physical Therapy", "DPT", "PT", None, False),
)  # fmt: skip


class Network(NamedTuple):
    """A network as credentialing's observed copy names it; enrollment's and the directory's seeds agree."""

    payer: str
    product: str
    network: str


NETWORKS = (
    Network("Fernhollow Health Plan", "Commercial PPO", "Fernhollow Choice"),
    Network("Fernhollow Health Plan", "Commercial HMO", "Fernhollow Core"),
    Network("Fernhollow Health Plan", "Exchange", "Fernhollow Market"),
    Network("Blue Heron Mutual", "Commercial PPO", "Heron Open Access"),
    Network("Blue Heron Mutual", "Medicare Advantage", "Heron Silver"),
    Network("Cedar Gate Community Care", "Medicaid", "Cedar Gate Family"),
    Network("Cedar Gate Community Care", "CHIP", "Cedar Gate Kids"),
    Network("Northlantern Senior Advantage", "Medicare Advantage", "Lantern Gold"),
)
