//! Reading: the lists of a file, one after the other, each object for itself.

use crate::article::{Article, Trouble};
use crate::object::Object;
use crate::{secrets, value};
use lockgate_model::{
    ApplyTo, Binding, Destination, ExchangeKind, ExchangeSpec, Hashing, Name, Order, Parameter,
    Permission, Policy, QueueSpec, Table, Tier, TopicPermission, User, Value, VhostSpec,
};
use serde_json::{Map, Value as Json};
use std::fmt;

/// What a file holds.
#[derive(Debug, Default)]
pub struct Definitions {
    /// Orders, in the order in which they are to be given.
    pub items: Vec<Item>,
    /// Objects that could not be read.
    pub bad: Vec<Trouble>,
    /// Objects that are passed over, as RabbitMQ does it, and why.
    pub skipped: Vec<Trouble>,
}

/// One order, and what it is about.
pub struct Item {
    /// What it is about.
    pub article: Article,
    /// The order.
    pub order: Order,
    /// Of a user: a password in clear text, still to be hashed.
    pub password: Option<String>,
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither passwords nor what parameters hold.
        write!(f, "Item({})", self.article)
    }
}

/// Why a file is no definitions file at all.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable(pub String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreadable {}

/// Reads a file. With `into` only what can be in a virtual host is read, and goes there: all
/// of an export of one virtual host, and of one of a broker what was in that one.
pub fn read(bytes: &[u8], into: Option<&str>) -> Result<Definitions, Unreadable> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Definitions::default());
    }
    let json = serde_json::from_slice(bytes).map_err(|e| Unreadable(format!("no JSON: {e}")))?;
    let Json::Object(top) = json else {
        return Err(Unreadable("no definitions: a JSON object is wanted".into()));
    };
    let top = Object(&top);
    let of_one = top.called("rabbitmq_definition_format") == "single_virtual_host"
        || top.get("original_vhost_name").is_some();
    if of_one && into.is_none() {
        return Err(Unreadable(format!(
            "an export of the one virtual host '{}': say into which it is to go",
            top.called("original_vhost_name").escape_debug()
        )));
    }
    let version = ["rabbitmq_version", "rabbit_version"].into_iter().find_map(|n| top.get(n));
    let hashing = default_hashing(version.and_then(Json::as_str).unwrap_or_default());
    let into = into.map(Name::from);
    let mut reader = Reader { top, into, of_one, hashing, all: Definitions::default() };
    reader.read();
    Ok(reader.all)
}

/// How passwords are hashed where nothing is said.
fn default_hashing(version: &str) -> Hashing {
    let old = ["3.0", "3.1", "3.2", "3.3", "3.4", "3.5"];
    let is = |v: &&str| version == *v || version.starts_with(&format!("{v}."));
    if old.iter().any(is) { Hashing::Md5 } else { Hashing::Sha256 }
}

struct Reader<'a> {
    top: Object<'a>,
    into: Option<Name>,
    /// The file is an export of one virtual host.
    of_one: bool,
    hashing: Hashing,
    all: Definitions,
}

type Read = Result<Order, String>;

