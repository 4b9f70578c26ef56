"""The public names, and that each of the math's has its line in the table of cases."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata

import pytest

import portanet
from portanet import layers, losses, optimizers
from portanet.errors import ConfigError, install, need
from portanet.verify.cases import LAYERS, LOSSES, OPTIMIZERS
from tests import surface


def _public(module, base):
    found = {name: getattr(module, name) for name in module.__all__}
    return {name for name, t in found.items() if isinstance(t, type) and issubclass(t, base) and t is not base}


@pytest.mark.parametrize(
    ("module", "base", "table"),
    [(layers, layers.Layer, LAYERS), (losses, losses.Loss, LOSSES), (optimizers, optimizers.Optimizer, OPTIMIZERS)],
)
def test_every_public_class_has_a_case(module, base, table):
    assert _public(module, base) == set(table)


@pytest.mark.parametrize(("module", "base", "table"), [(layers, layers.Layer, LAYERS), (losses, losses.Loss, LOSSES)])
def test_a_case_is_of_the_class_it_stands_under(module, base, table):
    for name, cases in table.items():
        things = [case.layer if module is layers else case.loss for case in cases]
        assert any(type(thing).__name__ == name for thing in things), name


def _is_abstract(kind, base):
    """Whether a layer's or loss's forward is still to be written: a base of others."""
    return base is not optimizers.Optimizer and kind.forward is base.forward


def test_every_subclass_in_the_package_is_public():
    # A layer that is written but not listed in __all__ would escape the table.
    def below(base):
        for kind in base.__subclasses__():
            yield kind
            yield from below(kind)

    for base, module in ((layers.Layer, layers), (losses.Loss, losses), (optimizers.Optimizer, optimizers)):
        ours = [kind for kind in below(base) if kind.__module__.startswith("portanet.") and kind.__name__[0] != "_"]
        # Those of the estimators are scikit-learn's forms of ours, and held to scikit-learn's own numbers.
        whole = (kind for kind in ours if not _is_abstract(kind, base))  # a base makes nothing of its inputs
        own = {kind.__name__ for kind in whole if not kind.__module__.startswith("portanet.sklearn.")}
        assert own <= set(module.__all__)


def test_every_public_name_resolves_and_is_documented():
    for name in portanet.__all__:
        thing = getattr(portanet, name)
        assert thing.__doc__, name


def test_the_table_of_public_names_is_current():
    assert surface.TABLE.read_text(encoding="utf-8") == surface.table(), "run python -m tests.surface"
    own = [name for names in surface.public().values() for name in names]
    assert portanet.__all__ == sorted([*own, "backends", "data"])
    assert set(portanet.__all__) <= set(dir(portanet))
    assert {"History", "agree"} <= set(portanet.__all__)
    assert "ShapesOnly" not in portanet.__all__


def test_what_users_rely_on_is_as_it_was():
    said = "the public surface changed; if that is meant, run python -m tests.surface and read git diff"
    assert surface.surface() == surface.PAGE.read_text(encoding="utf-8"), said


@pytest.mark.parametrize(
    "code",
    [
        "import portanet as pn; pn.agree",
        "import portanet.agree as module",
        "from portanet.agree import agree, Agreement, TOLERANCE, run_layer",
        "from portanet import agree; assert agree.TOLERANCE['float64'] == 1e-11",
        "import portanet.verify.agreement; from portanet import *",
    ],
)
def test_agree_is_a_function_however_it_was_imported(code):
    code += """
import inspect, portanet as pn, portanet.agree
from portanet.agree import Agreement
assert inspect.isfunction(pn.agree) and pn.agree is portanet.agree and Agreement.__name__ == "Agreement"
import portanet.verify.agreement
assert pn.agree is portanet.verify.agreement.agree
model = pn.Trainer([pn.Dense(2)], backend="numpy")
model.init((3,))
found = pn.agree(["numpy"], model=model)
assert len(found) == 2 and all(isinstance(one, Agreement) and one.ok for one in found)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_asking_for_a_name_that_is_not_there_imports_nothing():
    code = """
import json, sys, portanet
before = set(sys.modules)
asked = [hasattr(portanet, name) for name in ("no_such_name", "Dens", "_private", "trainers")]
assert asked == [False] * 4
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_public_functions_are_not_hidden_by_modules():
    import portanet.verify.gradient_check  # the submodule is loaded, the function must stay

    assert callable(portanet.gradcheck)
    assert callable(portanet.load)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Dens'"):
        _ = portanet.Dens


def _modules_after(code):
    script = f"import json, sys\n{code}\nprint(json.dumps(sorted(m.partition('.')[0] for m in sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_import_loads_no_array_library_but_numpy():
    heavy = {"cupy", "torch", "jax", "array_api_strict", "sklearn", "scipy", "matplotlib", "rich", "click", "PIL"}
    assert not heavy & _modules_after("import portanet")
    used = _modules_after("import portanet as pn; pn.Trainer([pn.Dense(2)], backend='numpy').init((3,))")
    assert "numpy" in used
    assert not heavy & used


@pytest.mark.parametrize(("options", "code"), [({}, 2), ({"exit_code": 3}, 3)])
@pytest.mark.parametrize("caught_as", [portanet.ConfigError, portanet.DataError, ImportError])
def test_a_package_that_is_not_installed(options, code, caught_as):
    with pytest.raises(caught_as, match=r'a test needs no_such_package, .*pip install "portanet\[data\]"') as caught:
        need("no_such_package.part", "data", "a test", **options)
    assert caught.value.exit_code == code
    assert need("json", "data", "a test") is json


def test_a_folder_of_a_packages_name_is_not_the_package(monkeypatch, tmp_path):
    (tmp_path / "mlthings").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"a test needs mlthings, .*mlthings is a folder without code"):
        need("mlthings", "data", "a test")
    sys.modules.pop("mlthings", None)


def test_an_extra_is_named_to_pip_only_where_pip_knows_portanet(monkeypatch):
    assert install("data") == 'install it: pip install "portanet[data]"'

    def unknown(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", unknown)  # as in a folder that is not installed
    assert install("data") == "install it: pip install -e '.[data]' in the folder of portanet's source"


def test_the_estimators_without_scikit_learn():
    code = """
import sys
from importlib import metadata
sys.modules["sklearn"] = None
try:
    import portanet.sklearn
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "portanet[sklearn]"' in done.stdout
