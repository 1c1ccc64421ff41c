//! Config -> the tables that the gate reads, by the way that every config file goes.

use knock_user::config::{self, Deny};
use knock_user::kernel::TokenSettings;
use knock_user::rules::RuleSet;

use crate::model;

/// What one load of the program is given: the rules, and the constants.
#[derive(Clone, PartialEq, Debug)]
pub struct Tables {
    /// The rules.
    pub rules: RuleSet,
    /// `stealth`.
    pub stealth: bool,
    /// `flow_idle`, in ns.
    pub flow_idle: u64,
    /// `verify_checksums`.
    pub verify_checksums: bool,
    /// New attempts per second and CPU.
    pub attempt_rate: u32,
    /// `log_denied`.
    pub log_denied: bool,
    /// `lockout`.
    pub lockout: bool,
    /// `deny = "reject"`.
    pub reject: bool,
    /// What tokens are read with.
    pub tokens: Option<TokenSettings>,
    /// `--observe`.
    pub observe: bool,
    /// The boot time in ns at which the trial ends; 0 without one.
    pub trial_until: u64,
}

/// New attempts per second and CPU, where a config says nothing.
const ATTEMPT_RATE: u32 = 4096;

impl Tables {
    /// Compiles the text of a config.
    ///
    /// # Panics
    ///
    /// If it has an error.
    #[must_use]
    pub fn from_toml(text: &str) -> Self {
        Self::compile(&parse(text))
    }

    fn compile(config: &config::Config) -> Self {
        Self::new(config, RuleSet::compile(config).unwrap_or_else(|error| panic!("{error}\n{config:?}")))
    }

    /// The tables of a config whose rules are compiled.
    #[must_use]
    pub fn new(config: &config::Config, rules: RuleSet) -> Self {
        Self {
            rules,
            stealth: config.options.stealth,
            flow_idle: config.options.flow_idle.as_nanos() as u64,
            verify_checksums: config.options.verify_checksums.unwrap_or(true),
            attempt_rate: config.options.attempt_rate.unwrap_or(ATTEMPT_RATE),
            log_denied: config.options.log_denied,
            lockout: config.options.lockout.is_some(),
            reject: config.options.deny == Deny::Reject,
            tokens: None,
            observe: false,
            trial_until: 0,
        }
    }
}

fn parse(text: &str) -> config::Config {
    let (config, _) = config::Config::parse(text, "test.toml").unwrap_or_else(|error| panic!("{error}\n{text}"));
    config
}

impl From<&model::Config> for Tables {
    fn from(config: &model::Config) -> Self {
        let mut parsed = parse(&config.to_toml());
        for (door, model) in parsed.doors.iter_mut().zip(&config.doors) {
            // Its sequence would come from a file, which is all that the gate does not see.
            door.one_time = model.once.then(|| config::OneTime { path: "/nowhere".into(), left: 1 });
        }
        Self { observe: config.observe, trial_until: config.trial_until.unwrap_or(0), ..Self::compile(&parsed) }
    }
}
