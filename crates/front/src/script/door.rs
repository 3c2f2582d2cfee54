//! Logins as script lines, and the verdicts that a script gives.

use super::words::Words;
use crate::{Login, Memo, Naming, Proof, Verdict};
use lockgate_model::Name;

/// `login USER`, `opening MECHANISM [whole] DATA`, `answer MEMO DATA`; a password is not shown.
pub fn login(login: &Login) -> String {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    match &login.proof {
        Proof::Password(_) => format!("login {}", login.user),
        Proof::Opening { mechanism, naming, data } => {
            let whole = if *naming == Naming::User { " whole" } else { "" };
            format!("opening {}{whole} {}", mechanism.name(), text(data)).trim_end().to_owned()
        }
        Proof::Answer { memo, data } => {
            format!("answer {} {}", text(&memo.0), text(data)).trim_end().to_owned()
        }
    }
}

/// `admit USER`, `deny WHY`, `challenge MEMO DATA`, `prove USER [vhost=V] DATA`.
pub fn verdict(line: &str) -> Result<Verdict, String> {
    let mut words = Words::new(line);
    Ok(match words.need("a verdict")?.as_str() {
        "admit" => Verdict::Admitted(Name::from(words.need("a user")?.as_str())),
        "deny" => Verdict::Denied("wrong password"),
        "challenge" => Verdict::Challenge {
            memo: Memo(words.need("a memo")?.into_bytes()),
            data: words.need("a challenge")?.into_bytes(),
        },
        "prove" => {
            let user = Name::from(words.need("a user")?.as_str());
            let word = words.need("data")?;
            match word.strip_prefix("vhost=") {
                Some(vhost) => {
                    let (vhost, data) = (Some(Name::from(vhost)), words.need("data")?);
                    Verdict::Proven { user, vhost, data: data.into_bytes() }
                }
                None => Verdict::Proven { user, vhost: None, data: word.into_bytes() },
            }
        }
        other => return Err(format!("no such verdict: {other}")),
    })
}
