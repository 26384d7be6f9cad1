#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The layers of headgate_bench in PyTorch: a loop over experts, and rows sorted by expert.

    bench/pytorch.py --out pytorch.json             (Debian: python3-torch, then /usr/bin/python3 bench/pytorch.py)
    headgate_bench_report bench.json pytorch.json --out bench.html

Prints a table and writes what headgate_bench_report reads, under the same names: layer/SHAPE/T:N/threads:N/pytorch_eager and
.../pytorch_sorted, train/... with autograd's backward. The two must agree before they are timed.

oneDNN inside PyTorch is held to AVX2, as it is in headgate_bench; ONEDNN_MAX_CPU_ISA=ALL lets it go.
"""
import argparse
import json
import os
import statistics
import sys
import time

#          model  hidden experts k
SHAPES = {
    "olmoe": (2048, 1024, 64, 8),
    "mixtral": (4096, 3584, 8, 2),
    "small": (512, 1024, 8, 2),
    "tabular": (64, 128, 16, 2),
    "qwen3": (2048, 768, 128, 8),
    "deepseek": (7168, 2048, 16, 8),
}


class Layer:
    """Router, top k, softmax over the selected, SwiGLU experts."""

    def __init__(self, model, hidden, experts, k):
        self.k = k
        uniform = lambda *size: (torch.rand(*size) * 2 - 1) * (3 / size[-1]) ** 0.5
        self.router = uniform(experts, model) * 0.1
        self.router[:, :experts] = torch.eye(experts)  # the first features of a token say where it goes
        self.gate = [uniform(hidden, model) for _ in range(experts)]
        self.up = [uniform(hidden, model) for _ in range(experts)]
        self.down = [uniform(model, hidden) for _ in range(experts)]

    def parameters(self):
        return [self.router, *self.gate, *self.up, *self.down]

    def route(self, x):
        logits, chosen = torch.topk(x @ self.router.t(), self.k, dim=1)
        return torch.softmax(logits, dim=1), chosen  # both (tokens x k)

    def expert(self, e, rows):
        hidden = torch.nn.functional.silu(rows @ self.gate[e].t()) * (rows @ self.up[e].t())
        return hidden @ self.down[e].t()

    def eager(self, x):
        weights, chosen = self.route(x)
        y = torch.zeros_like(x)
        for e in range(len(self.gate)):
            token, place = torch.where(chosen == e)
            if len(token) > 0:
                y.index_add_(0, token, self.expert(e, x[token]) * weights[token, place, None])
        return y

    def sorted(self, x):
        weights, chosen = self.route(x)
        flat = chosen.flatten()
        order = torch.argsort(flat, stable=True)
        counts = torch.bincount(flat, minlength=len(self.gate)).tolist()
        token = order // self.k
        parts = torch.split(x[token], counts)
        rows = torch.cat([self.expert(e, part) for e, part in enumerate(parts) if len(part) > 0])
        return torch.zeros_like(x).index_add_(0, token, rows * weights.flatten()[order, None])


def batches(tokens, model, experts, k, count):
    """Tokens with a uniform choice of experts written into their first features."""
    made = []
    for _ in range(count):
        x = (torch.rand(tokens, model) * 2 - 1) * 1.7
        x[:, :experts] = torch.rand(tokens, experts) * 2 - 1
        wanted = torch.rand(tokens, experts).argsort(dim=1)[:, :k]
        x.scatter_(1, wanted, 2 + torch.rand(tokens, k))
        made.append(x)
    return made


def seconds_per_pass(run, inputs, min_time):
    start = time.perf_counter()
    passes = 0
    while passes == 0 or time.perf_counter() - start < min_time:
        run(inputs[passes % len(inputs)])
        passes += 1
    return (time.perf_counter() - start) / passes


def check_agreement(layer, x):
    a, b = layer.eager(x), layer.sorted(x)
    distance = ((a - b).norm() / a.norm()).item()
    if not distance < 1e-4:
        sys.exit(f"pytorch.py: loop and sorted rows disagree, their distance is {distance} of the norm")


def inference(run):
    def once(x):
        with torch.inference_mode():
            run(x)

    return once


def training(layer, run):
    def once(x):
        x = x.detach().requires_grad_(True)
        y = run(x)
        y.backward(torch.ones_like(y))  # gradients add up, as they do in headgate

    return once


def measure(kind, name, layer, options, results):
    model, hidden, experts, k = SHAPES[name]
    for parameter in layer.parameters():
        parameter.requires_grad_(kind == "train")
    for tokens in options.tokens:
        inputs = batches(tokens, model, experts, k, 3 if tokens >= 512 else 17)
        with torch.inference_mode():
            check_agreement(layer, inputs[0])
        ways = {"pytorch_eager": layer.eager, "pytorch_sorted": layer.sorted}
        wrap = inference if kind == "layer" else lambda run: training(layer, run)
        times = {who: [] for who in ways}
        for repetition in range(options.repetitions + 1):  # in turns; the first ones warm up
            for who, run in ways.items():
                seconds = seconds_per_pass(wrap(run), inputs, options.min_time)
                if repetition > 0:
                    times[who].append(seconds)
        for who, seconds in times.items():
            full = f"{kind}/{name}/T:{tokens}/threads:{options.threads}/{who}"
            middle = statistics.median(seconds)
            spread = statistics.stdev(seconds) / statistics.mean(seconds) if len(seconds) > 1 else 0
            print(f"{full:56} {1e3 * middle:11.4f} ms  +-{100 * spread:4.1f} %", flush=True)
            for one in seconds:
                results.append({"name": full, "run_name": full, "run_type": "iteration", "real_time": 1e3 * one,
                                "time_unit": "ms", "tokens/s": tokens / one})


def import_torch(threads):
    """The libraries inside read these variables once, when they are loaded."""
    global torch
    for library in ["OPENBLAS", "OMP", "MKL"]:
        os.environ[library + "_NUM_THREADS"] = str(threads)
    os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")
    try:
        import torch
    except ImportError:
        sys.exit(f"pytorch.py: {sys.executable} has no PyTorch (Debian: apt-get install python3-torch, then /usr/bin/python3)")
    torch.set_num_threads(threads)
    torch.manual_seed(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", nargs="+", default=["olmoe", "mixtral", "small", "tabular"], choices=list(SHAPES))
    parser.add_argument("--tokens", nargs="+", type=int, default=[1, 8, 64, 512])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--min-time", type=float, default=0.05, help="seconds of one repetition")
    parser.add_argument("--train", action="store_true", help="training steps as well")
    parser.add_argument("--out", default="", help="JSON for headgate_bench_report")
    options = parser.parse_args()
    import_torch(options.threads)
    print(f"PyTorch {torch.__version__}, {options.threads} thread(s)")
    results = []
    for name in options.shapes:
        layer = Layer(*SHAPES[name])
        for kind in ["layer", "train"] if options.train else ["layer"]:
            measure(kind, name, layer, options, results)
    if options.out:
        with open(options.out, "w") as file:
            json.dump({"context": {"pytorch": str(torch.__version__)}, "benchmarks": results}, file, indent=1)


if __name__ == "__main__":
    main()
