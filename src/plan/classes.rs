//! Which frames hold the objects that a config asks for.

use crate::config::values::{ClassChoice, ClassName, Selection};
use crate::dataset::labels::{Labels, Schema, class_number};
use crate::dataset::{Dataset, Frame};
use crate::error::{Error, Result};
use crate::yaml;
use rayon::prelude::*;
use std::collections::HashSet;

/// For each frame of the dataset, whether `selection` chooses it; `None` where it chooses all. Reads all labels.
///
/// A frame whose label cannot be read is chosen, so that it becomes a failure that is reported.
///
/// # Errors
/// [`Error::Config`] for a class that the dataset does not have.
pub fn chosen_frames(selection: &Selection, dataset: &Dataset) -> Result<Option<Vec<bool>>> {
    if selection.classes.is_empty() {
        return Ok(None);
    }
    let schema = dataset.schema();
    let wanted = Wanted::of(&selection.classes, &schema)?;
    let is_chosen = |frame: &Frame| {
        let labels = match (&frame.label, &frame.annotated) {
            (Some(label), _) => Labels::read(label, schema.keypoints),
            (None, Some(annotated)) => Ok(Labels::parse(&annotated.label, None)),
            (None, None) => return false,
        };
        labels.map_or(true, |labels| {
            labels.boxes.iter().filter(|one| wanted.has(&one.class)).count() >= selection.at_least as usize
        })
    };
    Ok(Some(dataset.frames.par_iter().map(is_chosen).collect()))
}

/// Classes as labels write them.
struct Wanted<'a> {
    ids: HashSet<i128>,
    /// For labels that write names.
    names: HashSet<&'a str>,
}

impl<'a> Wanted<'a> {
    fn of(classes: &'a [ClassChoice], schema: &Schema) -> Result<Self> {
        let mut wanted = Self { ids: HashSet::new(), names: HashSet::new() };
        for choice in classes {
            match &choice.class {
                ClassName::Id(id) => {
                    let id = i128::from(*id);
                    if schema.names().next().is_some() && schema.names().all(|(known, _)| known != id) {
                        return Err(unknown(choice, &id.to_string(), schema));
                    }
                    wanted.ids.insert(id);
                }
                ClassName::Name(name) => {
                    let ids: Vec<i128> = schema.names().filter(|(_, known)| known == name).map(|(id, _)| id).collect();
                    if ids.is_empty() {
                        return Err(unknown(choice, name, schema));
                    }
                    wanted.ids.extend(ids);
                    wanted.names.insert(name);
                }
            }
        }
        Ok(wanted)
    }

    /// Whether the first word of a label's line means one of the classes.
    fn has(&self, class: &str) -> bool {
        class_number(class).map_or_else(|| self.names.contains(class), |id| self.ids.contains(&id))
    }
}

fn unknown(choice: &ClassChoice, class: &str, schema: &Schema) -> Error {
    let mut names: Vec<(i128, &str)> = schema.names().collect();
    names.sort_unstable();
    let message = format!("the dataset has no class `{class}`");
    let help = match (names.is_empty(), yaml::nearest(class, names.iter().map(|(_, name)| *name))) {
        (true, _) => "no file names its classes; write their ids, such as `classes: [0]`".to_string(),
        (false, Some(near)) => format!("did you mean `{near}`?"),
        (false, None) => {
            let shown: Vec<String> = names.iter().map(|(id, name)| format!("`{name}` ({id})")).collect();
            format!("one of {} was expected", shown.join(", "))
        }
    };
    Error::config(&choice.place, message, Some(help))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choices(classes: &[ClassName]) -> Vec<ClassChoice> {
        let choice = |class: &ClassName| ClassChoice { class: class.clone(), place: "fog.yaml:3:18".into() };
        classes.iter().map(choice).collect()
    }

    fn schema() -> Schema {
        Schema::of(&yaml::parse("names: [car, traffic light, Person]").unwrap())
    }

    #[test]
    fn classes_are_found_by_name_and_by_id_as_labels_write_them() {
        let classes = choices(&[ClassName::Name("traffic light".into()), ClassName::Id(0)]);
        let schema = schema();
        let wanted = Wanted::of(&classes, &schema).unwrap();
        assert!(["0", "1", "0.0", "1.0", "traffic light"].iter().all(|class| wanted.has(class)));
        assert!(!["2", "0.5", "car", "nan", "Person", ""].iter().any(|class| wanted.has(class)));
    }

    #[test]
    fn an_unknown_class_is_an_error_with_the_nearest_one() {
        let complaint = |class: ClassName, schema: &Schema| {
            let classes = choices(&[class]);
            let error = Wanted::of(&classes, schema).err().unwrap();
            assert_eq!(error.exit_code(), 2);
            error.to_string()
        };
        let named = |name: &str| ClassName::Name(name.into());
        let text = complaint(named("persom"), &schema());
        assert_eq!(text, "fog.yaml:3:18: the dataset has no class `persom`\n  help: did you mean `Person`?");
        let text = complaint(ClassName::Id(3), &schema());
        assert!(text.contains("no class `3`") && text.contains("`traffic light` (1)"), "{text}");
        assert!(complaint(named("car"), &Schema::default()).contains("write their ids"));
        assert!(Wanted::of(&choices(&[ClassName::Id(7)]), &Schema::default()).is_ok());
    }
}
