//! What is wrong with a configuration, in one line, and where.

/// One line that names the place and the fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A value or key that cannot be, found at a known place.
    #[error("{place}: {fault}")]
    At {
        /// `file:line`, a variable or a flag.
        place: String,
        /// What is wrong there.
        fault: String,
    },
    /// Values that are each fine and do not go together.
    #[error("{0}")]
    Together(String),
}

impl ConfigError {
    pub(crate) fn at(place: impl Into<String>, fault: impl Into<String>) -> ConfigError {
        // TOML's own messages may hold several lines; an operator's log wants one.
        let fault: String = fault.into();
        let fault = fault.split_whitespace().collect::<Vec<_>>().join(" ");
        ConfigError::At { place: place.into(), fault }
    }
}
