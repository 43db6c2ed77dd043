"""What taking skips out of a network saves: the forms of a network, their times side by side, their memory."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.profiler import ProfilerActivity, profile

from analysis.shared.timing import wait
from tropnet.homotopy import remove_skips, set_skip_strength
from tropnet.progress import track

__all__ = [
    "compiled",
    "folded",
    "forms",
    "largest_difference",
    "peak_bytes",
    "ratios",
    "time_side_by_side",
    "values_bytes",
]

# PyTorch compiles one function, here nn.Sequential.forward, no more than 8 times, and then runs it uncompiled.
_COMPILATIONS = 64


def forms(build: Callable[..., nn.Module], images: Tensor, seed: int) -> dict[str, nn.Module]:
    """Return a network of random weights in eval mode with its skips in every form, on the device of the images.

    Parameters
    ----------
    build
        Takes "weighted", "plain" or "none" and returns the network.
    images
        Their statistics become those of batch norm, so that the values inside are neither huge nor denormal.

    Returns
    -------
    dict
        "plain", ``out + x``; "weighted", t = 0; "removed", the latter after `remove_skips`; "carried", the first after
        ``remove_skips(method="carry")``, with batch norm folded into the convolutions. If there is batch norm, also
        "plain, folded" and "removed, folded", so that carrying is compared with networks of as few operations.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        plain = _calibrated(build("plain"), images)
        torch.manual_seed(seed)
        weighted = build("weighted")
    set_skip_strength(weighted, 0.0)
    weighted = _calibrated(weighted, images)
    found = {
        "plain": plain,
        "weighted": weighted,
        "removed": remove_skips(weighted),
        "carried": remove_skips(plain, method="carry").to(images.device).eval(),
    }
    if any(isinstance(module, nn.BatchNorm2d) for module in plain.modules()):
        found |= {f"{name}, folded": folded(found[name]) for name in ("plain", "removed")}
    return found


