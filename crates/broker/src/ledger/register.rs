//! The register: who there is, what each may do, and parameters. Of what lasts the part
//! that is no queue and no exchange; kept in order, so that an export always reads alike.

use crate::change::Change;
use lockgate_model::{Name, Parameter, Permission, Table, TopicPermission, User, Value};
use std::collections::BTreeMap;

/// The component under which a virtual host's limits are kept, and their name.
const VHOST_LIMITS: (&str, &str) = ("vhost-limits", "limits");

/// Users, rights and parameters.
#[derive(Debug, Default)]
pub struct Register {
    /// By name.
    pub users: BTreeMap<Name, User>,
    /// By virtual host and user.
    pub permissions: BTreeMap<(Name, Name), Permission>,
    /// By virtual host, user and exchange.
    pub topic_permissions: BTreeMap<(Name, Name, Name), TopicPermission>,
    /// By virtual host (none for the whole broker's), component and name.
    pub parameters: BTreeMap<(Option<Name>, Name, Name), Value>,
    /// Counts changes of users.
    pub revision: u64,
}

impl Register {
    /// Makes a change that is for it.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::UserSet(user) => {
                self.users.insert(user.name.clone(), user.clone());
                self.revision += 1;
            }
            Change::UserDeleted(name) => {
                self.users.remove(name);
                self.permissions.retain(|(_, user), _| user != name);
                self.topic_permissions.retain(|(_, user, _), _| user != name);
                self.revision += 1;
            }
            Change::PermissionSet(p) => {
                self.permissions.insert((p.vhost.clone(), p.user.clone()), p.clone());
            }
            Change::PermissionCleared { user, vhost } => {
                self.permissions.remove(&(vhost.clone(), user.clone()));
            }
            Change::TopicPermissionSet(p) => {
                let key = (p.vhost.clone(), p.user.clone(), p.exchange.clone());
                self.topic_permissions.insert(key, p.clone());
            }
            Change::TopicPermissionCleared { user, vhost, exchange } => {
                let goes = |x: &Name| exchange.as_ref().is_none_or(|wanted| wanted == x);
                self.topic_permissions.retain(|(v, u, x), _| v != vhost || u != user || !goes(x));
            }
            Change::ParameterSet(p) => {
                let key = (p.vhost.clone(), p.component.clone(), p.name.clone());
                self.parameters.insert(key, p.value.clone());
            }
            Change::ParameterCleared { vhost, component, name } => {
                self.parameters.remove(&(vhost.clone(), component.clone(), name.clone()));
            }
            _ => {}
        }
    }

    /// A virtual host is gone.
    pub fn forget_vhost(&mut self, name: &Name) {
        self.permissions.retain(|(vhost, _), _| vhost != name);
        self.topic_permissions.retain(|(vhost, _, _), _| vhost != name);
        self.parameters.retain(|(vhost, _, _), _| vhost.as_ref() != Some(name));
    }

    /// A limit of a virtual host; none, or below zero, is none.
    pub fn vhost_limit(&self, vhost: &Name, which: &str) -> Option<u64> {
        let (component, name) = VHOST_LIMITS;
        let key = (Some(vhost.clone()), component.into(), name.into());
        let Some(Value::Table(limits)) = self.parameters.get(&key) else { return None };
        limit(limits, which)
    }

    /// A limit of a user, likewise.
    pub fn user_limit(&self, user: &Name, which: &str) -> Option<u64> {
        limit(&self.users.get(user)?.limits, which)
    }

    /// All parameters as they are set.
    pub fn parameters(&self) -> impl Iterator<Item = Parameter> {
        self.parameters.iter().map(|((vhost, component, name), value)| Parameter {
            vhost: vhost.clone(),
            component: component.clone(),
            name: name.clone(),
            value: value.clone(),
        })
    }
}

fn limit(limits: &Table, which: &str) -> Option<u64> {
    u64::try_from(limits.get(which)?.as_int()?).ok()
}
