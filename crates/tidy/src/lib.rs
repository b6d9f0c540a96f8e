//! Rules about the text of the code.
