//! The channels of the destination: shut unless a rule opens them, each by name.

use cap_schema::{Category, Code, Info, NamedValue};

use super::report::{Action, Report, Severity};
use super::{Request, Target};

/// The public channels of IPAWS, in the order in which they are blocked.
const CHANNELS: [&str; 4] = ["EAS", "NWEM", "CMAS", "PUBLIC"];

/// Adds what the destination needs to know about channels. Values of the original for them are never taken over.
pub(super) fn parameters(request: &Request<'_>, info: &mut Info<'static>, at: &str, report: &mut Report) {
    if request.target != Target::Ipaws {
        return;
    }
    let field = format!("{at}/parameter");
    let originator = if info.category.contains(&Code::Known(Category::Met)) { "WXR" } else { "CIV" };
    info.parameter.push(NamedValue::new("EAS-ORG", originator));
    for channel in CHANNELS {
        if request.settings.open_channels.iter().any(|c| c == channel) {
            report.add(
                &field,
                Action::Derived,
                &format!("{channel} is open: a rule names it"),
                Severity::Alarm,
            );
        } else {
            info.parameter.push(NamedValue::new("BLOCKCHANNEL", channel));
            report.add(&field, Action::Derived, &format!("{channel} is blocked"), Severity::Note);
        }
    }
    if request.settings.open_channels.iter().any(|c| c == "CMAS") {
        wireless(info, &field, report);
    }
}

/// Wireless texts (ipaws page 4.4): at most 90 and 360 characters, cut at words.
fn wireless(info: &mut Info<'static>, field: &str, report: &mut Report) {
    let clean = |text: &str| -> String {
        text.chars().map(|c| if "{}|\\^~[]".contains(c) || c.is_control() { ' ' } else { c }).collect()
    };
    let headline = info.headline.as_deref().unwrap_or(&info.event);
    let long = format!("{headline} {}", info.instruction.as_deref().unwrap_or(""));
    let short = super::text::cut(&clean(headline), 90);
    if short.len() < headline.len() {
        report.add(field, Action::Cut, "CMAMtext: the headline at 90 characters", Severity::Warning);
    }
    let long = super::text::cut(clean(&long).trim(), 360);
    info.parameter.push(NamedValue::new("WEAHandling", "Imminent Threat"));
    info.parameter.push(NamedValue::new("CMAMtext", short));
    info.parameter.push(NamedValue::new("CMAMlongtext", long));
}
