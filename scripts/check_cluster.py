#!/usr/bin/env python3
"""Checks the files of scripts/cluster: whether Kubernetes takes them, and whether what they run makes the right output.

    python3 scripts/check_cluster.py [--augment target/release/augment] [--shards 3]

It needs PyYAML.

1. job.yaml is compared with Kubernetes' own schemas: of version 1.29, and of the newest that the package
   kubernetes-validate knows. Unknown keys are errors. Without that package this part is skipped. Then what schemas
   cannot say: the number of shards, volumes, containers of rules, and equal arguments of both Jobs.
2. With --augment, each scheduler is played on the sample in tests/fixtures/streets: all shards at once into one output,
   each with the variables that the scheduler gives it, then the final step. Kubernetes' shards have the arguments of
   job.yaml, Slurm's are started by array.sbatch, those of AWS and Google have `--shard auto`. Every time, the shards
   alone and the final step after them must leave the images, labels and data.yaml of a single run, byte for byte.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import yaml

try:
    import kubernetes_validate
except ImportError:
    kubernetes_validate = None

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLUSTER = ROOT / "scripts" / "cluster"
# The first version in which backoffLimitPerIndex is on by default.
OLDEST = "1.29"
# The prefixes of variables that would tell a shard from outside which one it is.
SCHEDULERS = ("JOB_COMPLETION_INDEX", "SLURM_", "AWS_BATCH_", "BATCH_TASK_")


def slurm(first, step):
    return lambda i, n: {"SLURM_ARRAY_TASK_ID": first + i * step, "SLURM_ARRAY_TASK_MIN": first,
                         "SLURM_ARRAY_TASK_MAX": first + (n - 1) * step, "SLURM_ARRAY_TASK_STEP": step,
                         "SLURM_ARRAY_TASK_COUNT": n}


# What a scheduler tells shard `i` of `n`; the first is 0.
VARIABLES = {
    "kubernetes": lambda i, n: {"JOB_COMPLETION_INDEX": i},
    "slurm": slurm(1, 1),
    "slurm with steps": slurm(0, 2),
    "aws": lambda i, n: {"AWS_BATCH_JOB_ARRAY_INDEX": i, "AWS_BATCH_JOB_ARRAY_SIZE": n},
    "google": lambda i, n: {"BATCH_TASK_INDEX": i, "BATCH_TASK_COUNT": n},
}


def container(job):
    return job["spec"]["template"]["spec"]["containers"][0]


def check_schemas(jobs):
    if kubernetes_validate is None:
        print("skipped: job.yaml is not compared with Kubernetes' schemas; that takes the package kubernetes-validate")
        return
    newest = kubernetes_validate.latest_version()
    for version in (OLDEST, newest):
        for job in jobs:
            try:
                kubernetes_validate.validate(job, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                place = ".".join(map(str, error.path))
                raise AssertionError(f"job.yaml, {job['metadata']['name']}, {version}: {place}: {error.message}")
    print(f"job.yaml: valid for Kubernetes {OLDEST} and {newest}")


def check_jobs(jobs):
    """What the API server or the program would refuse, and schemas let pass."""
    assert len(jobs) == 2, "job.yaml must have two Jobs: the shards and the final step"
    shards, final = jobs
    args = container(shards)["args"]
    count = shards["spec"]["completions"]
    assert shards["spec"]["completionMode"] == "Indexed", "only an Indexed Job numbers its pods"
    shard = f"auto/{count}"
    assert args[-2:] == ["--shard", shard], f"args must end with --shard {shard}, as there are {count} completions"
    assert args[:-2] == container(final)["args"], "both Jobs must have the same args, except for --shard"
    assert final["spec"]["suspend"], "the final step must wait for the shards"
    for job in jobs:
        name, spec, pod = job["metadata"]["name"], job["spec"], job["spec"]["template"]["spec"]
        assert pod["restartPolicy"] == "Never", f"{name}: podFailurePolicy takes restartPolicy Never"
        rules = spec["podFailurePolicy"]["rules"]
        unknown = {rule["action"] for rule in rules} - {"FailJob", "FailIndex", "Ignore", "Count"}
        assert not unknown, f"{name}: Kubernetes has no action {unknown}"
        names = {rule["onExitCodes"]["containerName"] for rule in rules if "onExitCodes" in rule}
        assert names <= {container["name"] for container in pod["containers"]}, f"{name}: a rule names no container"
        fails_index = any(rule["action"] == "FailIndex" for rule in rules)
        assert not fails_index or "backoffLimitPerIndex" in spec, f"{name}: FailIndex takes backoffLimitPerIndex"
        volumes = {volume["name"] for volume in pod["volumes"]}
        mounts = {mount["name"] for mount in container(job)["volumeMounts"]}
        assert volumes == mounts, f"{name}: volumes {volumes} and volumeMounts {mounts} differ"
    print(f"job.yaml: {count} shards and the final step fit together")


class Cluster:
    """A folder that has what the pods of job.yaml find: image, dataset and config, and an output for each scheduler."""

    def __init__(self, place, augment, job):
        self.place, self.job = place, job
        # The presets of the image.
        for name in ("configs", "styles"):
            shutil.copytree(ROOT / name, place / "presets" / name)
        # A ConfigMap is a folder of links that lead through another link.
        config = place / "presets" / "config"
        shutil.copytree(ROOT / "configs", config / "..1")
        (config / "..data").symlink_to("..1")
        for file in (config / "..1").iterdir():
            (config / file.name).symlink_to(pathlib.Path("..data", file.name))
        (place / "bin").mkdir()
        (place / "bin" / "augment").symlink_to(augment)
        self.mounts = {mount["name"]: mount["mountPath"] for mount in container(job)["volumeMounts"]}
        assert self.mounts.keys() == {"config", "dataset", "output"}, f"unknown volumes: {self.mounts.keys()}"
        self.dataset = pathlib.Path(self.only("dataset", "--"))
        shutil.copytree(ROOT / "tests" / "fixtures" / "streets", self.dataset)

    def only(self, volume, output):
        """The one path of the arguments that lies on this volume, as it is called here."""
        paths = [arg for arg in container(self.job)["args"] if arg.startswith(self.mounts[volume] + "/")]
        assert len(paths) == 1, f"job.yaml: one of the args must lie below {self.mounts[volume]}, and these do: {paths}"
        return self.local(paths[0], output)

    def local(self, arg, output):
        """An argument of job.yaml for the scheduler `output`: paths of the pod become paths of this computer."""
        folders = {"/presets": "presets", self.mounts["dataset"]: "dataset", self.mounts["output"]: f"output-{output}"}
        for path, folder in folders.items():
            if arg.startswith(path + "/"):
                return str(self.place / folder / arg[len(path) + 1:])
        assert not arg.startswith("/"), f"job.yaml: {arg} is neither on a volume nor among the image's presets"
        return arg

    def args(self, output):
        """The arguments of job.yaml without the last two, which are the shard's."""
        return [self.local(arg, output) for arg in container(self.job)["args"][:-2]]

    def output(self, output):
        return pathlib.Path(self.only("output", output))

    def start(self, command, variables):
        environment = {name: value for name, value in os.environ.items() if not name.startswith(SCHEDULERS)}
        environment.update({name: str(value) for name, value in variables.items()})
        environment["PATH"] = f"{self.place / 'bin'}{os.pathsep}{environment['PATH']}"
        return subprocess.Popen(command, env=environment, cwd=self.place, text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)

    def run(self, commands):
        """Runs commands with their variables at the same time. All must end with exit code 0. Returns their outputs."""
        running = [self.start(command, variables) for command, variables in commands]
        printed = [process.communicate() for process in running]
        for (command, variables), process, texts in zip(commands, running, printed):
            line = " ".join([f"{name}={value}" for name, value in variables.items()] + command)
            assert process.returncode == 0, f"exit code {process.returncode} of\n  {line}\n{''.join(texts)}"
        return [output for output, _ in printed]


