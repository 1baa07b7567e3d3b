"""What tensor parallel ranks need to compute one wave of requests alike."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Wave:
    """Made by rank 0, where it stands before the wave; tensors on the CPU."""

    inputs: dict[str, torch.Tensor]
    """As `generate()` takes them, shape (requests, longest prompt)."""
    tokens: int
    """To generate for each."""
    random: torch.Tensor
    """State of the generator that samples: with another one, ranks would choose other tokens."""

    @classmethod
    def of(cls, inputs: dict[str, torch.Tensor], tokens: int, device: torch.device) -> Wave:
        """The wave that rank 0 is about to begin."""
        cuda = device.type == "cuda"
        random = torch.cuda.get_rng_state(device) if cuda else torch.get_rng_state()
        return cls({name: tensor.cpu() for name, tensor in inputs.items()}, tokens, random)

    def settle(self, device: torch.device) -> dict[str, torch.Tensor]:
        """The inputs on this rank's device, whose generator then stands as rank 0's."""
        if device.type == "cuda":
            torch.cuda.set_rng_state(self.random, device)
        else:
            torch.set_rng_state(self.random)
        return {name: tensor.to(device) for name, tensor in self.inputs.items()}
