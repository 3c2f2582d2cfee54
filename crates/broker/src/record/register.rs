//! Users, rights, policies and parameters in records: tags 8 to 19 of a `Made`, and 40 for a
//! user whose keys of SCRAM are known.

use super::put::{put_bytes, put32, put64};
use super::read::Reader;
use super::{Change, tag};
use crate::id::VhostId;
use bytes::Bytes;
use lockgate_model::{
    ApplyTo, Hash, Hashing, Malformed, Name, Parameter, Permission, Policy, Scram, Table, Tier,
    TopicPermission, User, Value,
};

const HASHINGS: [Hashing; 3] = [Hashing::Sha256, Hashing::Sha512, Hashing::Md5];

/// Writes a change that is one of these.
pub fn write(change: &Change, out: &mut Vec<u8>) {
    match change {
        Change::VhostNoted { id, metadata } => {
            out.push(tag::VHOST_NOTED);
            put32(out, id.0);
            metadata.encode(out);
        }
        Change::VhostDeleted { id } => {
            out.push(tag::NO_VHOST);
            put32(out, id.0);
        }
        Change::UserSet(user) => write_user(user, out),
        Change::UserDeleted(name) => names(tag::NO_USER, &[name], out),
        Change::PermissionSet(p) => {
            names(tag::PERMISSION, &[&p.user, &p.vhost, &p.configure, &p.write, &p.read], out);
        }
        Change::PermissionCleared { user, vhost } => {
            names(tag::NO_PERMISSION, &[user, vhost], out);
        }
        Change::TopicPermissionSet(p) => {
            names(tag::TOPIC, &[&p.user, &p.vhost, &p.exchange, &p.write, &p.read], out);
        }
        Change::TopicPermissionCleared { user, vhost, exchange } => {
            names(tag::NO_TOPIC, &[user, vhost], out);
            put_optional(exchange.as_ref(), out);
        }
        Change::PolicySet { vhost, tier, policy, at } => {
            write_policy(*vhost, *tier, policy, *at, out);
        }
        Change::PolicyCleared { vhost, tier, name, at } => {
            out.push(tag::NO_POLICY);
            put32(out, vhost.0);
            out.push(*tier as u8);
            put_bytes(out, name.as_bytes());
            put64(out, *at);
        }
        Change::ParameterSet(p) => {
            names(tag::PARAMETER, &[&p.component, &p.name], out);
            put_optional(p.vhost.as_ref(), out);
            Table(vec![("value".into(), p.value.clone())]).encode(out);
        }
        Change::ParameterCleared { vhost, component, name } => {
            names(tag::NO_PARAMETER, &[component, name], out);
            put_optional(vhost.as_ref(), out);
        }
        _ => {}
    }
}

fn names(tag: u8, names: &[&str], out: &mut Vec<u8>) {
    out.push(tag);
    names.iter().for_each(|name| put_bytes(out, name.as_bytes()));
}

fn put_optional(name: Option<&Name>, out: &mut Vec<u8>) {
    out.push(u8::from(name.is_some()));
    put_bytes(out, name.map_or("", |n| n.as_str()).as_bytes());
}

fn write_user(user: &User, out: &mut Vec<u8>) {
    out.push(if user.scram.is_some() { tag::USER_WITH_KEYS } else { tag::USER });
    put_bytes(out, user.name.as_bytes());
    let at = HASHINGS.iter().position(|h| *h == user.hash.hashing);
    out.push(at.unwrap_or_default() as u8);
    put_bytes(out, &user.hash.bytes);
    put32(out, user.tags.len() as u32);
    user.tags.iter().for_each(|tag| put_bytes(out, tag.as_bytes()));
    user.limits.encode(out);
    if let Some(keys) = &user.scram {
        put_bytes(out, &keys.salt);
        put32(out, keys.iterations);
        out.extend_from_slice(&keys.stored);
        out.extend_from_slice(&keys.server);
    }
}

fn write_policy(vhost: VhostId, tier: Tier, policy: &Policy, at: u64, out: &mut Vec<u8>) {
    out.push(tag::POLICY);
    put32(out, vhost.0);
    out.push(tier as u8);
    put_bytes(out, policy.name.as_bytes());
    put_bytes(out, policy.pattern.as_bytes());
    put_bytes(out, policy.apply_to.word().as_bytes());
    put64(out, policy.priority.cast_unsigned());
    policy.definition.encode(out);
    put64(out, at);
}