def written(out):
    """The images, labels and data.yaml of an output, by their paths in it."""
    files = [out / "data.yaml", *(file for name in ("images", "labels") for file in (out / name).rglob("*"))]
    return {str(file.relative_to(out)): file.read_bytes() for file in files if file.is_file()}


def compare(what, out, expected):
    found = written(out)
    for fault, names in (("lacks", expected.keys() - found.keys()), ("also has", found.keys() - expected.keys())):
        assert not names, f"{what}: the output {fault} {', '.join(sorted(names))}"
    different = sorted(name for name in expected if found[name] != expected[name])
    assert not different, f"{what}: not as in a single run: {', '.join(different)}"
    parts = sorted(file.name for file in out.glob("manifest.*-of-*.jsonl"))
    assert not parts, f"{what}: manifests were not joined: {', '.join(parts)}"
    rows = map(json.loads, (out / "manifest.jsonl").read_text().splitlines())
    done = {row["output"] for row in rows if row["status"] == "done"}
    images = {name for name in expected if name.startswith("images/")}
    assert done == images, f"{what}: the manifest and the images differ in {', '.join(sorted(done ^ images))}"


def check_labels(out, dataset):
    """Each label of the output is its original's, and each original that was stylized has its label there."""
    for row in map(json.loads, (out / "manifest.jsonl").read_text().splitlines()):
        image = pathlib.Path(row["source"]).relative_to(dataset / "images")
        original = (dataset / "labels" / image).with_suffix(".txt")
        label = row["label"]
        assert original.is_file() == bool(label), f"{image}: copy and original must both have a label, or neither"
        assert not label or (out / label).read_bytes() == original.read_bytes(), f"{label}: not its original's bytes"


