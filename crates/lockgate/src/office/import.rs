//! Taking definitions: each object for itself, in batches that are committed together.

use super::secrets;
use lockgate_definitions::{Article, Definitions, Item, Trouble};
use lockgate_engine::Engine;
use lockgate_model::{Order, Time};
use serde_json::{Value, json};
use std::path::Path;

use crate::fault::Fault;

/// Orders given at once: the engine does nothing else meanwhile.
const BATCH: usize = 256;

/// What came of an import.
#[derive(Debug, Default)]
pub struct Report {
    /// Objects that are there now.
    pub taken: usize,
    /// Those that could not be taken.
    pub bad: Vec<String>,
    /// Those passed over, as RabbitMQ does it.
    pub skipped: Vec<String>,
}

impl Report {
    pub fn to_json(&self) -> Value {
        json!({"taken": self.taken, "bad": self.bad, "skipped": self.skipped})
    }

    pub fn from_json(json: &Value) -> Option<Report> {
        let list = |name: &str| -> Option<Vec<String>> {
            json[name].as_array()?.iter().map(|v| v.as_str().map(Into::into)).collect()
        };
        let taken = usize::try_from(json["taken"].as_u64()?).ok()?;
        Some(Report { taken, bad: list("bad")?, skipped: list("skipped")? })
    }
}

/// Reads a definitions file that the configuration names.
pub fn load(path: &Path) -> Result<Definitions, Fault> {
    let shown = path.display();
    let text = std::fs::read(path)
        .map_err(|e| Fault::config(format!("load_definitions: cannot read {shown}: {e}")))?;
    lockgate_definitions::read(&text, None)
        .map_err(|e| Fault::config(format!("load_definitions: {shown}: {e}")))
}

/// Gives the orders of a file.
pub fn apply(
    engine: &Engine,
    definitions: Definitions,
    now: impl Fn() -> Time,
) -> Result<Report, String> {
    let Definitions { items, bad, skipped } = definitions;
    let mut report = Report {
        taken: 0,
        bad: bad.iter().map(Trouble::to_string).collect(),
        skipped: skipped.iter().map(Trouble::to_string).collect(),
    };
    let accounts = engine.accounts();
    let mut items = items.into_iter().peekable();
    while items.peek().is_some() {
        let mut articles: Vec<Article> = Vec::with_capacity(BATCH);
        let mut orders = Vec::with_capacity(BATCH);
        for Item { article, mut order, password } in items.by_ref().take(BATCH) {
            if let Order::SetUser(user) = &mut order {
                let known = accounts.users.iter().find(|known| known.name == user.name);
                secrets::complete(user, password.as_deref(), known).map_err(|f| f.cause)?;
            }
            articles.push(article);
            orders.push(order);
        }
        let done = engine.administer(orders, now());
        for (article, done) in articles.into_iter().zip(done) {
            match done {
                Ok(()) => report.taken += 1,
                Err(why) => {
                    let why = why.to_string();
                    report.bad.push(Trouble { article, why }.to_string());
                }
            }
        }
    }
    Ok(report)
}
