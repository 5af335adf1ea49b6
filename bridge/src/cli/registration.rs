//! Commands about who is told and who may say so: tokens, responders, endpoints, subscriptions.
//!
//! Owns their arguments and text form. The JSON form is what the socket gives.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use serde_json::{Value, json};

use super::inputs;
use super::remote::{ask, call, each, encoded, json_of, show, text};
use super::{AdminArgs, Format, USAGE, complain, say};

/// What is paused or resumed, and why.
#[derive(Args)]
pub(super) struct Decided {
    /// Its name.
    name: String,
    /// Why; it goes into the audit log.
    #[arg(long)]
    reason: String,
}

/// What can be done with everything that is registered.
#[derive(Subcommand)]
pub(super) enum CollectionAction {
    /// Lists them, each with where it comes from.
    #[command(
        after_help = "Example:\n  capbridge responders list\n  capbridge endpoints list\n  capbridge subscriptions list"
    )]
    List,
    /// Shows one.
    #[command(
        after_help = "Example:\n  capbridge responders show windsor\n  capbridge endpoints show windsor-hook\n  capbridge subscriptions show windsor-severe"
    )]
    Show {
        /// Its name.
        name: String,
    },
    /// Registers one, from a JSON document.
    #[command(
        after_help = "Example:\n  capbridge responders add windsor.json\n  capbridge endpoints add windsor-hook.json\n  capbridge subscriptions add windsor-severe.json"
    )]
    Add {
        /// The document, or - for standard input.
        #[arg(value_name = "FILE|-")]
        document: String,
    },
    /// Removes one.
    #[command(
        after_help = "Example:\n  capbridge responders remove windsor\n  capbridge endpoints remove windsor-hook\n  capbridge subscriptions remove windsor-severe"
    )]
    Remove {
        /// Its name.
        name: String,
    },
}

#[derive(Subcommand)]
pub(super) enum ResponderAction {
    #[command(flatten)]
    All(CollectionAction),
    /// Puts another document in the place of one's own.
    #[command(after_help = "Example:\n  capbridge responders change windsor.json")]
    Change {
        /// The document, or - for standard input.
        #[arg(value_name = "FILE|-")]
        document: String,
    },
}

#[derive(Subcommand)]
pub(super) enum EndpointAction {
    #[command(flatten)]
    All(CollectionAction),
    /// Sends the signed challenge by which a webhook proves itself, or a code to a mailbox; until then it gets nothing.
    #[command(after_help = "Example:\n  capbridge endpoints challenge windsor-hook")]
    Challenge {
        /// Its name.
        name: String,
    },
    /// Gives back the code that was sent to a mailbox: then it is proven.
    #[command(after_help = "Example:\n  capbridge endpoints prove windsor-mail --code 12345678")]
    Prove {
        /// Its name.
        name: String,
        /// The code, as it stands in the mail.
        #[arg(long)]
        code: String,
    },
    /// Tries the connection out with something that is no alert.
    #[command(after_help = "Example:\n  capbridge endpoints test windsor-hook")]
    Test {
        /// Its name.
        name: String,
    },
    /// Makes the next signing key of a webhook or token of a feed; the one before is good beside it for 24 hours.
    #[command(after_help = "Example:\n  capbridge endpoints rotate windsor-hook")]
    Rotate {
        /// Its name.
        name: String,
    },
    /// Sends it nothing until it is resumed.
    #[command(after_help = "Example:\n  capbridge endpoints pause windsor-hook --reason \"moves house\"")]
    Pause(Decided),
    /// Sends to it again, also after a 410.
    #[command(after_help = "Example:\n  capbridge endpoints resume windsor-hook --reason \"is back\"")]
    Resume(Decided),
    /// Issues again what is in force there, after its COG or key changed and `translation.edition` was raised.
    #[command(
        after_help = "Example:\n  capbridge endpoints reissue ipaws --operator duty-officer --reason \"new key\""
    )]
    Reissue {
        #[command(flatten)]
        decided: Decided,
        /// Who decides; it goes into the audit log.
        #[arg(long)]
        operator: String,
    },
}

#[derive(Subcommand)]
pub(super) enum SubscriptionAction {
    #[command(flatten)]
    All(CollectionAction),
    /// Puts another document in the place of one's own.
    #[command(after_help = "Example:\n  capbridge subscriptions change windsor-severe.json")]
    Change {
        /// The document, or - for standard input.
        #[arg(value_name = "FILE|-")]
        document: String,
    },
    /// Takes no new alerts by it until it is resumed; chains that went by it go on.
    #[command(after_help = "Example:\n  capbridge subscriptions pause windsor-severe --reason \"too much\"")]
    Pause(Decided),
    /// Takes new alerts by it again.
    #[command(
        after_help = "Example:\n  capbridge subscriptions resume windsor-severe --reason \"narrower now\""
    )]
    Resume(Decided),
}

