//! How a simulator is told to misbehave: what goes wrong, for how many requests, and for which.

use serde::{Deserialize, Serialize};

use crate::server::Request;

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// This answer instead of the simulator's; the request has no effect.
    Answer {
        /// HTTP status code, 100 to 999.
        status: u16,
        /// `Content-Type`.
        media_type: String,
        /// The body.
        body: String,
    },
    /// The request has its effect, and the connection is closed after half of the answer's body.
    CutBody,
    /// The answer comes `millis` milliseconds late.
    Delay {
        /// How late.
        millis: u64,
    },
    /// The answer's body comes 16 bytes at a time, `millis` apart.
    Drip {
        /// Time between two pieces.
        millis: u64,
    },
    /// The connection is closed with the request unread: it has had no effect.
    Drop,
    /// 200 with bytes that are no document of any kind.
    Garbage,
    /// The request is taken and never answered; the connection stays open.
    Hang,
    /// The request has its effect, but the connection is closed with no answer.
    LoseAnswer,
    /// 302 to `location`.
    Redirect {
        /// Value of the `Location` header.
        location: String,
    },
    /// The request is refused with this status and has no effect.
    Status {
        /// HTTP status code, 100 to 999.
        status: u16,
        /// Seconds in a `Retry-After` header, if any.
        #[serde(default)]
        retry_after_secs: Option<u64>,
    },
}

/// A fault for some requests. Faults that do not match a request wait for the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mischief {
    /// What goes wrong.
    #[serde(flatten)]
    pub fault: Fault,
    /// For how many matching requests.
    #[serde(default = "once")]
    pub requests: u32,
    /// Only requests of this method.
    #[serde(default)]
    pub method: Option<String>,
    /// Only requests whose path contains this.
    #[serde(default)]
    pub path: Option<String>,
}

fn once() -> u32 {
    1
}

impl Mischief {
    /// The fault, for the next `requests` requests whatever they are.
    #[must_use]
    pub fn next(requests: u32, fault: Fault) -> Self {
        Self { fault, requests, method: None, path: None }
    }

    /// Restricts the fault to one method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Restricts the fault to paths that contain `path`.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    fn fits(&self, request: &Request) -> bool {
        self.requests > 0
            && self.method.as_ref().is_none_or(|method| method.eq_ignore_ascii_case(&request.method))
            && self.path.as_ref().is_none_or(|path| request.path.contains(path.as_str()))
    }
}

/// The faults that are still to happen, in the order in which they were asked for.
#[derive(Debug, Default)]
pub(crate) struct Plan(Vec<Mischief>);

impl Plan {
    pub(crate) fn add(&mut self, mischief: Mischief) {
        self.0.push(mischief);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn take(&mut self, request: &Request) -> Option<Fault> {
        let position = self.0.iter().position(|mischief| mischief.fits(request))?;
        let mischief = self.0.get_mut(position)?;
        mischief.requests -= 1;
        let fault = mischief.fault.clone();
        if mischief.requests == 0 {
            self.0.remove(position);
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mischief_reads_from_the_json_that_an_exercise_planner_writes() {
        let json = r#"{"fault":"status","status":503,"retry_after_secs":4,"requests":2,"path":"/hub"}"#;
        let mischief: Mischief = serde_json::from_str(json).unwrap();
        let fault = Fault::Status { status: 503, retry_after_secs: Some(4) };
        assert_eq!(mischief, Mischief::next(2, fault).path("/hub"));
    }

    #[test]
    fn a_fault_is_spent_after_its_requests() {
        let mut plan = Plan::default();
        plan.add(Mischief::next(2, Fault::Drop).method("POST"));
        let post = Request::for_test("POST", "/hub/feed");
        assert_eq!(plan.take(&Request::for_test("GET", "/hub/feed")), None);
        assert_eq!(plan.take(&post), Some(Fault::Drop));
        assert_eq!(plan.take(&post), Some(Fault::Drop));
        assert_eq!(plan.take(&post), None);
    }
}
