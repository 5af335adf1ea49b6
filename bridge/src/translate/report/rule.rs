//! Every rule by which a translation keeps, maps, derives, cuts or drops a field: what it does, how much a duty officer
//! should care, and where it comes from.
//!
//! Owns the ids, which scripts may rely on. Must not decide anything: the rules are used where the work is done.
//! `capbridge explain` and `docs/translation-rules.md` show this list.

use serde::{Serialize, Serializer};

use super::{Action, Severity};

macro_rules! rules {
    ($($(#[doc = $text:literal])+ $variant:ident: $id:literal, $action:ident, $severity:ident, $source:literal;)+) => {
        /// A rule of translation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $($(#[doc = $text])+ $variant,)+
        }

        impl Rule {
            /// All of them.
            pub const ALL: &[Rule] = &[$(Rule::$variant),+];

            /// The name that reports use.
            pub fn id(self) -> &'static str {
                match self { $(Rule::$variant => $id),+ }
            }

            /// What it does to a field.
            pub fn action(self) -> Action {
                match self { $(Rule::$variant => Action::$action),+ }
            }

            /// How much a duty officer should care.
            pub fn severity(self) -> Severity {
                match self { $(Rule::$variant => Severity::$severity),+ }
            }

            /// What it says.
            pub fn text(self) -> &'static str {
                match self { $(Rule::$variant => concat!($($text),+)),+ }.trim()
            }

            /// Where it comes from.
            pub fn source(self) -> &'static str {
                match self { $(Rule::$variant => $source),+ }
            }
        }
    };
}

