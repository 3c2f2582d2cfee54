//! The types of settings that are one word out of a few.

/// Declares an enum of words.
macro_rules! words {
    ($(#[doc = $doc:literal])+ $name:ident { $( $(#[doc = $vdoc:literal])+ $variant:ident = $word:literal, )+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $( $(#[doc = $vdoc])+ $variant, )+ }

        impl $name {
            /// Every one, in order.
            pub const ALL: &'static [$name] = &[$( $name::$variant, )+];

            /// Its word.
            pub fn word(self) -> &'static str {
                match self { $( $name::$variant => $word, )+ }
            }
        }

        impl $crate::value::Setting for $name {
            fn parse(text: &str) -> Result<Self, String> {
                $name::ALL.iter().copied().find(|v| v.word() == text).ok_or_else(|| {
                    let all: Vec<_> = $name::ALL.iter().map(|v| v.word()).collect();
                    format!("`{text}` is none of {}", all.join(", "))
                })
            }

            fn show(&self) -> String {
                $crate::value::quoted(self.word())
            }
        }
    };
}
pub(crate) use words;

words! {
    /// What has happened to a message when it is confirmed.
    Durability {
        /// It is on the disk.
        Fsync = "fsync",
        /// The operating system has it.
        Os = "os",
        /// Nothing: it is in memory.
        Memory = "memory",
    }
}

words! {
    /// How much is logged.
    LogLevel {
        /// What failed.
        Error = "error",
        /// And what looks wrong.
        Warn = "warn",
        /// And what happens.
        Info = "info",
        /// And why.
        Debug = "debug",
        /// And each step.
        Trace = "trace",
    }
}

words! {
    /// How log lines look.
    LogFormat {
        /// For people.
        Text = "text",
        /// One object a line.
        Json = "json",
    }
}
