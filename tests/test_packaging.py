"""The lists of packages agree, the wheel is whole, and importing it is light."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib.metadata import packages_distributions, requires, version
from pathlib import Path

import pytest
from imports import import_statements
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = SETTINGS["project"]
COURSE_EXTRAS = ("notebooks", "devices", "evaluate", "test")
COURSE_NEEDS = ("torch", "numpy", "onnx", "onnxruntime", "matplotlib", "netron", "jupyterlab")


def listed(*extras: str) -> dict[str, Requirement]:
    """pyproject.toml's requirements, the extras' too, by name; what two of them need is the same range in both."""
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in PROJECT["optional-dependencies"][extra])]
    found = {Requirement(line) for line in lines}
    names = [canonicalize_name(requirement.name) for requirement in found]
    assert len(set(names)) == len(names), "a package is listed with two ranges"
    return dict(zip(names, found, strict=True))


def constraints() -> dict[str, Requirement]:
    """constraints.txt by name."""
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    found = [Requirement(line) for line in lines]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def test_what_the_course_needs_is_listed() -> None:
    """torch, numpy, onnx, onnxruntime, matplotlib, netron and jupyterlab, each once, as a range with a lower end."""
    requirements = listed(*COURSE_EXTRAS)
    for name in COURSE_NEEDS:
        assert {clause.operator for clause in requirements[name].specifier} == {">="}, name


def test_pyproject_holds_ranges_only() -> None:
    """An engineer installs this beside other things, so nothing is pinned."""
    for requirement in listed(*PROJECT["optional-dependencies"]).values():
        assert requirement.specifier, f"{requirement} has no lower end"
        assert not {clause.operator for clause in requirement.specifier} & {"==", "===", "~="}, str(requirement)


def test_constraints_are_exact_and_inside_the_ranges() -> None:
    """Every package of the course, direct or not, has one tested version, which the range allows."""
    pinned = constraints()
    for name, requirement in pinned.items():
        clauses = list(requirement.specifier)
        assert [clause.operator for clause in clauses] == ["=="], name
        assert "+" not in clauses[0].version, f"{name}: a local version is on no index"
    for name, requirement in listed(*COURSE_EXTRAS).items():
        if name == "netron" or (requirement.marker and not requirement.marker.evaluate()):
            continue
        assert requirement.specifier.contains(next(iter(pinned[name].specifier)).version), name
    assert str(pinned["torch"]) == "torch==2.13.0"
    assert installed_below("litehrnet", set(COURSE_EXTRAS)) - {"litehrnet", "netron", "pip"} <= set(pinned)


LOWEST = ("torch", "numpy", "onnx", "onnx-ir", "onnxscript", "onnxruntime", "pillow", "protobuf", "safetensors",
          "openvino", "ncnn", "pnnx")  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info >= (3, 13), reason="the lowest NumPy is older than this Python")
def test_the_lowest_versions_work(wheel: Path, tmp_path: Path) -> None:
    """Every lower end of a range at once, in an environment of its own: export, proof and prediction."""
    requirements = listed("devices")
    lowest = [f"{name}=={next(iter(requirements[name].specifier)).version}" for name in LOWEST]
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "-q", wheel, *lowest]
    done = subprocess.run(list(map(str, install)), capture_output=True, text=True, check=False)
    if done.returncode:
        assert "ResolutionImpossible" not in done.stderr, done.stderr
        pytest.skip(f"they cannot be installed here: {done.stderr.splitlines()[-1]}")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    for words in (
        ("export", "litehrnet18", "--size", "64x32", "-o", "m.onnx"),
        ("export", "litehrnet18", "--size", "64x32", "-o", "m.xml"),
        ("export", "litehrnet18", "--size", "64x32", "-o", "m.ncnn.param"),
        ("check", "m.onnx", "--checkpoint", "litehrnet18"),
        ("predict", str(ROOT / "data" / "astronaut.jpg"), "--model", "m.onnx", "-o", "p.png"),
    ):
        command = [str(python), "-m", "litehrnet", *words]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def installed_below(name: str, extras: set[str], seen: set[str] | None = None) -> set[str]:
    """The names of all packages that a package needs here, itself included."""
    seen = set() if seen is None else seen
    seen.add(canonicalize_name(name))
    for line in requires(name) or ():
        requirement = Requirement(line)
        wanted = requirement.marker is None or any(
            requirement.marker.evaluate({"extra": extra}) for extra in extras | {""}
        )
        if wanted and canonicalize_name(requirement.name) not in seen:
            installed_below(requirement.name, requirement.extras, seen)
    return seen


def test_netron_is_never_pinned() -> None:
    """A Netron page refuses to draw 180 days after its package was built, and old releases leave the index."""
    assert "netron" not in constraints()
    assert str(listed("notebooks")["netron"].specifier).startswith(">=")
    for name in ("pyproject.toml", "constraints.txt"):
        assert "180 days" in (ROOT / name).read_text(), f"{name} must give the reason"


def test_environment_lists_nothing_twice() -> None:
    """conda brings Python and pip; everything else comes from pyproject.toml under constraints.txt."""
    text = (ROOT / "environment.yml").read_text()
    items = re.findall(r"^ *- (.+?) *$", text, re.MULTILINE)
    assert items == [
        "conda-forge",
        "python=3.11",
        "pip",
        "pip:",
        "-c constraints.txt",
        f"-e .[{','.join(COURSE_EXTRAS)}]",
    ]
    assert f"EXTRAS := {','.join(COURSE_EXTRAS)}\n" in (ROOT / "Makefile").read_text()


def test_installed_versions_are_the_tested_ones() -> None:
    """The environment that these tests run in is the one that constraints.txt describes."""
    if not os.environ.get("CI"):
        pytest.skip("only where CI says so: elsewhere newer versions are welcome")
    different = {}
    for name in listed(*COURSE_EXTRAS):
        if name in constraints():
            tested = next(iter(constraints()[name].specifier)).version
            if version(name).partition("+")[0] != tested:
                different[name] = (version(name), tested)
    assert different == {}


# What is needed without being imported, and why.
NOT_IMPORTED = {
    "jupyterlab": "make lab",
    "ipykernel": "the notebooks' kernel",
    "onnxscript": "torch.onnx.export asks for it",
    "pnnx": "a program",
    "ziamath": "its font is read as a file",
    "codespell": "a program",
    "mypy": "a program",
    "pytest-xdist": "a plugin of pytest",
    "ruff": "a program",
}
OTHER_NAMES = {  # of packages that this environment may lack
    "skimage": "scikit-image", "sklearn": "scikit-learn", "anny": "anny", "numba": "numba", "shtab": "shtab",
    "tomli": "tomli", "ncnn": "ncnn", "openvino": "openvino",
}  # fmt: skip


def imported(path: Path) -> set[str]:
    """Top-level names of everything that a file imports, lazily too, but not what only a type checker reads."""
    names = set()
    for node in import_statements(path):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif not node.level:
            names.add(str(node.module).partition(".")[0])
    return names


def needed(*folders: str) -> set[str]:
    """The packages that the code below some folders imports, by the names under which they are installed."""
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    scripts = [
        path.relative_to(ROOT) for name in ("tools", "training", "tests") for path in ROOT.glob(f"{name}/**/*.py")
    ]
    own = {part for path in scripts for part in path.with_suffix("").parts} | {"litehrnet"}
    names = {name for path in files for name in imported(path)} - set(sys.stdlib_module_names) - own
    known = packages_distributions()
    return {canonicalize_name(known[name][0] if name in known else OTHER_NAMES[name]) for name in names}


def test_what_is_imported_is_declared_and_nothing_else_is() -> None:
    """The package's own imports in the lists that an engineer installs; those of tools, tests and training in all."""
    extras = set(PROJECT["optional-dependencies"])
    assert needed("litehrnet") <= set(listed(*extras - {"test", "train"}))
    everything = needed("litehrnet", "tools", "training", "benchmarks", "examples", "tests")
    assert everything <= set(listed(*extras))
    # Imported by importlib, only where they are asked for.
    by_name = {"av", "openvino", "ncnn", "shtab", "executorch", "litert-torch", "mnn", "coremltools"}
    assert set(listed(*extras)) - everything - by_name == set(NOT_IMPORTED)