impl Reader<'_> {
    fn read(&mut self) {
        let whole = self.into.is_none();
        if whole {
            self.list("users", "user", &["name"], Reader::user);
            self.list("vhosts", "vhost", &["name"], Reader::vhost);
            self.vhost_limits();
            self.list("permissions", "permission", &["user"], Reader::permission);
        } else if self.of_one {
            self.own_vhost();
        }
        self.list("exchanges", "exchange", &["name"], Reader::exchange);
        if whole {
            let topic = Reader::topic_permission;
            self.list("topic_permissions", "topic permission", &["user", "exchange"], topic);
            let global = Reader::global_parameter;
            self.list("global_parameters", "global parameter", &["name"], global);
        }
        self.list("policies", "policy", &["name"], |r, o| {
            let (vhost, policy) = (r.vhost_of(o)?, policy(o, o.name("name")?)?);
            Ok(Order::SetPolicy { vhost, tier: Tier::User, policy })
        });
        self.list("parameters", "parameter", &["component", "name"], Reader::parameter);
        self.list("queues", "queue", &["name"], Reader::queue);
        let ends = &["source", "destination", "routing_key"];
        self.list("bindings", "binding", ends, Reader::binding);
    }

    /// Reads a list of the file.
    fn list(
        &mut self,
        list: &str,
        kind: &'static str,
        called: &[&str],
        read: fn(&Self, Object<'_>) -> Read,
    ) {
        let top = self.top;
        let wrong = |name: String, why: String| {
            let article = Article { kind, name, vhost: None };
            Trouble { article, why }
        };
        let objects = match top.get(list) {
            None => return,
            Some(Json::Array(all)) => all,
            // What Erlang makes of an empty list of pairs.
            Some(Json::Object(map)) if map.is_empty() => return,
            Some(_) => {
                let why = format!("`{list}` should be a list");
                return self.all.bad.push(wrong(list.into(), why));
            }
        };
        for (n, json) in objects.iter().enumerate() {
            let Json::Object(map) = json else {
                let why = "an object is wanted".to_string();
                self.all.bad.push(wrong(format!("{list}[{n}]"), why));
                continue;
            };
            let object = Object(map);
            let vhost = object.get("vhost").and_then(Json::as_str).map(Name::from);
            if self.into.is_some() && vhost.is_some() && vhost != self.into {
                continue;
            }
            let mut name: Vec<String> = called.iter().map(|n| object.called(n)).collect();
            if kind == "binding" {
                name = vec![format!("{} -> {} by {}", name[0], name[1], name[2])];
            }
            let vhost = self.into.clone().or(vhost);
            let article = Article { kind, name: name.join(" "), vhost };
            if let Some(why) = passed_over(kind, object) {
                self.all.skipped.push(Trouble { article, why });
                continue;
            }
            match read(self, object) {
                Ok(order) => {
                    let clear = object.get("password").filter(|_| kind == "user");
                    let password = clear.and_then(Json::as_str).map(Into::into);
                    self.all.items.push(Item { article, order, password });
                }
                Err(why) => self.all.bad.push(Trouble { article, why }),
            }
        }
    }

    fn vhost_of(&self, o: Object<'_>) -> Result<Name, String> {
        self.into.clone().map_or_else(|| o.name("vhost"), Ok)
    }

    fn user(&self, o: Object<'_>) -> Read {
        let tags = match o.words("tags")? {
            Some(tags) => tags,
            None if o.get("administrator").is_none() => return Err("`tags` is missing".into()),
            None if o.flag("administrator", false)? => vec!["administrator".into()],
            None => Vec::new(),
        };
        let (hash, scram) = (secrets::hash(o, self.hashing)?, secrets::scram(o)?);
        let limits = value::table(&o.object("limits")?)?;
        Ok(Order::SetUser(User { name: o.name("name")?, hash, scram, tags, limits }))
    }

    fn vhost(&self, o: Object<'_>) -> Read {
        let metadata = metadata(o)?;
        Ok(Order::MakeVhost(VhostSpec { name: o.name("name")?, metadata }))
    }

    /// Limits stand in the virtual host and as a parameter, and the latter is what counts;
    /// where there is none of it, what stands in the virtual host does.
    fn vhost_limits(&mut self) {
        let empty = Vec::new();
        let list = |name: &str| self.top.get(name).and_then(Json::as_array).unwrap_or(&empty);
        let is = |json: &Json, vhost: &str| {
            json["component"] == "vhost-limits" && json["vhost"] == *vhost
        };
        let mut found = Vec::new();
        for map in list("vhosts").iter().filter_map(Json::as_object) {
            let name = map.get("name").and_then(Json::as_str);
            let limits = Object(map).object("limits").ok().filter(|l| !l.is_empty());
            if let (Some(name), Some(limits)) = (name, limits)
                && !list("parameters").iter().any(|p| is(p, name))
            {
                found.push((Name::from(name), limits));
            }
        }
        found.into_iter().for_each(|(vhost, limits)| self.limits(vhost, &limits));
    }

    fn limits(&mut self, vhost: Name, limits: &Map<String, Json>) {
        let name = "vhost-limits limits".to_string();
        let article = Article { kind: "parameter", name, vhost: Some(vhost.clone()) };
        match value::table(limits) {
            Ok(limits) => {
                let order = Order::SetParameter(Parameter {
                    vhost: Some(vhost),
                    component: "vhost-limits".into(),
                    name: "limits".into(),
                    value: Value::Table(limits),
                });
                self.all.items.push(Item { article, order, password: None });
            }
            Err(why) => self.all.bad.push(Trouble { article, why }),
        }
    }

    /// What an export of one virtual host says of itself.
    fn own_vhost(&mut self) {
        let (Some(name), top) = (self.into.clone(), self.top) else { return };
        let article = Article { kind: "vhost", name: name.to_string(), vhost: Some(name.clone()) };
        match metadata(top) {
            // It may say nothing: then the virtual host stays as it is.
            Ok(metadata) if metadata.is_empty() => {}
            Ok(metadata) => {
                let order = Order::MakeVhost(VhostSpec { name: name.clone(), metadata });
                let article = Article { vhost: None, ..article };
                self.all.items.push(Item { article, order, password: None });
            }
            Err(why) => self.all.bad.push(Trouble { article, why }),
        }
        if let Ok(limits) = top.object("limits")
            && !limits.is_empty()
        {
            self.limits(name, &limits);
        }
    }

    fn permission(&self, o: Object<'_>) -> Read {
        Ok(Order::SetPermission(Permission {
            user: o.name("user")?,
            vhost: o.name("vhost")?,
            configure: o.text("configure")?.into(),
            write: o.text("write")?.into(),
            read: o.text("read")?.into(),
        }))
    }

    fn topic_permission(&self, o: Object<'_>) -> Read {
        Ok(Order::SetTopicPermission(TopicPermission {
            user: o.name("user")?,
            vhost: o.name("vhost")?,
            exchange: o.name("exchange")?,
            write: o.text("write")?.into(),
            read: o.text("read")?.into(),
        }))
    }

    fn global_parameter(&self, o: Object<'_>) -> Read {
        let value = value::value(o.0.get("value").unwrap_or(&Json::Null))?;
        let name = o.name("name")?;
        Ok(Order::SetParameter(Parameter { vhost: None, component: Name::default(), name, value }))
    }

    fn parameter(&self, o: Object<'_>) -> Read {
        let (vhost, component, name) = (self.vhost_of(o)?, o.name("component")?, o.name("name")?);
        let json = o.0.get("value").unwrap_or(&Json::Null);
        if component == "operator_policy" {
            let Json::Object(map) = json else {
                return Err("`value` should be an object".into());
            };
            let policy = policy(Object(map), name)?;
            return Ok(Order::SetPolicy { vhost, tier: Tier::Operator, policy });
        }
        let value = value::value(json)?;
        Ok(Order::SetParameter(Parameter { vhost: Some(vhost), component, name, value }))
    }

    fn exchange(&self, o: Object<'_>) -> Read {
        let kind = o.text("type")?;
        let kind =
            ExchangeKind::named(kind).ok_or_else(|| format!("unknown exchange type '{kind}'"))?;
        let spec = ExchangeSpec {
            name: o.name("name")?,
            kind,
            durable: o.flag("durable", true)?,
            auto_delete: o.flag("auto_delete", false)?,
            internal: o.flag("internal", false)?,
            arguments: value::arguments(&o.object("arguments")?)?,
        };
        Ok(Order::DeclareExchange { vhost: self.vhost_of(o)?, spec })
    }

    fn queue(&self, o: Object<'_>) -> Read {
        let mut arguments = value::arguments(&o.object("arguments")?)?;
        // Some exports name the kind only here.
        if let Some(kind @ ("quorum" | "stream")) = o.optional_text("type")?
            && arguments.get("x-queue-type").is_none()
        {
            arguments.set("x-queue-type", Value::text(kind));
        }
        let spec = QueueSpec {
            name: o.name("name")?,
            durable: o.flag("durable", true)?,
            exclusive: false,
            auto_delete: o.flag("auto_delete", false)?,
            arguments,
        };
        Ok(Order::DeclareQueue { vhost: self.vhost_of(o)?, spec })
    }

    fn binding(&self, o: Object<'_>) -> Read {
        let to = o.name("destination")?;
        let destination = match o.optional_text("destination_type")? {
            None | Some("queue") => Destination::Queue(to),
            Some("exchange") => Destination::Exchange(to),
            Some(other) => return Err(format!("unknown destination type '{other}'")),
        };
        let binding = Binding {
            source: o.name("source")?,
            destination,
            key: o.optional_text("routing_key")?.unwrap_or_default().as_bytes().to_vec().into(),
            arguments: value::arguments(&o.object("arguments")?)?,
        };
        Ok(Order::Bind { vhost: self.vhost_of(o)?, binding })
    }
}

