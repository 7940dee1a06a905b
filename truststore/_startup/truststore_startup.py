"""Starts the hook where this distribution is not installed: from a `sitecustomize.py` of the base interpreter, or of a
directory on PYTHONPATH. Whoever imports this by the directory it is in gets `activate` and `run_shadowed`.

An environment that has truststore-auto itself has run its own hook by then, and is left alone. In any other one, the
modules of this package are made importable behind everything that the environment has: its own `truststore`, if any,
stays what `import truststore` gives.

The syntax is that of Python 2.7 and later: an interpreter that is too old for the package must start all the same.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any  # noqa: F401  # in type comments

# Where `truststore` and `truststore_autoinject` lie: two directories up from here.
INSTALLED_IN = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def activate():
    # type: () -> None
    """Start the hook, unless the environment has started its own. Never raises."""
    if "truststore_autoinject" in sys.modules or sys.version_info < (3, 10):
        return
    if not os.path.isfile(os.path.join(INSTALLED_IN, "truststore_autoinject.py")):
        return  # uninstalled meanwhile
    sys.meta_path.append(_Finder())
    try:
        import truststore_autoinject

        truststore_autoinject.activate()
    except Exception:  # an interpreter must start, whatever has become of the package
        return


class _Finder(object):
    """Finds this package's modules that nobody else has found: it stands last in `sys.meta_path`.

    The environment may have another distribution's `truststore`; our modules then join that package, whose names
    differ from ours.
    """

    def find_spec(self, name, path=None, target=None):
        # type: (str, Any, Any) -> Any
        package, _, submodule = name.partition(".")
        if package == "truststore" and submodule and "." not in submodule:
            place = os.path.join(INSTALLED_IN, "truststore")
        elif name in ("truststore", "truststore_autoinject"):
            place = INSTALLED_IN
        else:
            return None
        return _find(name, [place])


def run_shadowed(directory):
    # type: (str) -> None
    """Run the `sitecustomize` that the one in `directory` hides. Raises what that raises, as `site` expects."""
    if sys.version_info < (3, 4):
        return
    real = os.path.realpath(directory)
    places = [index for index, entry in enumerate(sys.path) if os.path.realpath(entry) == real]
    # Only what comes later: the ones before have had their turn, and may be about to run us.
    spec = _find("sitecustomize", sys.path[places[-1] + 1 :]) if places else None
    if spec is None or spec.loader is None:
        return
    from _frozen_importlib import module_from_spec

    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


def _find(name, places):
    # type: (str, list[str]) -> Any
    from _frozen_importlib_external import PathFinder  # what importlib.machinery has

    return PathFinder.find_spec(name, places)
