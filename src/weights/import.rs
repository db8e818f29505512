//! Weights of other programs: their formats, names and layouts.

pub mod archive;
pub mod keras;
pub mod torch;

use crate::error::{Error, Result};
use crate::nst::Tap;
use crate::weights::file;
use crate::weights::import::archive::Archive;
use crate::weights::tensors::Named;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

/// Bytes by which a format is told.
const HDF5: &[u8] = b"\x89HDF\r\n\x1a\n";

const ZIP: &[u8] = b"PK\x03\x04";

/// Whose names and layout a tensor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Convention {
    /// `features.0.weight`, `[outputs, inputs, height, width]`, normalised RGB.
    Torchvision,
    /// `block1_conv1/kernel`, `[height, width, inputs, outputs]`, BGR of 0 to 255 less its mean.
    Keras,
}

/// The tensors of a VGG19 that were found in a foreign file.
#[derive(Debug)]
pub struct Imported {
    pub tensors: Vec<Named>,
    /// What the file turned out to be.
    pub what: String,
}

/// The convolutions in the file at `path`, in this program's names, layout and normalisation.
///
/// # Errors
/// When the file is of no known format, is damaged, holds no VGG19 or two.
pub fn read(path: &Path) -> Result<Imported> {
    let bad = |message: String| Error::bad_file(path, message);
    let (mut archive, format) = open(path)?;
    let listed = archive.list();
    if let Some((name, _)) = listed.iter().find(|(name, _)| name.ends_with("features.1.running_mean")) {
        return Err(bad(format!(
            "is VGG19 with batch normalisation (`{name}`), another network; needed is the plain one"
        )));
    }
    let (places, convention) = places(&listed).map_err(bad)?;
    let mut tensors = Vec::new();
    for ((tap, kind), (name, shape)) in &places {
        let values = archive.values(name).map_err(|message| bad(format!("`{name}`: {message}")))?;
        let elements = shape.iter().try_fold(1, |product: usize, &side| product.checked_mul(side));
        if elements != Some(values.len()) {
            return Err(bad(format!("`{name}` has {} numbers, too many or few for shape {shape:?}", values.len())));
        }
        let (shape, values) = match (convention, &shape[..]) {
            (Convention::Keras, &[height, width, inputs, outputs]) => {
                let values = keras::outputs_first(&values, height * width, inputs, outputs);
                (vec![outputs, inputs, height, width], values)
            }
            _ => (shape.clone(), values),
        };
        tensors.push(Named::of_f32(tap.parameters()[*kind].clone(), shape, &values));
    }
    if convention == Convention::Keras {
        keras::fold_input(&mut tensors).map_err(bad)?;
    }
    let whose = match convention {
        Convention::Torchvision => "torchvision's names",
        Convention::Keras => "Keras' names, input normalisation folded in",
    };
    Ok(Imported { tensors, what: format!("{format}, {whose}") })
}

fn open(path: &Path) -> Result<(Box<dyn Archive>, String)> {
    let bad = |message: String| Error::bad_file(path, message);
    let mut file = File::open(path).map_err(Error::io(path, "read the weights"))?;
    let mut first = Vec::new();
    let read = file.by_ref().take(64).read_to_end(&mut first).and_then(|_| file.rewind());
    read.map_err(Error::io(path, "read the weights"))?;
    Ok(match &first[..] {
        first if first.starts_with(HDF5) => (Box::new(keras::Hdf5::open(path).map_err(bad)?), "HDF5".into()),
        first if first.starts_with(ZIP) => (Box::new(torch::Pickled::of_zip(file).map_err(bad)?), "PyTorch".into()),
        first if first.starts_with(torch::LEGACY) => {
            (Box::new(torch::Pickled::of_legacy(file).map_err(bad)?), "PyTorch before 1.6".into())
        }
        first if first.get(8) == Some(&b'{') => (Box::new(Safetensors::open(path, file)?), "safetensors".into()),
        _ => {
            let known = ".safetensors, PyTorch's .pth and .pt, Keras' .h5";
            return Err(bad(format!("is of no format that is read here: {known}")));
        }
    })
}

/// Which tensor is which: by layer and then 0 for its weight, 1 for its bias.
type Places = BTreeMap<(Tap, usize), (String, Vec<usize>)>;

fn places(listed: &[(String, Vec<usize>)]) -> Result<(Places, Convention), String> {
    let mut places = Places::new();
    let mut conventions = Vec::new();
    for (name, shape) in listed {
        let Some((tap, kind, convention)) = place(name, shape.len()) else { continue };
        conventions.push(convention);
        if let Some((other, _)) = places.insert((tap, kind), (name.clone(), shape.clone())) {
            return Err(format!("`{other}` and `{name}` are both the layer of {tap}; keep one network in the file"));
        }
    }
    match conventions.first() {
        Some(&first) if conventions.iter().all(|&other| other == first) => Ok((places, first)),
        Some(_) => Err("holds torchvision's and Keras' names; keep one network in the file".into()),
        None => {
            if listed.is_empty() {
                return Err("has no tensors under names; of a model, save the state_dict()".into());
            }
            let names: Vec<&str> = listed.iter().take(3).map(|(name, _)| name.as_str()).collect();
            Err(format!(
                "has no VGG19 with torchvision's names (`features.0.weight`) or Keras' (`block1_conv1`); it has {} tensors: \
                 {} ...",
                listed.len(),
                names.join(", ")
            ))
        }
    }
}

