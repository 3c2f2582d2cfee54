//! What the log says of users, rights, policies and parameters, in words. Hashes and
//! parameters' values, which may hold passwords, are never shown.

use crate::log_text::{arguments, quoted};
use lockgate_broker::record::Change;
use lockgate_model::{Name, Tier};

/// One change of them.
pub fn made(change: &Change) -> String {
    match change {
        Change::VhostNoted { id, metadata } => {
            format!("noted of vhost {}{}", id.0, arguments(metadata))
        }
        Change::VhostDeleted { id } => format!("deleted vhost {}", id.0),
        Change::UserSet(user) => {
            let tags: Vec<String> = user.tags.iter().map(|tag| quoted(tag)).collect();
            format!("set user {} tags [{}]", quoted(&user.name), tags.join(", "))
        }
        Change::UserDeleted(name) => format!("deleted user {}", quoted(name)),
        Change::PermissionSet(p) => format!(
            "set permission of {}: configure {}, write {}, read {}",
            at(&p.user, &p.vhost),
            quoted(&p.configure),
            quoted(&p.write),
            quoted(&p.read)
        ),
        Change::PermissionCleared { user, vhost } => {
            format!("cleared permission of {}", at(user, vhost))
        }
        Change::TopicPermissionSet(p) => format!(
            "set topic permission of {} for exchange {}: write {}, read {}",
            at(&p.user, &p.vhost),
            quoted(&p.exchange),
            quoted(&p.write),
            quoted(&p.read)
        ),
        Change::TopicPermissionCleared { user, vhost, exchange } => {
            let which = exchange.as_ref().map(|x| format!(" for exchange {}", quoted(x)));
            format!("cleared topic permissions of {}{}", at(user, vhost), which.unwrap_or_default())
        }
        Change::PolicySet { vhost, tier, policy, at } => format!(
            "set {} {} in vhost {} at {at} ms: {} for {}, priority {}{}",
            tier_word(*tier),
            quoted(&policy.name),
            vhost.0,
            quoted(&policy.pattern),
            policy.apply_to.word(),
            policy.priority,
            arguments(&policy.definition)
        ),
        Change::PolicyCleared { vhost, tier, name, at } => {
            format!("cleared {} {} in vhost {} at {at} ms", tier_word(*tier), quoted(name), vhost.0)
        }
        Change::ParameterSet(p) => {
            format!("set parameter {}", parameter(p.vhost.as_ref(), &p.component, &p.name))
        }
        Change::ParameterCleared { vhost, component, name } => {
            format!("cleared parameter {}", parameter(vhost.as_ref(), component, name))
        }
        // The others are told where they are.
        _ => "a change".into(),
    }
}

fn at(user: &Name, vhost: &Name) -> String {
    format!("{} in {}", quoted(user), quoted(vhost))
}

fn tier_word(tier: Tier) -> &'static str {
    match tier {
        Tier::User => "policy",
        Tier::Operator => "operator policy",
    }
}

fn parameter(vhost: Option<&Name>, component: &Name, name: &Name) -> String {
    match vhost {
        None => format!("{} of the broker", quoted(name)),
        Some(vhost) => format!("{} {} in {}", quoted(component), quoted(name), quoted(vhost)),
    }
}
