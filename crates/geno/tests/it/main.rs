//! Whole imports: files that other programs know, compared with what those say.

#[cfg(test)]
mod doses;
#[cfg(test)]
mod exports;
#[cfg(test)]
mod look;
#[cfg(test)]
mod made;
#[cfg(test)]
mod mutated;
#[cfg(test)]
mod people;