/// The calls that all three have, by the path of their collection.
struct Collection<'a> {
    admin: &'a AdminArgs,
    path: &'static str,
    line: fn(&Value) -> String,
}

impl Collection<'_> {
    fn one(&self, name: &str) -> String {
        format!("{}/{}", self.path, encoded(name))
    }

    fn run(&self, action: CollectionAction) -> ExitCode {
        match action {
            CollectionAction::List => {
                show(self.admin, ask(self.admin, self.path, None), |v| each(v, self.line))
            }
            CollectionAction::Show { name } => {
                show(self.admin, ask(self.admin, &self.one(&name), None), words)
            }
            CollectionAction::Add { document } => match read_document(&document) {
                Ok(order) => show(self.admin, ask(self.admin, self.path, Some(order)), words),
                Err(code) => code,
            },
            CollectionAction::Remove { name } => {
                let answer = call(self.admin, Method::DELETE, &self.one(&name), None);
                show(self.admin, answer, |_| format!("{name} removed"))
            }
        }
    }

    fn change(&self, document: &str) -> ExitCode {
        match read_document(document) {
            Ok(order) => {
                let path = self.one(text(&order, "name"));
                show(self.admin, call(self.admin, Method::PUT, &path, Some(order)), words)
            }
            Err(code) => code,
        }
    }

    fn act(&self, name: &str, what: &str, body: Value) -> ExitCode {
        let path = format!("{}/{what}", self.one(name));
        show(self.admin, ask(self.admin, &path, Some(body)), words)
    }

    fn decide(&self, what: &str, decided: &Decided) -> ExitCode {
        self.act(&decided.name, what, json!({"reason": decided.reason}))
    }
}

fn read_document(path: &str) -> Result<Value, ExitCode> {
    let bytes = inputs::read(path).map_err(|error| {
        complain(&format!("capbridge: {path}: {error}"));
        ExitCode::from(USAGE)
    })?;
    serde_json::from_slice(&bytes).map_err(|error| {
        complain(&format!("capbridge: {path} is no JSON document: {error}"));
        ExitCode::from(USAGE)
    })
}

/// `capbridge responders`.
pub(super) fn responders(admin: &AdminArgs, action: ResponderAction) -> ExitCode {
    let all = Collection { admin, path: "/v1/responders", line: responder_line };
    match action {
        ResponderAction::All(action) => all.run(action),
        ResponderAction::Change { document } => all.change(&document),
    }
}

/// `capbridge endpoints`.
pub(super) fn endpoints(admin: &AdminArgs, action: EndpointAction) -> ExitCode {
    let all = Collection { admin, path: "/v1/endpoints", line: endpoint_line };
    match action {
        EndpointAction::All(action) => all.run(action),
        EndpointAction::Challenge { name } => all.act(&name, "challenge", json!({})),
        EndpointAction::Prove { name, code } => all.act(&name, "proof", json!({"code": code})),
        EndpointAction::Test { name } => all.act(&name, "test", json!({})),
        EndpointAction::Rotate { name } => all.act(&name, "rotate", json!({})),
        EndpointAction::Pause(decided) => all.decide("pause", &decided),
        EndpointAction::Resume(decided) => all.decide("resume", &decided),
        EndpointAction::Reissue { decided, operator } => {
            let body = json!({"operator": operator, "reason": decided.reason});
            let path = format!("{}/reissue", all.one(&decided.name));
            show(admin, ask(admin, &path, Some(body)), reissued)
        }
    }
}

/// `capbridge subscriptions`.
pub(super) fn subscriptions(admin: &AdminArgs, action: SubscriptionAction) -> ExitCode {
    let all = Collection { admin, path: "/v1/subscriptions", line: subscription_line };
    match action {
        SubscriptionAction::All(action) => all.run(action),
        SubscriptionAction::Change { document } => all.change(&document),
        SubscriptionAction::Pause(decided) => all.decide("pause", &decided),
        SubscriptionAction::Resume(decided) => all.decide("resume", &decided),
    }
}

fn responder_line(responder: &Value) -> String {
    format!("{}  {}  from: {}", text(responder, "name"), text(responder, "title"), text(responder, "from"))
}

fn reissued(answer: &Value) -> String {
    let queued = answer["reissued"].as_array().map_or(0, Vec::len);
    let name = text(answer, "endpoint");
    match queued {
        0 => format!(
            "nothing that {name} took under a former identity is in force (raise translation.edition first)"
        ),
        1 => format!("1 alert is issued again to {name}"),
        _ => format!("{queued} alerts are issued again to {name}"),
    }
}

