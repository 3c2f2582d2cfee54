//! Commands as script lines: one line each, a publish one line for each message.

use lockgate_model::{
    Attachment, Command, Destination, Interest, Mark, Properties, Replay, Request, Retain, Run,
    Step, Table,
};

/// A command's lines.
pub fn command(command: &Command) -> Vec<String> {
    match command {
        Command::Publish { lane, run, confirm } => {
            let confirm = if confirm.is_some() { " confirm" } else { "" };
            messages(run).map(|m| format!("publish {} {m}{confirm}", lane.0)).collect()
        }
        Command::Ask { lane, request, .. } => match request {
            Request::Commit(steps) => {
                let mut lines = vec![format!("ask {} commit", lane.0)];
                lines.extend(steps.iter().flat_map(step));
                lines
            }
            other => vec![format!("ask {} {}", lane.0, self::request(other))],
        },
        Command::Settle { lease, from, count, outcome } => {
            let to = from + count;
            vec![format!("settle {} {from}..{to} {}", lease.0, word(outcome))]
        }
        Command::PublishOnce { lane, run, marks, .. } => {
            let marks = marks.iter().map(|mark| mark.0);
            messages(run).zip(marks).map(|(m, n)| format!("once {} {n} {m}", lane.0)).collect()
        }
        Command::Release { lane, marks, .. } => {
            vec![format!("release {} {}", lane.0, self::marks(marks))]
        }
        Command::Received { lease, from, marks, .. } => {
            vec![format!("received {} {from} {}", lease.0, self::marks(marks))]
        }
        Command::Completed(marks) => vec![format!("completed {}", self::marks(marks))],
        Command::Depart { will, lasting } => {
            let will = if *will { " will" } else { "" };
            let lasting = lasting.map(|l| format!(" {}", word(&l))).unwrap_or_default();
            vec![format!("depart{will}{lasting}")]
        }
        Command::Window(cost) => vec![format!("window {cost}")],
        Command::Flow { lane, active } => {
            vec![format!("flow {} {}", lane.0, if *active { "on" } else { "off" })]
        }
        Command::Leave(lane) => vec![format!("leave {}", lane.0)],
        Command::Gone => vec!["gone".to_owned()],
    }
}

fn step(step: &Step) -> Vec<String> {
    match step {
        Step::Publish(run) => messages(run).map(|m| format!("  publish {m}")).collect(),
        Step::Settle { lease, from, count, outcome } => {
            let to = from + count;
            vec![format!("  settle {} {from}..{to} {}", lease.0, word(outcome))]
        }
    }
}

fn marks(marks: &[Mark]) -> String {
    marks.iter().map(|mark| mark.0.to_string()).collect::<Vec<_>>().join(",")
}

fn word(what: &impl std::fmt::Debug) -> String {
    format!("{what:?}").to_lowercase()
}

/// `EXCHANGE KEY "BODY" [flags] [properties]`, names in quotes.
pub fn messages(run: &Run) -> impl Iterator<Item = String> + '_ {
    run.items.iter().map(|item| {
        let body = run.body(item);
        let body = if body.len() > 64 {
            format!("{} bytes", body.len())
        } else {
            format!("\"{}\"", body.escape_ascii())
        };
        let key = run.key(item).escape_ascii();
        let mut line = format!("\"{}\" \"{key}\" {body}", run.exchange(item));
        if item.persistent {
            line += " persistent";
        }
        if item.priority > 0 {
            line += &format!(" priority={}", item.priority);
        }
        if run.origin(item).mandatory {
            line += " mandatory";
        }
        if let Some(topic) = run.topic(item) {
            line += &format!(" topic=\"{}\"", topic.escape_ascii());
        }
        if item.exact {
            line += " exact";
        }
        if item.retain != Retain::Not {
            line += &format!(" {}", word(&item.retain));
        }
        if !item.native.is_empty() {
            line += &format!(" native=\"{}\"", run.native(item).escape_ascii());
        }
        let properties = Properties::decode(run.head(item)).unwrap_or_default();
        if let Some(to) = properties.reply_to {
            line += &format!(" reply-to=\"{}\"", to.escape_ascii());
        }
        if let Some(headers) = properties.headers {
            line += &format!(" headers={}", table(&headers));
        }
        line
    })
}

fn table(table: &Table) -> String {
    let fields: Vec<String> = table.0.iter().map(|(k, v)| format!("{k}:{v:?}")).collect();
    format!("{{{}}}", fields.join(","))
}

