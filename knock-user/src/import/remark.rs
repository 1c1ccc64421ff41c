//! Something to say of a line that is read.

/// What is said of one line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Remark {
    /// The index of the entry in its section; `None`: the section itself.
    pub entry: Option<usize>,
    /// What is said.
    pub text: String,
    /// A person should look at it.
    pub look: bool,
}
