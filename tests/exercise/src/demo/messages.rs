//! The messages of the demo: fictional, after the shape of real ones.

use jiff::{SignedDuration, Timestamp};

use crate::clock::cap_time;

/// A Canadian alert about a chlorine release, English and French, as an agency posts it to MASAS.
pub struct Sarnia {
    /// When the story began.
    pub begun_at: Timestamp,
}

/// A message of the story.
#[derive(Clone, Copy)]
pub enum Turn {
    /// The first.
    Alert,
    /// The plume grows.
    Update,
    /// It is over.
    Cancel,
}

impl Sarnia {
    /// The reference that later messages carry.
    pub fn reference(&self, turn: Turn) -> String {
        format!("em@lambton.example.test,{},{}", Self::identifier(turn), cap_time(self.sent(turn)))
    }

    /// The identifier of a message.
    pub fn identifier(turn: Turn) -> &'static str {
        match turn {
            Turn::Alert => "LAMBTON-2026-0001",
            Turn::Update => "LAMBTON-2026-0002",
            Turn::Cancel => "LAMBTON-2026-0003",
        }
    }

    fn sent(&self, turn: Turn) -> Timestamp {
        let after = match turn {
            Turn::Alert => 0,
            Turn::Update => 1,
            Turn::Cancel => 2,
        };
        self.begun_at.saturating_add(SignedDuration::from_secs(after)).unwrap_or(self.begun_at)
    }

    /// The CAP document.
    pub fn cap(&self, turn: Turn) -> String {
        let (kind, references) = match turn {
            Turn::Alert => ("Alert", String::new()),
            Turn::Update => ("Update", self.reference(Turn::Alert)),
            Turn::Cancel => {
                ("Cancel", format!("{} {}", self.reference(Turn::Alert), self.reference(Turn::Update)))
            }
        };
        let references =
            if references.is_empty() { references } else { format!("<references>{references}</references>") };
        let expires =
            cap_time(self.begun_at.saturating_add(SignedDuration::from_hours(6)).unwrap_or(self.begun_at));
        let radius = if matches!(turn, Turn::Alert) { "4" } else { "5" };
        let info = |language: &str,
                    event: &str,
                    sender: &str,
                    headline: &str,
                    description: &str,
                    instruction: &str,
                    area: &str| {
            format!(
                "<info><language>{language}</language><category>CBRNE</category><event>{event}</event>\
                 <responseType>Shelter</responseType><urgency>Immediate</urgency><severity>Severe</severity>\
                 <certainty>Observed</certainty>\
                 <eventCode><valueName>profile:CAP-CP:Event:0.4</valueName><value>chemical</value></eventCode>\
                 <expires>{expires}</expires><senderName>{sender}</senderName><headline>{headline}</headline>\
                 <description>{description}</description><instruction>{instruction}</instruction>\
                 <contact>duty desk, 555-0100</contact>\
                 <parameter><valueName>layer:CAPAN:eventLocation:point</valueName><value>42.9745,-82.4066</value></parameter>\
                 <area><areaDesc>{area}</areaDesc><circle>42.9745,-82.4066 {radius}</circle>\
                 <geocode><valueName>profile:CAP-CP:Location:0.3</valueName><value>3538030</value></geocode></area></info>"
            )
        };
        let english = info(
            "en-CA",
            "Chemical Hazard",
            "Lambton County Emergency Management",
            "Chlorine release, Sarnia rail yard. Shelter in place.",
            "A tank car is leaking chlorine (UN 1017) at the rail yard. The plume drifts west over the river.",
            "Go indoors. Close windows and doors. Turn off ventilation.",
            "Sarnia rail yard",
        );
        let french = info(
            "fr-CA",
            "Risque chimique",
            "Gestion des urgences du comté de Lambton",
            "Fuite de chlore, gare de triage de Sarnia. Mise à l'abri.",
            "Un wagon-citerne laisse fuir du chlore (UN 1017) à la gare de triage. Le panache dérive vers l'ouest.",
            "Rentrez. Fermez portes et fenêtres. Arrêtez la ventilation.",
            "Gare de triage de Sarnia",
        );
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\">\
             <identifier>{}</identifier><sender>em@lambton.example.test</sender><sent>{}</sent>\
             <status>Actual</status><msgType>{kind}</msgType><scope>Public</scope><code>profile:CAP-CP:0.4</code>\
             {references}{english}{french}</alert>",
            Self::identifier(turn),
            cap_time(self.sent(turn)),
        )
    }
}

/// A US hazardous-materials warning with a polygon over the St. Clair River, before it is signed.
pub fn hazmat_warning(now: Timestamp, identifier: &str) -> String {
    let expires = cap_time(now.saturating_add(SignedDuration::from_hours(2)).unwrap_or(now));
    let sent = cap_time(now);
    format!(
        "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>{identifier}</identifier>\
         <sender>hmw@stclair.example.test</sender><sent>{sent}</sent><status>Actual</status><msgType>Alert</msgType>\
         <source>St. Clair County</source><scope>Public</scope><code>IPAWSv1.0</code><info><language>en-US</language>\
         <category>CBRNE</category><event>Hazardous Materials Warning</event><responseType>Shelter</responseType>\
         <urgency>Immediate</urgency><severity>Severe</severity><certainty>Observed</certainty>\
         <eventCode><valueName>SAME</valueName><value>HMW</value></eventCode><effective>{sent}</effective>\
         <expires>{expires}</expires><senderName>200900,St. Clair County,St. Clair County Emergency Management</senderName>\
         <headline>Hazardous Materials Warning, St. Clair River</headline>\
         <description>A barge leaks ammonia (UN 1005) on the St. Clair River near Marysville.</description>\
         <instruction>Stay inside. Close windows. Turn off ventilation.</instruction>\
         <parameter><valueName>EAS-ORG</valueName><value>CIV</value></parameter>\
         <parameter><valueName>BLOCKCHANNEL</valueName><value>NWEM</value></parameter>\
         <parameter><valueName>BLOCKCHANNEL</valueName><value>CMAS</value></parameter>\
         <area><areaDesc>St. Clair River between Port Huron and Marysville</areaDesc>\
         <polygon>42.9000,-82.4900 42.9000,-82.4000 42.9700,-82.3900 42.9700,-82.4600 42.9000,-82.4900</polygon>\
         <geocode><valueName>SAME</valueName><value>026147</value></geocode></area></info></alert>"
    )
}

/// A message of an exercise, as it is posted to the exercise hub.
pub fn exercise_alert(now: Timestamp) -> String {
    let sarnia = Sarnia { begun_at: now };
    sarnia
        .cap(Turn::Alert)
        .replace("LAMBTON-2026-0001", "EXERCISE-2026-0001")
        .replace("<status>Actual</status>", "<status>Exercise</status>")
        .replace(
            "<code>profile:CAP-CP:0.4</code>",
            "<code>profile:CAP-CP:0.4</code><note>Exercise Sarnia 2026</note>",
        )
}
