"""Mystique's start-up hook: records an iteration of a PyTorch job that knows nothing of it.

Python imports this file as `sitecustomize`, for `mystique capture` puts its folder first on PYTHONPATH. It does nothing
until the job imports torch. Whatever goes wrong in here is written down and never reaches the job.
"""
import os
import sys
import time

_STARTED_NS = time.perf_counter_ns()
_START_UP_NS = 0
_SETTINGS = os.environ.get("MYSTIQUE_CAPTURE")  # JSON: folder, skip, reference, steps, values, mode.


class _TorchFinder:
    """Waits for the first `import torch`, and has `_begin` called when it is done. Being asked where torch is starts nothing."""

    def find_spec(self, name, path=None, target=None):
        if name != "torch":
            return None
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target) if finder is not self and hasattr(finder, "find_spec") else None
            if spec is not None:
                self.call_begin_after(spec.loader)
                return spec
        return None

    def call_begin_after(self, loader):
        try:
            execute = loader.exec_module

            def exec_module(module):
                loader.__dict__.pop("exec_module", None)
                execute(module)
                if self in sys.meta_path:
                    sys.meta_path.remove(self)
                    _begin(module)

            loader.exec_module = exec_module
        except AttributeError:
            pass  # A loader of the job's own, which takes no wrapper: there is no hook then.


def _start():
    """Waits for torch, leaves sys.path as it would be without the hook, and goes on to the job's own sitecustomize."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [p for p in sys.path if os.path.abspath(p) != here]
    if _SETTINGS and sys.version_info >= (3, 7):
        sys.modules["_mystique_capture"] = sys.modules[__name__]  # The job's own sitecustomize takes the name.
        sys.meta_path.insert(0, _TorchFinder())
        if '"mode":"stepped"' in _SETTINGS:
            try:
                import json
                _end_with(json.loads(_SETTINGS)["socket"])
            except Exception:  # Who would measure it is gone.
                os._exit(0)
        try:
            with open(os.path.join(here, "..", "started"), "a", encoding="utf-8"):
                pass
        except OSError:
            pass
    global _START_UP_NS
    _START_UP_NS = time.perf_counter_ns() - _STARTED_NS
    from importlib.machinery import PathFinder
    spec = PathFinder.find_spec("sitecustomize", sys.path)
    if spec is None or spec.loader is None:
        return
    from importlib.util import module_from_spec
    sys.modules["sitecustomize"] = module = module_from_spec(spec)
    spec.loader.exec_module(module)
