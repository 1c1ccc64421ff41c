//! Something that is opened anew from time to time, and may be one behind.

use std::ops::{Deref, DerefMut};

/// The last that could be opened.
pub struct Latest<T> {
    value: T,
    is_behind: bool,
}

impl<T> Latest<T> {
    /// There is no newer one.
    pub const fn new(value: T) -> Self {
        Self { value, is_behind: false }
    }

    /// What came of opening it anew; `None` if that failed: then the one before is kept, and is behind.
    pub fn renew(&mut self, opened: Option<T>) {
        self.is_behind = opened.is_none();
        if let Some(value) = opened {
            self.value = value;
        }
    }

    /// True if there is a newer one, which could not be opened.
    pub const fn is_behind(&self) -> bool {
        self.is_behind
    }
}

impl<T> Deref for Latest<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Latest<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_opened_leaves_the_one_before_which_is_behind_until_one_can() {
        let mut latest = Latest::new(1);
        assert!(*latest == 1 && !latest.is_behind());
        latest.renew(None);
        assert!(*latest == 1 && latest.is_behind());
        latest.renew(Some(3));
        assert!(*latest == 3 && !latest.is_behind());
    }
}
