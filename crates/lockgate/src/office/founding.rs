//! The first user: where the log knows nobody, the one of the configuration comes in, with
//! every right in the virtual hosts of the configuration. From then on the log alone says
//! who there is, and what the configuration says of a user changes nothing.

use super::secrets;
use crate::fault::Fault;
use lockgate_config::Config;
use lockgate_engine::Engine;
use lockgate_model::{Name, Order, Permission, Time, User};

/// What was there before anything was loaded.
#[derive(Debug)]
pub struct Founding {
    had_users: bool,
    /// Virtual hosts that the configuration has just brought.
    fresh: Vec<Name>,
}

impl Founding {
    /// Looks before anything is loaded.
    pub fn look(engine: &Engine, fresh: Vec<Name>) -> Founding {
        Founding { had_users: !engine.accounts().users.is_empty(), fresh }
    }
}

/// Lets the first user in, if there is need for one.
pub fn found(
    engine: &Engine,
    config: &Config,
    founding: &Founding,
    now: Time,
) -> Result<(), Fault> {
    let user = Name::from(config.auth.default_user.as_str());
    let accounts = engine.accounts();
    let mut orders = Vec::new();
    let vhosts: Vec<Name> = if accounts.users.is_empty() {
        let (hash, scram) = secrets(config.auth.default_pass.expose())?;
        let tags = vec!["administrator".into()];
        let (name, limits) = (user.clone(), Default::default());
        orders.push(Order::SetUser(User { name, hash, scram, tags, limits }));
        config.vhosts.iter().map(|v| Name::from(v.as_str())).collect()
    } else if founding.had_users && accounts.users.iter().any(|u| u.name == user) {
        founding.fresh.clone()
    } else {
        // Definitions brought users: they say what each may do.
        Vec::new()
    };
    orders.extend(vhosts.into_iter().map(|vhost| {
        let all = || ".*".to_string();
        let (configure, write, read) = (all(), all(), all());
        Order::SetPermission(Permission { user: user.clone(), vhost, configure, write, read })
    }));
    for done in engine.administer(orders, now) {
        done.map_err(|why| Fault::other(format!("user '{user}' cannot be made: {why}")))?;
    }
    Ok(())
}