def _calibrated(model: nn.Module, images: Tensor) -> nn.Module:
    """Set the statistics of batch norm to those of the images: a cumulative mean over one batch is that batch's."""
    model = model.to(images.device).train()
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = None
    with torch.no_grad():
        model(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return model.eval()


def folded(model: nn.Module) -> nn.Module:
    """Return a copy, in eval mode, whose batch norms are part of the convolutions before them.

    Only within an nn.Sequential, where one follows the other; it may not be used elsewhere.

    Examples
    --------
    >>> folded(nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.BatchNorm2d(1), nn.ReLU()))
    Sequential(
      (0): Conv2d(1, 1, kernel_size=(1, 1), stride=(1, 1))
      (1): ReLU()
    )
    """
    model = copy.deepcopy(model).eval()
    for part in [module for module in model.modules() if isinstance(module, nn.Sequential)]:
        children: list[nn.Module] = []
        for child in part:
            if isinstance(child, nn.BatchNorm2d) and children and isinstance(children[-1], nn.Conv2d):
                children[-1] = fuse_conv_bn_eval(children[-1], child)
            else:
                children.append(child)
        if len(children) < len(part):
            part._modules = {str(index): child for index, child in enumerate(children)}
    return model


def largest_difference(one: nn.Module, other: nn.Module, images: Tensor) -> float:
    """Return the largest difference of an output, as a fraction of the largest output of `one`."""
    with torch.inference_mode():
        first, second = one(images), other(images)
        return float((first - second).abs().max() / first.abs().max())


def compiled(models: Mapping[str, nn.Module], images: Tensor) -> tuple[dict[str, Any], dict[str, Any]]:
    """Compile models by torch.compile, and run each once.

    Returns
    -------
    models : dict
        Those that compile.
    record : dict
        For each: seconds, of compiling; or refused: the message.
    """
    found, record = {}, {}
    limits = torch._dynamo.config.patch(recompile_limit=_COMPILATIONS, fail_on_recompile_limit_hit=True)
    for name, model in models.items():
        begin = time.perf_counter()
        candidate = torch.compile(model)
        try:
            with torch.inference_mode(), limits:
                candidate(images)
        except Exception as error:  # any stage of the compiler may fail, as without a C++ compiler
            record[name] = {"refused": f"{type(error).__name__}: {str(error).splitlines()[0]}"}
            continue
        wait(images)
        found[name], record[name] = candidate, {"seconds": time.perf_counter() - begin}
    return found, record


def time_side_by_side(
    models: Mapping[str, nn.Module], batches: Sequence[Tensor], rounds: int, seed: int
) -> dict[str, dict[str, list[float]]]:
    """Time models on the same batches, taking turns in an order drawn anew for each round.

    Returns
    -------
    dict
        For each model, lists over the rounds, of microseconds per image: "clock", of the wall, and, on a CPU,
        "processor", of this process alone, which other work on the machine disturbs less.
    """
    rng = np.random.default_rng(seed)
    times: dict[str, dict[str, list[float]]] = {name: {"clock": [], "processor": []} for name in models}
    n_images = sum(map(len, batches))
    with torch.inference_mode(), track("times", "rounds", enabled=True) as update:
        for model in models.values():
            for images in batches[:2]:
                model(images)
        for done in range(rounds):
            for name in rng.permutation(list(models)):
                wait(batches[0])
                clock, processor = time.perf_counter(), time.process_time()
                for images in batches:
                    models[name](images)
                wait(batches[0])
                times[name]["clock"].append(1e6 * (time.perf_counter() - clock) / n_images)
                times[name]["processor"].append(1e6 * (time.process_time() - processor) / n_images)
            update(done + 1, (done + 1) / rounds)
    if batches[0].is_cuda:
        for record in times.values():
            del record["processor"]  # only that of launching the kernels
    return times


def ratios(times: Mapping[str, Mapping[str, Sequence[float]]], baseline: str) -> dict[str, dict[str, Any]]:
    """Return medians of times, and of the ratios to the baseline inside a round, with a 95 % interval.

    The interval is that of a median by order statistics; low and high are None where there are too few rounds.

    Examples
    --------
    >>> found = ratios({"a": {"clock": [1.0, 2.0, 4.0]}, "b": {"clock": [2.0, 2.0, 8.0]}}, "a")
    >>> found["b"]["clock"]
    {'microseconds': 2.0, 'ratio': 2.0, 'low': None, 'high': None}
    """
    return {
        name: {
            clock: {
                "microseconds": float(np.median(values)),
                **_median_interval(np.divide(values, times[baseline][clock])),
            }
            for clock, values in record.items()
        }
        for name, record in times.items()
    }


def _median_interval(values: Any) -> dict[str, Any]:
    median = float(np.median(values))
    between = stats.quantile_test(values, q=median, p=0.5).confidence_interval(0.95)
    low, high = (None if np.isnan(end) else float(end) for end in between)
    return {"ratio": median, "low": low, "high": high}


def peak_bytes(model: nn.Module, images: Tensor) -> int:
    """Return the most memory that predicting a batch holds at once, beside the parameters and the batch itself.

    On a CPU by PyTorch's own record of its allocations (torch.profiler), on a GPU by torch.cuda.max_memory_allocated:
    values and the workspace of the kernels, of compiled code too. On a CPU the workspace holds the weights of a
    convolution once more, in another order; `values_bytes` is what the network itself asks for.
    """
    with torch.inference_mode():
        model(images)
        if images.is_cuda:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            model(images)
            torch.cuda.synchronize()
            return int(torch.cuda.max_memory_allocated() - before)
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
            model(images)
    # The public tables add allocations up by operator; their order is in the record underneath.
    events = [event for event in record.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = np.cumsum([event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())])
    return int(held.max(initial=0))


def values_bytes(program: torch.fx.GraphModule, images: Tensor, *, with_inputs: bool = False) -> int:
    """Return the largest size of the values that are still needed at one time: each is dropped after its last use.

    Parameters
    ----------
    program
        As torch.fx traces it.
    images
        A batch.
    with_inputs
        Count the batch too, as long as it is needed.

    Examples
    --------
    A ReLU of 10 floats and the next one; the batch is not counted:

    >>> values_bytes(torch.fx.symbolic_trace(nn.Sequential(nn.ReLU(), nn.ReLU())), torch.zeros(1, 10))
    80
    """
    counting = _Counting(program, with_inputs)
    with torch.inference_mode():
        counting.run(images)
    return counting.peak


class _Counting(torch.fx.Interpreter):
    """Runs a program and notes the size of what it holds; views of one storage count once."""

    def __init__(self, program: torch.fx.GraphModule, with_inputs: bool) -> None:
        super().__init__(program, garbage_collect_values=True)
        self.outside = ("get_attr",) if with_inputs else ("get_attr", "placeholder")
        self.excluded: set[int] = set()
        self.peak = 0

    def run_node(self, node: torch.fx.Node) -> Any:
        """Run a step, with what it reads still held."""
        result = super().run_node(node)
        if node.op in self.outside:
            self.excluded.add(result.untyped_storage().data_ptr())
        held = {}
        for value in (*self.env.values(), result):
            if isinstance(value, Tensor):
                storage = value.untyped_storage()
                held[storage.data_ptr()] = storage.nbytes()
        self.peak = max(self.peak, sum(size for place, size in held.items() if place not in self.excluded))
        return result
