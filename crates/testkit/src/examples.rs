//! The first few findings in words, for reports. Pure.

/// At most `MOST` of them.
#[derive(Clone, Debug, Default)]
pub struct Examples<const MOST: usize>(Vec<String>);

impl<const MOST: usize> Examples<MOST> {
    /// One more, if there is room; the text is made only then.
    pub fn add(&mut self, text: impl FnOnce() -> String) {
        if self.0.len() < MOST {
            self.0.push(text());
        }
    }

    /// Those that were kept.
    pub fn iter(&self) -> impl Iterator<Item = &String> {
        self.0.iter()
    }
}
