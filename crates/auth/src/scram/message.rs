//! A client's two messages, as RFC 5802 (section 7) writes them. Views of what was read;
//! whatever its grammar does not know is no message.

use super::Unproven;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;

/// Longest message of a client: names and nonces are far shorter.
pub const MESSAGE_BYTES_MAX: usize = 4096;

/// `client-first-message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct First<'a> {
    text: &'a str,
    /// The header, which says that no channel binding is wanted: `n,,` or `y,,` and the like.
    pub gs2: &'a str,
    /// What follows the header.
    pub bare: &'a str,
    /// Who the client says it is.
    pub user: Cow<'a, str>,
    /// The client's nonce.
    pub nonce: &'a str,
}

/// `client-final-message`.
#[derive(Clone, PartialEq, Eq)]
pub struct Last<'a> {
    /// All up to the proof.
    pub without_proof: &'a str,
    /// The header of the first message once more.
    pub binding: Vec<u8>,
    /// Both sides' nonces.
    pub nonce: &'a str,
    /// What only who knows the password could have made.
    pub proof: [u8; 32],
}

const MALFORMED: Unproven = Unproven("malformed SCRAM message");

fn text(bytes: &[u8]) -> Result<&str, Unproven> {
    let fits = bytes.len() <= MESSAGE_BYTES_MAX && !bytes.contains(&0);
    let text = std::str::from_utf8(bytes).ok().filter(|_| fits);
    text.ok_or(MALFORMED)
}

/// `saslname`: `=2C` is a comma, `=3D` an equals sign, and no other `=` may stand there.
fn name(said: &str) -> Result<Cow<'_, str>, Unproven> {
    if said.is_empty() {
        return Err(MALFORMED);
    }
    if !said.contains('=') {
        return Ok(Cow::Borrowed(said));
    }
    let (mut name, mut rest) = (String::with_capacity(said.len()), said);
    while let Some((before, after)) = rest.split_once('=') {
        name.push_str(before);
        let (escaped, after) = after.split_at_checked(2).ok_or(MALFORMED)?;
        name.push(match escaped {
            "2C" => ',',
            "3D" => '=',
            _ => return Err(MALFORMED),
        });
        rest = after;
    }
    name.push_str(rest);
    Ok(Cow::Owned(name))
}

/// `nonce`: printable ASCII without a comma.
fn nonce(part: Option<&str>) -> Result<&str, Unproven> {
    let nonce = part.and_then(|part| part.strip_prefix("r=")).ok_or(MALFORMED)?;
    let good = !nonce.is_empty() && nonce.bytes().all(|byte| byte.is_ascii_graphic());
    if good { Ok(nonce) } else { Err(MALFORMED) }
}

/// `extensions`: what we do not know is passed over, if it has its form.
fn extensions<'a>(mut parts: impl Iterator<Item = &'a str>) -> Result<(), Unproven> {
    let good = parts.all(|part| {
        let mut chars = part.chars();
        chars.next().is_some_and(|c| c.is_ascii_alphabetic())
            && chars.next() == Some('=')
            && chars.next().is_some()
    });
    if good { Ok(()) } else { Err(MALFORMED) }
}

impl<'a> First<'a> {
    /// Reads one.
    pub fn read(bytes: &'a [u8]) -> Result<First<'a>, Unproven> {
        let text = text(bytes)?;
        let mut parts = text.splitn(3, ',');
        let (Some(flag), Some(other), Some(bare)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(MALFORMED);
        };
        match flag {
            "n" | "y" => {}
            _ if flag.starts_with("p=") => {
                return Err(Unproven("asks for channel binding, which is not offered"));
            }
            _ => return Err(MALFORMED),
        }
        let gs2 = text.strip_suffix(bare).unwrap_or_default();
        let mut parts = bare.split(',');
        let said = match parts.next() {
            Some(part) if part.starts_with("m=") => {
                return Err(Unproven("asks for an extension that is not known"));
            }
            part => part.and_then(|part| part.strip_prefix("n=")).ok_or(MALFORMED)?,
        };
        let user = name(said)?;
        let nonce = nonce(parts.next())?;
        extensions(parts)?;
        match other.strip_prefix("a=") {
            None if other.is_empty() => {}
            None => return Err(MALFORMED),
            Some(other) if name(other)? == user => {}
            Some(_) => return Err(Unproven("asks to act as another user")),
        }
        Ok(First { text, gs2, bare, user, nonce })
    }

    /// The message.
    pub(super) fn whole(&self) -> &'a str {
        self.text
    }
}

impl<'a> Last<'a> {
    /// Reads one.
    pub fn read(bytes: &'a [u8]) -> Result<Last<'a>, Unproven> {
        let (without_proof, proof) = text(bytes)?.rsplit_once(",p=").ok_or(MALFORMED)?;
        let proof = STANDARD.decode(proof).ok().and_then(|proof| proof.try_into().ok());
        let mut parts = without_proof.split(',');
        let binding = parts.next().and_then(|part| part.strip_prefix("c=")).ok_or(MALFORMED)?;
        let binding = STANDARD.decode(binding).map_err(|_| MALFORMED)?;
        let nonce = nonce(parts.next())?;
        extensions(parts)?;
        Ok(Last { without_proof, binding, nonce, proof: proof.ok_or(MALFORMED)? })
    }
}