/// The layer of a tensor, 0 for weight or 1 for bias, and by whose names.
fn place(name: &str, rank: usize) -> Option<(Tap, usize, Convention)> {
    let words: Vec<&str> = name.split(['.', '/', ':']).collect();
    let kind = match rank {
        4 => 0,
        1 => 1,
        _ => return None,
    };
    if words.contains(&"optimizer_weights") {
        return None;
    }
    if let Some(tap) = torchvision_tap(&words, kind) {
        return Some((tap, kind, Convention::Torchvision));
    }
    let tap = words.iter().find_map(|word| keras_tap(word)).or_else(|| match words[..] {
        // Keras 3 counts layers of a kind, whatever they are called, and their variables.
        [.., layer, "vars", variable] if variable == kind.to_string() => {
            let n = layer.strip_prefix("conv2d")?;
            let n = if n.is_empty() { 0 } else { n.strip_prefix('_')?.parse().ok()? };
            Tap::all().nth(n)
        }
        _ => None,
    })?;
    Some((tap, kind, Convention::Keras))
}

/// `features.0.weight` after any prefix; or `0.weight`, when `features` was saved alone.
fn torchvision_tap(words: &[&str], kind: usize) -> Option<Tap> {
    let (before, [n, part]) = words.split_last_chunk()?;
    let named = before.is_empty() || before.last() == Some(&"features");
    if !named || *part != ["weight", "bias"][kind] {
        return None;
    }
    let n: usize = n.parse().ok()?;
    Tap::all().find(|tap| tap.torchvision_index() == n)
}

/// `block1_conv1`.
fn keras_tap(word: &str) -> Option<Tap> {
    let (block, conv) = word.strip_prefix("block")?.split_once("_conv")?;
    Tap::new(block.parse().ok()?, conv.parse().ok()?)
}

/// A `.safetensors` file, whatever its names.
struct Safetensors {
    path: std::path::PathBuf,
    file: File,
    parts: Vec<super::header::TensorEntry>,
}

impl Safetensors {
    fn open(path: &Path, mut file: File) -> Result<Self> {
        let parts = file::read_header(path, &mut file)?.all();
        Ok(Self { path: path.into(), file, parts })
    }
}

impl Archive for Safetensors {
    fn list(&self) -> Vec<(String, Vec<usize>)> {
        self.parts.iter().map(|part| (part.name.clone(), part.shape.clone())).collect()
    }

    fn values(&mut self, name: &str) -> Result<Vec<f32>, String> {
        let part = self.parts.iter().find(|part| part.name == name).ok_or("is missing")?.clone();
        let bytes = file::read_range(&self.path, &mut self.file, part.start, part.len).map_err(|e| e.to_string())?;
        part.with(bytes).values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_known_by_everyones_names() {
        let found = |name: &str, rank| place(name, rank).map(|(tap, kind, _)| (tap.to_string(), kind));
        for (name, rank, tap) in [
            ("features.0.weight", 4, "relu1_1"),
            ("module.features.0.bias", 1, "relu1_1"),
            ("model.backbone.features.34.weight", 4, "relu5_4"),
            ("5.weight", 4, "relu2_1"),
            ("block1_conv1.kernel", 4, "relu1_1"),
            ("block5_conv4/block5_conv4/bias:0", 1, "relu5_4"),
            ("block2_conv2/block2_conv2_W_1:0", 4, "relu2_2"),
            ("model_weights/block3_conv1/block3_conv1/kernel", 4, "relu3_1"),
            ("layers/conv2d/vars/0", 4, "relu1_1"),
            ("layers/conv2d_15/vars/1", 1, "relu5_4"),
        ] {
            assert_eq!(found(name, rank), Some((tap.to_string(), usize::from(rank == 1))), "{name}");
        }
        for (name, rank) in [
            ("features.1.weight", 1),
            ("features.0.weight", 1),
            ("classifier.0.weight", 2),
            ("myfeatures.0.weight", 4),
            ("head.0.weight", 4),
            ("layers/conv2d_16/vars/0", 4),
            ("layers/conv2d/vars/1", 4),
            ("block6_conv1.kernel", 4),
            ("optimizer_weights/adam/block1_conv1/kernel_m", 4),
        ] {
            assert_eq!(found(name, rank), None, "{name}");
        }
    }

    #[test]
    fn two_networks_or_none_are_refused() {
        let listed = |names: &[&str]| -> Vec<(String, Vec<usize>)> {
            names.iter().map(|name| (name.to_string(), vec![16, 3, 3, 3])).collect()
        };
        let error = |names: &[&str]| places(&listed(names)).unwrap_err();
        assert!(error(&["a.features.0.weight", "b.features.0.weight"]).contains("`a.features.0.weight`"));
        assert!(error(&["features.0.weight", "block1_conv2.kernel"]).contains("keep one network"));
        assert!(error(&["conv.weight"]).contains("conv.weight"));
    }
}
