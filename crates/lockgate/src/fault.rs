//! Why the process ends, as a code and one line. No backtrace: whoever reads it
//! is to know what to do next.

/// The end of the process, and its cause.
#[derive(Debug)]
pub struct Fault {
    /// The exit code.
    pub code: u8,
    /// One line.
    pub cause: String,
}

/// What each exit code means, as the help shows it.
pub const CODES: &str = "Exit codes:
  0  stopped in order
  1  something else failed
  2  the command line or the configuration is wrong
  3  a listener cannot be opened
  4  the data directory cannot be used
  5  the data directory is not Lockgate's
  6  another process holds the data directory
  7  the log is damaged, or of another version
  8  the disk failed while serving
  130, 143  stopped at once by a second signal";

/// Makes a fault from its cause.
macro_rules! faults {
    ($( $(#[doc = $doc:literal])+ $name:ident = $code:literal; )*) => {
        impl Fault { $(
            $(#[doc = $doc])+
            pub fn $name(cause: impl std::fmt::Display) -> Fault {
                // An operator's log wants one line, whatever the cause was made of.
                let cause = cause.to_string().replace('\n', " ");
                Fault { code: $code, cause }
            }
        )* }
    };
}

faults! {
    /// None of the others.
    other = 1;
    /// The command line or the configuration is wrong.
    config = 2;
    /// A listener cannot be opened.
    listener = 3;
    /// The data directory cannot be used.
    directory = 4;
    /// The data directory is somebody else's.
    foreign = 5;
    /// Another process holds the data directory.
    held = 6;
    /// The log is damaged, or of another version.
    damaged = 7;
    /// The disk failed while serving.
    disk = 8;
}
