//! Facts that the tables must say too, stated a second time and in another arrangement, from the pages that describe the
//! official lists. Whoever changes a row of a table changes it here, on purpose.

use std::collections::BTreeSet;

use crate::translate::minimise::Crossing;

/// Lines of a block.
pub(super) fn lines(block: &str) -> BTreeSet<String> {
    block.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

/// Words of a block.
pub(super) fn words(block: &str) -> BTreeSet<String> {
    block.split_whitespace().map(str::to_owned).collect()
}

/// Codes and names that IPAWS takes: 47 CFR 11.31(e) and later orders (ipaws page 5.2).
pub(super) const SAME_NAMES: &str = "
    TOE 911 Telephone Outage Emergency
    ADR Administrative Message
    AVW Avalanche Warning
    AVA Avalanche Watch
    BZW Blizzard Warning
    BLU Blue Alert
    CAE Child Abduction Emergency
    CDW Civil Danger Warning
    CEM Civil Emergency Message
    CFW Coastal Flood Warning
    CFA Coastal Flood Watch
    DSW Dust Storm Warning
    EQW Earthquake Warning
    EVI Evacuation Immediate
    EWW Extreme Wind Warning
    FRW Fire Warning
    FFS Flash Flood Statement
    FFW Flash Flood Warning
    FFA Flash Flood Watch
    FLS Flood Statement
    FLW Flood Warning
    FLA Flood Watch
    HMW Hazardous Materials Warning
    HWW High Wind Warning
    HWA High Wind Watch
    HLS Hurricane Statement
    HUW Hurricane Warning
    HUA Hurricane Watch
    LEW Law Enforcement Warning
    LAE Local Area Emergency
    MEP Missing and Endangered Persons
    EAN National Emergency Message
    NIC National Information Center
    NPT National Periodic Test
    NMN Network Message Notification
    NUW Nuclear Power Plant Warning
    DMO Practice/Demo Warning
    RHW Radiological Hazard Warning
    RMT Required Monthly Test
    RWT Required Weekly Test
    SVR Severe Thunderstorm Warning
    SVA Severe Thunderstorm Watch
    SVS Severe Weather Statement
    SPW Shelter in Place Warning
    SQW Snow Squall Warning
    SMW Special Marine Warning
    SPS Special Weather Statement
    SSW Storm Surge Warning
    SSA Storm Surge Watch
    TOR Tornado Warning
    TOA Tornado Watch
    TRW Tropical Storm Warning
    TRA Tropical Storm Watch
    TSW Tsunami Warning
    TSA Tsunami Watch
    VOW Volcano Warning
    WSW Winter Storm Warning
    WSA Winter Storm Watch
";

/// SAME codes that say more than any CAP-CP code: watches, statements, tests, orders.
pub(super) const ONE_WAY: [(&str, &str); 29] = [
    ("AVA", "avalanche"),
    ("BLU", "crime"),
    ("CDW", "civilEmerg"),
    ("CFA", "flood"),
    ("CFW", "flood"),
    ("EAN", "civilEmerg"),
    ("EVI", "civilEmerg"),
    ("EWW", "wind"),
    ("FFA", "flashFlood"),
    ("FFS", "flashFlood"),
    ("FLA", "flood"),
    ("FLS", "flood"),
    ("HLS", "hurricane"),
    ("HUA", "hurricane"),
    ("HWA", "wind"),
    ("LAE", "civilEmerg"),
    ("NIC", "civilEmerg"),
    ("NMN", "admin"),
    ("NPT", "testMessage"),
    ("NUW", "radiological"),
    ("RMT", "testMessage"),
    ("RWT", "testMessage"),
    ("SPW", "civilEmerg"),
    ("SSA", "stormSurge"),
    ("SVA", "thunderstorm"),
    ("TOA", "tornado"),
    ("TRA", "tropStorm"),
    ("TSA", "tsunami"),
    ("WSA", "winterStorm"),
];

/// SAME codes with the CAP-CP code that leads back to them.
pub(super) const BOTH_WAYS: &str = "
    ADR admin
    AVW avalanche
    BZW blizzard
    CAE amber
    CEM civilEmerg
    DMO testMessage
    DSW dustStorm
    EQW earthquake
    FFW flashFlood
    FLW flood
    FRW fire
    HMW hazmat
    HUW hurricane
    HWW wind
    LEW dangerPerson
    MEP missingPer
    RHW radiological
    SMW marine
    SPS weather
    SQW snowSquall
    SSW stormSurge
    SVR thunderstorm
    SVS storm
    TOE 911Service
    TOR tornado
    TRW tropStorm
    TSW tsunami
    VOW volcano
    WSW winterStorm
";

/// Codes of weather radio and of Canada that IPAWS does not take (ipaws page 5.2).
pub(super) const RADIO: &str = "
    BHW biological
    BWW drinkingWate
    CHW chemical
    CWW drinkingWate
    DBA damBreach
    DBW damBreach
    DEW infectious
    EVA evacuation
    FCW foodSafety
    FSW flashFreeze
    IFW industryFire
    LSW landslide
    VOA volcano
    WFA wildFire
    WFW wildFire
";

/// Chemical, biological, radiological, nuclear, explosive, and what comes with them (cap page 2.4).
pub(super) const CBRNE: &str = "airQuality biological chemical drinkingWate explosive hazmat industryFire infectious radiological \
     terrorism warfareMater";

/// Events of the weather (category Met, cap page 2.3), whose statement is SPS where no other is.
pub(super) const WEATHER: &str = "arcticOut blizzard blowingSnow cold coldWave dustStorm flashFlood flashFreeze flood fog freezeDrzl \
     freezeRain freezngSpray frost galeWind heat heatHumidity heatWave highWater hurricFrcWnd hurricane \
     ice icePressure iceberg marine overflood rainfall rpdCloseLead snowSquall snowfall spclIce \
     spclMarine squall storm stormFrcWnd stormSurge strongWind temperature thunderstorm tornado tropStorm \
     waterspout weather wind windchill winterStorm";

/// WEAHandling with the codes that may carry it (ipaws page 4.4).
pub(super) const WEA: [(&str, &str); 3] = [
    ("Amber", "CAE"),
    ("Imminent Threat", "AVW BLU CDW CEM EQW EVI FRW HMW LEW NUW RHW SPW VOW"),
    ("Public Safety", "AVW BLU CDW CEM EQW EVI FRW HMW LAE LEW MEP NUW RHW SPW TOE VOW"),
];

/// Warnings and their watches (ipaws page 5.2).
pub(super) const WATCHES: [(&str, &str); 13] = [
    ("AVW", "AVA"),
    ("BZW", "WSA"),
    ("FFW", "FFA"),
    ("FLW", "FLA"),
    ("HUW", "HUA"),
    ("HWW", "HWA"),
    ("SQW", "WSA"),
    ("SSW", "SSA"),
    ("SVR", "SVA"),
    ("TOR", "TOA"),
    ("TRW", "TRA"),
    ("TSW", "TSA"),
    ("WSW", "WSA"),
];

/// Warnings and their statements; other weather has the special weather statement.
pub(super) const STATEMENTS: [(&str, &str); 5] =
    [("FFW", "FFS"), ("FLW", "FLS"), ("HUW", "HLS"), ("SVR", "SVS"), ("TOR", "SVS")];

/// What crosses the border: elements, parameters.
pub(super) const CROSSING: [(Crossing, &str, &str); 3] = [
    (
        Crossing::Yes,
        "",
        "layer:CAPAN:eventLocation layer:NAADS:1.0:eventLocation layer:EC-MSC-SMC: \
     profile:CAP-CP:0.4:AutoTranslated VTEC WMOidentifier AWIPSidentifier NWSheadline eventEndingTime \
     eventMotionDescription maxHailSize tornadoDetection flashFloodDetection flashFloodDamageThreat \
     timezone capbridge:addedLanguage capbridge:ergGuide capbridge:origin capbridge:originalEvent capbridge:received \
     capbridge:trace capbridge:unNumber",
    ),
    (Crossing::Purpose, "contact note", "layer:PEASI:1.0:PhoneText OriginatingSystem UserName"),
    (
        Crossing::Never,
        "addresses derefUri",
        "layer:SOREM: BLOCKCHANNEL WEAHandling CMAMtext CMAMlongtext EAS-ORG EAS-STN-ID EAS-Must-Carry \
     EASText DBGFBYPASS",
    ),
];

/// Pairs of each class (geography page 5).
pub(super) const PAIRS: [(&str, usize); 4] =
    [("narrow-water", 1), ("open-water", 36), ("sea-strait", 5), ("touch", 109)];

/// SAME times SGC of all pairs of each class, added up.
pub(super) const PAIR_SUMS: [(&str, u64); 4] = [
    ("narrow-water", 92_443_183),
    ("open-water", 4_207_700_030),
    ("sea-strait", 1_268_041_010),
    ("touch", 13_098_956_048),
];
