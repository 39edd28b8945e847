"""Routers of llmrouter-lib on given embeddings; runs in that package's own environment.

Run as `python _llmrouter.py JOB OUT`. The job is an `.npz`: `embeddings` and `scores` of a table,
and `fold`, the fold of each row. Every fold is judged by routers that were trained on the others.
OUT gets, as JSON, the expert chosen for each row and the times.

Its own classes do the work: `KNNRouter`, `SVMRouter`, `MLPRouter`, `MFRouter` read its documented
files (routing data as JSON lines, embeddings as `.pt`), their trainers train. Two things differ
from its command line. Embeddings are given, where it would compute Longformer's. And decisions are
what `route_batch` does between the embedding and the call of the model, with the trained model at
hand, since `route_batch` itself would then call that model.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

OPTIONS: dict[str, dict[str, Any]] = {
    "knn": {"n_neighbors": 5, "metric": "cosine", "weights": "uniform"},
    "svm": {"kernel": "rbf", "C": 1.0, "gamma": "scale", "probability": True},
    "mlp": {
        "hidden_layer_sizes": [128, 64],
        "activation": "relu",
        "lr": 0.001,
        "epochs": 100,
        "batch_size": 32,
        "alpha": 0.0001,
    },
    "mf": {"latent_dim": 128, "text_dim": 384, "lr": 0.001, "epochs": 5, "noise_alpha": 0.0},
}
"""As its documentation and its own training configs have them; only `text_dim` is the encoder's."""

Decide = Callable[[np.ndarray], int]


def prepare(folder: Path, embeddings: np.ndarray, scores: np.ndarray) -> None:
    """Write the rows to learn from as its data files."""
    torch.save(torch.from_numpy(embeddings), folder / "embeddings.pt")
    with (folder / "routing.jsonl").open("w") as file:
        for row, expert in np.ndindex(scores.shape):
            said = {"query": f"q{row}", "embedding_id": row, "model_name": f"e{expert}"}
            file.write(json.dumps({**said, "performance": float(scores[row, expert])}) + "\n")


def train(kind: str, folder: Path, seed: int) -> tuple[Decide, float]:
    """Return what decides, and the seconds that training took."""
    from llmrouter import models

    classes = {
        "knn": (models.KNNRouter, models.KNNRouterTrainer),
        "svm": (models.SVMRouter, models.SVMRouterTrainer),
        "mlp": (models.MLPRouter, models.MLPTrainer),
        "mf": (models.MFRouter, models.MFRouterTrainer),
    }
    config = {
        "data_path": {
            "routing_data_train": str(folder / "routing.jsonl"),
            "query_embedding_data": str(folder / "embeddings.pt"),
        },
        "model_path": {"ini_model_path": "", "save_model_path": str(folder / f"{kind}.pkl")},
        "metric": {"weights": {"performance": 1, "cost": 0, "llm_judge": 0}},
        "hparam": OPTIONS[kind],
    }
    path = folder / f"{kind}.yaml"
    path.write_text(yaml.safe_dump(config))
    torch.manual_seed(seed)
    np.random.seed(seed)
    with contextlib.redirect_stdout(io.StringIO()):  # it tells of every step
        router_class, trainer_class = classes[kind]
        router = router_class(str(path))
        trainer = trainer_class(router, device="cpu")
        began = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - began
    return _decider(kind, router, trainer.model), seconds


def _decider(kind: str, router: Any, model: Any) -> Decide:
    if kind in ("knn", "svm"):
        return lambda vector: int(model.predict([vector])[0][1:])
    model.eval()

    def mlp(vector: np.ndarray) -> int:
        with torch.no_grad():
            index = model.predict(torch.from_numpy(vector).unsqueeze(0)).item()
        return int(router.idx_to_model[index][1:])

    def mf(vector: np.ndarray) -> int:
        with torch.no_grad():
            scores = model.score_all(model.project_text(torch.from_numpy(vector)))
        return int(router.idx_to_model[torch.argmax(scores).item()][1:])

    return mlp if kind == "mlp" else mf


def main() -> None:
    """Train and ask every kind on every fold."""
    job, out = sys.argv[1:]
    with np.load(job) as given:
        embeddings, scores, fold = (given[name] for name in ("embeddings", "scores", "fold"))
        seed = int(given["seed"])
    found = {kind: {"chosen": [0] * len(fold), "fit": [], "decide": []} for kind in OPTIONS}
    for number in range(int(fold.max()) + 1):
        with tempfile.TemporaryDirectory() as folder:
            learned = fold != number
            prepare(Path(folder), embeddings[learned], scores[learned])
            for kind, result in found.items():
                decide, seconds = train(kind, Path(folder), seed)
                result["fit"].append(seconds)
                decide(embeddings[0])
                for row in np.flatnonzero(~learned):
                    began = time.perf_counter()
                    result["chosen"][row] = decide(embeddings[row])
                    result["decide"].append(time.perf_counter() - began)
                print(f"{kind} {number}", flush=True)
    Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
