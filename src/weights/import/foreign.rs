//! From a file of another program to this program's names, layout and normalization.

use crate::error::{Error, Result};
use crate::weights::import::archive::Archive;
#[cfg(feature = "import-keras")]
use crate::weights::import::hdf5::Hdf5;
use crate::weights::import::keras;
use crate::weights::import::names::{Convention, assign};
use crate::weights::import::safetensors::Safetensors;
use crate::weights::import::torch::{self, Pickled};
use crate::weights::tensors::NamedTensor;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

/// The first bytes of a format.
const HDF5: &[u8] = b"\x89HDF\r\n\x1a\n";

const ZIP: &[u8] = b"PK\x03\x04";

/// The convolutions of a VGG19 from another program.
#[derive(Debug)]
pub struct Imported {
    pub tensors: Vec<NamedTensor>,
    /// The format of the file, and whose names it has.
    pub format: String,
}

/// Reads the convolutions in the file at `path` and converts them to this program's names, layout and normalization.
///
/// # Errors
/// When the format is unknown, the file is damaged, or it holds no VGG19 or more than one.
pub fn read_foreign(path: &Path) -> Result<Imported> {
    let bad = |message: String| Error::bad_file(path, message);
    let (mut archive, format) = open(path)?;
    let listed = archive.list();
    if let Some((name, _)) = listed.iter().find(|(name, _)| name.ends_with("features.1.running_mean")) {
        let why = "is VGG19 with batch normalisation, another network; needed is the plain one";
        return Err(bad(format!("{why} (`{name}`)")));
    }
    let (assigned, convention) = assign(&listed).map_err(bad)?;
    let mut tensors = Vec::new();
    for ((tap, kind), (name, shape)) in &assigned {
        let values = archive.values(name).map_err(|message| bad(format!("`{name}`: {message}")))?;
        let elements = shape.iter().try_fold(1, |product: usize, &side| product.checked_mul(side));
        if elements != Some(values.len()) {
            let found = values.len();
            return Err(bad(format!("`{name}` has {found} values, too many or too few for shape {shape:?}")));
        }
        let (shape, values) = match (convention, &shape[..]) {
            (Convention::Keras, &[height, width, inputs, outputs]) => {
                let values = keras::outputs_first(&values, height * width, inputs, outputs);
                (vec![outputs, inputs, height, width], values)
            }
            _ => (shape.clone(), values),
        };
        tensors.push(NamedTensor::of_f32(tap.parameters()[*kind].clone(), shape, &values));
    }
    if convention == Convention::Keras {
        keras::fold_input(&mut tensors).map_err(bad)?;
    }
    let whose = match convention {
        Convention::Torchvision => "torchvision's names",
        Convention::Keras => "Keras' names, input normalisation folded in",
    };
    Ok(Imported { tensors, format: format!("{format}, {whose}") })
}

/// Opens a file by what its first bytes say. Also returns the name of the format.
fn open(path: &Path) -> Result<(Box<dyn Archive>, &'static str)> {
    let bad = |message: String| Error::bad_file(path, message);
    let mut file = File::open(path).map_err(Error::io(path, "read the weights"))?;
    let mut first = Vec::new();
    let read = file.by_ref().take(64).read_to_end(&mut first).and_then(|_| file.rewind());
    read.map_err(Error::io(path, "read the weights"))?;
    Ok(match &first[..] {
        first if first.starts_with(HDF5) => (open_hdf5(path)?, "HDF5"),
        first if first.starts_with(ZIP) => (Box::new(Pickled::of_zip(file).map_err(bad)?), "PyTorch"),
        first if first.starts_with(torch::LEGACY) => {
            (Box::new(Pickled::of_legacy(file).map_err(bad)?), "PyTorch before 1.6")
        }
        // A safetensors file begins with the length of its header, which is JSON.
        first if first.get(8) == Some(&b'{') => (Box::new(Safetensors::open(path, file)?), "safetensors"),
        _ => {
            let known = ".safetensors, PyTorch's .pth and .pt, Keras' .h5";
            return Err(bad(format!("is of no format that is read here: {known}")));
        }
    })
}

#[cfg(feature = "import-keras")]
fn open_hdf5(path: &Path) -> Result<Box<dyn Archive>> {
    Ok(Box::new(Hdf5::open(path).map_err(|message| Error::bad_file(path, message))?))
}

#[cfg(not(feature = "import-keras"))]
fn open_hdf5(path: &Path) -> Result<Box<dyn Archive>> {
    let why = "is HDF5, and this build cannot read Keras' HDF5 files; build it with `--features import-keras`";
    Err(Error::bad_file(path, format!("{why}; {}", keras::WITHOUT_HDF5)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(not(feature = "import-keras"))]
    #[test]
    fn a_build_that_cannot_read_hdf5_says_so_and_how_to_do_without() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/weights/keras.h5");
        let message = read_foreign(&path).unwrap_err().to_string();
        for words in ["keras.h5", "--features import-keras", "safetensors"] {
            assert!(message.contains(words), "{words}: {message}");
        }
    }

    #[test]
    fn files_of_unknown_formats_are_refused_with_those_that_are_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page.h5");
        for bytes in [&b""[..], b"<html>", b"PK\x03\x04 cut off"] {
            std::fs::write(&path, bytes).unwrap();
            assert!(read_foreign(&path).is_err(), "{bytes:?}");
        }
        std::fs::write(&path, "<html>").unwrap();
        assert!(read_foreign(&path).unwrap_err().to_string().contains("PyTorch's .pth"));
    }
}