fn flags<const N: usize>(all: [(&str, bool); N]) -> String {
    all.iter().filter(|(_, set)| *set).map(|(name, _)| format!(" {name}")).collect()
}

fn arguments(arguments: &Table) -> String {
    if arguments.is_empty() { String::new() } else { format!(" {}", table(arguments)) }
}

fn binding(b: &lockgate_model::Binding) -> String {
    let to = match &b.destination {
        Destination::Queue(name) => format!("queue \"{name}\""),
        Destination::Exchange(name) => format!("exchange \"{name}\""),
    };
    let key = b.key.escape_ascii();
    format!("\"{}\" to {to} by \"{key}\"{}", b.source, arguments(&b.arguments))
}

fn attach(a: &Attachment) -> String {
    let lasting = if a.lasting.lasts() { format!(" {}", word(&a.lasting)) } else { String::new() };
    let mut line = format!("attach \"{}\" at {}{lasting}", a.client, a.exchange);
    line += &flags([("fresh", a.fresh)]);
    line += &format!(" holds={}", a.in_flight_max);
    if let Some(will) = &a.will {
        let message = messages(&will.run).next().unwrap_or_default();
        line += &format!(" will={message} after {}", will.delay);
    }
    line
}

fn interest(i: &Interest) -> String {
    let key = i.key.escape_ascii();
    let mut line = format!("\"{}\" as \"{key}\" {}", i.filter, i.level);
    let shared = i.is_shared();
    line += &flags([("shared", shared), ("not-own", i.not_own), ("as-published", i.as_published)]);
    if i.replay != Replay::Always {
        line += &format!(" {}", word(&i.replay));
    }
    if i.label > 0 {
        line += &format!(" label={}", i.label);
    }
    line
}

fn request(request: &Request) -> String {
    match request {
        Request::Open { vhost, user } => format!("open \"{vhost}\" as {user}"),
        Request::OpenLane => "open-lane".into(),
        Request::Attach(a) => attach(a),
        Request::Follow(all) => {
            let all: Vec<String> = all.iter().map(interest).collect();
            format!("follow {}", all.join(", "))
        }
        Request::Unfollow(all) => {
            let all: Vec<String> = all.iter().map(|filter| format!("\"{filter}\"")).collect();
            format!("unfollow {}", all.join(", "))
        }
        Request::DeclareExchange(s) => {
            let flags = flags([
                ("durable", s.durable),
                ("auto-delete", s.auto_delete),
                ("internal", s.internal),
            ]);
            let kind = s.kind.name();
            format!("declare-exchange \"{}\" {kind}{flags}{}", s.name, arguments(&s.arguments))
        }
        Request::FindExchange(name) => format!("find-exchange \"{name}\""),
        Request::DeleteExchange { name, if_unused } => {
            format!("delete-exchange \"{name}\"{}", flags([("if-unused", *if_unused)]))
        }
        Request::DeclareQueue(s) => {
            let flags = flags([
                ("durable", s.durable),
                ("exclusive", s.exclusive),
                ("auto-delete", s.auto_delete),
            ]);
            format!("declare-queue \"{}\"{flags}{}", s.name, arguments(&s.arguments))
        }
        Request::OpenMailbox { name } => format!("open-mailbox \"{name}\""),
        Request::FindQueue(name) => format!("find-queue \"{name}\""),
        Request::DeleteQueue { name, if_unused, if_empty } => {
            let flags = flags([("if-unused", *if_unused), ("if-empty", *if_empty)]);
            format!("delete-queue \"{name}\"{flags}")
        }
        Request::Purge(name) => format!("purge \"{name}\""),
        Request::Bind(b) => format!("bind {}", binding(b)),
        Request::Unbind(b) => format!("unbind {}", binding(b)),
        Request::Subscribe(s) => {
            let limit = s.limit.map(|n| format!(" limit={n}")).unwrap_or_default();
            let flags = flags([("settled", s.settled), ("exclusive", s.exclusive)]);
            let (consumer, tag) = (s.consumer.0, &s.tag);
            let arguments = arguments(&s.arguments);
            format!("subscribe \"{}\" {consumer} \"{tag}\"{flags}{limit}{arguments}", s.queue)
        }
        Request::Cancel(consumer) => format!("cancel {}", consumer.0),
        Request::Get { queue, settled } => {
            format!("get \"{queue}\"{}", flags([("settled", *settled)]))
        }
        Request::ShareLimit(limit) => match limit {
            Some(n) => format!("share-limit {n}"),
            None => "share-limit none".to_owned(),
        },
        Request::Commit(_) => "commit".to_owned(),
    }
}
