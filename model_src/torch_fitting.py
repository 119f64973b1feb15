"""Training the network, on one host or several, in epochs after each of which it can be interrupted and go on later.

On several hosts each batch is the one that a single host would have: a host works on those of its texts that are in it,
and DistributedDataParallel adds up the gradients (Li et al.: PyTorch Distributed: Experiences on Accelerating Data
Parallel Training. VLDB 2020). So the network is that of a single host, but for rounding.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from choices import read_properties
from corpus import Corpus
from hashing import Shape, features
from hosts import SILENCE, Array, Group, HostError
from torch import distributed, nn
from torch_network import Network

PROPERTIES = read_properties("torch_hyperparameters.json")
"""The JSON schema of each hyperparameter."""

CHECKPOINT = "checkpoint.pt"

_MEETING = 60.0  # seconds; all hosts are there by then


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """How the network is trained. Omitted choices are as ``torch_hyperparameters.json`` says.

    Args:
        epochs: How often all texts are seen.
        batch_size: How many texts, of all hosts together, decide one step.
        learning_rate: How far a step goes.
        seed: Of everything random.
    """

    epochs: int = PROPERTIES["epochs"]["default"]
    batch_size: int = PROPERTIES["batch_size"]["default"]
    learning_rate: float = PROPERTIES["learning_rate"]["default"]
    seed: int = PROPERTIES["seed"]["default"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoints:
    """Where a training is kept that may be interrupted.

    Args:
        directory: Has the last epoch's state; made when it is not there.
        version: Of the model: what another one left there is not used.
    """

    directory: Path
    version: str

    def save(self, epoch: int, network: Network, optimizer: Any) -> None:  # noqa: ANN401  # PyTorch has no types here
        """Keep the state after an epoch; what is there stays whole until the new one is."""
        self.directory.mkdir(parents=True, exist_ok=True)
        state = {
            "version": self.version,
            "epoch": epoch,
            "network": network.state_dict(),
            "optimizer": optimizer.state_dict(),
        }
        torch.save(state, self.directory / f"{CHECKPOINT}.part")
        (self.directory / f"{CHECKPOINT}.part").replace(self.directory / CHECKPOINT)

    def load(self, network: Network, optimizer: Any) -> int:  # noqa: ANN401  # see above
        """Take up the state that was kept; return how many epochs it has seen."""
        file = self.directory / CHECKPOINT
        if not file.is_file():
            return 0
        state = torch.load(file, weights_only=True)
        if state["version"] != self.version:
            sys.stdout.write(f"{file} is of another training, and is not used\n")
            return 0
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        sys.stdout.write(f"resumed after epoch {state['epoch']}\n")
        return int(state["epoch"])


def fit(
    corpus: Corpus,
    shape: Shape,
    training: Training,
    group: Group,
    *,
    first_host: str = "",
    checkpoints: Checkpoints | None = None,
) -> Network:
    """Return a network that was trained on the texts of all hosts; on a CPU, equal arguments give equal weights.

    Prints ``train:loss=…`` after each epoch, on the first host.

    Args:
        corpus: The texts.
        shape: What the network looks like.
        training: How it is trained.
        group: The hosts that train together.
        first_host: The address of the first one; one host needs none.
        checkpoints: Where to go on, and to keep each epoch. Omitted, it begins anew and keeps nothing.
    """
    torch.manual_seed(training.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = Network(shape, corpus.labels)
    network.to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=training.learning_rate)
    inputs = dict(
        zip(corpus.places.tolist(), features((example.text for example in corpus.examples), shape), strict=True)
    )
    targets = torch.from_numpy(corpus.y)
    done = checkpoints.load(network, optimizer) if checkpoints and not group.rank else 0
    done = _same_state(network, optimizer, done, group)
    with _parallel(network, group, first_host) as model:
        for epoch in range(done, training.epochs):
            order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(training.seed + epoch))
            total = 0.0
            for batch in order.split(training.batch_size):
                own = [place for place in batch.tolist() if place in inputs]
                answers = model([inputs[place] for place in own])
                loss = nn.functional.cross_entropy(answers, targets[own].to(device), reduction="sum")
                optimizer.zero_grad()
                (loss * group.size / len(batch)).backward()  # as the mean over hosts is taken of the gradients
                optimizer.step()
                total += loss.item()
            losses = group.gather([np.array([total])])
            if losses:
                mean = sum(float(host[0][0]) for host in losses) / len(targets)
                sys.stdout.write(f"epoch={epoch + 1} train:loss={mean:.6f}\n")
                sys.stdout.flush()
                if checkpoints:
                    checkpoints.save(epoch + 1, network, optimizer)
    network.eval()
    return network


@contextmanager
def _parallel(network: Network, group: Group, first_host: str) -> Iterator[Any]:
    """Give what trains ``network`` together with those of the other hosts."""
    if group.size == 1:
        yield network
        return
    distributed.init_process_group(
        "gloo",
        store=_store(group, first_host),
        rank=group.rank,
        world_size=group.size,
        timeout=timedelta(seconds=SILENCE),
    )
    try:
        yield nn.parallel.DistributedDataParallel(network)
    except RuntimeError as error:
        if "gloo" in str(error):
            raise HostError(f"another host is lost: {error}") from error
        raise
    finally:
        distributed.destroy_process_group()


def _store(group: Group, first_host: str) -> Any:  # noqa: ANN401  # see above
    """Return where the hosts of ``torch.distributed`` find each other: with the first one, at a free port.

    It listens before the others learn the port, so none of them waits where nobody will come.
    """
    waiting = timedelta(seconds=_MEETING)
    if not group.rank:
        store = distributed.TCPStore(first_host, 0, group.size, True, waiting, wait_for_workers=False)
        group.broadcast([np.array([store.port])])
        return store
    (port,) = group.broadcast([])
    return distributed.TCPStore(first_host, int(port[0]), group.size, False, waiting)


def _same_state(network: Network, optimizer: Any, done: int, group: Group) -> int:  # noqa: ANN401  # see above
    """Give every host the state that the first one took up; return how many epochs it has seen."""
    if group.size == 1:
        return done
    parameters = list(network.parameters())
    sent: list[Array] = [np.array([done])]
    if done and not group.rank:
        for parameter in parameters:
            state = optimizer.state[parameter]
            sent += [each.detach().cpu().numpy() for each in (parameter, state["exp_avg"], state["exp_avg_sq"])]
            sent.append(np.array([float(state["step"])], np.float32))
    (epochs, *received) = group.broadcast(sent)
    if group.rank:
        for number, parameter in enumerate(parameters if received else ()):
            value, average, square, step = received[4 * number : 4 * number + 4]
            with torch.no_grad():
                parameter.copy_(torch.from_numpy(value))
            optimizer.state[parameter] = {
                "step": torch.tensor(float(step[0])),
                "exp_avg": torch.from_numpy(average).to(parameter.device),
                "exp_avg_sq": torch.from_numpy(square).to(parameter.device),
            }
    return int(epochs[0])
