//! What error codes mean.

use crate::failure::Failure;
use crate::screen::Screen;

pub(crate) fn explain(_code: Option<&str>, _screen: &Screen) -> Result<(), Failure> {
    Ok(())
}