def check_runs(cluster, count):
    cluster.run([(["augment", *cluster.args("single")], {})])
    single = cluster.output("single")
    expected = written(single)
    images = sum(name.startswith("images/") for name in expected)
    assert images > count, f"{images} images are too few for {count} shards"
    compare("a single run", single, expected)
    check_labels(single, cluster.dataset)
    for scheduler, variables in VARIABLES.items():
        name = scheduler.replace(" ", "-")
        program, shard, common = ["augment"], ["--shard", "auto"], {}
        if scheduler == "kubernetes":
            shard = ["--shard", f"auto/{count}"]
        elif scheduler.startswith("slurm"):
            # array.sbatch adds --shard itself.
            program, shard, common = ["bash", str(CLUSTER / "array.sbatch")], [], {"SLURM_CPUS_PER_TASK": 2}
        command = [*program, *cluster.args(name), *shard]
        cluster.run([(command, {**common, **variables(i, count)}) for i in range(count)])
        out = cluster.output(name)
        compare(f"{scheduler}, {count} shards", out, expected)
        printed, = cluster.run([([*program, *cluster.args(name), "--json"], common)])
        done = json.loads(printed)["skipped"]
        assert done == images, f"{scheduler}: the final step found only {done} of {images} images done"
        compare(f"{scheduler}, final step", out, expected)
        print(f"{scheduler}: {count} shards at once and the final step make the {images} images of a single run")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--augment", type=pathlib.Path, help="the program; without it, the second part is skipped")
    parser.add_argument("--shards", type=int, default=3, help="how many shards each scheduler starts; by default 3")
    args = parser.parse_args()
    jobs = list(yaml.safe_load_all((CLUSTER / "job.yaml").read_text()))
    check_schemas(jobs)
    check_jobs(jobs)
    if args.augment is None:
        print("skipped: nothing was run; that takes --augment")
        return
    with tempfile.TemporaryDirectory() as place:
        check_runs(Cluster(pathlib.Path(place).resolve(), args.augment.resolve(strict=True), jobs[0]), args.shards)
    print("OK")


if __name__ == "__main__":
    try:
        main()
    except AssertionError as fault:
        sys.exit(f"FAILED: {fault}")