rules! {
    /// The identifier is derived from the original's key and the target: the same on every instance and every retry.
    Identifier: "identity.identifier", Derived, Note, "design: a translation is a new message";
    /// The bridge issues a message of its own.
    Sender: "identity.sender", Derived, Note, "design: a translation is a new message";
    /// The message is of the time of issue.
    Sent: "identity.sent", Derived, Note, "IPAWS status 303: sent within 5 minutes of the post";
    /// The sender's name says that the bridge speaks for the original's.
    SenderName: "identity.sender-name", Mapped, Note, "CAP-CP rule 14; IPAWS NWEM: COG id, COG name, agency";
    /// The source is the bridge, by its name.
    Source: "identity.source", Mapped, Note, "design: a translation is a new message";
    /// The original's identifier; incidents of the original stay with it.
    Incidents: "identity.incidents", Mapped, Note, "design: a translation names its origin; minimisation: incidents that are no codes";
    /// Parameters that name the original and the bridges on the way.
    Provenance: "identity.provenance", Derived, Note, "design: a translation names its origin";
    /// The code of the target profile.
    ProfileOwn: "identity.profile", Derived, Note, "CAP-CP rule 3; IPAWS profile: code IPAWSv1.0";
    /// The code is that of the target profile; codes of the original describe the original.
    ProfileCode: "identity.profile-code", Dropped, Note, "CAP-CP rule 3; IPAWS profile: code IPAWSv1.0";
    /// The status is as it was.
    StatusKept: "class.kept", Kept, Note, "CAP 1.2 status";
    /// A message says no more of itself than its class allows: the status is lowered, never raised.
    StatusLowered: "class.lowered", Mapped, Warning, "design: class only goes down";
    /// The scope is as it was.
    ScopeKept: "scope.kept", Kept, Note, "CAP 1.2 scope";
    /// Public is narrowed to Restricted where IPAWS does not take it as public.
    ScopeNarrowed: "scope.narrowed", Mapped, Warning, "IPAWS profile: Public means Actual and places in the US";
    /// A restricted message whose original gives no restriction says so.
    RestrictionDerived: "scope.restriction", Derived, Alarm, "CAP 1.2 restriction";
    /// A public message has no restriction.
    RestrictionIdle: "scope.restriction-idle", Dropped, Warning, "CAP 1.2 restriction: only where scope is Restricted";
    /// The kind of message is as it was.
    KindKept: "lifecycle.kept", Kept, Note, "CAP 1.2 msgType";
    /// An Update of something that the destination does not have becomes an Alert.
    FirstMessage: "lifecycle.first-message", Mapped, Warning, "IPAWS status 207 and 307; CAP-CP rule 12";
    /// What the destination has from the bridge under a former identity (another COG, key or name) is issued again and takes
    /// the place of that.
    Reissued: "lifecycle.reissued", Mapped, Warning, "setting translation.edition; capbridge endpoints reissue";
    /// An Update whose infos all say that the alert has ended becomes a Cancel.
    Ended: "lifecycle.ended", Mapped, Note, "layer EC-MSC-SMC, Alert_Location_Status: ended, transitioned_out";
    /// A reference that names another sender means the sender's own message of that identifier.
    SenderPart: "lifecycle.sender-part", Mapped, Warning, "NAAD sample 9: the sender part of references is wrong";
    /// An Error of a sender about its own message ends it, because receivers give Error no effect.
    ErrorEnds: "lifecycle.error-ends", Mapped, Warning, "CAP 1.2 msgType; IPAWS ignores Ack and Error";
    /// What is not for the destination any more, or over when it comes, ends what the destination holds.
    EndsEarlier: "lifecycle.ends-earlier", Mapped, Warning, "CAP 1.2 msgType: the earlier message must not stay in force";
    /// What its scope keeps from a destination that holds the earlier message goes there as a bare Cancel: the end, and
    /// nothing of what the original says.
    ContentStays: "lifecycle.content-stays", Dropped, Warning, "CAP 1.2 scope: the earlier message must not stay in force, and nothing restricted or private goes along";
    /// References are to the messages that the bridge issued for the referenced ones, oldest first.
    References: "lifecycle.references", Mapped, Note, "CAP-CP rule 12; IPAWS profile: all that are still active";
    /// References to messages whose place a later one took at the destination are left out where there are too many; what
    /// is in force there, the first and the last ones are named.
    ReferencesLeftOut: "lifecycle.references-left-out", Cut, Note, "setting translation.max_references";
    /// A reference to the message itself, or without a time, leads nowhere.
    ReferenceUnusable: "lifecycle.reference-unusable", Dropped, Warning, "CAP 1.2 references: sender,identifier,sent";
    /// A first message at the destination refers to nothing.
    NoReferences: "lifecycle.no-references", Dropped, Note, "IPAWS status 307";
    /// A message without info, where the target wants one, gets that of the message to which it refers.
    InfoOfPrevious: "lifecycle.info-of-previous", Derived, Note, "CAP-CP rule 5: a Cancel has an info";
    /// A Cancel that ends at once is news for a while.
    CancelInForce: "lifecycle.cancel-in-force", Derived, Note, "MASAS: an entry ends by its expiry; its tool gives a Cancel one hour";
    /// What an info of a Cancel says of itself: over.
    EndsInfo: "lifecycle.ends-info", Mapped, Note, "CAP 1.2 responseType AllClear, urgency Past";
    /// An info that is over at the time of issue goes alone.
    InfoOver: "lifecycle.info-over", Dropped, Warning, "CAP 1.2 expires";
    /// A code of the target that the message already carries comes first.
    CodePresent: "codes.present", Kept, Note, "design: a code in the message, then the table, then a fallback";
    /// The event code of the target by the row of a table.
    CodeByTable: "codes.table", Mapped, Note, "tables events_capcp, events_same, events_same_radio";
    /// The SAME code of a watch, advisory or statement, where the message itself says that it is one.
    CodeByType: "codes.alert-type", Mapped, Note, "table events_capcp, columns same_watch and same_statement; layer EC-MSC-SMC, Alert_Type";
    /// A code of the target for one that several of its codes lead to: it may be any of them.
    CodeOfMany: "codes.one-of-many", Mapped, Warning, "table events_same, column also";
    /// No table knows a code of the message: the configured fallback.
    CodeFallback: "codes.fallback", Derived, Alarm, "setting translation.fallback_same or translation.fallback_capcp";
    /// Codes of the original stay behind that of the target.
    CodeOriginal: "codes.original", Kept, Note, "design: the original's codes stay beside the mapped ones";
    /// A code under the target's name that is not the one chosen for it.
    CodeReplaced: "codes.replaced", Dropped, Warning, "IPAWS profile and CAP-CP rule 2: one event a message";
    /// The event has the name that the target's table gives to its code.
    EventName: "codes.name", Mapped, Note, "CAP-CP rule 7; 47 CFR 11.31(e)";
    /// Shapes are the same text, never widened.
    ShapeKept: "places.shape", Kept, Note, "design: geometry is never widened";
    /// Codes of places on the far side that the shapes overlap, decided on boundaries.
    CodesOfShapes: "places.codes", Derived, Note, "boundaries: overlap of at least 0.5 square kilometres";
    /// An area without words gets some that say so.
    AreaUnnamed: "places.unnamed", Derived, Warning, "CAP 1.2 areaDesc: each area has one";
    /// Codes of places on the far side, without their boundaries.
    CodesApproximate: "places.codes-approximate", Derived, Warning, "table ca_census_divisions: centroids and radii";
    /// The shapes touch no place on the far side.
    NoCodes: "places.no-codes", Derived, Warning, "boundaries: overlap of at least 0.5 square kilometres";
    /// Shapes of more points, or of more lines that cross, than can be compared: codes of places are missing.
    NotMeasured: "places.not-measured", Dropped, Alarm, "design: an alert may not hold the translator for minutes";
    /// Places that the shapes touch too little to count, or that are taken because they are nearest.
    PlacePartial: "places.partial", Derived, Warning, "boundaries: under 0.5 square kilometres, or nearest within 2 km over a river";
    /// Codes of the far side that the area already carries.
    PlacePresent: "places.present", Kept, Note, "design: a code in the message comes first";
    /// Codes of the original stay behind those of the far side.
    PlaceOriginal: "places.original", Kept, Note, "design: the original's codes stay beside the mapped ones";
    /// Places named by code only do not spread over the border.
    NoNeighbours: "places.code-only", Derived, Warning, "design: geocodes are not spread by intersection";
    /// Neighbours over the border, where the route says to notify them.
    Neighbours: "places.neighbours", Derived, Note, "table border_pairs; setting notify_neighbours of the route";
    /// A code under the target's name that names no place there.
    NotAPlace: "places.not-a-place", Dropped, Warning, "SAME and CLC codes look alike: location codes are keyed by country and code";
    /// An area without code of the far side joins one that has: no shape is lost.
    AreaJoined: "places.joined", Mapped, Note, "IPAWS profile: each area of a public message has a SAME code";
    /// Areas of different heights that become one say their heights in words.
    HeightsInWords: "places.heights", Mapped, Alarm, "CAP 1.2 altitude and ceiling: one of each in an area";
    /// An info that names no place gets an area that says so.
    AreaNotStated: "places.not-stated", Derived, Alarm, "CAP-CP rule 10; IPAWS profile: at least one area";
    /// Elements of other namespaces stay with the original.
    Extension: "privacy.extension", Dropped, Note, "CAP 1.2: extensions are between those who agreed on them";
    /// The first point closes an open ring.
    RingClosed: "shapes.closed", Mapped, Warning, "CAP 1.2 polygon: first and last point are the same";
    /// A ring whose lines cross becomes rings of the same area that do not.
    RingCrossing: "shapes.crossing", Mapped, Warning, "CAP 1.2 polygon; IPAWS profile: no line crosses another";
    /// A ring whose lines cross and whose area cannot be said by simple rings.
    RingCrossingKept: "shapes.crossing-kept", Kept, Alarm, "CAP 1.2 polygon; IPAWS profile: no line crosses another";
    /// Doubled points and white space are taken away.
    PointsDoubled: "shapes.doubled", Mapped, Note, "IPAWS profile: no doubled points";
    /// A shape that says no place.
    ShapeUnreadable: "shapes.unreadable", Dropped, Alarm, "CAP 1.2 polygon and circle";
    /// A shape that lies in North America only if its longitudes are its latitudes: it says no place, and none is guessed.
    ShapeSwapped: "shapes.swapped", Dropped, Alarm, "CAP 1.2 polygon and circle: latitude first";
    /// More points than the target takes: simplified inside the original. Codes of places stay those of the whole.
    ShapeSimplified: "shapes.simplified", Cut, Warning, "IPAWS profile: at most 200 points";
    /// More points than the target takes: simplified inside the original, and more than a tenth of the area went.
    ShapeShrunk: "shapes.shrunk", Cut, Alarm, "IPAWS profile: at most 200 points";
    /// Altitude or ceiling that is no number, or a ceiling below the altitude.
    Height: "shapes.height", Dropped, Warning, "CAP 1.2 altitude and ceiling";
    /// The language by table.
    Language: "language.mapped", Mapped, Note, "en-CA and en-US by table; others stay";
    /// A language that is no tag becomes undetermined: nobody guesses which one was meant.
    LanguageUnreadable: "language.unreadable", Mapped, Alarm, "CAP 1.2 language: RFC 3066; ISO 639-2 und";
    /// Where the languages of one info disagree in what is not text, the first counts.
    LanguageAgrees: "language.first-counts", Mapped, Alarm, "CAP-CP rule 6";
    /// Where the languages disagree and it is not known which blocks belong together, each stays as it is.
    LanguageAlone: "language.alone", Kept, Alarm, "CAP-CP rule 6";
    /// All infos have the categories of the first.
    OneCategory: "language.one-category", Mapped, Warning, "IPAWS profile: one set of categories";
    /// Missing French, and missing English where there is neither, gets the official event name and a notice, never a
    /// machine's guess at safety text.
    FrenchAdded: "language.french-added", Derived, Warning, "CAP-CP rule 6; design: no machine translation of safety text";
    /// What an earlier translation added in place of a missing language goes again.
    LanguageTakenAway: "language.taken-away", Dropped, Note, "parameter capbridge:addedLanguage";
    /// A type of a file that is no media type becomes that of any file.
    MediaType: "text.media-type", Mapped, Warning, "CAP 1.2 mimeType: RFC 2046";
    /// What is not text is as it was.
    ValueKept: "text.value-kept", Kept, Note, "design: times and the severity triple stay";
    /// A text is as it was.
    TextKept: "text.kept", Kept, Note, "design: texts stay";
    /// Blanks around a text go.
    TextBlanks: "text.blanks", Mapped, Note, "profiles: no blanks around texts";
    /// A time in the form of CAP 1.2, the same instant.
    TimeForm: "text.time", Mapped, Note, "CAP 1.2 3.3.2";
    /// A time that is no instant.
    TimeUnreadable: "text.time-unreadable", Dropped, Warning, "CAP 1.2 3.3.2";
    /// The end that an original without expires gets.
    ExpiresDefault: "text.expires-default", Derived, Warning, "setting translation.default_expiry_secs; IPAWS profile: expires in each info";
    /// A text that is longer than the setting, cut at a word.
    TextLength: "text.length", Cut, Warning, "settings translation.headline_chars, description_chars, instruction_chars";
    /// A named person's or desk's contact.
    Contact: "privacy.contact", Dropped, Note, "minimisation: not on the list of the route's purpose";
    /// Numbers and dates that name one person, taken out of a text; the report has their kind only.
    PersonalMasked: "privacy.personal", Cut, Warning, "minimisation: personal data in free text; setting translation.masked";
    /// What may be of a person and stays: public lines, addresses and number plates are often what an alert is for.
    PersonalFound: "privacy.personal-found", Kept, Note, "minimisation: personal data in free text; setting translation.masked";
    /// The note of an exercise is cut to its first line, without personal data.
    NoteCut: "privacy.note-cut", Cut, Note, "minimisation: a note crosses where it names the exercise";
    /// A note, other than the name of an exercise.
    Note: "privacy.note", Dropped, Note, "minimisation: not on the list of the route's purpose";
    /// The note that names the exercise, or that the route's purpose lets through.
    NoteKept: "privacy.note-kept", Kept, Note, "CAP 1.2 note: names the exercise";
    /// Recipients are not told of each other.
    Addresses: "privacy.addresses", Dropped, Note, "minimisation: never crosses";
    /// A parameter that is not on the list of what crosses.
    Parameter: "privacy.parameter", Dropped, Note, "minimisation: not on the list of the route's purpose";
    /// A parameter on the list of what crosses.
    ParameterListed: "privacy.parameter-listed", Kept, Note, "table minimisation";
    /// A field that the route's purpose lets through.
    Purpose: "privacy.purpose", Kept, Warning, "table purpose.NAME of the configuration";
    /// Embedded files stay with the original.
    EmbeddedFile: "privacy.embedded-file", Dropped, Note, "CAP 1.2: a forwarder strips derefUri; minimisation";
    /// An address that the destination does not take.
    Link: "privacy.link", Dropped, Note, "CAP 1.2 web and uri; IPAWS profile: no query";
    /// A signature of the original does not sign this message.
    Signature: "privacy.signature", Dropped, Note, "design: a translation is a new message";
    /// Who originates, in the words of EAS: the weather service or civil authorities.
    Originator: "channels.originator", Derived, Note, "IPAWS profile: parameter EAS-ORG";
    /// A public channel that no rule opens.
    ChannelBlocked: "channels.blocked", Derived, Note, "design: public channels are blocked unless a rule opens them";
    /// A public channel that a rule opens.
    ChannelOpen: "channels.open", Derived, Alarm, "setting open_channels of the route";
    /// A public channel that a rule opens and that this message may not use.
    ChannelShut: "channels.shut", Dropped, Alarm, "IPAWS channel rules";
    /// A language that an open channel does not take.
    ChannelLanguage: "channels.language", Dropped, Warning, "IPAWS WEA: en-US and es-US";
    /// Longer in force than an open channel takes.
    ChannelExpires: "channels.expires", Cut, Alarm, "IPAWS: WEA 24 hours, EAS and NWEM 99.5 hours";
    /// More codes of places than an open channel takes: it uses the first ones, and the others are not warned there.
    ChannelCodes: "channels.codes", Cut, Alarm, "IPAWS EAS: the first 31 SAME codes, in the order of the message";
    /// A text cut at a word to what an open channel takes.
    ChannelText: "channels.text", Cut, Alarm, "IPAWS EAS and NWEM: 1,800 characters in all";
    /// A wireless text cut at a word.
    WirelessText: "channels.wireless-text", Cut, Warning, "IPAWS WEA: 90 and 360 characters";
    /// An entry has no type: a Cancel is an entry that ends when it is issued, put in the place of the earlier one.
    EntryEnds: "entry.ends", Mapped, Note, "MASAS: an entry ends by its expiry";
    /// A hub gives an entry its identity, author, time and history itself.
    EntryOfHub: "entry.of-the-hub", Dropped, Note, "MASAS entries: id, author, updated, history";
    /// An entry has one shape; the others are left out.
    EntryOneShape: "entry.one-shape", Dropped, Alarm, "MASAS entries: one GeoRSS shape";
    /// An entry has no room for it, or shows it of the first block only.
    EntryRoom: "entry.no-room", Dropped, Warning, "MASAS entries: one value of a kind, and no places by name or code";
    /// UN and ERG guide numbers that stand in the text.
    HazardFact: "facts.hazard", Derived, Note, "facts from the text only; nothing is looked up";
}

impl Rule {
    /// The rule of that id.
    pub fn by_id(id: &str) -> Option<Rule> {
        Rule::ALL.iter().copied().find(|rule| rule.id() == id)
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}