/// Objects that RabbitMQ does not import either.
fn passed_over(kind: &str, o: Object<'_>) -> Option<String> {
    let name = o.called("name");
    match kind {
        "exchange" if name.is_empty() && o.get("name").is_some() => {
            Some("the default exchange is always there".into())
        }
        "queue" | "exchange" if name.starts_with("amq.") => {
            Some("names that begin with 'amq.' are the broker's own".into())
        }
        // What the default exchange does is no binding.
        "binding" if o.get("source").is_some() && o.called("source").is_empty() => {
            Some("the default exchange leads to every queue by itself".into())
        }
        _ => None,
    }
}

fn policy(o: Object<'_>, name: Name) -> Result<Policy, String> {
    let pattern = match o.get("pattern") {
        Some(Json::String(text)) => text.clone(),
        None => return Err("pattern should be a binary but was undefined".into()),
        Some(other) => return Err(format!("pattern should be a binary but was {other}")),
    };
    let priority = match o.get("priority") {
        // A float without a fraction is as good.
        Some(Json::Number(n)) => match (n.as_i64(), n.as_f64()) {
            (Some(n), _) => n,
            (None, Some(n)) if n.fract() == 0.0 && n.abs() < 1e15 => n as i64,
            _ => return Err(format!("priority should be a whole number, actually was {n}")),
        },
        None => return Err("priority should be a number, actually was undefined".into()),
        Some(other) => return Err(format!("priority should be a number, actually was {other}")),
    };
    let word = o.optional_text("apply-to")?.unwrap_or("all");
    let apply_to = ApplyTo::named(word).ok_or_else(|| {
        format!("apply-to '{word}' unrecognised; should be 'queues', 'exchanges' or 'all'")
    })?;
    let definition = value::table(&o.object("definition")?)?;
    Ok(Policy { name, pattern, apply_to, definition, priority })
}

/// What is noted of a virtual host: at the top in older exports, else in `metadata`.
fn metadata(o: Object<'_>) -> Result<Table, String> {
    let mut all = o.object("metadata")?;
    for name in ["description", "default_queue_type", "tracing"] {
        if let Some(value) = o.get(name)
            && (name != "tracing" || *value == Json::Bool(true))
        {
            all.insert(name.into(), value.clone());
        }
    }
    let inner = Object(&all);
    let tags = o.words("tags")?.map_or_else(|| inner.words("tags"), |tags| Ok(Some(tags)))?;
    if let Some(tags) = tags {
        let tags = tags.iter().map(|tag| Json::String(tag.to_string())).collect();
        all.insert("tags".into(), Json::Array(tags));
    }
    value::table(&all)
}
