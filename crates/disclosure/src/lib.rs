//! The only door out: from opened to released.