def test_core_dependencies_are_those_of_the_core() -> None:
    """Netron and IPython belong to the course, and Matplotlib draws on request; whoever only exports needs none."""
    rooms = [path.name for path in (ROOT / "litehrnet").iterdir() if path.name not in ("course", "__pycache__")]
    core = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    optional = {
        "matplotlib",
        "openvino",
        "ncnn",
        "pycocotools",
        "shtab",
        "tqdm",
    }  # each has an extra, and is imported on use
    files = needed(*(f"litehrnet/{room}" for room in rooms if "." not in room))
    modules = {name for path in (ROOT / "litehrnet").glob("*.py") for name in imported(path)}
    assert files - optional - core == set()
    assert modules & {"matplotlib", "netron", "IPython"} == set()


def test_every_package_is_in_the_wheels_list() -> None:
    """A new room of the package is shipped; `data/` is shipped as litehrnet.data."""
    rooms = {
        path.parent.relative_to(ROOT).as_posix().replace("/", ".") for path in ROOT.glob("litehrnet/**/__init__.py")
    }
    assert set(SETTINGS["tool"]["setuptools"]["packages"]) == rooms | {"litehrnet.data"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this checkout, built without asking an index for anything."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    source = folder / "source"  # built from a copy: setuptools leaves a build folder behind
    copy_checkout(source)
    subprocess.run([*command, str(folder), str(source)], check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def copy_checkout(target: Path) -> None:
    """What a wheel is made of, without caches."""
    import shutil

    target.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copyfile(ROOT / name, target / name)
    for name in ("litehrnet", "data"):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))


