"""Times x · Wᵀ in PyTorch, whose bf16 products are oneDNN's.

    python gemm_torch.py bf16|f32 THREADS ROWSxOUTPUTSxINPUTS ...

Prints a JSON line for each shape: the median of several executions, in 10^9 operations a second.
"""

import json
import sys
import time

import torch

precision, threads, *shapes = sys.argv[1:]
torch.set_num_threads(int(threads))
torch.manual_seed(0)
kind = {"bf16": torch.bfloat16, "f32": torch.float32}[precision]
for shape in shapes:
    rows, outputs, inputs = map(int, shape.split("x"))
    x = torch.randn(rows, inputs).to(kind)
    weight = torch.randn(outputs, inputs).to(kind)
    times = []
    with torch.inference_mode():
        for _ in range(5):
            torch.matmul(x, weight.t())
        for _ in range(51):
            start = time.perf_counter()
            torch.matmul(x, weight.t())
            times.append(time.perf_counter() - start)
    flops = 2 * rows * outputs * inputs
    print(json.dumps({"shape": shape, "gflops": flops / sorted(times)[len(times) // 2] / 1e9}))
