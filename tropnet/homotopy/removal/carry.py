"""Removing skips exactly: further channels carry what they leap with through the layers in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from tropnet.errors import UnsupportedModuleError
from tropnet.homotopy.removal.affine_values import Affine, ResidualGraph
from tropnet.homotopy.removal.channel_maps import Block, ChannelMap, layer_of
from tropnet.homotopy.removal.copies import copied
from tropnet.homotopy.removal.residual_graph import read
from tropnet.torch_modules.plain import unparametrized

__all__ = ["carried"]


def carried(module: Any) -> Any:
    """Return the layers, in eval mode, of a module whose skips are carried by further channels.

    See `tropnet.homotopy.remove_skips`.
    """
    copy = copied(module)
    tensor = next((p for p in module.parameters() if p.is_floating_point()), torch.empty(0))
    with torch.no_grad():
        layers = _LayerAssembly(read(unparametrized(copy.cpu().double()))).run()
    return nn.Sequential(*layers).to(tensor.device, tensor.dtype).eval()


_AXES_UNKNOWN = {
    nn.BatchNorm1d: " (Whether features or a line of pixels come here no layer tells; nn.Flatten() before it would.)",
    nn.Linear: " (A linear layer among pixels reads the last axis.)",
}


@dataclass(frozen=True)
class _Channels:
    """Channels of the state that hold an atom: itself (sign 0), or relu(atom) (1), or relu(-atom) (-1)."""

    atom: int
    sign: int
    place: slice


class _LayerAssembly:
    r"""Makes layers atom by atom; the state after each holds the atom and what later ones read of those before.

    The blocks of the layer of ``nu_2 = relu(W nu_1 + nu_0)``, where a later layer reads nu_0 too, which may be
    negative; a ReLU follows::

        state after \ before | nu_1 | nu_0
        nu_2                 |  W   |  I
        relu(nu_0)           |  0   |  I
        relu(-nu_0)          |  0   | -I

    The layer that reads nu_0 later takes the difference of its two halves. A stride leaves every so many-th pixel of
    what is carried, which `every` counts.

    Attributes
    ----------
    state
        The channels of what the layers made so far give, in order.
    every
        By atom, every how many-th of its pixels, per axis, the state has.
    """

    def __init__(self, graph: ResidualGraph) -> None:
        self.atoms, self.output, self.flat = graph.atoms, graph.output, graph.flat
        # It changes nothing of (n, features) and lets the first layer refuse what has axes between.
        self.layers: list[Any] = [nn.Flatten()] if 0 in self.flat else []
        self.widths = graph.widths()
        self.last_reader = graph.last_readers()
        self.state = [_Channels(0, 0, slice(0, self.widths.get(0, 0)))]
        self.every: dict[int, tuple[int, ...]] = {}

    def run(self) -> list[Any]:
        """Return the layers."""
        for number, atom in enumerate(self.atoms[1:], start=1):
            if number not in self.last_reader:
                continue
            if atom.module is not None:
                self._add_module(number)
            elif self._is_relu_alone(number):
                self._apply(nn.ReLU(), number)
            else:
                self._add_layer(atom.source, number, relu=atom.relu, name=atom.name)
        last = self.output.atom
        if last is None or not self._is_alone(last):
            self._add_layer(self.output, len(self.atoms), relu=False, name="the output")
        return self.layers

    def _alive(self, number: int) -> list[_Channels]:
        """Return the channels that are read after an atom."""
        return [channels for channels in self.state if self.last_reader.get(channels.atom, 0) > number]

    def _is_alone(self, atom: int) -> bool:
        plain = [(channels.atom, channels.sign) for channels in self.state] == [(atom, 0)]
        return plain and all(n == 1 for n in self.every.get(atom, ()))

    def _add_module(self, number: int) -> None:
        """Apply a module that is not understood to the one atom there is."""
        atom = self.atoms[number]
        (source, _), *_ = atom.source.terms
        across = {channels.atom for channels in self._alive(number)}
        if across:
            names = ", ".join(self.atoms[a].name for a in sorted(across))
            hint = _AXES_UNKNOWN.get(type(atom.module), "")
            raise UnsupportedModuleError(
                f"{atom.name} stands where a skip leaps with the output of {names}, but only convolutions without"
                f" groups, linear layers, batch norm and ReLU can carry it past.{hint}"
            )
        if not self._is_alone(source):
            self._add_layer(atom.source, number - 1, relu=False, name=atom.name, holds=source)
        self._apply(atom.module, number)
        if number in self.flat:
            self.layers.append(nn.Flatten())

    def _is_relu_alone(self, number: int) -> bool:
        """Return whether an atom is the ReLU of all that there is."""
        source = self.atoms[number].source.atom
        return self.atoms[number].relu and source is not None and self._is_alone(source) and not self._alive(number)

    def _apply(self, module: Any, number: int) -> None:
        """Add a module that makes an atom of all that there is."""
        self.layers.append(module)
        self.state = [_Channels(number, 0, slice(0, self.widths.get(number, 0)))]
        self.every.pop(number, None)

    def _add_layer(self, source: Affine, number: int, *, relu: bool, name: str, holds: int | None = None) -> None:
        """Add the layer of an affine value, which carries what is read later; `holds` is what it holds if not new."""
        holder = number if holds is None else holds
        alive = [channels for channels in self._alive(number) if channels.atom != holder]
        width = self._width(source, name)
        dims = self._dims(source, alive)
        blocks = [block for atom, m in source.terms for block in self._blocks(atom, m, width, dims, name)]
        strides = {block.map.stride for block in blocks}
        if len(strides) != 1:
            raise UnsupportedModuleError(f"{name} must read its sources by one stride, got {sorted(strides)}.")
        (stride,) = strides
        state = [_Channels(holder, 0, slice(0, width))]
        for channels in alive:
            new, more = self._carried(channels, state[-1].place.stop, stride, relu=relu)
            state += new
            blocks += more
        self._refuse_growth(blocks, bool(alive), name)
        bias = torch.zeros(state[-1].place.stop, dtype=torch.float64)
        if source.bias is not None:
            bias[:width] = source.bias
        self.layers.append(layer_of(blocks, bias, self.state[-1].place.stop, dims))
        if relu:
            self.layers.append(nn.ReLU())
        for atom in {channels.atom for channels in alive}:
            self.every[atom] = _product(self.every.get(atom, (1,) * dims), stride)
        self.state = state
        self.every[holder] = (1,) * dims

    def _width(self, source: Affine, name: str) -> int:
        widths = [m.weight.shape[0] for _, m in source.terms if isinstance(m, ChannelMap)]
        widths += [self.widths[atom] for atom, m in source.terms if isinstance(m, float) and atom in self.widths]
        if not widths or any(atom not in self.widths for atom, _ in source.terms):
            raise UnsupportedModuleError(f"no layer tells how many channels {name} reads, or it reads none.")
        if len(set(widths)) > 1:
            raise UnsupportedModuleError(f"{name} must add up equally many channels, got {sorted(set(widths))}.")
        return int(widths[0])

    def _dims(self, source: Affine, alive: list[_Channels]) -> int:
        atoms = [atom for atom, _ in source.terms] + [channels.atom for channels in alive]
        return max(self.atoms[atom].dims or 0 for atom in atoms)

    def _blocks(self, atom: int, m: ChannelMap | float, width: int, dims: int, name: str) -> list[Block]:
        """Return what a term reads of the channels of the state."""
        if isinstance(m, float):
            m = ChannelMap(torch.eye(width, dtype=torch.float64) * m, name=name)
        every = self.every.get(atom, (1,) * dims)
        sampled = m.lifted(dims).on_samples(every)
        if sampled is None:
            raise UnsupportedModuleError(
                f"{m.name or name} reads all pixels of the output of {self.atoms[atom].name}, of which a layer with"
                f" stride {max(every)} leaves one in {max(every)}. Only a 1x1 convolution of that stride can be carried"
                " past it."
            )
        return [
            Block(slice(0, width), channels.place, sampled.scaled(-1.0) if channels.sign < 0 else sampled)
            for channels in self.state
            if channels.atom == atom
        ]

    def _carried(
        self, channels: _Channels, begin: int, stride: tuple[int, ...], *, relu: bool
    ) -> tuple[list[_Channels], list[Block]]:
        """Return where channels are after the layer, and the identities that take them there."""
        n = channels.place.stop - channels.place.start
        if channels.atom not in self.widths:
            raise UnsupportedModuleError(
                f"no layer tells how many channels the output of {self.atoms[channels.atom].name} has, with which a"
                " skip leaps."
            )
        dims = len(stride)
        eye = ChannelMap(torch.eye(n, dtype=torch.float64)).lifted(dims)
        eye = ChannelMap(eye.weight, stride, eye.start, eye.dilation)
        splits = relu and channels.sign == 0 and not self.atoms[channels.atom].is_nonnegative
        signs = (1, -1) if splits else (channels.sign,)
        new, blocks = [], []
        for sign in signs:
            place = slice(begin, begin + n)
            new.append(_Channels(channels.atom, sign, place))
            blocks.append(Block(place, channels.place, eye.scaled(-1.0) if splits and sign < 0 else eye))
            begin += n
        return new, blocks

    def _refuse_growth(self, blocks: list[Block], carries: bool, name: str) -> None:
        """Refuse what one convolution cannot do: maps whose outputs differ in size, given the same input."""
        growths = {block.map.growth for block in blocks}
        if len(growths) == 1:
            return
        names = ", ".join(sorted({b.map.name for b in blocks if b.map.name and any(b.map.growth)})) or name
        what = "a skip leaps over it" if carries else "it is added to another"
        raise UnsupportedModuleError(
            f"{names} must keep the size but for its stride where {what}. Pad it by half of its kernel."
        )


def _product(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a * b for a, b in zip(one, other, strict=True))