def test_wheel_carries_package_data_and_licence(wheel: Path) -> None:
    """Every module and every data file, the licence and the notice, and nothing else of the checkout."""
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "litehrnet").rglob("*.py")}
    tracked = subprocess.run(["git", "ls-files", "data"], cwd=ROOT, capture_output=True, text=True, check=False)
    data = {f"litehrnet/{line}" for line in tracked.stdout.splitlines()}
    assert modules - names == set()
    assert "litehrnet/py.typed" in names
    assert data - names == set()
    kept = {name for name in names if ".dist-info/" not in name}
    assert {name.partition("/")[0] for name in kept} == {"litehrnet"}
    assert {Path(name).name for name in names} >= {"LICENSE", "NOTICE", "METADATA", "entry_points.txt"}
    assert wheel.stat().st_size < 12_000_000


def test_wheel_works_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    """Installed, not editable, far from the checkout: data, weights, the command and a whole run.

    The environment is empty but for a path to the libraries of this one, so that torch is not installed again; the
    package itself can only come from the wheel.
    """
    place = tmp_path / "empty"
    venv.create(place, with_pip=False)
    python = place / "bin" / "python"
    libraries = Path(sysconfig.get_path("purelib", vars={"base": str(place), "platbase": str(place)}))
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*command, str(wheel)], check=True, capture_output=True)
    (libraries / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    script = """
import json, pathlib, sys
import litehrnet, litehrnet.files, torch
torch.set_num_threads(1)
model = litehrnet.load_pretrained("litehrnet18")
print(json.dumps({
    "package": str(pathlib.Path(litehrnet.__file__).parent),
    "photo": str(litehrnet.files.data_path("astronaut.jpg")),
    "shape": list(model(torch.zeros(1, 3, 64, 32)).shape),
}))
"""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [python, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert Path(found["package"]) == libraries / "litehrnet"
    assert Path(found["photo"]) == libraries / "litehrnet" / "data" / "astronaut.jpg"
    assert found["shape"] == [1, 17, 16, 8]
    help_text = subprocess.run([place / "bin" / "litehrnet", "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert help_text.returncode == 0, help_text.stderr
    assert "export" in help_text.stdout


IMPORT = """
import json, sys, time
import numpy, torch
before = set(sys.modules)
start = time.perf_counter()
import litehrnet
seconds = time.perf_counter() - start
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps([seconds, sorted(new - set(sys.stdlib_module_names))]))
"""


def test_import_is_light() -> None:
    """What importing the package loads beyond what torch and numpy load by themselves is the package, in no time."""
    for _ in range(3):  # a busy machine may be slow once
        done = subprocess.run(
            [sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True, cwd=ROOT.parent
        )
        seconds, new = json.loads(done.stdout)
        assert {name for name in new if not name.startswith("__editable__")} == {"litehrnet"}
        if seconds < 0.2:
            return
    pytest.fail(f"import litehrnet took {seconds:.2f} s on top of torch")


def test_version_is_one() -> None:
    """The package, its metadata and the notice of what was installed agree."""
    import litehrnet

    assert litehrnet.__version__ == version("litehrnet")


def test_licence_is_apache() -> None:
    """The full text, and credit to the paper, the public code and the blog post."""
    licence = (ROOT / "LICENSE").read_text()
    assert "Apache License" in licence
    assert "Version 2.0, January 2004" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
    notice = (ROOT / "NOTICE").read_text()
    for credit in ("2104.06403", "HRNet/Lite-HRNet", "mmpose", "codylcs/lite_hrnet_onnx"):
        assert credit in notice
