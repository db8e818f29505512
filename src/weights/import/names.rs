//! Which layer a tensor belongs to, by its name.

use crate::nst::layers::Tap;
use std::collections::BTreeMap;

/// Whose names and layout a tensor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Convention {
    /// `features.0.weight`, `[outputs, inputs, height, width]`. The input is normalized RGB.
    Torchvision,
    /// `block1_conv1/kernel`, `[height, width, inputs, outputs]`. The input is BGR from 0 to 255 less its mean.
    Keras,
}

/// A parameter of the network: a layer, and 0 for its kernel or 1 for its bias.
pub type Parameter = (Tap, usize);

/// The name and shape of the tensor that holds each parameter.
pub type Assigned = BTreeMap<Parameter, (String, Vec<usize>)>;

/// Finds the tensors of a VGG19 among those that a file lists, by name and shape.
///
/// # Errors
/// When there are none, two for one parameter, or some with torchvision's and some with Keras' names.
pub fn assign(listed: &[(String, Vec<usize>)]) -> Result<(Assigned, Convention), String> {
    let mut assigned = Assigned::new();
    let mut conventions = Vec::new();
    for (name, shape) in listed {
        let Some(((tap, kind), convention)) = parameter(name, shape.len()) else { continue };
        conventions.push(convention);
        if let Some((other, _)) = assigned.insert((tap, kind), (name.clone(), shape.clone())) {
            return Err(format!("`{other}` and `{name}` are both the layer of {tap}; keep one network in the file"));
        }
    }
    match conventions.first() {
        Some(&first) if conventions.iter().all(|&other| other == first) => Ok((assigned, first)),
        Some(_) => Err("holds torchvision's and Keras' names; keep one network in the file".into()),
        None if listed.is_empty() => Err("has no tensors under names; of a model, save the state_dict()".into()),
        None => {
            let names: Vec<&str> = listed.iter().take(3).map(|(name, _)| name.as_str()).collect();
            Err(format!(
                "has no VGG19 with torchvision's names (`features.0.weight`) or Keras' (`block1_conv1`); it has {} \
                 tensors: {} ...",
                listed.len(),
                names.join(", ")
            ))
        }
    }
}

/// The parameter that a tensor of `rank` dimensions is, and by whose names.
fn parameter(name: &str, rank: usize) -> Option<(Parameter, Convention)> {
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
        return Some(((tap, kind), Convention::Torchvision));
    }
    let tap = words.iter().find_map(|word| keras_tap(word)).or_else(|| numbered_keras_tap(&words, kind))?;
    Some(((tap, kind), Convention::Keras))
}

/// `features.0.weight` behind any prefix, or `0.weight`, as when `features` was saved alone.
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

/// `layers/conv2d_3/vars/0`: Keras 3 numbers the layers of a kind from `conv2d` on, and the variables of each.
fn numbered_keras_tap(words: &[&str], kind: usize) -> Option<Tap> {
    let [.., layer, "vars", variable] = words else { return None };
    if *variable != kind.to_string() {
        return None;
    }
    let n = layer.strip_prefix("conv2d")?;
    let n = if n.is_empty() { 0 } else { n.strip_prefix('_')?.parse().ok()? };
    Tap::all().nth(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_recognized_by_the_names_of_every_program() {
        let found = |name: &str, rank| parameter(name, rank).map(|((tap, kind), _)| (tap.to_string(), kind));
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
    fn files_with_two_networks_or_none_are_refused() {
        let listed = |names: &[&str]| -> Vec<(String, Vec<usize>)> {
            names.iter().map(|name| (name.to_string(), vec![16, 3, 3, 3])).collect()
        };
        let error = |names: &[&str]| assign(&listed(names)).unwrap_err();
        assert!(error(&["a.features.0.weight", "b.features.0.weight"]).contains("`a.features.0.weight`"));
        assert!(error(&["features.0.weight", "block1_conv2.kernel"]).contains("keep one network"));
        assert!(error(&["conv.weight"]).contains("conv.weight"));
        assert!(error(&[]).contains("state_dict()"));
    }
}
