//! The demo.

use crate::arguments::DemoOptions;
use crate::failure::Failure;
use crate::screen::Screen;

pub(crate) fn demo(_options: &DemoOptions, _screen: &Screen) -> Result<(), Failure> {
    Ok(())
}
