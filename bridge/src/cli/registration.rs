//! Commands about who is told and who may say so: tokens, responders, endpoints, subscriptions.
//!
//! Owns their arguments and text form. The JSON form is what the socket gives.

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::remote::{ask, each, encoded, json_of, show, text};
use super::{AdminArgs, Format, complain, say};

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
    List,
    /// Takes a token back.
    Revoke {
        /// Its name.
        name: String,
    },
    /// Says who the caller is to the bridge.
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
