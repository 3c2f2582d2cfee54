//! What the Rust suite shares: running cases, unique names, the table of misuse, the restart hook.
//!
//! Prints one line per case as `interop/run` expects it.

use std::fmt::Debug;
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Why a case failed, or `skip:` and why it cannot run.
pub type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

pub const DEADLINE: Duration = Duration::from_secs(20);
const CASE_MAX: Duration = Duration::from_secs(60);
static REPORTED: AtomicU32 = AtomicU32::new(0);
static NAMES: AtomicU32 = AtomicU32::new(0);

pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run interop/run"))
}

pub fn url() -> String {
    // lapin takes the vhost literally from the path.
    format!("{}/%2f", variable("INTEROP_URL").trim_end_matches('/'))
}

pub async fn attempt(name: &str, case: impl Future<Output = Outcome>) {
    REPORTED.fetch_add(1, Ordering::Relaxed);
    let outcome = match tokio::time::timeout(CASE_MAX, case).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!("not within {CASE_MAX:?}").into()),
    };
    match outcome {
        Ok(()) => println!("ok {name}"),
        Err(trouble) => {
            let text = trouble.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
            match text.strip_prefix("skip:") {
                Some(why) => println!("skip {name}: {why}"),
                None => println!("FAIL {name}: {text}"),
            }
        }
    }
}

pub fn finish() {
    println!("done {}", REPORTED.load(Ordering::Relaxed));
}

pub fn unique(kind: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |past| past.as_micros());
    format!("interop.{kind}.{now:x}{}", NAMES.fetch_add(1, Ordering::Relaxed))
}

pub fn expect<T: PartialEq + Debug>(what: &str, actual: T, wanted: T) -> Outcome {
    if actual == wanted {
        return Ok(());
    }
    Err(format!("{what}: got {actual:?}, wanted {wanted:?}").into())
}

pub async fn wait_until<F, R>(what: &str, mut ready: F) -> Outcome
where
    F: FnMut() -> R,
    R: Future<Output = Outcome<bool>>,
{
    let end = Instant::now() + DEADLINE;
    while !ready().await? {
        if Instant::now() > end {
            return Err(format!("{what}: not within {DEADLINE:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

pub async fn restart_broker() -> Outcome {
    let Ok(hook) = std::env::var("INTEROP_RESTART") else {
        return Err("skip: no INTEROP_RESTART".into());
    };
    let done =
        tokio::process::Command::new(hook).stdout(std::process::Stdio::null()).status().await?;
    expect("the restart hook", done.success(), true)
}

/// What the table allows for a misuse, with the name filled in.
pub fn wanted(misuse: &str, name: &str) -> Outcome<Vec<(u16, String)>> {
    let table = std::fs::read_to_string(variable("INTEROP_MISUSE"))?;
    let mut answers = Vec::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        if let [kind, code, text] = line.split('\t').collect::<Vec<_>>()[..]
            && kind == misuse
        {
            answers.push((code.parse()?, text.replace("{name}", name)));
        }
    }
    Ok(answers)
}