fn endpoint_line(endpoint: &Value) -> String {
    format!(
        "{}  {}  {}  {}  from: {}",
        text(endpoint, "name"),
        text(endpoint, "kind"),
        text(endpoint, "class"),
        text(endpoint, "state"),
        text(endpoint, "from"),
    )
}

fn subscription_line(subscription: &Value) -> String {
    let several = subscription.get("endpoints").and_then(Value::as_array).into_iter().flatten();
    let several = several.filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
    format!(
        "{}  to {}{several}  {}  {}  from: {}",
        text(subscription, "name"),
        text(subscription, "endpoint"),
        text(subscription, "class"),
        text(subscription, "state"),
        text(subscription, "from"),
    )
}

/// One member a line; what is not said is left out.
fn words(value: &Value) -> String {
    let Some(members) = value.as_object() else { return value.to_string() };
    let said = members.iter().filter(|(_, value)| match value {
        Value::Null => false,
        Value::Array(all) => !all.is_empty(),
        Value::Object(all) => !all.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    });
    let lines = said.map(|(key, value)| match value.as_str() {
        Some(text) => format!("{key}: {text}"),
        None => format!("{key}: {value}"),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum RoleArg {
    Admin,
    Operator,
    Auditor,
    Responder,
}

#[derive(Subcommand)]
pub(super) enum TokenAction {
    /// Makes a token and writes it to standard output, once: only its hash is kept.
    #[command(
        after_help = "Example:\n  capbridge token create night-desk --role operator > night-desk.token"
    )]
    Create {
        /// Its name; a name is used once.
        name: String,
        /// What it lets its holder do.
        #[arg(long, value_enum)]
        role: RoleArg,
        /// Whose token it is; with --role responder.
        #[arg(long, value_name = "NAME")]
        responder: Option<String>,
        /// From when on it is good for nothing (RFC 3339).
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
    },
    /// Lists the tokens, revoked ones too.
    #[command(after_help = "Example:\n  capbridge token list")]
    List,
    /// Takes a token back.
    #[command(after_help = "Example:\n  capbridge token revoke night-desk")]
    Revoke {
        /// Its name.
        name: String,
    },
    /// Says who the caller is to the bridge.
    #[command(after_help = "Example:\n  capbridge token whoami --token-file night-desk.token")]
    Whoami,
}

/// `capbridge token`.
pub(super) fn token(admin: &AdminArgs, action: TokenAction) -> ExitCode {
    match action {
        TokenAction::Create { name, role, responder, expires_at } => {
            let role = role.to_possible_value().map(|v| v.get_name().to_owned());
            let mut order = json!({"name": name, "role": role});
            for (key, value) in [("responder", responder), ("expires_at", expires_at)] {
                if let (Some(value), Some(members)) = (value, order.as_object_mut()) {
                    members.insert(key.into(), json!(value));
                }
            }
            let made = match ask(admin, "/v1/tokens", Some(order)).and_then(|answer| json_of(&answer)) {
                Ok(made) => made,
                Err(code) => return code,
            };
            match admin.format {
                Format::Json => say(&made.to_string()),
                Format::Text => {
                    say(text(&made, "token"));
                    complain("keep it in a file that only its holder can read: it is not shown again");
                }
            }
            ExitCode::SUCCESS
        }
        TokenAction::List => show(admin, ask(admin, "/v1/tokens", None), |v| each(v, token_line)),
        TokenAction::Revoke { name } => {
            let path = format!("/v1/tokens/{}/revoke", encoded(&name));
            show(admin, ask(admin, &path, Some(json!({}))), |v| format!("{} revoked", text(v, "name")))
        }
        TokenAction::Whoami => show(admin, ask(admin, "/v1/whoami", None), |v| {
            let of = v.get("responder").and_then(Value::as_str).map(|r| format!(" {r}")).unwrap_or_default();
            format!("{}: {}{of}", text(v, "by"), text(v, "role"))
        }),
    }
}

fn token_line(token: &Value) -> String {
    let of = token.get("responder").and_then(Value::as_str).map(|r| format!(" {r}")).unwrap_or_default();
    let state = match (token.get("revoked_at").and_then(Value::as_str), token.get("good")) {
        (Some(at), _) => format!("revoked {at}"),
        (None, Some(Value::Bool(false))) => format!("expired {}", text(token, "expires_at")),
        (None, _) => token
            .get("expires_at")
            .and_then(Value::as_str)
            .map_or("good".into(), |at| format!("good until {at}")),
    };
    format!(
        "{}  {}{of}  {state}  made {} by {}",
        text(token, "name"),
        text(token, "role"),
        text(token, "created_at"),
        text(token, "created_by"),
    )
}