impl Reader<'_> {
    /// Reads one of these changes, its tag read already.
    pub(super) fn registered(&mut self, tag: u8) -> Result<Change, Malformed> {
        Ok(match tag {
            tag::VHOST_NOTED => {
                Change::VhostNoted { id: VhostId(self.u32()?), metadata: self.table()? }
            }
            tag::NO_VHOST => Change::VhostDeleted { id: VhostId(self.u32()?) },
            tag::USER => Change::UserSet(self.user()?),
            tag::USER_WITH_KEYS => {
                let user = self.user()?;
                Change::UserSet(User { scram: Some(self.keys()?), ..user })
            }
            tag::NO_USER => Change::UserDeleted(self.name()?),
            tag::PERMISSION => Change::PermissionSet(Permission {
                user: self.name()?,
                vhost: self.name()?,
                configure: self.name()?.to_string(),
                write: self.name()?.to_string(),
                read: self.name()?.to_string(),
            }),
            tag::NO_PERMISSION => {
                Change::PermissionCleared { user: self.name()?, vhost: self.name()? }
            }
            tag::TOPIC => Change::TopicPermissionSet(TopicPermission {
                user: self.name()?,
                vhost: self.name()?,
                exchange: self.name()?,
                write: self.name()?.to_string(),
                read: self.name()?.to_string(),
            }),
            tag::NO_TOPIC => Change::TopicPermissionCleared {
                user: self.name()?,
                vhost: self.name()?,
                exchange: self.optional()?,
            },
            tag::POLICY => self.policy()?,
            tag::NO_POLICY => Change::PolicyCleared {
                vhost: VhostId(self.u32()?),
                tier: self.tier()?,
                name: self.name()?,
                at: self.u64()?,
            },
            tag::PARAMETER => {
                let (component, name) = (self.name()?, self.name()?);
                let vhost = self.optional()?;
                let value = self.table()?.0.pop().map_or(Value::Void, |(_, value)| value);
                Change::ParameterSet(Parameter { vhost, component, name, value })
            }
            tag::NO_PARAMETER => {
                let (component, name) = (self.name()?, self.name()?);
                Change::ParameterCleared { vhost: self.optional()?, component, name }
            }
            _ => return Err(Malformed("unknown change")),
        })
    }

    fn optional(&mut self) -> Result<Option<Name>, Malformed> {
        let (there, name) = (self.u8()? != 0, self.name()?);
        Ok(there.then_some(name))
    }

    fn tier(&mut self) -> Result<Tier, Malformed> {
        match self.u8()? {
            0 => Ok(Tier::User),
            1 => Ok(Tier::Operator),
            _ => Err(Malformed("unknown tier")),
        }
    }

    fn user(&mut self) -> Result<User, Malformed> {
        let name = self.name()?;
        let hashing = HASHINGS.get(usize::from(self.u8()?));
        let hashing = *hashing.ok_or(Malformed("unknown hashing"))?;
        let hash = Hash { hashing, bytes: Bytes::copy_from_slice(self.bytes()?) };
        let count = self.count(4)?;
        let tags = (0..count).map(|_| self.name()).collect::<Result<_, Malformed>>()?;
        Ok(User { name, hash, tags, limits: self.table()?, ..User::default() })
    }

    fn keys(&mut self) -> Result<Scram, Malformed> {
        let salt = Bytes::copy_from_slice(self.bytes()?);
        let iterations = self.u32()?;
        Ok(Scram { salt, iterations, stored: self.array()?, server: self.array()? })
    }

    fn policy(&mut self) -> Result<Change, Malformed> {
        let (vhost, tier) = (VhostId(self.u32()?), self.tier()?);
        let (name, pattern) = (self.name()?, self.name()?.to_string());
        let apply_to = ApplyTo::named(&self.name()?).ok_or(Malformed("unknown apply-to"))?;
        let priority = self.u64()?.cast_signed();
        let policy = Policy { name, pattern, apply_to, priority, definition: self.table()? };
        Ok(Change::PolicySet { vhost, tier, policy, at: self.u64()? })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Record, kind, read, write_change};
    use super::*;

    fn all() -> Vec<Change> {
        let mut limits = Table::default();
        limits.set("max-connections", Value::I64(5));
        let policy = Policy {
            name: "p".into(),
            pattern: "^a".into(),
            apply_to: ApplyTo::Queues,
            definition: limits.clone(),
            priority: -1,
        };
        let user = User {
            name: "u".into(),
            hash: Hash { hashing: Hashing::Md5, bytes: Bytes::from_static(b"\x01\x02") },
            tags: vec!["administrator".into()],
            limits: limits.clone(),
            ..User::default()
        };
        let salt = Bytes::from_static(b"salt");
        let keys = Scram { salt, iterations: 4096, stored: [3; 32], server: [4; 32] };
        let (id, tier) = (VhostId(7), Tier::Operator);
        let value = Value::Table(limits.clone());
        let (component, name): (Name, Name) = ("c".into(), "n".into());
        let named = || ("u".into(), "v".into());
        let text = || (String::from("w"), String::from("r"));
        let ((user_name, vhost), (write, read)): ((Name, Name), _) = (named(), text());
        vec![
            Change::VhostNoted { id, metadata: limits },
            Change::VhostDeleted { id },
            Change::UserSet(user.clone()),
            Change::UserDeleted("u".into()),
            Change::PermissionSet(Permission {
                user: user_name.clone(),
                vhost: vhost.clone(),
                configure: "c".into(),
                write: write.clone(),
                read: read.clone(),
            }),
            Change::PermissionCleared { user: user_name.clone(), vhost: vhost.clone() },
            Change::TopicPermissionSet(TopicPermission {
                user: user_name.clone(),
                vhost: vhost.clone(),
                exchange: "x".into(),
                write,
                read,
            }),
            Change::TopicPermissionCleared {
                user: user_name,
                vhost: vhost.clone(),
                exchange: Some("x".into()),
            },
            Change::PolicySet { vhost: id, tier, policy, at: 9 },
            Change::PolicyCleared { vhost: id, tier, name: "p".into(), at: 9 },
            Change::ParameterSet(Parameter {
                vhost: None,
                component: component.clone(),
                name: name.clone(),
                value,
            }),
            Change::ParameterCleared { vhost: Some(vhost), component, name },
            Change::UserSet(User { scram: Some(keys), ..user }),
        ]
    }

    #[test]
    fn every_change_comes_back_and_no_cut_of_it_panics() {
        for (n, change) in all().into_iter().enumerate() {
            let mut body = Vec::new();
            write_change(&change, &mut body);
            assert_eq!(usize::from(body[0]), if n < 12 { 8 + n } else { 40 }, "its tag");
            let Ok(Record::Made(again)) = read(kind::MADE, &body) else { panic!("{change:?}") };
            assert_eq!(again, change);
            for cut in 0..body.len() {
                assert!(read(kind::MADE, &body[..cut]).is_err(), "{change:?} cut at {cut}");
            }
        }
    }

    /// Stores outlive versions: what is written today must read the same for ever.
    #[test]
    fn the_bytes_are_what_they_always_were() {
        let mut bytes = Vec::new();
        let all = all();
        write_change(&all[2], &mut bytes);
        let user = b"\x0a\x01\0\0\0u\x02\x02\0\0\0\x01\x02\x01\0\0\0\x0d\0\0\0administrator\
            \0\0\0\x19\x0fmax-connectionsl\0\0\0\0\0\0\0\x05";
        assert_eq!(bytes, user);
        bytes.clear();
        write_change(&all[8], &mut bytes);
        let policy = b"\x10\x07\0\0\0\x01\x01\0\0\0p\x02\0\0\0^a\x06\0\0\0queues\
            \xff\xff\xff\xff\xff\xff\xff\xff\
            \0\0\0\x19\x0fmax-connectionsl\0\0\0\0\0\0\0\x05\x09\0\0\0\0\0\0\0";
        assert_eq!(bytes, policy);
        bytes.clear();
        write_change(&all[10], &mut bytes);
        let parameter = b"\x12\x01\0\0\0c\x01\0\0\0n\0\0\0\0\0\
            \0\0\0\x24\x05valueF\0\0\0\x19\x0fmax-connectionsl\0\0\0\0\0\0\0\x05";
        assert_eq!(bytes, parameter);
        bytes.clear();
        write_change(&all[12], &mut bytes);
        let keys = [b"\x04\0\0\0salt\0\x10\0\0", &[3; 32][..], &[4; 32]].concat();
        assert_eq!(bytes, [b"\x28", &user[1..], &keys].concat());
    }
}
